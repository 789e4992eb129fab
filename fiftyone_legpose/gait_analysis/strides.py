"""Strides of a bout, measured between the events of both feet."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from fiftyone_legpose.gait_analysis.bouts import Bout
from fiftyone_legpose.gait_analysis.events import Event
from fiftyone_legpose.gait_analysis.motion import SIDES, Motion

LONGEST_S: Final = 3.0
"""A stride that lasts longer is two of which a contact was missed, or a pause."""


@dataclass(frozen=True)
class Stride:
    """From a contact of a foot to its next; what is not known is None.

    Lengths are in leg lengths, hip to knee to ankle. A step of a side ends with the contact of that
    foot; a stride's step is the one that ends it.
    """

    side: str
    start_s: float
    end_s: float
    toe_off_s: float | None
    stride_time_s: float
    step_time_s: float | None
    stance_s: float | None
    swing_s: float | None
    stance_share: float | None
    """Of the stride's time."""
    single_support_s: float | None
    """Time on this foot alone."""
    double_support_s: float | None
    """Time on both feet, at the start and at the end of the stance."""
    step_length_leg: float | None
    stride_length_leg: float | None
    speed_leg_s: float | None
    """Leg lengths per second."""
    step_width_leg: float | None
    """Between both ankles at the contact that ends the stride; from before or behind only."""
    confidence: float
    """The lowest of its events'."""
    filled_share: float
    """Of its points that nobody saw."""
    edited: bool
    """A person set one of its events."""


MEASURES: Final = (
    "stride_time_s",
    "step_time_s",
    "stance_s",
    "swing_s",
    "stance_share",
    "single_support_s",
    "double_support_s",
    "step_length_leg",
    "stride_length_leg",
    "speed_leg_s",
    "step_width_leg",
)
"""What is measured of each stride."""


def measure_strides(motion: Motion, bout: Bout, events: Sequence[Event]) -> list[Stride]:
    """Measure every stride of a bout.

    Parameters
    ----------
    motion
        Of one person.
    bout
        One of its bouts.
    events
        Of both feet in this bout, in order of time.

    Returns
    -------
    list of Stride
        In order of time.
    """
    strides = []
    for side in SIDES:
        own = [event for event in events if event.side == side]
        other = [event for event in events if event.side != side]
        contacts = [event for event in own if event.kind == "contact"]
        for first, last in itertools.pairwise(contacts):
            if last.time_s - first.time_s <= LONGEST_S:
                strides.append(_measure(motion, bout, first, last, own, other))
    return sorted(strides, key=lambda stride: stride.start_s)


def _measure(
    motion: Motion,
    bout: Bout,
    first: Event,
    last: Event,
    own: Sequence[Event],
    other: Sequence[Event],
) -> Stride:
    start, end = first.time_s, last.time_s
    toe_off = _only(own, "toe_off", start, end)
    contact = _only(other, "contact", start, end)
    before = _only(other, "toe_off", start, contact.time_s if contact else end)
    stance = toe_off.time_s - start if toe_off else None
    double = None
    if toe_off and contact and before and toe_off.time_s > contact.time_s:
        double = (before.time_s - start) + (toe_off.time_s - contact.time_s)
    lengths = _lengths(motion, bout, first, last, contact)
    time_s = end - start
    used = [event for event in (first, last, toe_off, contact, before) if event]
    rows = (motion.time_s >= start) & (motion.time_s < end)
    return Stride(
        side=first.side,
        start_s=start,
        end_s=end,
        toe_off_s=toe_off.time_s if toe_off else None,
        stride_time_s=time_s,
        step_time_s=end - contact.time_s if contact else None,
        stance_s=stance,
        swing_s=None if stance is None else time_s - stance,
        stance_share=None if stance is None else stance / time_s,
        single_support_s=contact.time_s - before.time_s if contact and before else None,
        double_support_s=double,
        step_length_leg=lengths[0],
        stride_length_leg=lengths[1],
        speed_leg_s=None if lengths[1] is None else lengths[1] / time_s,
        step_width_leg=_width(motion, bout, end),
        confidence=min(event.confidence for event in used),
        filled_share=float(motion.filled[rows].mean()) if rows.any() else 0.0,
        edited=any(event.edited for event in used),
    )


def _only(events: Sequence[Event], kind: str, start: float, end: float) -> Event | None:
    """Give the one event of a kind between two times, None where there are none or several."""
    found = [event for event in events if event.kind == kind and start < event.time_s < end]
    return found[0] if len(found) == 1 else None


def _lengths(
    motion: Motion, bout: Bout, first: Event, last: Event, contact: Event | None
) -> tuple[float | None, float | None]:
    """Length of the step that ends a stride, and of the stride, in leg lengths."""
    if bout.view in ("front", "back"):
        return None, None  # along the line of sight no picture tells a length
    side = first.side
    step = _step(motion, bout, side, last.time_s)
    if bout.surface == "treadmill":
        opposite = None
        if contact is not None:
            opposite = _step(motion, bout, contact.side, contact.time_s)
        stride = None if step is None or opposite is None else step + opposite
    else:
        stride = _between(motion, bout, (side, first.time_s), (side, last.time_s))
    return step, stride


def _step(motion: Motion, bout: Bout, side: str, when: float) -> float | None:
    """Distance of both heels along the walk at a contact of one side."""
    other = SIDES[1 - SIDES.index(side)]
    return _between(motion, bout, (other, when), (side, when))


def _between(
    motion: Motion, bout: Bout, start: tuple[str, float], end: tuple[str, float]
) -> float | None:
    places = [
        np.interp(when, motion.time_s, motion.joint(side, "heel")[:, 0])
        for side, when in (start, end)
    ]
    leg = np.interp((start[1] + end[1]) / 2, motion.time_s, motion.leg_px)
    length = float(bout.forward * (places[1] - places[0]) / leg / bout.shortening)
    return length if np.isfinite(length) else None


def _width(motion: Motion, bout: Bout, when: float) -> float | None:
    """Distance of both ankles across the walk, below 0 where the legs cross."""
    if bout.view not in ("front", "back"):
        return None
    left, right = (
        np.interp(when, motion.time_s, motion.joint(side, "ankle")[:, 0]) for side in SIDES
    )
    facing = 1 if bout.view == "front" else -1
    width = float(facing * (left - right) / np.interp(when, motion.time_s, motion.leg_px))
    return width if np.isfinite(width) else None
