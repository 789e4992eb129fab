"""Frames that keep a distance in time from each other."""

from collections.abc import Iterable

import numpy as np


class Timeline:
    """The frames of all videos, and which of them are too close to a frame that was taken.

    Parameters
    ----------
    video
        Shape (F,): video of each frame, not falling.
    time_s
        Shape (F,) in s, rising within a video.
    gap_s
        Frames of one video that are less than this apart are too close.
    """

    def __init__(self, video: np.ndarray, time_s: np.ndarray, gap_s: float):
        # Videos are laid one after the other with more than a gap between them.
        place = video * (float(time_s.max(initial=0)) + gap_s + 1) + time_s
        near, index = gap_s - 1e-9, np.arange(len(place))
        self._first = np.minimum(np.searchsorted(place, place - near, side="right"), index)
        self._end = np.maximum(np.searchsorted(place, place + near), index + 1)
        self._blocked = np.zeros(len(place), bool)

    def take(self, frames: Iterable[int]) -> None:
        """Keep later choices away from these frames."""
        for i in frames:
            self._blocked[self._first[i] : self._end[i]] = True

    def apart(self, order: Iterable[int], limit: int | None = None) -> np.ndarray:
        """Pick frames in an order, leaving out each that is too close to one picked before.

        Parameters
        ----------
        order
            Indices of frames, the best first.
        limit
            How many to pick at most.

        Returns
        -------
        np.ndarray
            Indices of the frames picked, in the order given; none of them counts as taken yet.
        """
        blocked = self._blocked.copy()
        picked: list[int] = []
        for i in order:
            if limit is not None and len(picked) >= limit:
                break
            if not blocked[i]:
                picked.append(int(i))
                blocked[self._first[i] : self._end[i]] = True
        return np.array(picked, int)

    def clear(self, frames: np.ndarray) -> np.ndarray:
        """Leave out the frames that are too close to one that was taken."""
        return frames[~self._blocked[frames]]
