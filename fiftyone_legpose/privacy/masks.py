"""Rectangles that are black in all that leaves: door signs, screens, papers on a wall."""

from collections import defaultdict
from typing import Any

import numpy as np

from fiftyone_legpose.dataset.fields import MASK, VIDEO
from fiftyone_legpose.dataset.frames import frame_documents


def read_masks(collection: Any) -> dict[str, np.ndarray]:
    """Read the rectangles that somebody drew in the App, for each sample.

    Parameters
    ----------
    collection
        Image or video collection. Rectangles are `fo.Detections` in the field ``privacy_mask``: on
        any frame of a video they hold for all of its frames, on one still for all stills of the
        same video (field ``video``).

    Returns
    -------
    dict of str to np.ndarray
        By sample id, shape (N, 4): x1, y1, x2, y2 as shares of the picture; samples without a
        rectangle are missing.
    """
    is_video = collection.media_type == "video"
    path = f"frames.{MASK}" if is_video else MASK
    if collection.get_field(path) is None:
        return {}
    boxes: dict[str, list[Any]] = defaultdict(list)
    for sample_id, document in frame_documents(collection, [f"{MASK}.detections.bounding_box"]):
        found = (document.get(MASK) or {}).get("detections") or []
        boxes[sample_id] += [box["bounding_box"] for box in found]
    if is_video:
        return {i: _corners(found) for i, found in boxes.items() if found}
    return _by_video(collection, boxes)


def _by_video(collection: Any, boxes: dict[str, Any]) -> dict[str, np.ndarray]:
    """Give all stills of a video what was drawn on one of them."""
    known = collection.has_sample_field(VIDEO)
    ids = collection.values("id")
    videos = collection.values(VIDEO) if known else [None] * len(ids)
    together: dict[str, list[Any]] = defaultdict(list)
    groups = [video or sample_id for sample_id, video in zip(ids, videos, strict=True)]
    for sample_id, group in zip(ids, groups, strict=True):
        together[group] += boxes.get(sample_id) or []
    return {i: _corners(together[g]) for i, g in zip(ids, groups, strict=True) if together[g]}


def _corners(boxes: list[list[float]]) -> np.ndarray:
    table = np.array(boxes, float).reshape(-1, 4)
    return np.hstack([table[:, :2], table[:, :2] + table[:, 2:]])
