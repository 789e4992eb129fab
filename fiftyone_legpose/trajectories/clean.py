"""One clean path from what was predicted of a person and what somebody corrected."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from scipy.interpolate import BarycentricInterpolator

from fiftyone_legpose import legs
from fiftyone_legpose.pose.side_swaps import find_swaps
from fiftyone_legpose.trajectories.anchors import fade_offsets
from fiftyone_legpose.trajectories.gaps import fill_gaps
from fiftyone_legpose.trajectories.lowpass import find_cutoff, lowpass
from fiftyone_legpose.trajectories.outliers import find_leaps, find_outliers
from fiftyone_legpose.trajectories.paths import Observed, Path, Source, runs

_LEAST_WEIGHT: Final = 0.1
"""Of a point with no confidence at all: it may still be the only one for a while."""


@dataclass(frozen=True)
class Cleaning:
    """How a path is cleaned; see `smooth` for what each setting means."""

    cutoff_hz: float | None
    lowest_cutoff_hz: float
    highest_cutoff_hz: float
    max_gap_s: float
    reach_s: float
    repair_sides: bool


def clean_path(seen: Observed, how: Cleaning) -> Path:
    """Repair sides, reject outliers, fill gaps, filter, and pull the path through corrections.

    Parameters
    ----------
    seen
        One track.
    how
        The settings.

    Returns
    -------
    Path
        Of the same frames; corrected points are where the person put them, to the bit.
    """
    exchanged = _exchanged(seen) if how.repair_sides else np.zeros(len(seen.frame), bool)
    points, confidence, visibility = (
        np.where(_like(exchanged, values), values[:, legs.FLIP_INDEX], values)
        for values in (seen.predicted, seen.confidence, seen.visibility)
    )
    points = np.where(_like(seen.reviewed, points), np.nan, points)
    path = np.full_like(points, np.nan)
    used = np.zeros(points.shape[:2], bool)
    whole = np.where(_like(seen.reviewed, points), seen.corrected, points)
    leaps = find_leaps(seen.time_s, whole[:, :2].mean(axis=1), seen.leg_px)
    bounds = [0, *leaps.tolist(), len(points)]
    for start, stop in pairwise(bounds):
        piece = slice(start, stop)
        path[piece], used[piece] = _clean_piece(
            seen.time_s[piece],
            points[piece],
            np.clip(np.nan_to_num(confidence[piece], nan=1.0) / legs.OCCLUDED_BELOW, 0, 1),
            (seen.reviewed[piece], seen.corrected[piece]),
            seen.leg_px,
            how,
        )
    known = ~np.isnan(path).any(axis=-1)
    source = np.where(known, np.where(used, Source.PREDICTED, Source.FILLED), Source.MISSING)
    by_hand = seen.reviewed[:, None] & (seen.corrected_visibility > 0)
    source[by_hand] = Source.CORRECTED
    looked = np.where(source == Source.FILLED, 1, np.maximum(visibility, 1))
    sure = np.where(source == Source.PREDICTED, np.nan_to_num(confidence, nan=1.0), 0.0)
    return Path(
        track=seen.track,
        frame=seen.frame,
        time_s=seen.time_s,
        points=path,
        confidence=np.where(by_hand, 1.0, sure),
        visibility=np.where(
            by_hand, seen.corrected_visibility, np.where(source == Source.MISSING, 0, looked)
        ),
        source=source,
        exchanged=exchanged,
        leg_px=seen.leg_px,
    )


def _like(frames: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Give a mask (T,) as many axes as the values have."""
    return frames.reshape(-1, *(1,) * (values.ndim - 1))


def _exchanged(seen: Observed) -> np.ndarray:
    points = np.where(_like(seen.reviewed, seen.predicted), seen.corrected, seen.predicted)
    return find_swaps(points, seen.leg_px, seen.time_s, right=seen.reviewed)


def _clean_piece(
    time_s: np.ndarray,
    points: np.ndarray,
    weight: np.ndarray,
    by_hand: tuple[np.ndarray, np.ndarray],
    leg_px: float,
    how: Cleaning,
) -> tuple[np.ndarray, np.ndarray]:
    """Clean a stretch of one person; returns the path and which predicted points are in it."""
    reviewed, corrected = by_hand
    used = ~np.isnan(points).any(axis=-1) & ~find_outliers(time_s, points, leg_px)
    kept = np.where(used[..., None], points, np.nan)
    path = np.empty_like(points)
    for k in range(points.shape[1]):
        filled = fill_gaps(time_s, kept[:, k], how.max_gap_s)
        known = ~np.isnan(filled).any(axis=1)
        path[:, k] = filled
        for part in runs(known):
            cutoff = how.cutoff_hz or find_cutoff(
                time_s[part],
                filled[part],
                lowest_hz=how.lowest_cutoff_hz,
                highest_hz=how.highest_cutoff_hz,
            )
            believed = np.maximum(weight[part, k], _LEAST_WEIGHT) * used[part, k]
            path[part, k] = lowpass(time_s[part], filled[part], cutoff, believed)
        path[:, k] = _through_anchors(time_s, path[:, k], reviewed, corrected[:, k], how)
    return path, used


def _through_anchors(
    time_s: np.ndarray,
    path: np.ndarray,
    reviewed: np.ndarray,
    corrected: np.ndarray,
    how: Cleaning,
) -> np.ndarray:
    """Pull a point's path (T, 2) through its corrections, and fill the gaps that they close."""
    anchored = reviewed & ~np.isnan(corrected).any(axis=1)
    if not reviewed.any():
        return path
    expected = _extended(time_s, path)
    rows = np.flatnonzero(anchored & ~np.isnan(expected).any(axis=1))
    offset = corrected[rows] - expected[rows]
    moved = path + fade_offsets(time_s[rows], offset, time_s, how.reach_s)
    moved[anchored] = corrected[anchored]
    moved = fill_gaps(time_s, moved, how.max_gap_s)
    # Whoever looked at the frame and set no point says that there is none to be seen.
    moved[reviewed & ~anchored] = np.nan
    return moved


def _extended(time_s: np.ndarray, path: np.ndarray) -> np.ndarray:
    """Go one frame on at both ends of each stretch of a path (T, 2), with its acceleration."""
    longer = path.copy()
    for part in runs(~np.isnan(path).any(axis=1)):
        count = min(3, part.stop - part.start)
        for at, near in (
            (part.start - 1, slice(part.start, part.start + count)),
            (part.stop, slice(part.stop - count, part.stop)),
        ):
            if count > 1 and 0 <= at < len(path) and np.isnan(longer[at]).any():
                longer[at] = BarycentricInterpolator(time_s[near], path[near])(time_s[at])
    return longer
