"""Which of many scored frames to take: apart in time, different in pose, or by chance.

Pure functions on arrays: F frames ordered by video and time, D numbers that describe a pose.
"""

from typing import Literal

import numpy as np

from fiftyone_legpose.dataset.spacing import Timeline

Strategy = Literal["review", "uncertain", "jump", "uniform", "random"]


def choose(
    strategy: Strategy,
    frames: np.ndarray,
    count: int,
    easy: int,
    timeline: Timeline,
    ranking: np.ndarray,
    descriptors: np.ndarray,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Choose frames by a strategy of `fiftyone_legpose.select`, and take them.

    Parameters
    ----------
    strategy
        See `fiftyone_legpose.select`.
    frames
        Indices of the frames that may be chosen, in order of time.
    count
        How many at most.
    easy
        How many of them ``review`` draws by chance.
    timeline
        Frames that are already taken; the chosen ones are added.
    ranking
        Shape (F,): what ``review``, ``uncertain`` and ``jump`` take the highest of.
    descriptors
        Shape (F, D): what makes frames different for ``review``.
    rng
        Source of chance.

    Returns
    -------
    drawn, ranked : np.ndarray
        Indices of the frames that ``review`` drew by chance, and of all others.
    """
    drawn = np.array([], int)
    if strategy == "uniform":
        rest = timeline.apart(evenly(timeline.clear(frames), count))
        if len(rest) < count:
            # Even steps that are shorter than the gap lose every second frame to it.
            rest = evenly(timeline.apart(frames), count)
    elif strategy == "random":
        rest = timeline.apart(rng.permutation(frames), count)
    else:
        if strategy == "review":
            drawn = timeline.apart(rng.permutation(frames), easy)
            timeline.take(drawn)
        best = timeline.apart(frames[np.argsort(-ranking[frames], kind="stable")])
        left = count - len(drawn)
        rest = best[:left]
        if strategy == "review":
            rest = different_and_high(best, ranking, descriptors, left)
    timeline.take(rest)
    return drawn, rest


def different_and_high(
    candidates: np.ndarray, scores: np.ndarray, descriptors: np.ndarray, count: int
) -> np.ndarray:
    """Take frames of high score that differ from each other.

    Parameters
    ----------
    candidates
        Indices of frames, by falling score.
    scores
        Shape (F,), 0 or more.
    descriptors
        Shape (F, D).
    count
        How many.

    Returns
    -------
    np.ndarray
        Indices of at most `count` frames. Only frames that score at least half as high as the last
        one of the `count` best compete; where the best are fewer, all that score at all are taken.
    """
    if len(candidates) <= count or count <= 0:
        return candidates[: max(count, 0)]
    bar = scores[candidates[count - 1]] / 2
    pool = candidates[scores[candidates] >= bar]
    seeds = 1 if bar > 0 else max(1, int((scores[candidates] > 0).sum()))
    return pool[k_centre(descriptors[pool], count, seeds)]


def k_centre(descriptors: np.ndarray, count: int, seeds: int = 1) -> np.ndarray:
    """Take points so that every point is near one that was taken (greedy, farthest first).

    Parameters
    ----------
    descriptors
        Shape (M, D).
    count
        How many, at most M.
    seeds
        The first so many are taken as they are.

    Returns
    -------
    np.ndarray
        Indices. No choice of so many has less than half this one's largest distance (Gonzalez
        1985, "Clustering to minimize the maximum intercluster distance").
    """
    count = min(count, len(descriptors))
    taken = list(range(min(seeds, count)))
    distance = np.full(len(descriptors), np.inf)
    for i in taken:
        distance = np.minimum(distance, np.linalg.norm(descriptors - descriptors[i], axis=1))
    while len(taken) < count:
        # Taken frames must not come again where all that are left look the same.
        distance[taken] = -1
        farthest = int(distance.argmax())
        taken.append(farthest)
        step = np.linalg.norm(descriptors - descriptors[farthest], axis=1)
        distance = np.minimum(distance, step)
    return np.array(taken, int)


def evenly(candidates: np.ndarray, count: int) -> np.ndarray:
    """Take `count` candidates (M,) evenly over their order, each in the middle of its share."""
    if len(candidates) <= count:
        return candidates
    return candidates[((np.arange(count) + 0.5) * len(candidates) / max(count, 1)).astype(int)]
