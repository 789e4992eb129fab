"""COCO keypoints: what other pose tools train on and evaluate, in one JSON file.

FiftyOne's own export of this format fails on the ``score`` of predictions, rounds points to whole
px, and leaves out boxes and the names of the keypoints. Format: https://cocodataset.org/#format-data
"""

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from fiftyone_legpose import legs
from fiftyone_legpose.dataset.file_names import file_names
from fiftyone_legpose.dataset.pose_table import PoseTable
from fiftyone_legpose.exports.trajectories import Written, batches, read_legs
from fiftyone_legpose.files import write_whole
from fiftyone_legpose.progress import Report

_CATEGORY = {
    "id": 1,
    "name": legs.SKELETON.name,
    "supercategory": "person",
    "keypoints": list(legs.KEYPOINTS),
    "skeleton": [[a + 1, b + 1] for a, b in legs.EDGES],
}


class CocoFile:
    """Collects frames and writes them as one file.

    Parameters
    ----------
    view
        Image or video collection. Pictures bear their files' names, below their sample's id where
        two have one; frames of videos are ``<video>_<00001>.jpg``, as `extract_frames` names them.
    """

    def __init__(self, view: Any):
        ids, names = view.values("id"), file_names(view)
        count = Counter(names)
        self._names = {
            sample: name if count[name] == 1 else f"{sample}/{name}"
            for sample, name in zip(ids, names, strict=True)
        }
        self._is_video = view.media_type == "video"
        self._images: list[dict[str, Any]] = []
        self._annotations: list[dict[str, Any]] = []

    def add(self, table: PoseTable, frames: Iterable[int], *, corrected: bool) -> int:
        """Add frames of a table by their index, and count their persons."""
        before = len(self._annotations)
        people: dict[int, list[int]] = {}
        for pose, frame in enumerate(table.pose_frame.tolist()):
            people.setdefault(frame, []).append(pose)
        for frame in frames:
            width, height = table.sizes[table.frame_sample[frame]].tolist()
            image = {"id": len(self._images) + 1, "file_name": self._file_name(table, frame)}
            self._images.append(image | {"width": int(width), "height": int(height)})
            for pose in people.get(frame, ()):
                self._annotations.append(
                    {"id": len(self._annotations) + 1, "image_id": image["id"], "category_id": 1}
                    | _annotation(table, pose)
                    | {"iscrowd": 0, "corrected": corrected}
                )
        return len(self._annotations) - before

    def write(self, target: Path) -> None:
        """Write the file, whole or not at all."""
        values = {"images": self._images, "annotations": self._annotations}
        with write_whole(target) as part:
            part.write_text(json.dumps({**values, "categories": [_CATEGORY]}), encoding="utf-8")

    def _file_name(self, table: PoseTable, frame: int) -> str:
        name = self._names[table.sample_ids[table.frame_sample[frame]]]
        if not self._is_video:
            return name
        return f"{Path(name).with_suffix('')}_{int(table.frame_number[frame]):05d}.jpg"


def _annotation(table: PoseTable, pose: int) -> dict[str, Any]:
    seen = table.visibility[pose] > 0
    points = np.where(seen[:, None], table.points[pose], 0.0).round(2)
    low, high = (points[seen].min(axis=0), points[seen].max(axis=0)) if seen.any() else (0, 0)
    corner, size = np.zeros(2) + low, np.zeros(2) + high - low
    values: dict[str, Any] = {
        "keypoints": np.column_stack([points, table.visibility[pose]]).ravel().tolist(),
        "num_keypoints": int(seen.sum()),
        "bbox": [*corner.tolist(), *size.round(2).tolist()],
        "area": round(float(size.prod()), 2),
    }
    if not np.isnan(table.score[pose]):
        values["score"] = round(float(table.score[pose]), 4)
    if table.track[pose] >= 0:
        values["track_id"] = int(table.track[pose])
    return values


def write_coco(
    view: Any, target: Path, field: str | None, gt_field: str | None, report: Report
) -> Written:
    """Write each frame with what is known of it best.

    Parameters
    ----------
    view
        Videos or images.
    target
        The file.
    field, gt_field
        Predictions and corrections; None where there are none.
    report
        Called with the progress.

    Returns
    -------
    Written
        Its rows are persons.
    """
    file, persons, on_frames, corrected = CocoFile(view), 0, 0, 0
    parts = list(batches(view))
    for number, batch in enumerate(parts):
        report(number, len(parts), "")
        fixed = read_legs(batch, gt_field) if gt_field else None
        done = np.flatnonzero(fixed.looked_at) if fixed else np.array([], int)
        if fixed:
            persons += file.add(fixed, done.tolist(), corrected=True)
            on_frames += len(np.unique(fixed.pose_frame))
        if field:
            predicted = read_legs(batch, field)
            rest = np.setdiff1d(np.flatnonzero(predicted.looked_at), done)
            persons += file.add(predicted, rest.tolist(), corrected=False)
            on_frames += len(np.intersect1d(predicted.pose_frame, rest))
        corrected += len(done)
    file.write(target)
    report(len(parts), len(parts), f"{persons} persons")
    return Written(persons, on_frames, corrected)
