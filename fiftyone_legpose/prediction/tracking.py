"""Tracks: which person is which from frame to frame, by ultralytics' own trackers."""

from collections.abc import Set
from itertools import count
from typing import Any, Literal

import numpy as np

from fiftyone_legpose.zoo.ultralytics import import_ultralytics

Tracker = Literal["bytetrack", "botsort"]


class PersonTracker:
    """Track ids for one video, frame after frame.

    Parameters
    ----------
    kind
        ultralytics' tracker. BoT-SORT runs without camera motion compensation, because it looks
        at boxes alone: gait is filmed with a camera that stands still.
    taken
        Ids that other persons of the video have already; none of them is given out.
    """

    def __init__(self, kind: Tracker = "bytetrack", *, taken: Set[int] = frozenset()):
        import_ultralytics()
        from ultralytics.trackers.track import TRACKER_MAP
        from ultralytics.utils import YAML, IterableSimpleNamespace
        from ultralytics.utils.checks import check_yaml

        settings = YAML.load(check_yaml(f"{kind}.yaml"))
        settings.update(gmc_method="none", with_reid=False)
        self._free = (track_id for track_id in count(1) if track_id not in taken)
        self._ids: list[int] = []
        self._tracker: Any = TRACKER_MAP[kind](args=IterableSimpleNamespace(**settings))

    def update(self, boxes: np.ndarray, scores: np.ndarray, *, steps: int = 1) -> np.ndarray:
        """Take the next frame.

        Parameters
        ----------
        boxes
            Shape (N, 4): x1, y1, x2, y2 in px.
        scores
            Shape (N,): box confidence.
        steps
            How many usual steps of time have passed since the frame before: after a pause of the
            camera people are looked for where they will have gone.

        Returns
        -------
        np.ndarray
            Shape (N,) of int: the track id of each box, -1 while a track is unconfirmed.
        """
        from ultralytics.engine.results import Boxes

        for _ in range(min(steps - 1, self._tracker.args.track_buffer)):
            known = [*self._tracker.tracked_stracks, *self._tracker.lost_stracks]
            self._tracker.multi_predict([track for track in known if track.is_activated])
            self._tracker.frame_id += 1
        classes = np.zeros((len(boxes), 1))
        rows = np.concatenate([boxes.reshape(-1, 4), scores.reshape(-1, 1), classes], axis=1)
        # The picture's size only serves normalised coordinates, which no tracker asks for.
        tracks = self._tracker.update(Boxes(rows.astype(np.float32), orig_shape=(1, 1)))
        ids = np.full(len(boxes), -1)
        for track in np.asarray(tracks).reshape(-1, 8):
            ids[int(track[7])] = self._free_id(int(track[4]))
        return ids

    def _free_id(self, number: int) -> int:
        """Give the n-th free id: a track gets the same one however often it is made again."""
        while len(self._ids) < number:
            self._ids.append(next(self._free))
        return self._ids[number - 1]
