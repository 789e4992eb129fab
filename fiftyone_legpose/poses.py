"""Poses as FiftyOne labels and back: the only module that builds or reads keypoint labels."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import fiftyone as fo
import numpy as np
from bson import ObjectId

from cvat_bridge.poses import Pose
from fiftyone_legpose import legs
from fiftyone_legpose.dataset.fields import BOXES_SUFFIX
from fiftyone_legpose.dataset.frames import frame_documents
from fiftyone_legpose.errors import DatasetError
from fiftyone_legpose.pose import geometry

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


@dataclass(frozen=True)
class PoseTable:
    """The poses of a whole collection as arrays: S samples, F frames, N poses, K keypoints.

    An image counts as a sample with one frame, number 1. Frames are ordered by sample and then by
    number, poses by frame.
    """

    sample_ids: list[str]
    filepaths: list[str]
    sizes: np.ndarray
    """(S, 2): width and height in px."""
    frame_rates: np.ndarray
    """(S,): frames per second, NaN for images."""
    frame_ids: list[str]
    """F ids: of frame documents, or of samples for images."""
    frame_sample: np.ndarray
    """(F,): index of each frame's sample."""
    frame_number: np.ndarray
    """(F,): from 1."""
    looked_at: np.ndarray
    """(F,) of bool: the field is set, though perhaps with nobody in it."""
    label_ids: list[str]
    pose_frame: np.ndarray
    """(N,): index of each pose's frame."""
    points: np.ndarray
    """(N, K, 2) in px, NaN where visibility is 0."""
    confidence: np.ndarray
    """(N, K), NaN where unknown."""
    visibility: np.ndarray
    """(N, K): 0, 1 or 2."""
    score: np.ndarray
    """(N,): box confidence, NaN where unknown."""
    track: np.ndarray
    """(N,): track id, -1 where a pose has none."""

    @property
    def pose_sample(self) -> np.ndarray:
        """(N,): index of each pose's sample."""
        return self.frame_sample[self.pose_frame]

    @cached_property
    def leg(self) -> np.ndarray:
        """(N,): leg length in px, the median of the track or the video where it is cut off."""
        lengths = geometry.leg_length(self.points, self.visibility)
        tracks = int(self.track.max(initial=0)) + 1
        track = np.where(self.track < 0, -1, self.pose_sample * tracks + self.track)
        return geometry.fill_leg_length(
            lengths, self.points, self.visibility, track, self.pose_sample
        )

    def poses_of(self, frame: int, min_score: float = 0.0) -> list[Pose]:
        """Give the poses of one frame by its index, without those of a lower box confidence."""
        kept = (self.pose_frame == frame) & ~(self.score < min_score)
        return [Pose(self.points[i], self.visibility[i]) for i in np.flatnonzero(kept)]


def read_poses(view: Any, field: str) -> PoseTable:
    """Read a keypoint field of a whole collection into arrays.

    Parameters
    ----------
    view
        Image or video collection; of a video view only its own frames are read. Metadata that it
        lacks are computed.
    field
        Bare name of a `fo.Keypoints` field, without ``frames.``.

    Returns
    -------
    PoseTable

    Raises
    ------
    DatasetError
        The collection has no such field, poses have different numbers of keypoints, or the size
        of a file cannot be read.
    """
    prefix = f"frames.{field}" if view.media_type == "video" else field
    if view.get_field(f"{prefix}.keypoints") is None:
        raise DatasetError(f"{view.name or 'the dataset'!r} has no keypoints in field {field!r}")
    ids, filepaths = view.values(["id", "filepath"])
    sizes, rates = _read_metadata(view, filepaths)
    number_of = {sample_id: i for i, sample_id in enumerate(ids)}
    attributes = ("_id", "points", "confidence", "visible", "score", "index")
    frame_ids: list[str] = []
    frame_sample: list[int] = []
    numbers: list[int] = []
    present: list[bool] = []
    pose_frame: list[int] = []
    poses: dict[str, list[Any]] = {name: [] for name in attributes}
    paths = [f"{field}.keypoints.{name}" for name in attributes]
    for sample_id, frame in frame_documents(view, paths):
        keypoints = (frame.get(field) or {}).get("keypoints")
        for keypoint in keypoints or []:
            pose_frame.append(len(frame_ids))
            for name in attributes:
                poses[name].append(keypoint.get(name))
        frame_ids.append(str(frame["_id"]))
        frame_sample.append(number_of[sample_id])
        numbers.append(frame.get("frame_number", 1))
        present.append(keypoints is not None)
    of_frame, of_pose = np.array(frame_sample, int), np.array(pose_frame, int)
    points = _stack(poses["points"], "points", 2) * sizes[of_frame[of_pose]][:, None, :]
    confidence = _stack(poses["confidence"], "confidence", 1, like=points)
    said = [_stated(visible, points.shape[1]) for visible in poses["visible"]]
    stated = _stack(said, "visible", 1, like=points)
    return PoseTable(
        sample_ids=ids,
        filepaths=filepaths,
        sizes=sizes,
        frame_rates=rates,
        frame_ids=frame_ids,
        frame_sample=of_frame,
        frame_number=np.array(numbers, int),
        looked_at=np.array(present, bool),
        label_ids=[str(label_id) for label_id in poses["_id"]],
        pose_frame=of_pose,
        points=points,
        confidence=confidence,
        visibility=visibility(points, np.nan_to_num(confidence, nan=1.0), stated),
        score=np.array([np.nan if s is None else s for s in poses["score"]], float),
        track=np.array([-1 if i is None else max(i, -1) for i in poses["index"]], int),
    )


def _read_metadata(view: Any, filepaths: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Sizes (S, 2) in px and frame rates (S,) in 1/s, NaN for images."""
    names = ["width", "height"]
    if view.media_type == "video":
        names = ["frame_width", "frame_height", "frame_rate"]
    paths = [f"metadata.{name}" for name in names]
    columns = view.values(paths)
    if any(value is None for column in columns for value in column):
        view.compute_metadata(progress=False)
        columns = view.values(paths)
    table = np.array(columns, float).T.reshape(len(filepaths), len(names))
    unknown = np.flatnonzero(np.isnan(table).any(axis=1))
    if len(unknown):
        raise DatasetError(
            f"the size of {filepaths[unknown[0]]!r} cannot be read ({len(unknown)} such files); "
            "is the file still there?"
        )
    if len(names) == 2:
        return table, np.full(len(table), np.nan)
    return table[:, :2], table[:, 2]


def _stack(values: list[Any], name: str, depth: int, like: np.ndarray | None = None) -> np.ndarray:
    """Stack per-pose lists, with NaN for a pose that lacks the attribute."""
    known = next((np.asarray(v, float) for v in values if v is not None), None)
    if like is not None:
        shape = like.shape[1 : 1 + depth]
    else:
        shape = known.shape if known is not None else (len(legs.KEYPOINTS), 2)
    missing = np.full(shape, np.nan)
    rows = [missing if v is None else v for v in values]
    for row in rows:
        if len(row) != shape[0]:
            raise DatasetError(
                f"one label has {len(row)} {name} where {shape[0]} are expected: all labels of a "
                f"field have as many keypoints as its skeleton, and {name} of each"
            )
    return np.asarray(rows, float).reshape(len(values), *shape)
