"""Sizes and distances of poses: area, leg length, object keypoint similarity, and their limits."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from fiftyone_legpose import legs

PAIRS: Final = np.array([(i, j) for i, j in enumerate(legs.FLIP_INDEX) if i < j])
"""(5, 2): keypoint indices of each left and right: hip, knee, ankle, heel, foot."""

PAIR_NAMES: Final = tuple(legs.KEYPOINTS[i].removeprefix("left_") for i, _ in PAIRS)

_BOX_SHARE: Final = 0.53
"""Area of a person as a share of the box: xtcocotools' value, which ultralytics uses too."""


def oks(
    true_points: np.ndarray,
    visibility: np.ndarray,
    area: np.ndarray,
    points: np.ndarray,
    sigmas: Sequence[float] = legs.SIGMAS,
) -> np.ndarray:
    """Compute the object keypoint similarity of every true person with every predicted one.

    Parameters
    ----------
    true_points
        Shape (G, K, 2) in px.
    visibility
        Shape (G, K); points with 0 do not count.
    area
        Shape (G,) in px².
    points
        Shape (P, K, 2) in px; NaN counts as infinitely far.
    sigmas
        Constant of each keypoint; k = 2 sigma.

    Returns
    -------
    np.ndarray
        Shape (G, P), from 0 to 1.

    Notes
    -----
    Formula of pycocotools' ``COCOeval.computeOks``, https://cocodataset.org/#keypoints-eval.
    """
    variance = (2 * np.asarray(sigmas, float)) ** 2
    squared = ((true_points[:, None] - points[None]) ** 2).sum(axis=-1)
    exponent = squared / (2 * variance * (area[:, None, None] + np.spacing(1)))
    similarity = np.exp(-np.nan_to_num(exponent, nan=np.inf))
    counts = (visibility > 0)[:, None]
    labelled = np.maximum(counts.sum(axis=-1), 1)
    return np.where(counts, similarity, 0).sum(axis=-1) / labelled


def areas(points: np.ndarray, visibility: np.ndarray) -> np.ndarray:
    """Estimate the area of persons from the boxes around their labelled points.

    Parameters
    ----------
    points
        Shape (N, K, 2) in px.
    visibility
        Shape (N, K); points with 0 do not count.

    Returns
    -------
    np.ndarray
        Shape (N,) in px²: 0.53 of the box, as ultralytics and xtcocotools take it. A side counts
        at least a quarter of the other, so that a thigh alone does not get an area of nothing.
    """
    sides = _extent(points, visibility)
    sides = np.maximum(sides, np.maximum(sides.max(axis=1, keepdims=True) / 4, 1))
    return _BOX_SHARE * sides.prod(axis=1)


def leg_length(points: np.ndarray, visibility: np.ndarray) -> np.ndarray:
    """Measure hip to knee to ankle on the longer side.

    Parameters
    ----------
    points
        Shape (N, 10, 2) in px.
    visibility
        Shape (N, 10); a side with a point of 0 does not count.

    Returns
    -------
    np.ndarray
        Shape (N,) in px, NaN where neither side is complete.
    """
    known = np.where((visibility > 0)[..., None], points, np.nan)
    hip, knee, ankle = (known[:, PAIRS[j]] for j in range(3))
    sides = np.linalg.norm(hip - knee, axis=-1) + np.linalg.norm(knee - ankle, axis=-1)
    return np.fmax(sides[:, 0], sides[:, 1])


def fill_leg_length(
    lengths: np.ndarray, points: np.ndarray, visibility: np.ndarray, *groups: np.ndarray
) -> np.ndarray:
    """Fill leg lengths that are cut off with the median of the same track, or of the video.

    Parameters
    ----------
    lengths
        Shape (N,) in px, from `leg_length`.
    points, visibility
        Shapes (N, K, 2) and (N, K): where no group knows, the longer side of the pose's box.
    *groups
        Shape (N,) of int each, the closest first; a negative number is no group.

    Returns
    -------
    np.ndarray
        Shape (N,) in px, at least 1.
    """
    filled = lengths.copy()
    for group in groups:
        for number in np.unique(group[np.isnan(filled) & (group >= 0)]):
            inside = group == number
            known = lengths[inside & ~np.isnan(lengths)]
            if len(known):
                filled[inside & np.isnan(filled)] = np.median(known)
    longest = _extent(points, visibility).max(axis=1, initial=0)
    return np.maximum(np.where(np.isnan(filled), longest, filled), 1)


def _extent(points: np.ndarray, visibility: np.ndarray) -> np.ndarray:
    """Width and height (N, 2) of the boxes around the points that are known."""
    known = (visibility > 0)[..., None]
    high = np.where(known, points, -np.inf).max(axis=1, initial=-np.inf)
    low = np.where(known, points, np.inf).min(axis=1, initial=np.inf)
    return np.where(np.isfinite(high), high - low, 0)


CORRECT_WITHIN: Final = 0.1
"""Distance in leg lengths within which a point counts as correct for calibration."""

FOUND_FROM: Final = 0.5
"""OKS from which a true person counts as found."""

SAME_PERSON_FROM: Final = 0.1
"""OKS under which two poses are two persons: points about a fifth of a leg length apart."""
