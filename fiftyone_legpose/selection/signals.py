"""What looks wrong in predicted poses: the signals that `select` scores frames by.

Pure functions on arrays: N poses of K = 10 keypoints on T frames. Each signal is a strength from 0
(nothing wrong) to 1 (surely wrong) a frame and a place (a keypoint, a pair, a segment), the highest
of the persons in the frame. Distances are in leg lengths, durations in seconds, so that the same
numbers fit any resolution and frame rate.
"""

from collections.abc import Mapping
from typing import Final

import numpy as np
from scipy.ndimage import maximum_filter1d, median_filter, uniform_filter1d

from fiftyone_legpose import legs
from fiftyone_legpose.pose.geometry import PAIR_NAMES, PAIRS

_SIDES: Final = ("left", "right")
_SEGMENTS: Final = tuple(
    (f"{side}_{name}", legs.KEYPOINTS.index(f"{side}_{a}"), legs.KEYPOINTS.index(f"{side}_{b}"))
    for name, a, b in (
        ("thigh", "hip", "knee"),
        ("shank", "knee", "ankle"),
        ("foot", "heel", "foot"),
    )
    for side in _SIDES
)


PLACES: Final[Mapping[str, tuple[str, ...]]] = {
    "low confidence": legs.KEYPOINTS,
    "unsure": ("",),
    "weak box": ("",),
    "not found": ("",),
    "track breaks": ("",),
    "jump": legs.KEYPOINTS,
    "trembles": legs.KEYPOINTS,
    "swapped": ("legs", *PAIR_NAMES),
    "length": tuple(name for name, _, _ in _SEGMENTS),
    "heel and toe": _SIDES,
    "mirror disagrees": legs.KEYPOINTS,
}
"""The signals and the places each one speaks of."""

_FASTEST: Final = 20.0
"""Acceleration of a keypoint in leg lengths/s² that is still walking, about 18 m/s².

The ankle's highest in swing is about twice that, for less than a frame at 30 frames/s.
"""

_SMOOTH_S: Final = 0.25
_TREMBLE_S: Final = 0.5
_SWAP_S: Final = 2.0
_LENGTH_S: Final = 2.0
_GAP_S: Final = 1.0
_SWAP_APART: Final = 0.12
_PASSING: Final = 5.0
"""Speed in leg lengths/s at which the swinging foot passes the standing one, at most."""

_FOOT_SEEN: Final = 0.15
_ACROSS: Final = 0.7
_ANKLE_PLACE: Final = 0.25
"""Where the ankle stands on the line from heel (0) to toe (1)."""

_BORDER: Final = 0.03


def nothing(frames: int) -> dict[str, np.ndarray]:
    """Make the strengths of frames that show nothing wrong: zeros (T, places) for each signal."""
    return {name: np.zeros((frames, len(places))) for name, places in PLACES.items()}


