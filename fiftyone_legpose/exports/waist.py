"""Where to cut full-body footage: the waist as it moves, from poses; arrays alone."""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from scipy.ndimage import maximum_filter1d, uniform_filter1d

from cvat_bridge.poses import Pose
from fiftyone_legpose.pose.geometry import PAIRS, leg_length

HOLD_S = 0.5
"""How long a person's waist counts before she is found and after she is lost."""

_SMOOTH_S = 0.4


def waist_line(
    people: Sequence[Sequence[Pose]], height: int, frame_rate: float, *, margin: float = 0.15
) -> np.ndarray:
    """Find the height above which each frame is black.

    Parameters
    ----------
    people
        Of each of F frames whom the pose model found, with track ids; who has none is not tracked
        and counts on that frame alone.
    height
        Of the picture in px.
    frame_rate
        Frames per second.
    margin
        How much is seen above the higher hip, in leg lengths.

    Returns
    -------
    np.ndarray
        Shape (F,) of int, px from the top: never above the waist of anybody who is tracked, and
        `height` where nobody is known, so that the whole frame is black.

    Notes
    -----
    Where several people are in the picture, the lowest waist decides. Gaps of a track are filled
    in a straight line; the line is then the moving mean of its moving maximum over the same window,
    which moves smoothly and lies nowhere above what it smooths.
    """
    waists = _waists(people, margin)
    frames = np.arange(len(people))
    hold = round(HOLD_S * frame_rate)
    line = np.full(len(people), -np.inf)
    for track, found in waists.items():
        known = np.array(sorted(found))
        inside = (frames >= known[0] - hold) & (frames <= known[-1] + hold)
        if track < 0:
            inside = np.isin(frames, known)
        heights = np.interp(frames, known, [found[frame] for frame in known])
        line[inside] = np.maximum(line, heights)[inside]
    window = 2 * round(_SMOOTH_S * frame_rate / 2) + 1
    nobody = np.isneginf(line)
    smooth = uniform_filter1d(maximum_filter1d(np.where(nobody, 0, line), window), window)
    cut = np.where(nobody, height, np.ceil(np.maximum(smooth, line)))
    return np.clip(cut, 0, height).astype(int)


def _waists(people: Sequence[Sequence[Pose]], margin: float) -> dict[int, dict[int, float]]:
    """Give the height of each track's waist by frame; those without a track share -1."""
    waists: dict[int, dict[int, float]] = defaultdict(dict)
    for frame, found in enumerate(people):
        for pose in found:
            hips = [pose.points[k, 1] for k in PAIRS[0] if pose.visibility[k] > 0]
            if not hips:
                continue
            [leg] = np.nan_to_num(leg_length(pose.points[None], pose.visibility[None]))
            track = -1 if pose.track_id is None else pose.track_id
            waist = min(hips) - margin * leg
            waists[track][frame] = max(waist, waists[track].get(frame, -np.inf))
    return waists
