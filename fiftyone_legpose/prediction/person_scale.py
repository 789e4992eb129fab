"""How large people are in a video, and how it is to be looked at so that they are seen well."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from fiftyone_legpose.pose.geometry import leg_length

if TYPE_CHECKING:
    from fiftyone_legpose.prediction.raw_poses import RawPoses

TIMES: Final = (1, 2, 4)
"""Input sizes that people are looked for at, in times of the size that weights were trained at."""

LARGE_SHARE: Final = 0.3
"""Leg length, as a share of the input's longer side, from which one look is enough."""

_LARGEST_ENLARGEMENT: Final = 2
"""A picture that is enlarged further shows nothing more, for four times the time."""

_AS_GOOD: Final = 0.9
"""Share of the best size's summed box confidence from which a smaller, faster size is taken."""

_PROBES: Final = 8
_FRAMES_PER_PROBE: Final = 25


@dataclass(frozen=True)
class Plan:
    """How the frames of one video are looked at."""

    look_px: int
    """Longer side of the input that whole frames are looked at with."""
    close: bool
    """Whether each person is then looked at in a cutting of the frame."""
    leg_px: float | None
    """Median leg length in px of the frame; None where nobody was found."""


def look_sizes(trained_px: int, frame_px: int) -> list[int]:
    """List the input sizes worth a look, rising.

    Parameters
    ----------
    trained_px
        Longer side of the input that the weights were trained at.
    frame_px
        Longer side of the frame.
    """
    first, *larger = (trained_px * times for times in TIMES)
    return [first, *(size for size in larger if size <= _LARGEST_ENLARGEMENT * frame_px)]


def probe_numbers(frame_count: int) -> list[int]:
    """Choose the frames, from 1 and rising, that tell how large people are in a video."""
    count = min(max(frame_count // _FRAMES_PER_PROBE, 1), _PROBES)
    middles = (np.arange(count) + 0.5) / count * frame_count
    return (middles.astype(int) + 1).tolist()


def legs_of(raw: "RawPoses") -> np.ndarray:
    """Measure the leg length (N,) in px of everybody who was found."""
    return leg_length(raw.points, np.full(raw.points.shape[:2], 2))


def large_enough(raw: "RawPoses", frame_px: int) -> bool:
    """Tell whether there are people, and one look sees all of them well enough."""
    return len(raw.points) > 0 and bool((legs_of(raw) / frame_px >= LARGE_SHARE).all())


def plan_looks(seen: Mapping[int, Sequence["RawPoses"]], trained_px: int, frame_px: int) -> Plan:
    """Plan how a video is looked at.

    Parameters
    ----------
    seen
        What was found in the same few frames, by input size, the smallest first. Larger sizes may
        be missing where people are large enough for the smallest.
    trained_px
        Longer side of the input that the weights were trained at.
    frame_px
        Longer side of the frame.

    Returns
    -------
    Plan
        With the smallest input whose people's box confidence sums up to nine tenths of the best
        one's. One look of the trained size where half of the people are large enough for it; where
        nobody is found, people are looked for at the largest size.
    """
    sums = {size: sum(float(raw.scores.sum()) for raw in found) for size, found in seen.items()}
    best = max(sums.values(), default=0.0)
    if best <= 0:
        return Plan(max(seen, default=trained_px), close=len(seen) > 1, leg_px=None)
    look_px = min(size for size, total in sums.items() if total >= _AS_GOOD * best)
    leg_px = float(np.nanmedian(np.concatenate([legs_of(raw) for raw in seen[look_px]])))
    if leg_px / frame_px >= LARGE_SHARE:
        return Plan(trained_px, close=False, leg_px=leg_px)
    return Plan(look_px, close=True, leg_px=leg_px)