def pose_signals(
    frames: int,
    frame: np.ndarray,
    points: np.ndarray,
    confidence: np.ndarray,
    visibility: np.ndarray,
    score: np.ndarray,
    leg: np.ndarray,
) -> dict[str, np.ndarray]:
    """Judge each pose by itself: its confidence, and heel and toe about the ankle.

    Parameters
    ----------
    frames
        T.
    frame
        Shape (N,): frame of each pose, from 0.
    points
        Shape (N, K, 2) in px.
    confidence, visibility
        Shape (N, K); an unknown confidence is NaN and says nothing.
    score
        Shape (N,): box confidence, NaN where unknown.
    leg
        Shape (N,): leg length in px.

    Returns
    -------
    dict
        Strengths (T, places) of the signals in `PLACES`.
    """
    out = nothing(frames)
    _raise(out["low confidence"], frame, _ramp(confidence, 0.5, 0.1))
    known = ~np.isnan(confidence)
    mean = np.where(known, confidence, 0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    _raise(out["unsure"], frame, np.where(known.any(axis=1), _ramp(mean, 0.75, 0.35), 0)[:, None])
    _raise(out["weak box"], frame, _ramp(score, 0.6, 0.25)[:, None])
    _raise(out["heel and toe"], frame, _foot_reversed(points, visibility, leg))
    return out


def track_signals(
    frames: int,
    frame: np.ndarray,
    track: np.ndarray,
    points: np.ndarray,
    visibility: np.ndarray,
    leg: np.ndarray,
    *,
    time_s: np.ndarray,
    size: tuple[float, float],
) -> dict[str, np.ndarray]:
    """Judge the tracks of one video over time.

    Parameters
    ----------
    frames
        T, the frames that were looked at.
    frame
        Shape (N,): frame of each pose, from 0.
    track
        Shape (N,); negative where a pose has none. Poses without tracks count as one track where
        no frame has more than one.
    points
        Shape (N, K, 2) in px.
    visibility
        Shape (N, K).
    leg
        Shape (N,): leg length in px.
    time_s
        Shape (T,): when each frame was taken, in s, rising.
    size
        Width and height of the picture in px.

    Returns
    -------
    dict
        Strengths (T, places) of the signals in `PLACES`.
    """
    out = nothing(frames)
    alone = (track < 0).all() and len(np.unique(frame)) == len(frame)
    track = np.zeros_like(track) if alone else track
    for number in np.unique(track[track >= 0]):
        own = np.flatnonzero(track == number)
        own = own[np.argsort(frame[own], kind="stable")]
        own = own[np.diff(frame[own], prepend=-1) > 0]
        first, last = frame[own[0]], frame[own[-1]]
        there = np.zeros(last - first + 1, bool)
        there[frame[own] - first] = True
        times_s = time_s[first : last + 1]
        gap = _not_found(there, times_s)
        _raise(out["not found"], np.arange(first, last + 1), gap[:, None])
        _mark_breaks(out["track breaks"], frame[own], points[own], size, frames)
        if len(own) < 3:
            continue
        seen = np.where((visibility[own] > 0)[..., None], points[own], np.nan)
        path = _fill(seen, there, times_s)
        scaled = path / np.median(leg[own])
        known = np.zeros((len(there), points.shape[1]), bool)
        known[there] = visibility[own] > 0
        at = np.arange(first, last + 1)[there]
        _raise(out["jump"], at, (_jumps(scaled, times_s) * known)[there])
        _raise(out["trembles"], at, (_tremble(scaled, times_s) * known)[there])
        _raise(out["swapped"], at, _swapped(scaled, times_s)[there])
        _raise(out["length"], at, _wrong_length(path, known, times_s)[there])
    return out


def _ramp(
    values: np.ndarray, harmless: float | np.ndarray, certain: float | np.ndarray
) -> np.ndarray:
    """Map a value to a strength from 0 (harmless) to 1 (certain), rising or falling; NaN to 0."""
    return np.nan_to_num(np.clip((values - harmless) / (certain - harmless), 0, 1))


def _raise(strength: np.ndarray, frame: np.ndarray, values: np.ndarray) -> None:
    np.maximum.at(strength, frame, values)


def _foot_reversed(points: np.ndarray, visibility: np.ndarray, leg: np.ndarray) -> np.ndarray:
    """Strength (N, 2) of an ankle that does not stand on the heel's half of its foot."""
    knee, ankle, heel, toe = (points[:, PAIRS[j]] for j in (1, 2, 3, 4))
    foot, shank = toe - heel, ankle - knee
    length = np.maximum(np.linalg.norm(foot, axis=-1), 1e-9)
    place = ((ankle - heel) * foot).sum(axis=-1) / length**2
    slant = np.abs((foot * shank).sum(axis=-1)) / length
    # A foot that points at the camera or away from it looks short, or runs on along the shank.
    across = slant < _ACROSS * np.linalg.norm(shank, axis=-1)
    seen = (visibility[:, PAIRS[1:]] > 0).all(axis=1)
    judged = seen & across & (length > _FOOT_SEEN * leg[:, None])
    return np.where(judged, _ramp(np.abs(place - _ANKLE_PLACE), 0.35, 0.6), 0)


def _not_found(there: np.ndarray, time_s: np.ndarray) -> np.ndarray:
    """Strength (T,) of missing frames inside a track; half in a long gap, which may be true."""
    edges = np.flatnonzero(np.diff(there.astype(int)))
    strength = np.where(there, 0.0, 1.0)
    for start, end in zip(edges[::2], edges[1::2], strict=True):
        if time_s[end] - time_s[start] > _GAP_S:
            strength[start + 1 : end + 1] = 0.5
    return strength


def _mark_breaks(
    strength: np.ndarray,
    frame: np.ndarray,
    points: np.ndarray,
    size: tuple[float, float],
    frames: int,
) -> None:
    """Mark where a track begins or ends inside the picture; at its border a person walks off."""
    margin = _BORDER * np.asarray(size)
    for pose, edge in ((0, 0), (-1, frames - 1)):
        if frame[pose] == edge:
            continue
        known = points[pose][~np.isnan(points[pose]).any(axis=1)]
        # Not the upper border: the pictures are cut at the waist.
        if len(known) and not (
            known[:, 0].min() < margin[0]
            or known[:, 0].max() > size[0] - margin[0]
            or known[:, 1].max() > size[1] - margin[1]
        ):
            strength[frame[pose]] = 1


def _fill(points: np.ndarray, there: np.ndarray, time_s: np.ndarray) -> np.ndarray:
    """Spread a track (n, K, 2) over its frames (T,), interpolating what is missing."""
    flat = np.full((len(there), points.shape[1] * 2), np.nan)
    flat[there] = points.reshape(len(points), -1)
    for column in flat.T:
        known = ~np.isnan(column)
        if not known.all():
            column[:] = np.interp(time_s, time_s[known], column[known]) if known.any() else 0
    return flat.reshape(len(there), -1, 2)


def _window(seconds: float, time_s: np.ndarray) -> int:
    """Odd number of frames, at least 3, that lasts so long but not longer than the track."""
    frames, typical_s = len(time_s), float(np.median(np.diff(time_s)))
    wanted = max(3, round(seconds / typical_s) | 1)
    return min(wanted, frames - 1 + frames % 2)


def _widest_step(time_s: np.ndarray, window: int) -> np.ndarray:
    """Longest time (T, 1) between two frames that follow each other, of those within a window."""
    steps_s = np.diff(time_s)
    before_and_after = np.maximum(np.append(steps_s, 0), np.insert(steps_s, 0, 0))
    return maximum_filter1d(before_and_after, window - 2, mode="nearest")[:, None]


def _jumps(path: np.ndarray, time_s: np.ndarray) -> np.ndarray:
    """Strength (T, K) of single frames off the running median, a path that outliers do not bend."""
    window = _window(_SMOOTH_S, time_s)
    smooth = median_filter(path, size=(window, 1, 1), mode="nearest")
    off = np.linalg.norm(path - smooth, axis=-1)
    # A turning point is cut off by a median: what the fastest gait can lose there is no jump.
    slack = 0.5 * _FASTEST * (_widest_step(time_s, window) * max(1, window // 4)) ** 2
    return _ramp(off, 0.08 + slack, 0.3 + slack)


def _tremble(path: np.ndarray, time_s: np.ndarray) -> np.ndarray:
    """Strength (T, K) of going to and fro: the running median of the second difference."""
    back_and_forth = np.zeros(path.shape[:2])
    share = ((time_s[1:-1] - time_s[:-2]) / (time_s[2:] - time_s[:-2]))[:, None, None]
    middle = (1 - share) * path[:-2] + share * path[2:]
    back_and_forth[1:-1] = np.linalg.norm(path[1:-1] - middle, axis=-1)
    window = _window(_TREMBLE_S, time_s)
    typical = median_filter(back_and_forth, size=(window, 1), mode="nearest")
    harmless = 0.01 + 0.5 * _FASTEST * _widest_step(time_s, window) ** 2
    return _ramp(typical, harmless, 4 * harmless)


def _swapped(path: np.ndarray, time_s: np.ndarray) -> np.ndarray:
    """Strength (T, 1 + pairs) of left and right exchanged: both legs, then each pair."""
    pairs = path[:, PAIRS]
    now, before = pairs[1:], pairs[:-1]
    stay = np.linalg.norm(now - before, axis=-1).sum(axis=-1)
    cross = np.linalg.norm(now - before[:, :, ::-1], axis=-1).sum(axis=-1)
    apart = np.linalg.norm(pairs[:, :, 0] - pairs[:, :, 1], axis=-1)
    # Legs that really pass each other between two frames look the same as an exchange.
    tellable = apart[1:] + apart[:-1] > 2 * _SWAP_APART + _PASSING * np.diff(time_s)[:, None]
    event = np.zeros(pairs.shape[:2], bool)
    event[1:] = (cross < 0.5 * stay) & tellable & (np.minimum(apart[1:], apart[:-1]) > _SWAP_APART)
    # After an odd number of exchanges a pair is on the other side of its own usual order.
    parity = (np.cumsum(event, axis=0) % 2).astype(float)
    usual = uniform_filter1d(parity, _window(_SWAP_S, time_s), axis=0, mode="nearest")
    strength = np.maximum(np.where(np.abs(parity - usual) > 0.5, 1.0, 0.0), event * 0.7)
    both = np.sort(strength, axis=1)[:, -3:-2]
    return np.concatenate([both, strength], axis=1)


def _wrong_length(path: np.ndarray, known: np.ndarray, time_s: np.ndarray) -> np.ndarray:
    """Strength (T, segments) of segments that leave this person's own range at this distance."""
    ends = np.array([(a, b) for _, a, b in _SEGMENTS])
    length = np.linalg.norm(path[:, ends[:, 0]] - path[:, ends[:, 1]], axis=-1)
    logarithm = np.log(np.maximum(length, 1))
    window = _window(_LENGTH_S, time_s)
    off = np.abs(logarithm - median_filter(logarithm, size=(window, 1), mode="nearest"))
    # 1.4826 times the median deviation is a normal distribution's sigma; 6% is what labels vary by.
    spread = np.maximum(1.4826 * np.median(off, axis=0), 0.06)
    return _ramp(off / spread, 3.5, 8.0) * known[:, ends].all(axis=-1)
