"""What a person changed on the timeline: events moved, added or taken away, for good."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

import numpy as np

from fiftyone_legpose.gait_analysis.events import Event, Kind

Phase = Literal["stance", "swing"]

STARTS: Final[dict[Phase, Kind]] = {"stance": "contact", "swing": "toe_off"}
ENDS: Final[dict[Phase, Kind]] = {"stance": "toe_off", "swing": "contact"}
"""The events at which a phase starts and ends."""

_SAME_S: Final = 0.15
"""Time within which an event that is found anew is the one that a person moved or took away."""


@dataclass(frozen=True)
class ShownPhase:
    """A phase as it stands on the timeline: frames ``first`` to ``last``, both inside."""

    track: int
    side: str
    phase: Phase
    first: int
    last: int
    found: tuple[int, int] | None
    """Where gait had put it; None of a phase that a person added."""


@dataclass(frozen=True)
class Edit:
    """An event that a person set, or took away."""

    track: int
    side: str
    kind: Kind
    frame: int | None
    """Where it is now; None where it was taken away."""
    was: int | None
    """Where gait had found it; None where a person added it."""

    def to_json(self) -> dict[str, Any]:
        """Give a dictionary that a dataset can hold."""
        return asdict(self)


def find_edits(shown: Sequence[ShownPhase], written: Sequence[ShownPhase]) -> list[Edit]:
    """Compare the timeline with what was written to it.

    Parameters
    ----------
    shown
        The phases that are there.
    written
        The phases that gait wrote, each with ``found`` as it was written.

    Returns
    -------
    list of Edit
        A moved border of a phase is a moved event, whatever the neighbouring phase says. An event
        is taken away where all phases that began or ended with it are.
    """
    edits = []
    for phase in shown:
        was = phase.found or (None, None)
        for kind, now, before in (
            (STARTS[phase.phase], phase.first, was[0]),
            (ENDS[phase.phase], phase.last + 1, None if was[1] is None else was[1] + 1),
        ):
            if now != before:
                edits.append(Edit(phase.track, phase.side, kind, now, before))
    kept = {(p.track, p.side, p.phase, p.found) for p in shown}
    borders = {border for phase in shown for border in _borders(phase)}
    gone = {
        border
        for phase in written
        if (phase.track, phase.side, phase.phase, phase.found) not in kept
        for border in _borders(phase)
    }
    edits += [
        Edit(track, side, kind, None, frame) for track, side, kind, frame in sorted(gone - borders)
    ]
    return _once(edits)


def _borders(phase: ShownPhase) -> list[tuple[int, str, Kind, int]]:
    """List the events at which gait had put the borders of a phase."""
    if phase.found is None:
        return []
    first, last = phase.found
    return [
        (phase.track, phase.side, STARTS[phase.phase], first),
        (phase.track, phase.side, ENDS[phase.phase], last + 1),
    ]


def _once(edits: Sequence[Edit]) -> list[Edit]:
    return list(dict.fromkeys(edits))


def join_edits(earlier: Sequence[Edit], new: Sequence[Edit]) -> list[Edit]:
    """Put the edits of earlier calls and new ones together; of the same event the new one counts.

    An event that was moved to a frame, and then moved on from there, was moved once.
    """
    joined = list(earlier)
    for edit in new:
        before = [
            old
            for old in joined
            if (old.track, old.side, old.kind) == (edit.track, edit.side, edit.kind)
            and old.frame is not None
            and old.frame == edit.was
        ]
        was = before[0].was if before else edit.was
        joined = [old for old in joined if old not in before]
        if edit.frame is not None or was is not None:
            joined.append(Edit(edit.track, edit.side, edit.kind, edit.frame, was))
    return _once(joined)


def apply_edits(
    events: Sequence[Event], edits: Sequence[Edit], frame: np.ndarray, time_s: np.ndarray
) -> list[Event]:
    """Let edited events win over those that were found.

    Parameters
    ----------
    events
        Found on one track.
    edits
        Of that track.
    frame, time_s
        Shape (T,): number and time of the video's frames.

    Returns
    -------
    list of Event
        In order of time; edited ones are marked and have a confidence of 1.
    """
    kept = list(events)
    for edit in edits:
        for at in (edit.was, edit.frame):
            if at is None:
                continue
            when = float(np.interp(at, frame, time_s))
            same = [
                event
                for event in kept
                if (event.side, event.kind) == (edit.side, edit.kind)
                and not event.edited
                and abs(event.time_s - when) <= _SAME_S
            ]
            if same:
                kept.remove(min(same, key=lambda event: abs(event.time_s - when)))
        if edit.frame is not None:
            when = float(np.interp(edit.frame, frame, time_s))
            kept.append(Event(edit.side, edit.kind, when, 1.0, "edited", edited=True))
    return sorted(kept, key=lambda event: event.time_s)
