"""Zero-lag low-pass filtering by time, and the cut-off that the data ask for."""

from collections.abc import Callable
from typing import Final

import numpy as np
from scipy.interpolate import PchipInterpolator
from scipy.signal import butter, sosfiltfilt

_BOTH_WAYS: Final = (np.sqrt(2) - 1) ** 0.25
"""A second-order Butterworth that is run there and back has its -3 dB at this share of the angular
cut-off that it was designed for (Winter 2009, Biomechanics and Motor Control of Human Movement,
2.2.4.4).
"""

_HIGHEST: Final = 0.9
"""Share of the Nyquist frequency from which a cut-off leaves nothing to filter."""

_NOISE_ALONE: Final = (0.5, 0.75)
"""Shares of the Nyquist frequency between which what a filter takes away is noise, nearly."""

_FEWEST: Final = 6
"""Samples below which a stretch is left as it is."""

_ROUNDS: Final = 3
_DOUBTFUL: Final = 0.5
_UNEVEN: Final = 0.1
_STEP_HZ: Final = 0.5


def lowpass(
    time_s: np.ndarray, points: np.ndarray, cutoff_hz: float, weight: np.ndarray | None = None
) -> np.ndarray:
    """Filter a path without a gap by a Butterworth of fourth order that shifts nothing in time.

    Parameters
    ----------
    time_s
        Shape (T,), rising. Where the steps are uneven, the path is filtered on an even grid of the
        median step.
    points
        Shape (T, D), without NaN.
    cutoff_hz
        Frequency that is lowered by 3 dB; near the Nyquist frequency nothing is filtered.
    weight
        Shape (T,), from 0 to 1: how far each point is to be believed; by default wholly.

    Returns
    -------
    np.ndarray
        Shape (T, D).

    Notes
    -----
    A weight w takes part as in Garcia 2010 (Robust smoothing of gridded data in one and higher
    dimensions with missing values): what is filtered is w times the point and 1 - w times the
    filtered path, again and again.
    """
    if len(points) < _FEWEST:
        return points.copy()
    return _on_even_grid(time_s, points, weight, lambda step_s: _filter(step_s, cutoff_hz))


def find_cutoff(
    time_s: np.ndarray, points: np.ndarray, *, lowest_hz: float, highest_hz: float
) -> float:
    """Find the cut-off of a path by Winter's analysis of residuals.

    What a filter takes away falls with its cut-off, at first because motion is spared, in the end
    as a straight line, which is noise alone. That line's height at 0 Hz is the noise; the cut-off
    is where the filter takes so much away.

    Parameters
    ----------
    time_s
        Shape (T,), rising.
    points
        Shape (T, 2), without NaN.
    lowest_hz, highest_hz
        Bounds of the answer.

    Returns
    -------
    float
        In Hz; `highest_hz` where the path is too short or its frame rate too low to tell.

    Notes
    -----
    Winter 2009, Biomechanics and Motor Control of Human Movement, 4th edition, 3.4.4.3.
    """
    steps = np.diff(time_s)
    nyquist_hz = 0.5 / float(np.median(steps)) if len(steps) else 0.0
    first, last = _NOISE_ALONE
    tried = np.arange(lowest_hz / 2, last * nyquist_hz, _STEP_HZ)
    tail = tried > first * nyquist_hz
    if len(points) < 4 * _FEWEST or tail.sum() < 3:
        return highest_hz
    left = np.array([np.sqrt(((points - lowpass(time_s, points, hz)) ** 2).mean()) for hz in tried])
    slope, noise = np.polyfit(tried[tail], left[tail], 1)
    if slope >= 0:
        return highest_hz
    below = np.flatnonzero(left <= noise)
    found = tried[below[0]] if len(below) else highest_hz
    return float(np.clip(found, lowest_hz, highest_hz))


Filter = Callable[[np.ndarray], np.ndarray]


def _filter(step_s: float, cutoff_hz: float) -> Filter:
    share = cutoff_hz * 2 * step_s
    if share >= _HIGHEST:
        return np.copy
    # Of the Nyquist frequency, on the axis that the bilinear transform has warped.
    designed = np.arctan(np.tan(np.pi / 2 * share) / _BOTH_WAYS) / (np.pi / 2)
    sections = butter(2, designed, output="sos")
    # Long enough for the start to settle: the filter forgets within about one period.
    padding = int(1.5 / (cutoff_hz * step_s)) + 3
    return lambda values: np.asarray(
        sosfiltfilt(sections, values, axis=0, padlen=min(padding, len(values) - 1))
    )


def _on_even_grid(
    time_s: np.ndarray,
    points: np.ndarray,
    weight: np.ndarray | None,
    make: Callable[[float], Filter],
) -> np.ndarray:
    steps = np.diff(time_s)
    step_s = float(np.median(steps))
    if np.abs(steps - step_s).max() <= _UNEVEN * step_s:
        return _weighted(points, weight, make(step_s))
    count = round((time_s[-1] - time_s[0]) / step_s) + 1
    if count < _FEWEST:
        return points.copy()
    grid = np.linspace(time_s[0], time_s[-1], count)
    weights = None if weight is None else np.interp(grid, time_s, weight)
    even = _weighted(PchipInterpolator(time_s, points)(grid), weights, make(grid[1] - grid[0]))
    return np.asarray(PchipInterpolator(grid, even)(time_s))


def _weighted(points: np.ndarray, weight: np.ndarray | None, smooth: Filter) -> np.ndarray:
    if weight is None or (weight >= 1).all():
        return smooth(points)
    path, sure = points.copy(), weight >= _DOUBTFUL
    if sure.any():
        # Begun with doubtful points in their places, the rounds would hardly get away from them.
        at = np.arange(len(points))
        for column in path.T:
            column[~sure] = np.interp(at[~sure], at[sure], column[sure])
    path = smooth(path)
    believed = weight[:, None]
    for _ in range(_ROUNDS):
        path = smooth(believed * points + (1 - believed) * path)
    return path
