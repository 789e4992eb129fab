"""Poses as FiftyOne labels and back: the only module that builds or reads keypoint labels."""

from collections.abc import Sequence
from typing import Any

import fiftyone as fo
import numpy as np
from bson import ObjectId

from cvat_bridge.poses import Pose
from fiftyone_legpose import legs
from fiftyone_legpose.dataset import keypoint_labels
from fiftyone_legpose.dataset.fields import BOXES_SUFFIX
from fiftyone_legpose.errors import DatasetError

LABEL = legs.SKELETON.name


def declare(dataset: fo.Dataset, field: str, *, boxes: bool = False) -> None:
    """Declare a keypoint field, its attributes and its skeleton on a dataset.

    A field that is written through a view is lost to the App's schema unless it was declared.
    A skeleton that the dataset already has for the field stays.

    Parameters
    ----------
    dataset
        Image or video dataset.
    field
        Bare field name, without ``frames.``.
    boxes
        Also declare the field of boxes, ``<field>_boxes``.
    """
    video = dataset.media_type == "video"
    add = dataset.add_frame_field if video else dataset.add_sample_field
    prefix = "frames." if video else ""
    add(field, fo.EmbeddedDocumentField, embedded_doc_type=fo.Keypoints)
    add(f"{field}.made_by", fo.StringField)
    add(f"{field}.keypoints.visible", fo.ListField, subfield=fo.IntField)
    add(f"{field}.keypoints.score", fo.FloatField)
    if boxes:
        add(field + BOXES_SUFFIX, fo.EmbeddedDocumentField, embedded_doc_type=fo.Detections)
    # The App looks a frame field's skeleton up by the bare name; see voxel51's get_skeleton.
    key = field
    if key not in dataset.skeletons:
        skeleton = fo.KeypointSkeleton(
            labels=list(legs.KEYPOINTS), edges=[list(edge) for edge in legs.EDGES]
        )
        dataset.skeletons = {**dataset.skeletons, key: skeleton}
    assert dataset.get_field(prefix + field) is not None


def to_keypoints(
    poses: Sequence[Pose], size: tuple[int, int], *, label: str | None = LABEL, **attributes: Any
) -> fo.Keypoints:
    """Build the label of one frame from its poses.

    Parameters
    ----------
    poses
        Points in px; an empty sequence gives the label of a frame that shows nobody.
    size
        Width and height of the picture in px.
    label
        Class name of each keypoint label, if it has one.
    **attributes
        Set on the `fo.Keypoints` itself, for example ``made_by``.

    Returns
    -------
    fo.Keypoints
        Points with visibility 0 and no coordinates are (NaN, NaN).
    """
    return fo.Keypoints(keypoints=[_to_keypoint(pose, size, label) for pose in poses], **attributes)


def _to_keypoint(pose: Pose, size: tuple[int, int], label: str | None) -> fo.Keypoint:
    values: dict[str, Any] = {}
    if pose.confidence is not None:
        values["confidence"] = np.asarray(pose.confidence, float).tolist()
    if pose.score is not None:
        values["score"] = float(pose.score)
    if pose.track_id is not None:
        values["index"] = int(pose.track_id)
    points = np.asarray(pose.points, float) / size
    points[np.asarray(pose.visibility) == 0] = np.nan
    return fo.Keypoint(
        label=label,
        points=points.tolist(),
        visible=np.asarray(pose.visibility, int).tolist(),
        **values,
    )


def to_poses(keypoints: fo.Keypoints | None, size: tuple[int, int]) -> list[Pose]:
    """Read the poses of one frame's label.

    Parameters
    ----------
    keypoints
        A label of any skeleton; None counts as no poses.
    size
        Width and height of the picture in px.

    Returns
    -------
    list of Pose
        Points in px. Where the label has no ``visible``, a point is occluded (1) below
        `legs.OCCLUDED_BELOW`, else visible (2); without coordinates it is always 0.
    """
    if keypoints is None:
        return []
    return [_to_pose(keypoint, size) for keypoint in keypoints.keypoints]


def _to_pose(keypoint: fo.Keypoint, size: tuple[int, int]) -> Pose:
    points = np.asarray(keypoint.points, float).reshape(-1, 2) * size
    confidence = None
    if keypoint.confidence is not None:
        confidence = np.asarray(keypoint.confidence, float)
    stated = keypoint["visible"] if keypoint.has_field("visible") else None
    score = keypoint["score"] if keypoint.has_field("score") else None
    return Pose(
        points=points,
        visibility=visibility(points, confidence, _stated(stated, len(points))),
        confidence=confidence,
        score=score,
        track_id=None if keypoint.index is None or keypoint.index < 0 else keypoint.index,
    )


def visibility(
    points: np.ndarray, confidence: np.ndarray | None = None, stated: Any = None
) -> np.ndarray:
    """Tell visible (2), occluded (1) and absent (0) points apart.

    Parameters
    ----------
    points
        Shape (..., K, 2); a NaN coordinate makes a point absent.
    confidence
        Shape (..., K); used where nothing is stated.
    stated
        Shape (..., K), what the label itself says, NaN or None where it does not; or None.

    Returns
    -------
    np.ndarray
        Shape (..., K) of int.
    """
    absent = np.isnan(points).any(axis=-1)
    values = np.full(points.shape[:-1], 2)
    if confidence is not None:
        values = np.where(confidence < legs.OCCLUDED_BELOW, 1, 2)
    if stated is not None:
        said = np.asarray(stated, float)
        values = np.where(np.isnan(said), values, np.nan_to_num(said)).astype(int)
    values[absent] = 0
    return values


