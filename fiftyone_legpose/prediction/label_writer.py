"""Predicted labels on their way into the dataset, and back out where a run goes on."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import fiftyone as fo
import numpy as np

from fiftyone_legpose.dataset import fields, keypoint_labels
from fiftyone_legpose.dataset.frame_times import video_times
from fiftyone_legpose.dataset.frames import frame_documents
from fiftyone_legpose.pose.geometry import leg_length
from fiftyone_legpose.pose.side_swaps import find_swaps
from fiftyone_legpose.prediction.raw_poses import Frame, PreparedFrame, RawPoses
from fiftyone_legpose.prediction.tracking import PersonTracker

# A write a few times a minute costs little and is what a crash can lose at most.
_FRAMES_A_WRITE = 256

Labels = tuple[fo.Keypoints, fo.Detections]


class LabelWriter:
    """Bulk writes of keypoints and boxes through FiftyOne's public API.

    Parameters
    ----------
    view
        The collection that is predicted.
    field
        Bare name of the keypoint field.
    made_by
        Key of the run.
    """

    def __init__(self, view: Any, field: str, made_by: str):
        prefix = "frames." if view.media_type == "video" else ""
        self._view = view
        self._key_field = f"{prefix}id"
        self._fields = (f"{prefix}{field}", f"{prefix}{field}{fields.BOXES_SUFFIX}")
        self._made_by = made_by
        self._waiting: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {}
        self.seconds = 0.0

    def add(
        self,
        frame_id: str,
        frame: PreparedFrame | Frame,
        raw: RawPoses,
        track_ids: np.ndarray | None,
    ) -> None:
        """Take what the model found in a frame."""
        height, width = frame.shape
        self._waiting[frame_id] = keypoint_labels.predicted_documents(
            raw.boxes,
            raw.scores,
            raw.points,
            raw.confidence,
            (width, height),
            track_ids=track_ids,
            made_by=self._made_by,
        )
        self._flush_if_full()

    def retrack(
        self, frame_id: str, stored: "StoredLabels", tracker: PersonTracker, *, steps: int
    ) -> None:
        """Pass a frame that is done through the tracker, and write its ids where they changed.

        `steps` of time have passed since the frame before; see `PersonTracker.update`.
        """
        keypoints, boxes = stored.keypoints, stored.boxes
        corners, scores = keypoint_labels.stored_boxes(boxes, stored.size)
        ids = [None if i < 0 else int(i) for i in tracker.update(corners, scores, steps=steps)]
        if ids == [box.index for box in boxes.detections]:
            return
        for keypoint, box, index in zip(keypoints.keypoints, boxes.detections, ids, strict=True):
            keypoint.index = box.index = index
        self.put(frame_id, (keypoints, boxes))

    def put(self, frame_id: str, labels: Labels) -> None:
        """Take the labels of a frame."""
        keypoints, boxes = labels
        self._waiting[frame_id] = (keypoints.to_dict(), boxes.to_dict())
        self._flush_if_full()

    def _flush_if_full(self) -> None:
        if len(self._waiting) >= _FRAMES_A_WRITE:
            self.flush()

    def flush(self) -> None:
        """Write what is waiting."""
        if not self._waiting:
            return
        started = time.perf_counter()
        # Boxes first: a frame counts as done by its keypoints, so none is ever left without boxes.
        for position in (1, 0):
            values = {frame_id: labels[position] for frame_id, labels in self._waiting.items()}
            self._view.set_values(
                self._fields[position],
                values,
                key_field=self._key_field,
                expand_schema=False,
                validate=False,
            )
        self._waiting.clear()
        self.seconds += time.perf_counter() - started


@dataclass(frozen=True)
class StoredLabels:
    """The labels of a frame that a run has written."""

    frame_id: str
    keypoints: fo.Keypoints
    boxes: fo.Detections
    size: tuple[int, int]
    """Width and height of the picture in px."""
    time_s: float
    """From the first frame of the video."""


def stored_labels(
    view: Any, field: str, made_by: str, sample_id: str | None
) -> dict[int, StoredLabels]:
    """Read the labels of one video that a run has written, by frame number."""
    video = view.select(sample_id)
    metadata = video.first().metadata
    size = (metadata.frame_width, metadata.frame_height)
    names = (field, field + fields.BOXES_SUFFIX)
    times_s = video_times(video)
    stored = {}
    for _, frame in frame_documents(video, names):
        keypoints, boxes = (frame.get(name) for name in names)
        if keypoints and boxes and keypoints.get("made_by") == made_by:
            number = frame["frame_number"]
            stored[number] = StoredLabels(
                str(frame["_id"]),
                fo.Keypoints.from_dict(keypoints),
                fo.Detections.from_dict(boxes),
                size,
                times_s[number],
            )
    return stored


def exchanged_back(
    view: Any, field: str, made_by: str, sample_id: str | None
) -> Iterator[tuple[str, Labels]]:
    """Exchange left and right back where a video's tracks show that the model mixed them up.

    Yields
    ------
    frame_id : str
    labels : tuple of fo.Keypoints and fo.Detections
        Of each frame that changed.
    """
    stored = stored_labels(view, field, made_by, sample_id)
    tracks: dict[int, list[tuple[int, fo.Keypoint]]] = {}
    for number in sorted(stored):
        for keypoint in stored[number].keypoints.keypoints:
            if keypoint.index is not None:
                tracks.setdefault(keypoint.index, []).append((number, keypoint))
    changed: set[int] = set()
    for track in tracks.values():
        size = stored[track[0][0]].size
        points = np.array([keypoint.points for _, keypoint in track], float) * size
        seen = np.array([keypoint.visible for _, keypoint in track])
        length = float(np.nanmedian(leg_length(points, seen)))
        if not np.isfinite(length) or length <= 0:
            continue
        time_s = np.array([stored[number].time_s for number, _ in track])
        swaps = find_swaps(points, length, time_s)
        for (number, keypoint), swapped in zip(track, swaps, strict=True):
            if swapped:
                keypoint_labels.exchange_sides(keypoint)
                changed.add(number)
    for number in sorted(changed):
        yield stored[number].frame_id, (stored[number].keypoints, stored[number].boxes)
