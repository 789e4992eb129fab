"""The poses of a whole collection as arrays."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from cvat_bridge.poses import Pose
from fiftyone_legpose import legs
from fiftyone_legpose.dataset import fields
from fiftyone_legpose.dataset.frame_times import frame_times, read_time
from fiftyone_legpose.dataset.frames import frame_documents, sample_values
from fiftyone_legpose.dataset.keypoint_labels import _stated, visibility
from fiftyone_legpose.dataset.pictures import know_sizes
from fiftyone_legpose.errors import DatasetError
from fiftyone_legpose.pose import geometry


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
    time_s: np.ndarray
    """(F,): seconds from the first frame of the video, NaN for images; see `frame_times`."""
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
    ids, filepaths = sample_values(view, "id", "filepath")
    sizes, rates = _read_metadata(view, filepaths)
    number_of = {sample_id: i for i, sample_id in enumerate(ids)}
    attributes = ("_id", "points", "confidence", "visible", "score", "index")
    frame_ids: list[str] = []
    frame_sample: list[int] = []
    numbers: list[int] = []
    stored_s: list[float] = []
    present: list[bool] = []
    pose_frame: list[int] = []
    poses: dict[str, list[Any]] = {name: [] for name in attributes}
    paths = [f"{field}.keypoints.{name}" for name in attributes]
    if view.media_type == "video":
        paths.append(fields.TIME_S)
    for sample_id, frame in frame_documents(view, paths):
        keypoints = (frame.get(field) or {}).get("keypoints")
        for keypoint in keypoints or []:
            pose_frame.append(len(frame_ids))
            for name in attributes:
                poses[name].append(keypoint.get(name))
        frame_ids.append(str(frame["_id"]))
        frame_sample.append(number_of[sample_id])
        numbers.append(frame.get("frame_number", 1))
        stored_s.append(read_time(frame))
        present.append(keypoints is not None)
    of_frame, of_pose = np.array(frame_sample, int), np.array(pose_frame, int)
    number = np.array(numbers, int)
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
        frame_number=number,
        time_s=frame_times(number, np.array(stored_s, float), of_frame, rates),
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
    know_sizes(view)
    columns = sample_values(view, *paths)
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


def people_by_frame(table: PoseTable) -> dict[str, list[Pose]]:
    """Give the persons of each frame of a table, by frame id; nobody is an empty list."""
    people: dict[str, list[Pose]] = {frame_id: [] for frame_id in table.frame_ids}
    known = ~np.isnan(table.confidence).any(axis=-1)
    for i, frame in enumerate(table.pose_frame.tolist()):
        score, track = float(table.score[i]), int(table.track[i])
        people[table.frame_ids[frame]].append(
            Pose(
                table.points[i],
                table.visibility[i],
                confidence=table.confidence[i] if known[i] else None,
                score=None if np.isnan(score) else score,
                track_id=track if track >= 0 else None,
            )
        )
    return people
