"""One person's legs over time as arrays: T frames, K = 10 keypoints."""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np


class Source(IntEnum):
    """Where a point of a path comes from; the names in lower case are what labels hold."""

    MISSING = 0
    PREDICTED = 1
    CORRECTED = 2
    FILLED = 3


@dataclass(frozen=True)
class Observed:
    """What was predicted of one track, and what a person corrected."""

    track: int
    frame: np.ndarray
    """(T,): rising frame numbers; every frame that was looked at while the track lasts."""
    time_s: np.ndarray
    """(T,): when each frame was filmed, rising."""
    predicted: np.ndarray
    """(T, K, 2) in px, NaN where unknown."""
    confidence: np.ndarray
    """(T, K), NaN where unknown."""
    visibility: np.ndarray
    """(T, K) of the predictions: 0, 1 or 2."""
    reviewed: np.ndarray
    """(T,) of bool: a person has looked at the frame."""
    corrected: np.ndarray
    """(T, K, 2) in px, NaN where the frame was not reviewed or the person saw no such point."""
    corrected_visibility: np.ndarray
    """(T, K): 0, 1 or 2."""
    leg_px: float
    """Length of the leg: the median over the track."""


@dataclass(frozen=True)
class Path:
    """Where the points of one track were."""

    track: int
    frame: np.ndarray
    """(T,): rising frame numbers."""
    time_s: np.ndarray
    """(T,)"""
    points: np.ndarray
    """(T, K, 2) in px, NaN where missing."""
    confidence: np.ndarray
    """(T, K): the prediction's; 1 where corrected, 0 where filled or missing."""
    visibility: np.ndarray
    """(T, K): 0, 1 or 2; what was filled counts as occluded."""
    source: np.ndarray
    """(T, K) of `Source`."""
    exchanged: np.ndarray
    """(T,) of bool: left and right were exchanged back."""
    leg_px: float
    """Length of the leg: the median over the track."""


def runs(mask: np.ndarray) -> list[slice]:
    """List the stretches (start, end exclusive) of a mask (T,) that are True."""
    edges = np.flatnonzero(np.diff(mask.astype(int), prepend=0, append=0))
    return [slice(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]
