"""Gaps of a path, filled where they are short."""

import numpy as np
from scipy.interpolate import PchipInterpolator

from fiftyone_legpose.trajectories.paths import runs


def fill_gaps(time_s: np.ndarray, points: np.ndarray, max_gap_s: float) -> np.ndarray:
    """Fill what is unknown between two known points that are not too far apart in time.

    Parameters
    ----------
    time_s
        Shape (T,), rising.
    points
        Shape (T, 2), NaN where unknown.
    max_gap_s
        Longest time without a point that is filled, from the first unknown frame to the next known
        one.

    Returns
    -------
    np.ndarray
        Shape (T, 2): a copy in which short gaps are filled by a piecewise cubic that never
        overshoots (Fritsch & Carlson 1980). What is before the first and after the last known
        point stays unknown.
    """
    filled = points.copy()
    known = ~np.isnan(points).any(axis=1)
    if known.sum() < 2:
        return filled
    inner = runs(~known)
    short = [
        gap
        for gap in inner
        if gap.start > 0
        and gap.stop < len(points)
        and time_s[gap.stop] - time_s[gap.start] <= max_gap_s
    ]
    if short:
        curve = PchipInterpolator(time_s[known], points[known])
        for gap in short:
            filled[gap] = curve(time_s[gap])
    return filled
