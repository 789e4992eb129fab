"""Stance and swing on the video's timeline, as temporal detections that a person can edit."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import fiftyone as fo
import numpy as np

from fiftyone_legpose.gait_analysis.event_edits import STARTS, ShownPhase
from fiftyone_legpose.gait_analysis.events import Event
from fiftyone_legpose.gait_analysis.motion import SIDES

_PHASES: Final = {kind: phase for phase, kind in STARTS.items()}


@dataclass(frozen=True)
class Phase:
    """A stance or swing of one foot, half open in time."""

    track: int
    start: Event
    end: Event

    def shown(self, frame: np.ndarray, time_s: np.ndarray) -> ShownPhase:
        """Give its place among the frames (T,) of the video, filmed at given times (T,)."""
        first, end = (
            int(frame[np.abs(time_s - event.time_s).argmin()]) for event in (self.start, self.end)
        )
        place = (first, max(first, end - 1))
        name = _PHASES[self.start.kind]
        return ShownPhase(self.track, self.start.side, name, *place, found=place)


def find_phases(track: int, events: Sequence[Event]) -> list[Phase]:
    """Make phases of the events of one bout; where an event is missing there is no phase."""
    phases = []
    for side in SIDES:
        own = [event for event in events if event.side == side]
        for start, end in itertools.pairwise(own):
            if start.kind != end.kind:
                phases.append(Phase(track, start, end))
    return sorted(phases, key=lambda phase: phase.start.time_s)


def to_labels(
    phases: Sequence[Phase], frame: np.ndarray, time_s: np.ndarray, before: Any = None
) -> Any:
    """Build the label of one video.

    Parameters
    ----------
    phases
        Of all its people.
    frame, time_s
        Shape (T,): number and time of the video's frames.
    before
        The label that is replaced: what in it is no phase of a foot stays.

    Returns
    -------
    fo.TemporalDetections
        Named ``stance left`` and so on, each with its exact start and end in s, the lower
        confidence of both events, and whether a person set one of them.
    """
    old = before.detections if before is not None else []
    labels = [label for label in old if _named(label) is None]
    for phase in phases:
        shown = phase.shown(frame, time_s)
        labels.append(
            fo.TemporalDetection(
                label=f"{shown.phase} {shown.side}",
                support=[shown.first, shown.last],
                confidence=min(phase.start.confidence, phase.end.confidence),
                track=shown.track,
                start_s=round(phase.start.time_s, 4),
                end_s=round(phase.end.time_s, 4),
                edited=phase.start.edited or phase.end.edited,
                found=[shown.first, shown.last],
            )
        )
    return fo.TemporalDetections(detections=labels)


def _named(label: Any) -> tuple[Any, str] | None:
    """Read phase and side off a label's name; None where it is no phase of a foot."""
    phase, _, side = (label.label or "").partition(" ")
    return (phase, side) if phase in STARTS and side in SIDES and label.support else None


def read_labels(labels: Any, track: int | None) -> list[ShownPhase]:
    """Read the phases of one video as they stand, edited or not.

    Parameters
    ----------
    labels
        `fo.TemporalDetections`, or None.
    track
        Whose a phase is that a person added without saying so; None where nobody was tracked.

    Returns
    -------
    list of ShownPhase
        Labels that are no phase of a foot are passed over.
    """
    shown = []
    for label in labels.detections if labels is not None else []:
        named = _named(label)
        owner = label["track"] if label.has_field("track") else None
        owner = track if owner is None else owner
        if named is None or owner is None:
            continue
        found = label["found"] if label.has_field("found") else None
        first, last = (int(number) for number in label.support)
        shown.append(
            ShownPhase(
                track=int(owner),
                side=named[1],
                phase=named[0],
                first=first,
                last=last,
                found=None if found is None else (int(found[0]), int(found[1])),
            )
        )
    return shown
