"""How one person moves: the path on even times, its scale, and where the person faces."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.ndimage import median_filter, uniform_filter1d

from fiftyone_legpose import legs
from fiftyone_legpose.pose import geometry
from fiftyone_legpose.trajectories.paths import Path, Source, runs

SIDES: Final = ("left", "right")
_JOINTS: Final = ("hip", "knee", "ankle", "heel", "foot")

_FOOT_LEGS: Final = 0.265
_PELVIS_LEGS: Final = 0.205
"""Lengths of the foot and between the hips, in leg lengths hip to knee to ankle, of an adult
(Winter 2009, Biomechanics and Motor Control of Human Movement, fig. 4.1)."""

_SCALE_S: Final = 1.0
_FACING_S: Final = 0.6
_LONGEST_GAP_S: Final = 0.5


@dataclass(frozen=True)
class Motion:
    """One person at T even times; unknown is NaN."""

    time_s: np.ndarray
    """(T,)"""
    points: np.ndarray
    """(T, K, 2) in px."""
    confidence: np.ndarray
    """(T, K): of the prediction, 1 where corrected, 0 where filled or missing."""
    filled: np.ndarray
    """(T, K) of bool."""
    corrected: np.ndarray
    """(T,) of bool: a person set the points."""
    exchanged: np.ndarray
    """(T,) of bool: left and right were exchanged back."""
    leg_px: np.ndarray
    """(T,): how long a leg looks, at the person's distance from the camera."""
    heading_deg: np.ndarray
    """(T,): where the person faces: 0 to the right of the picture, 90 to the camera, 180 to the
    left, -90 away from it."""

    @property
    def step_s(self) -> float:
        """Time from one frame to the next."""
        return float(self.time_s[1] - self.time_s[0])

    def joint(self, side: str, name: str) -> np.ndarray:
        """Give the path (T, 2) of a joint of one side in px."""
        return self.points[:, legs.KEYPOINTS.index(f"{side}_{name}")]

    @property
    def pelvis(self) -> np.ndarray:
        """(T, 2) in px: the middle of both hips."""
        return np.asarray(self.points[:, :2].mean(axis=1))


def read_motion(path: Path) -> Motion | None:
    """Bring a path onto even times; None where it is shorter than a second.

    Parameters
    ----------
    path
        From `smooth`. Where its frames come in uneven steps, the points in between are
        interpolated, over half a second at most.

    Returns
    -------
    Motion or None
    """
    steps = np.diff(path.time_s)
    if not len(steps) or path.time_s[-1] - path.time_s[0] < 1:
        return None
    step_s = float(np.median(steps))
    count = round((path.time_s[-1] - path.time_s[0]) / step_s) + 1
    time_s = path.time_s[0] + np.arange(count) * step_s
    nearest = np.abs(time_s[:, None] - path.time_s[_neighbours(time_s, path.time_s)]).argmin(axis=1)
    row = np.take_along_axis(_neighbours(time_s, path.time_s), nearest[:, None], axis=1)[:, 0]
    points = _interpolate(time_s, path.time_s, path.points)
    return Motion(
        time_s=time_s,
        points=points,
        confidence=path.confidence[row],
        filled=path.source[row] == Source.FILLED,
        corrected=(path.source[row] == Source.CORRECTED).any(axis=1),
        exchanged=path.exchanged[row],
        leg_px=_scale(points, step_s, path.leg_px),
        heading_deg=_facing(points, _scale(points, step_s, path.leg_px), step_s),
    )


def _neighbours(time_s: np.ndarray, known_s: np.ndarray) -> np.ndarray:
    after = np.clip(np.searchsorted(known_s, time_s), 1, len(known_s) - 1)
    return np.stack([after - 1, after], axis=1)


def _interpolate(time_s: np.ndarray, known_s: np.ndarray, points: np.ndarray) -> np.ndarray:
    flat = points.reshape(len(points), -1)
    out = np.full((len(time_s), flat.shape[1]), np.nan)
    for column, values in zip(out.T, flat.T, strict=True):
        known = ~np.isnan(values)
        if known.sum() < 2:
            continue
        column[:] = np.interp(time_s, known_s[known], values[known], left=np.nan, right=np.nan)
        at = _neighbours(time_s, known_s[known])
        column[np.diff(known_s[known][at], axis=1)[:, 0] > _LONGEST_GAP_S] = np.nan
    return out.reshape(len(time_s), *points.shape[1:])


def _scale(points: np.ndarray, step_s: float, leg_px: float) -> np.ndarray:
    """Length of the leg (T,) in px by time, a running median."""
    lengths = geometry.leg_length(points, np.isfinite(points).all(axis=-1) * 2)
    window = max(1, round(_SCALE_S / step_s) | 1)
    return median_filter(bridge(lengths, leg_px), size=window, mode="nearest")


def bridge(values: np.ndarray, otherwise: float = 0.0) -> np.ndarray:
    """Give values (T,) with straight lines where they are NaN."""
    known = np.isfinite(values)
    if not known.any():
        return np.full(len(values), otherwise)
    return np.interp(np.arange(len(values)), np.flatnonzero(known), values[known])


def _facing(points: np.ndarray, leg_px: np.ndarray, step_s: float) -> np.ndarray:
    """Heading (T,) in degrees, by how long the feet look and which hip is where in the picture."""
    heel, toe = (points[:, geometry.PAIRS[j], 0] for j in (3, 4))
    hips = points[:, :2, 0]
    # A foot that rises looks short from any side: the mean over a second sees it on the floor too.
    across = bridge((toe - heel).mean(axis=1) / leg_px / _FOOT_LEGS)
    towards = bridge((hips[:, 0] - hips[:, 1]) / leg_px / _PELVIS_LEGS)
    window = max(1, round(_FACING_S / step_s))
    mean = [uniform_filter1d(values, window, mode="nearest") for values in (towards, across)]
    return np.asarray(np.degrees(np.arctan2(*mean)))


def whole_runs(mask: np.ndarray, shortest: int) -> list[slice]:
    """List the stretches of a mask (T,) that are long enough."""
    return [part for part in runs(mask) if part.stop - part.start >= shortest]
