"""Initial contact and toe-off of each foot, behind one interface for every method."""

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from scipy.signal import find_peaks

from fiftyone_legpose import legs
from fiftyone_legpose.gait_analysis.bouts import Bout
from fiftyone_legpose.gait_analysis.motion import SIDES, Motion, bridge

Kind = Literal["contact", "toe_off"]
Method = Literal["zeni", "heights"]

BIAS_S: Final = {
    ("zeni", "contact"): -0.028,
    ("zeni", "toe_off"): 0.028,
    ("heights front", "contact"): -0.012,
    ("heights front", "toe_off"): 0.035,
    ("heights back", "contact"): -0.06,
    ("heights back", "toe_off"): 0.035,
}
"""How late each method finds an event, in s; it is taken off. Measured on drawn walkers
(benchmarks/gait.py): Zeni's is 0.033 s early and 0.034 s late there. On a trial of a patient with
annotated events it is 0.012 s early and 0.007 s late, so a little less is taken off."""

_STRIDE_S: Final = (0.5, 3.0)
_NEAR: Final = 0.5
"""Share of a stride that lies between two equal events of a foot at least."""

_PROMINENT: Final = 0.25
"""Share of the excursion that a peak stands out by at least."""

_SWING: Final = 0.6
"""Share of a stride within which a swing ends."""

_SLOW: Final = 0.15
"""Share of a swing's highest speed below which the foot stands."""

_CONFIDENCE_S: Final = 0.05


@dataclass(frozen=True)
class Event:
    """A foot meets the floor, or leaves it."""

    side: str
    kind: Kind
    time_s: float
    confidence: float
    """Mean confidence of the points that it was found from, 0 where they were filled."""
    method: str
    edited: bool = False
    """A person set it."""


def method_for(bout: Bout) -> Method:
    """Choose the method by the view: Zeni's needs to see the walk from aside."""
    return "heights" if bout.view in ("front", "back") else "zeni"


def find_events(motion: Motion, bout: Bout, method: Method | None = None) -> list[Event]:
    """Find initial contacts and toe-offs of both feet in a walking bout.

    Parameters
    ----------
    motion
        Of one person.
    bout
        One of its bouts.
    method
        ``zeni``: the heel is furthest before the pelvis at contact, the toes are furthest behind it
        at toe-off (Zeni et al. 2008, Gait & Posture 27). ``heights``: the heel is highest above the
        toes at toe-off, and at contact the swing in the picture's height ends. By default
        `method_for` the view.

    Returns
    -------
    list of Event
        In order of time, between two frames where the data say so; contacts and toe-offs of a foot
        alternate.
    """
    how = method or method_for(bout)
    stride_s = _stride_time(motion, bout)
    biased = how if how == "zeni" else f"{how} {_seen_from(bout)}"
    found = []
    for side in SIDES:
        times = {"zeni": _zeni, "heights": _heights}[how](motion, bout, side, stride_s)
        kept = _alternate(*times, stride_s)
        for kind, values in zip(("contact", "toe_off"), kept, strict=True):
            found += [
                Event(
                    side=side,
                    kind=kind,  # type: ignore[arg-type]
                    time_s=float(when) - BIAS_S[biased, kind],
                    confidence=_confidence(motion, side, float(when)),
                    method=how,
                )
                for when in values
            ]
    return sorted(found, key=lambda event: event.time_s)


def _seen_from(bout: Bout) -> str:
    return "front" if bout.heading_deg > 0 else "back"


Times = tuple[np.ndarray, np.ndarray]
"""Of contacts and of toe-offs, in s."""


def _stride_time(motion: Motion, bout: Bout) -> float:
    """Estimate the time of a stride by the autocorrelation of both feet against each other."""
    apart = motion.joint("left", "ankle") - motion.joint("right", "ankle")
    values = np.stack([bridge(apart[bout.rows, axis]) for axis in (0, 1)])
    time = np.arange(values.shape[1])
    values = values - np.stack([np.polyval(np.polyfit(time, row, 1), time) for row in values])
    size = 2 * values.shape[1]
    spectrum = (np.abs(np.fft.rfft(values, size, axis=1)) ** 2).sum(axis=0)
    likeness = np.fft.irfft(spectrum, size)[: values.shape[1]]
    shortest, longest = (round(limit / motion.step_s) for limit in _STRIDE_S)
    peaks, _ = find_peaks(likeness[: longest + 1])
    peaks = peaks[peaks >= shortest]
    if not len(peaks):
        return float(np.clip(bout.end_s - bout.start_s, *_STRIDE_S) / 2)
    return float(peaks[likeness[peaks].argmax()] * motion.step_s)


