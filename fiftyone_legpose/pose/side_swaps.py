"""Left and right legs that a model has exchanged, told by how the legs move over time."""

import numpy as np

from fiftyone_legpose import legs

# In leg lengths. A frame is exchanged only against this much evidence, so that a path that fits
# either way stays as the model saw it.
_PRIOR = 0.02
# Where a person has set some frames, what the model says of the others counts for less than motion.
_PRIOR_BESIDE_KNOWN = 0.002
# One keypoint that jumps for a reason of its own must not decide for the leg.
_LARGEST_STEP = 0.5


def find_swaps(
    points: np.ndarray,
    leg_length: float,
    time_s: np.ndarray | None = None,
    right: np.ndarray | None = None,
) -> np.ndarray:
    """Find the frames of one track on which both legs are exchanged.

    Legs have inertia: the right assignment of sides over a whole track is the one with the least
    acceleration. It is found exactly by dynamic programming over pairs of neighbouring frames
    (Viterbi 1967), with a small cost for each frame on which the model would be wrong.

    Parameters
    ----------
    points
        Shape (T, K, 2) in px, `legs.KEYPOINTS`, one row a frame of the track in order of time;
        NaN where a keypoint is unknown.
    leg_length
        Of the person in px.
    time_s
        Shape (T,): when each row was taken, in s, rising; by default evenly.
    right
        Shape (T,) of bool: frames whose sides are known to be right, because a person set them.

    Returns
    -------
    np.ndarray
        Shape (T,) of bool. Where no frame is known to be right, never more than half of a track:
        what is left and right on the whole is for the picture to say.
    """
    count = len(points)
    if count < 3:
        return np.zeros(count, bool)
    known = np.zeros(count, bool) if right is None else right
    forbidden = np.where(known, np.inf, 0.0)
    prior = _PRIOR_BESIDE_KNOWN if known.any() else _PRIOR
    steps = np.ones(count - 1) if time_s is None else np.diff(time_s) / np.median(np.diff(time_s))
    # (2, T, K, 2): as the model says, and with the sides exchanged.
    both = np.stack([points, points[:, legs.FLIP_INDEX]]) / leg_length
    cost = np.full((2, 2), prior) * np.add.outer([0, 1], [0, 1])
    cost[1] += forbidden[0]
    cost[:, 1] += forbidden[1]
    came_from = np.zeros((count, 2, 2), int)
    for t in range(2, count):
        # candidates[a, b, c]: frame t-2 in state a, t-1 in b, t in c.
        candidates = cost[:, :, None] + _accelerations(both, t, steps)
        candidates[:, :, 1] += prior + forbidden[t]
        came_from[t] = candidates.argmin(axis=0)
        cost = candidates.min(axis=0)
    states = np.zeros(count, bool)
    before, last = np.unravel_index(cost.argmin(), cost.shape)
    for t in range(count - 1, 1, -1):
        states[t] = last
        before, last = came_from[t, before, last], before
    states[1], states[0] = last, before
    return ~states if not known.any() and states.sum() * 2 > count else states


def _accelerations(both: np.ndarray, t: int, steps: np.ndarray) -> np.ndarray:
    """Mean acceleration (2, 2, 2) of the keypoints at frame t for each triple of states."""
    first, middle, last = both[:, t - 2], both[:, t - 1], both[:, t]
    before, after = steps[t - 2], steps[t - 1]
    arriving = (middle[None, :, None] - first[:, None, None]) / before
    leaving = (last[None, None] - middle[None, :, None]) / after
    change = (leaving - arriving) * 2 / (before + after)
    size = np.minimum(np.linalg.norm(change, axis=-1), _LARGEST_STEP)
    known = ~np.isnan(size)
    total = np.where(known, size, 0).sum(axis=-1)
    return np.asarray(total / np.maximum(known.sum(axis=-1), 1))