def _stated(visible: Any, count: int) -> list[float] | None:
    """Read ``visible`` of a label as whoever made the label may have set it.

    One number is meant for all points. True is visible and False occluded, as what has
    coordinates and is not seen.
    """
    if visible is None:
        return None
    each = [visible] * count if isinstance(visible, int) else visible
    try:
        return [
            np.nan if value is None else 1.0 + value if isinstance(value, bool) else float(value)
            for value in each
        ]
    except (TypeError, ValueError):
        raise DatasetError(
            f"visible of a label is {visible!r}: set 0 (absent), 1 (occluded) or 2 (visible) for "
            "each of its points"
        ) from None


def predicted_documents(
    boxes: np.ndarray,
    scores: np.ndarray,
    points: np.ndarray,
    confidence: np.ndarray | None,
    size: tuple[int, int],
    *,
    track_ids: np.ndarray | None = None,
    made_by: str | None = None,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Build the labels of one frame from what a model put out, as the database holds them.

    Objects would be checked field by field, which for ten keypoints takes ten times as long; the
    arrays a model puts out need no check.

    Parameters
    ----------
    boxes
        Shape (N, 4): x1, y1, x2, y2 in px.
    scores
        Shape (N,): confidence of each box.
    points
        Shape (N, K, 2) in px.
    confidence
        Shape (N, K), or None from weights that have no confidence a point.
    size
        Width and height of the picture in px.
    track_ids
        Shape (N,), negative where a person has no track.
    made_by
        Key of the run that made the prediction.

    Returns
    -------
    keypoints : dict
        A serialized `fo.Keypoints`. Every point keeps its coordinates; below
        `legs.OCCLUDED_BELOW` it is marked occluded.
    detections : dict
        A serialized `fo.Detections`, each linked to its keypoints by `fo.Instance`.
    """
    seen = visibility(points, confidence).tolist()
    relative_points = (points / size).tolist()
    corners = boxes.reshape(-1, 2, 2) / size
    relative_boxes = np.concatenate([corners[:, 0], corners[:, 1] - corners[:, 0]], axis=1).tolist()
    confidences = [None] * len(boxes) if confidence is None else confidence.tolist()
    keypoints, detections = [], []
    for i, score in enumerate(scores.tolist()):
        shared = {"attributes": {}, "tags": [], "label": LABEL}
        link: dict[str, Any] = {"instance": {"_id": ObjectId(), "_cls": "Instance"}}
        if track_ids is not None and track_ids[i] >= 0:
            link["index"] = int(track_ids[i])
        keypoints.append(
            {
                "_id": ObjectId(),
                "_cls": "Keypoint",
                **shared,
                "points": relative_points[i],
                "confidence": confidences[i],
                "visible": seen[i],
                "score": score,
                **link,
            }
        )
        detections.append(
            {
                "_id": ObjectId(),
                "_cls": "Detection",
                **shared,
                "bounding_box": relative_boxes[i],
                "confidence": score,
                **link,
            }
        )
    return (
        {"_cls": "Keypoints", "keypoints": keypoints, "made_by": made_by},
        {"_cls": "Detections", "detections": detections},
    )


def predicted_labels(*found: Any, **options: Any) -> tuple[fo.Keypoints, fo.Detections]:
    """Build the labels of one frame as objects; arguments as of `predicted_documents`."""
    keypoints, detections = predicted_documents(*found, **options)
    return fo.Keypoints.from_dict(keypoints), fo.Detections.from_dict(detections)


def exchange_sides(keypoint: fo.Keypoint) -> None:
    """Exchange left and right of a label of the legs, and say so in ``sides_exchanged``."""
    for name in ("points", "confidence", "visible"):
        values = keypoint[name]
        if values is not None:
            keypoint[name] = [values[i] for i in legs.FLIP_INDEX]
    keypoint["sides_exchanged"] = not (
        keypoint.has_field("sides_exchanged") and keypoint["sides_exchanged"]
    )


def stored_boxes(boxes: fo.Detections, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Read the boxes of one frame back.

    Parameters
    ----------
    boxes
        As `predicted_labels` built them.
    size
        Width and height of the picture in px.

    Returns
    -------
    corners : np.ndarray
        Shape (N, 4): x1, y1, x2, y2 in px.
    scores : np.ndarray
        Shape (N,): box confidence.
    """
    rows = np.array([box.bounding_box for box in boxes.detections], float).reshape(-1, 4)
    corners = np.concatenate([rows[:, :2], rows[:, :2] + rows[:, 2:]], axis=1)
    return corners * np.tile(size, 2), np.array([box.confidence for box in boxes.detections], float)


def declare_like(dataset: fo.Dataset, field: str, source: str) -> None:
    """Declare a keypoint field with the skeleton of another one, unless it has its own."""
    known = dataset.skeletons.get(source) or dataset.default_skeleton
    if field not in dataset.skeletons and known is not None:
        dataset.skeletons = {**dataset.skeletons, field: known}
    keypoint_labels.declare(dataset, field)
