"""The gait of one person in one video, from the clean path to parameters."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from fiftyone_legpose.gait_analysis.angles import joint_angles, normalise_cycles
from fiftyone_legpose.gait_analysis.bouts import Bout, find_bouts
from fiftyone_legpose.gait_analysis.event_edits import Edit, apply_edits
from fiftyone_legpose.gait_analysis.events import Event, Method, find_events
from fiftyone_legpose.gait_analysis.motion import SIDES, Motion, read_motion
from fiftyone_legpose.gait_analysis.scale import (
    SEGMENTS,
    Scale,
    scale_from_belt,
    scale_from_segment,
)
from fiftyone_legpose.gait_analysis.strides import Stride, measure_strides
from fiftyone_legpose.trajectories.paths import Path

FEWEST_STRIDES: Final = 4
"""Strides of a bout below which its means say little."""

_MUCH_FILLED: Final = 0.1
_MUCH_EXCHANGED: Final = 0.05
_BESIDE_S: Final = 0.3


@dataclass(frozen=True)
class Measured:
    """What somebody measured beside the video; what is not known is left out."""

    segments: Mapping[str, float]
    """Lengths in m by `scale.SEGMENTS`."""
    belt_speed_m_s: float | None = None


@dataclass(frozen=True)
class BoutGait:
    """The gait in one walking bout."""

    bout: Bout
    events: list[Event]
    strides: list[Stride]
    scale: Scale | None
    cycles: dict[str, dict[str, np.ndarray]]
    """By side and angle (C, 101) in degrees, a row for each stride of that side."""
    warnings: list[str]


@dataclass(frozen=True)
class PersonGait:
    """The gait of one track."""

    track: int
    bouts: list[BoutGait]
    corrected_share: float
    """Of the frames: those that a person corrected."""


def analyse(
    path: Path, measured: Measured, edits: Sequence[Edit] = (), method: Method | None = None
) -> PersonGait:
    """Analyse the gait of one person.

    Parameters
    ----------
    path
        From `smooth`.
    measured
        For metres.
    edits
        Events of this track that a person set or took away.
    method
        For the events; by default by the view, see `events.method_for`.

    Returns
    -------
    PersonGait
        Without bouts where the person does not walk for a second.
    """
    motion = read_motion(path)
    if motion is None:
        return PersonGait(path.track, [], 0.0)
    bouts = []
    for bout in find_bouts(motion):
        near = [edit for edit in edits if _is_in(edit, bout, path)]
        found = find_events(motion, bout, method)
        events = apply_edits(found, near, path.frame, path.time_s)
        bouts.append(_measure(motion, bout, events, measured))
    return PersonGait(path.track, bouts, float(motion.corrected.mean()))


def _is_in(edit: Edit, bout: Bout, path: Path) -> bool:
    frames = [frame for frame in (edit.frame, edit.was) if frame is not None]
    when = np.interp(frames[0], path.frame, path.time_s)
    return bool(bout.start_s - _BESIDE_S <= when < bout.end_s + _BESIDE_S)


def _measure(motion: Motion, bout: Bout, events: list[Event], measured: Measured) -> BoutGait:
    strides = measure_strides(motion, bout, events)
    angles = joint_angles(motion, bout)
    cycles = {
        side: {
            name: normalise_cycles(
                motion.time_s,
                values,
                [(stride.start_s, stride.end_s) for stride in strides if stride.side == side],
            )
            for name, values in angles[side].items()
        }
        for side in SIDES
    }
    return BoutGait(
        bout=bout,
        events=events,
        strides=strides,
        scale=_scale(motion, bout, strides, measured),
        cycles=cycles,
        warnings=_warn(motion, bout, strides),
    )


def _scale(
    motion: Motion, bout: Bout, strides: Sequence[Stride], measured: Measured
) -> Scale | None:
    """Take the belt's speed where there is one, else the longest segment that was measured."""
    if measured.belt_speed_m_s is not None and bout.surface == "treadmill":
        length, time_s = (
            np.array([getattr(stride, name) for stride in strides], float)
            for name in ("stride_length_leg", "stride_time_s")
        )
        return scale_from_belt(length, time_s, measured.belt_speed_m_s)
    for segment in SEGMENTS:
        if segment in measured.segments:
            return scale_from_segment(motion, bout, segment, measured.segments[segment])
    return None


def _warn(motion: Motion, bout: Bout, strides: Sequence[Stride]) -> list[str]:
    """Say what makes the numbers of a bout doubtful."""
    warnings = []
    if len(strides) < FEWEST_STRIDES:
        warnings.append(f"{len(strides)} strides: means and variability say little")
    if bout.view == "oblique":
        warnings.append("oblique view: angles and lengths are corrected for it, roughly")
    if bout.view in ("front", "back"):
        warnings.append(
            f"{bout.view} view: no lengths along the walk, no angles of bending, events less exact"
        )
    filled = float(motion.filled[bout.rows].mean())
    if filled > _MUCH_FILLED:
        warnings.append(f"{filled:.0%} of the points were filled in")
    exchanged = float(motion.exchanged[bout.rows].mean())
    if exchanged > _MUCH_EXCHANGED:
        warnings.append(f"left and right were exchanged back on {exchanged:.0%} of the frames")
    return warnings
