"""Corrections as anchors of a path: it goes through them, and the offset fades out beside them."""

import numpy as np
from scipy.linalg import solveh_banded


def fade_offsets(
    anchor_s: np.ndarray, offset: np.ndarray, time_s: np.ndarray, reach_s: float
) -> np.ndarray:
    """Spread offsets that are known at some times over all times, smoothly.

    Parameters
    ----------
    anchor_s
        Shape (A,), rising.
    offset
        Shape (A, D): how far the path has to be moved at the anchors.
    time_s
        Shape (T,).
    reach_s
        Time after which an anchor is no longer felt.

    Returns
    -------
    np.ndarray
        Shape (T, D): the offsets themselves at the anchors, between them a smooth mixture, 0 from
        `reach_s` away.

    Notes
    -----
    Interpolation by Wendland's function of 1 dimension and smoothness C2, (1 - r)³(3r + 1) for
    r = time / reach below 1 (Wendland 1995, Adv. Comput. Math. 4): its first and second derivative
    have no jump, so neither has the path a corner at an anchor or where it is left.
    """
    if not len(anchor_s):
        return np.zeros((len(time_s), offset.shape[1]))
    near = np.searchsorted(anchor_s, anchor_s + reach_s) - np.arange(len(anchor_s)) - 1
    band = np.zeros((int(near.max(initial=0)) + 1, len(anchor_s)))
    band[0] = 1
    for away in range(1, len(band)):
        band[away, :-away] = _felt(anchor_s[away:] - anchor_s[:-away], reach_s)
    strength = solveh_banded(band, offset, lower=True)
    spread = np.zeros((len(time_s), offset.shape[1]))
    order = np.argsort(time_s)
    at = time_s[order]
    for when, amount in zip(anchor_s, strength, strict=True):
        first, last = np.searchsorted(at, [when - reach_s, when + reach_s])
        rows = order[first:last]
        spread[rows] += _felt(time_s[rows] - when, reach_s)[:, None] * amount
    return spread


def _felt(away_s: np.ndarray, reach_s: float) -> np.ndarray:
    r = np.abs(away_s) / reach_s
    return np.asarray(np.clip(1 - r, 0, None) ** 3 * (3 * r + 1))
