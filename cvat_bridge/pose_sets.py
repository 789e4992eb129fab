"""A pose dataset in memory: pictures by name, each with its poses, size and subset."""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

import numpy as np

from cvat_bridge.errors import FormatError
from cvat_bridge.poses import Pose
from cvat_bridge.yolo_layout import OTHER_KEYS

_SUBSET = re.compile(r"[\w.-]+")

# Points lie in or near the picture: shares beyond this are px whose picture has no size.
_LARGEST_SHARE = 100.0


@dataclass(frozen=True)
class Frame:
    """What a dataset says about one picture.

    Parameters
    ----------
    name
        Path of the picture below its subset's folder, without suffix; the stem in most datasets.
    poses
        Points in px, or as shares of the picture where `size` is None. Empty: nobody in it.
    size
        Width and height in px.
    subset
        For example ``"train"``.
    image
        Path of the picture: within the source when read, of the file to copy when written.
    label_file
        Path of the file with its labels within the source, when read.
    labels
        Class name of each pose; empty means the dataset's first for all.
    boxes
        (N, 4): x1, y1, x2, y2 of each pose in the poses' unit; None when written means the tight
        box.
    """

    name: str
    poses: Sequence[Pose] = ()
    size: tuple[int, int] | None = None
    subset: str = ""
    image: str | None = None
    labels: Sequence[str] = ()
    boxes: np.ndarray | None = None
    label_file: str | None = None


@dataclass(frozen=True)
class PoseSet:
    """A YOLO pose dataset.

    Parameters
    ----------
    labels
        Class names.
    keypoint_count
        K of every pose.
    frames
        By name, and by ``subset/name`` where two subsets have a picture of the same name.
    keypoint_names
        In order, where the dataset says them (CVAT's exports do not).
    flip_index
        Index of the keypoint that each one becomes in a mirrored picture, where it is said.
    unlisted
        Label files that no subset lists; they are left out, as ultralytics does.
    """

    labels: tuple[str, ...]
    keypoint_count: int
    frames: Mapping[str, Frame] = field(default_factory=dict)
    keypoint_names: tuple[str, ...] | None = None
    flip_index: tuple[int, ...] | None = None
    unlisted: tuple[str, ...] = ()


def subset_of(frame: Frame) -> str:
    """Name the subset that a frame is written to; CVAT calls an empty one "train"."""
    return frame.subset or "train"


def check_pose_set(dataset: PoseSet) -> None:
    """Refuse what cannot be written, or would be read as something else.

    Raises
    ------
    FormatError
        Naming the frame.
    """
    if not dataset.frames:
        raise FormatError("There are no frames to write; an import of nothing would erase a task.")
    if not dataset.labels or len(set(dataset.labels)) != len(dataset.labels):
        raise FormatError(f"The class names {list(dataset.labels)} must differ, at least one.")
    count = dataset.keypoint_count
    for what, values in (("names", dataset.keypoint_names), ("flip_index", dataset.flip_index)):
        if values is not None and len(values) != count:
            raise FormatError(f"{count} keypoints, but {len(values)} {what}.")
    if dataset.flip_index is not None and sorted(dataset.flip_index) != list(range(count)):
        raise FormatError(f"flip_index must hold each of 0 to {count - 1} once.")
    seen: set[tuple[str, str]] = set()
    for key, frame in dataset.frames.items():
        subset, parts = subset_of(frame), PurePosixPath(frame.name).parts
        if not _SUBSET.fullmatch(subset) or subset in OTHER_KEYS or subset in {".", ".."}:
            raise FormatError(
                f"Frame {key}: subset {subset!r} would break data.yaml. Use letters and digits."
            )
        unsafe = "\\" in frame.name or not frame.name.isprintable() or frame.name.startswith("/")
        if not parts or unsafe or ".." in parts or "images" in parts[:-1]:
            raise FormatError(f"Frame {key}: {frame.name!r} cannot be the name of a file.")
        # A disk that ignores case, or takes umlauts apart, would keep only one of the two.
        spelled = unicodedata.normalize("NFC", frame.name).casefold()
        if (subset, spelled) in seen:
            raise FormatError(
                f"Frame {key}: {subset} has two pictures named {frame.name}, or in a spelling that "
                "some disks take for the same. Rename one."
            )
        seen.add((subset, spelled))
        _check_poses(dataset, key, frame)


def _check_poses(dataset: PoseSet, key: str, frame: Frame) -> None:
    if frame.labels and len(frame.labels) != len(frame.poses):
        raise FormatError(f"Frame {key}: {len(frame.labels)} labels for {len(frame.poses)} poses.")
    unknown = set(frame.labels) - set(dataset.labels)
    if unknown:
        raise FormatError(f"Frame {key}: {sorted(unknown)} are not among the dataset's labels.")
    if frame.boxes is not None and np.shape(frame.boxes) != (len(frame.poses), 4):
        raise FormatError(f"Frame {key}: boxes must have shape ({len(frame.poses)}, 4).")
    if frame.boxes is not None and not np.isfinite(frame.boxes).all():
        raise FormatError(f"Frame {key}: a box is not finite.")
    for pose in frame.poses:
        if len(pose.points) != dataset.keypoint_count:
            raise FormatError(
                f"Frame {key}: a pose of {len(pose.points)} keypoints in a dataset of "
                f"{dataset.keypoint_count}."
            )
        seen = pose.points[pose.visibility > 0]
        if frame.size is None and len(seen) and np.abs(seen).max() > _LARGEST_SHARE:
            raise FormatError(
                f"Frame {key}: points in px need the size of the picture; it has none."
            )
