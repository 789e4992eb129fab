"""Points that leave their path, and the places where a path becomes another person's."""

from typing import Final

import numpy as np
from scipy.ndimage import median_filter

_WINDOW_S: Final = 0.25

_FASTEST: Final = 20.0
"""Acceleration of a keypoint in leg lengths/s² that is still walking, as in `signals`."""

_SURE_OFF: Final = 0.08
"""Leg lengths off the path that are no error of measurement, whatever the track's own noise."""

_SIGMAS: Final = 5.0

_LEAP: Final = 8.0
"""Speed of the hips in leg lengths/s that nobody walks or runs at."""


def find_outliers(time_s: np.ndarray, points: np.ndarray, leg_px: float) -> np.ndarray:
    """Find the points that lie off the running median of their path.

    Parameters
    ----------
    time_s
        Shape (T,), rising.
    points
        Shape (T, K, 2) in px, NaN where unknown.
    leg_px
        Length of the person's leg.

    Returns
    -------
    np.ndarray
        Shape (T, K) of bool.

    Notes
    -----
    A median over 0.25 s is not bent by outliers on up to half of its frames (Hampel 1974). It cuts
    turning points off, by what the fastest gait loses there at most, which is allowed for.
    """
    count = len(points)
    if count < 5:
        return np.zeros(points.shape[:2], bool)
    step_s = float(np.median(np.diff(time_s)))
    window = min(max(5, round(_WINDOW_S / step_s) | 1), count - 1 + count % 2)
    scaled = _bridged(time_s, points) / leg_px
    middle = median_filter(scaled, size=(window, 1, 1), mode="nearest")
    off = np.linalg.norm(scaled - middle, axis=-1)
    known = ~np.isnan(points).any(axis=-1)
    spread = 1.4826 * np.array(
        [np.median(off[known[:, k], k]) if known[:, k].any() else 0 for k in range(off.shape[1])]
    )
    slack = 0.5 * _FASTEST * (step_s * (window // 4)) ** 2
    return np.asarray(known & (off > np.maximum(_SURE_OFF, _SIGMAS * spread) + slack))


def find_leaps(time_s: np.ndarray, hips: np.ndarray, leg_px: float) -> np.ndarray:
    """Find where a track goes on as somebody else: the hips leap further than anybody walks.

    Parameters
    ----------
    time_s
        Shape (T,), rising.
    hips
        Shape (T, 2) in px, the middle of both; NaN where unknown.
    leg_px
        Length of the person's leg.

    Returns
    -------
    np.ndarray
        Indices of the frames after a leap. A leap there and back within 0.25 s is an outlier.
    """
    known = np.flatnonzero(~np.isnan(hips).any(axis=1))
    if len(known) < 2:
        return np.zeros(0, int)
    lasted_s = np.diff(time_s[known])
    went = np.linalg.norm(np.diff(hips[known], axis=0), axis=1) / leg_px
    after = known[1:][went > _LEAP * lasted_s + _SURE_OFF]
    bounds = time_s[np.concatenate([[0], after, [len(hips) - 1]])]
    brief = np.diff(bounds) < _WINDOW_S
    return np.asarray(after[~(brief[:-1] | brief[1:])], int)


def _bridged(time_s: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Give the path (T, K, 2) with straight lines where it is unknown, 0 where it never is."""
    flat = points.reshape(len(points), -1).copy()
    for column in flat.T:
        known = ~np.isnan(column)
        if not known.all():
            column[:] = np.interp(time_s, time_s[known], column[known]) if known.any() else 0.0
    return flat.reshape(points.shape)
