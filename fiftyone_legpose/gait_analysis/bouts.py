"""Walking bouts: when somebody walks straight on, seen from where, on what."""

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from scipy.ndimage import uniform_filter1d

from fiftyone_legpose.gait_analysis.motion import Motion, bridge, whole_runs

View = Literal["side", "oblique", "front", "back"]
Surface = Literal["overground", "treadmill"]

SHORTEST_S: Final = 1.0

_SIDE_WITHIN_DEG: Final = 30.0
_FRONT_WITHIN_DEG: Final = 30.0

_STEPPING_S: Final = 1.5
_STEPPING: Final = 0.03
"""Standard deviation of one foot against the other in leg lengths, above which somebody steps:
three times what is left of the noise of keypoints on somebody who stands."""

_TURN_DEG_PER_S: Final = 70.0
_TURN_S: Final = 0.5

_IN_PLACE: Final = 0.12
"""Leg lengths per second that a pelvis drifts at most on a treadmill."""

_NEARER: Final = 0.04
"""Change of the person's size per second (as a logarithm) on a treadmill at most."""


@dataclass(frozen=True)
class Bout:
    """A stretch of straight walking, half open in time and in rows of its `Motion`."""

    rows: slice
    start_s: float
    end_s: float
    view: View
    heading_deg: float
    """Mean; see `Motion.heading_deg`."""
    surface: Surface

    @property
    def forward(self) -> int:
        """1 where the person walks to the right of the picture, -1 to the left."""
        return 1 if np.cos(np.radians(self.heading_deg)) >= 0 else -1

    @property
    def shortening(self) -> float:
        """Share of its length that what lies along the walk has in the picture."""
        return float(abs(np.cos(np.radians(self.heading_deg))))


def find_bouts(motion: Motion) -> list[Bout]:
    """Find where somebody walks straight on; standing and turns are cut out.

    Parameters
    ----------
    motion
        Of one person.

    Returns
    -------
    list of Bout
        In order of time, each at least `SHORTEST_S` long.
    """
    known = np.isfinite(motion.points[:, :2]).all(axis=(1, 2))
    known &= np.isfinite(motion.points[:, 6:]).all(axis=(1, 2))
    walking = known & _steps(motion) & ~_turns(motion)
    shortest = int(np.ceil(SHORTEST_S / motion.step_s))
    return [_describe(motion, rows) for rows in whole_runs(walking, shortest)]


def _steps(motion: Motion) -> np.ndarray:
    """Tell (T,) when the feet move against each other."""
    window = max(1, round(_STEPPING_S / motion.step_s))
    spread = np.zeros(len(motion.time_s))
    for joint in ("heel", "foot"):
        apart = motion.joint("left", joint) - motion.joint("right", joint)
        for axis in (0, 1):
            values = bridge(apart[:, axis] / motion.leg_px)
            mean = uniform_filter1d(values, window, mode="nearest")
            square = uniform_filter1d(values**2, window, mode="nearest")
            spread += np.maximum(square - mean**2, 0) / 2
    return np.asarray(np.sqrt(spread) > _STEPPING)


def _turns(motion: Motion) -> np.ndarray:
    """Tell (T,) when the person turns round."""
    half = max(1, round(_TURN_S / 2 / motion.step_s))
    heading = np.unwrap(np.radians(motion.heading_deg))
    padded = np.pad(heading, half, mode="edge")
    turned = np.degrees(np.abs(padded[2 * half :] - padded[: -2 * half]))
    return np.asarray(turned / (2 * half * motion.step_s) > _TURN_DEG_PER_S)


def _describe(motion: Motion, rows: slice) -> Bout:
    facing = np.exp(1j * np.radians(motion.heading_deg[rows])).mean()
    heading = float(np.degrees(np.angle(facing)))
    aside = min(abs(heading), 180 - abs(heading))
    view: View = "oblique"
    if aside <= _SIDE_WITHIN_DEG:
        view = "side"
    elif aside >= 90 - _FRONT_WITHIN_DEG:
        view = "front" if heading > 0 else "back"
    end_s = float(motion.time_s[rows.stop - 1]) + motion.step_s
    return Bout(
        rows=rows,
        start_s=float(motion.time_s[rows.start]),
        end_s=end_s,
        view=view,
        heading_deg=heading,
        surface=_surface(motion, rows),
    )


def _surface(motion: Motion, rows: slice) -> Surface:
    time_s = motion.time_s[rows]
    leg = motion.leg_px[rows]
    drift = np.polyfit(time_s, motion.pelvis[rows, 0] / np.median(leg), 1)[0]
    nearer = np.polyfit(time_s, np.log(leg), 1)[0]
    stays = abs(drift) < _IN_PLACE and abs(nearer) < _NEARER
    return "treadmill" if stays else "overground"