def _zeni(motion: Motion, bout: Bout, side: str, stride_s: float) -> Times:
    pelvis, leg = motion.pelvis[:, 0], motion.leg_px
    heel, toe = (
        bridge(bout.forward * (motion.joint(side, name)[:, 0] - pelvis) / leg)[bout.rows]
        for name in ("heel", "foot")
    )
    time_s = motion.time_s[bout.rows]
    near = _NEAR * stride_s / motion.step_s
    return _peaks(time_s, heel, near), _peaks(time_s, -toe, near)


def _peaks(time_s: np.ndarray, values: np.ndarray, near: float) -> np.ndarray:
    """Give the times of the highest points, between frames by the parabola through three."""
    spread = np.quantile(values, 0.95) - np.quantile(values, 0.05)
    rows, _ = find_peaks(values, distance=max(1, near), prominence=max(_PROMINENT * spread, 1e-6))
    before, at, after = values[rows - 1], values[rows], values[rows + 1]
    shift = 0.5 * (before - after) / np.minimum(before - 2 * at + after, -1e-12)
    return np.asarray(time_s[rows] + np.clip(shift, -0.5, 0.5) * (time_s[1] - time_s[0]))


def _heights(motion: Motion, bout: Bout, side: str, stride_s: float) -> Times:
    time_s = motion.time_s[bout.rows]
    leg = np.median(motion.leg_px[bout.rows])
    heel, toe = (
        bridge(motion.joint(side, name)[:, 1] / leg)[bout.rows] for name in ("heel", "foot")
    )
    near = _NEAR * stride_s / motion.step_s
    toe_offs = _peaks(time_s, (toe - heel) * leg / motion.leg_px[bout.rows], near)
    # A foot that swings to the camera sinks in the picture heel first, one that swings away rises.
    swinging = np.gradient(heel if _seen_from(bout) == "front" else -toe, motion.step_s)
    contacts = []
    for toe_off in toe_offs:
        swing = np.flatnonzero((time_s > toe_off) & (time_s < toe_off + _SWING * stride_s))
        if len(swing):
            contact = _slow_again(time_s, swinging, int(swing[swinging[swing].argmax()]))
            contacts += [] if contact is None else [contact]
    return np.array(contacts), toe_offs


def _slow_again(time_s: np.ndarray, speed: np.ndarray, fastest: int) -> float | None:
    """Time after its fastest at which a foot is slow again, between two frames."""
    floor = _SLOW * speed[fastest]
    slow = np.flatnonzero(speed[fastest:] < floor)
    if not len(slow) or floor <= 0:
        return None
    row = fastest + int(slow[0])
    share = (speed[row - 1] - floor) / (speed[row - 1] - speed[row])
    return float(time_s[row - 1] + share * (time_s[row] - time_s[row - 1]))


def _alternate(contacts: np.ndarray, toe_offs: np.ndarray, stride_s: float) -> Times:
    """Keep the events of a foot that alternate.

    Of two equal ones close together the later contact stays, or the earlier toe-off: a foot is
    still before it meets the floor for good, and leaves it once.
    """
    events = sorted([(t, 0) for t in contacts] + [(t, 1) for t in toe_offs])
    kept: list[tuple[float, int]] = []
    for event in events:
        if kept and kept[-1][1] == event[1] and event[0] - kept[-1][0] < _NEAR * stride_s:
            if event[1] == 0:
                kept[-1] = event
            continue
        kept.append(event)
    return tuple(  # type: ignore[return-value]
        np.array([when for when, kind in kept if kind == wanted]) for wanted in (0, 1)
    )


def _confidence(motion: Motion, side: str, when: float) -> float:
    near = np.abs(motion.time_s - when) <= max(_CONFIDENCE_S, motion.step_s)
    names = (f"{side}_heel", f"{side}_foot", "left_hip", "right_hip")
    columns = [legs.KEYPOINTS.index(name) for name in names]
    return float(motion.confidence[near][:, columns].mean()) if near.any() else 0.0
