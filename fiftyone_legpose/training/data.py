"""What training reads: the frames that a person looked at, as a YOLO-pose folder."""

import hashlib
import shutil
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import yaml

from cvat_bridge.pose_sets import Frame, PoseSet
from cvat_bridge.poses import Pose
from cvat_bridge.yolo_pose import write_yolo_pose
from fiftyone_legpose import legs
from fiftyone_legpose.dataset.checks import check_collection
from fiftyone_legpose.dataset.fields import GROUND_TRUTH
from fiftyone_legpose.dataset.frames import sample_values
from fiftyone_legpose.dataset.groups import sample_groups
from fiftyone_legpose.dataset.pictures import read_turned
from fiftyone_legpose.dataset.pose_table import read_poses
from fiftyone_legpose.errors import DatasetError, UnreadableError
from fiftyone_legpose.legs import BOX_MARGIN
from fiftyone_legpose.training.splits import Side, Split, check_split, split_frames
from fiftyone_legpose.videos.decoding import read_frames

_JPEG_QUALITY = 95


@dataclass(frozen=True)
class LabelledFrame:
    """A frame with ground truth; nobody in it where there are no poses."""

    sample_id: str
    frame_id: str
    """Of the frame's document; the sample's id for images."""
    number: int
    """From 1; always 1 for images."""
    filepath: str
    is_video: bool
    size: tuple[int, int]
    """Width and height in px."""
    poses: tuple[Pose, ...]
    group: str
    """Subject, else video; see `splits.sample_groups`."""
    video: str
    tags: frozenset[str]
    """Of the sample."""


@dataclass(frozen=True)
class TrainingFrames:
    """Frames with ground truth and the side each is on."""

    frames: Sequence[LabelledFrame]
    split: Split

    def side(self, side: Side) -> list[LabelledFrame]:
        """List the frames of one side in order."""
        chosen = self.split.train if side == "train" else self.split.val
        return [self.frames[i] for i in chosen]

    def ids(self) -> dict[str, list[dict[str, Any]]]:
        """Name the frames of each side by sample id and frame number."""
        return {
            side: [{"sample": f.sample_id, "frame": f.number} for f in self.side(side)]
            for side in ("train", "val")
        }

    def labels_sha256(self) -> str:
        """Compute the fingerprint of sides, picture sizes and labels, to 0.01 px."""
        digest = hashlib.sha256()
        for side in ("train", "val"):
            for frame in self.side(side):
                digest.update(f"{side} {frame.size} {len(frame.poses)}".encode())
                for pose in frame.poses:
                    known = np.where(pose.visibility[:, None] > 0, pose.points, 0)
                    digest.update(np.round(known * 100).astype("<i8").tobytes())
                    digest.update(pose.visibility.astype("<i8").tobytes())
        return digest.hexdigest()


def collect_frames(
    view: Any,
    *,
    val: float | str | Any = 0.2,
    seed: int = 0,
    fixed: Mapping[str, Side] | None = None,
    seen: Collection[str] = (),
    allow_shared_subjects: bool = False,
    gt_field: str = GROUND_TRUTH,
) -> TrainingFrames:
    """Collect the frames that a person looked at and part them into two sides.

    Parameters
    ----------
    view
        Image or video collection.
    val
        Share of validation frames; or a sample tag, as ``"val"``; or a collection whose frames
        are the validation ones.
    seed, fixed, seen, allow_shared_subjects
        See `splits.split_frames`.
    gt_field
        Bare name of the field with the corrected keypoints. None there means that nobody looked:
        such a frame is never used. Empty keypoints mean that nobody is there: a negative.

    Returns
    -------
    TrainingFrames

    Raises
    ------
    DatasetError
        If there is no such field or nothing in it, or the sides share a subject, or validation
        would be on subjects that earlier weights were trained on.
    """
    frames = read_labelled(view, gt_field)
    if isinstance(val, float | int):
        split = split_frames(
            [frame.group for frame in frames],
            share=float(val),
            seed=seed,
            fixed=fixed,
            seen=seen,
            allow_shared_subjects=allow_shared_subjects,
        )
        return TrainingFrames(frames, split)
    if isinstance(val, str):
        is_val = [val in frame.tags for frame in frames]
        if frames and not any(is_val):
            raise DatasetError(f"No frame with ground truth is of a sample tagged {val!r}.")
    else:
        chosen = read_labelled(val, gt_field)
        keys = {(frame.sample_id, frame.number) for frame in chosen}
        frames = [f for f in frames if (f.sample_id, f.number) not in keys] + chosen
        is_val = [(frame.sample_id, frame.number) in keys for frame in frames]
    split = check_split(
        [i for i, flag in enumerate(is_val) if not flag],
        [i for i, flag in enumerate(is_val) if flag],
        [frame.group for frame in frames],
        [frame.video for frame in frames],
        seen=seen,
        allow_shared_subjects=allow_shared_subjects,
    )
    return TrainingFrames(frames, split)


def read_labelled(view: Any, gt_field: str = GROUND_TRUTH) -> list[LabelledFrame]:
    """Read the frames of a collection that a person looked at, by sample and number.

    Raises
    ------
    DatasetError
        If there is no such field, a pose has other keypoints, or a size is not known.
    """
    check_collection(view)
    is_video = view.media_type == "video"
    path = f"frames.{gt_field}" if is_video else gt_field
    if view.get_field(path) is None:
        raise DatasetError(
            f"There is no field {path!r}: pull corrections first, or name the field with gt_field."
        )
    table = read_poses(view, gt_field)
    count = table.points.shape[1]
    if len(table.points) and count != len(legs.KEYPOINTS):
        raise DatasetError(f"{path!r} has {count} keypoints, the legs have {len(legs.KEYPOINTS)}.")
    groups, videos = sample_groups(view)
    [tags] = sample_values(view, "tags")
    poses: list[list[Pose]] = [[] for _ in table.frame_ids]
    for n, frame in enumerate(table.pose_frame):
        poses[frame].append(Pose(table.points[n], table.visibility[n]))
    frames = []
    for f in np.flatnonzero(table.looked_at):
        sample = table.frame_sample[f]
        if np.isnan(table.sizes[sample]).any():
            raise DatasetError(
                f"The size of {table.filepaths[sample]} is not known: run compute_metadata()."
            )
        width, height = table.sizes[sample].astype(int).tolist()
        frames.append(
            LabelledFrame(
                sample_id=table.sample_ids[sample],
                frame_id=table.frame_ids[f],
                number=int(table.frame_number[f]),
                filepath=table.filepaths[sample],
                is_video=is_video,
                size=(width, height),
                poses=tuple(poses[f]),
                group=groups[sample],
                video=videos[sample],
                tags=frozenset(tags[sample] or ()),
            )
        )
    return frames


def write_training_data(
    chosen: TrainingFrames, folder: Path, *, box_margin: float = BOX_MARGIN
) -> Path:
    """Write the frames as a YOLO-pose folder that ultralytics trains on.

    Pictures are named by number: a clinic's file names can hold a patient's name, and an order
    that does not depend on names or ids gives the same training for the same data.

    Parameters
    ----------
    chosen
        Frames of both sides.
    folder
        Made whole under another name first; if it is there, it is complete and left as it is.
    box_margin
        Added on each side of the box around the points, as a share of its longer side.

    Returns
    -------
    Path
        Its ``data.yaml``.

    Raises
    ------
    DatasetError
        If a video or picture cannot be read.
    """
    config = folder / "data.yaml"
    if folder.exists():
        return config
    draft = folder.with_name(f"{folder.name}.draft")
    stills = folder.with_name(f"{folder.name}.stills")
    for left in (draft, stills):
        shutil.rmtree(left, ignore_errors=True)
    stills.mkdir(parents=True)
    pictures = _write_stills(chosen.frames, stills)
    pose_set = PoseSet(
        labels=(legs.SKELETON.name,),
        keypoint_count=len(legs.KEYPOINTS),
        frames={
            f"{i:06d}": Frame(
                name=f"{i:06d}",
                poses=[pose for pose in chosen.frames[i].poses if pose.visibility.any()],
                size=chosen.frames[i].size,
                subset=side,
                image=str(pictures[i]),
            )
            for side, indices in (("train", chosen.split.train), ("val", chosen.split.val))
            for i in indices
        },
        keypoint_names=legs.KEYPOINTS,
        flip_index=legs.FLIP_INDEX,
    )
    write_yolo_pose(
        draft, pose_set, flavour="ultralytics", box_margin=box_margin, include_images=True
    )
    shutil.rmtree(stills)
    values = yaml.safe_load((draft / "data.yaml").read_text(encoding="utf-8"))
    # Ultralytics takes a relative path from where it runs, and without sigmas weighs all alike.
    values |= {"path": str(folder.resolve()), "kpt_oks_sigmas": list(legs.SIGMAS)}
    (draft / "data.yaml").write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")
    draft.rename(folder)
    return config


def _write_stills(frames: Sequence[LabelledFrame], folder: Path) -> list[Path]:
    """Decode the frames of videos, each video once; pictures stay where they are.

    Those that lie on their side in another format than JPEG are written upright: ultralytics reads
    them as its version of OpenCV does.
    """
    paths = [Path(frame.filepath) for frame in frames]
    by_video: dict[str, list[int]] = {}
    for i, frame in enumerate(frames):
        if frame.is_video:
            by_video.setdefault(frame.filepath, []).append(i)
            paths[i] = folder / f"{i:06d}.jpg"
        elif not paths[i].is_file():
            raise DatasetError(f"The picture {paths[i]} is gone.")
        elif (turned := read_turned(paths[i])) is not None:
            paths[i] = folder / f"{i:06d}.jpg"
            _write_picture(paths[i], turned[..., ::-1])
    for filepath, of_video in by_video.items():
        of_video.sort(key=lambda i: frames[i].number)
        try:
            path_at = {frames[i].number: paths[i] for i in of_video}
            for number, picture in read_frames(filepath, list(path_at)):
                _write_picture(path_at[number], picture)
        except UnreadableError as error:
            raise DatasetError(f"{filepath} cannot be read: {error}.") from None
    return paths


def _write_picture(path: Path, picture: np.ndarray) -> None:
    # OpenCV tells of a full disk by its answer alone.
    if not cv2.imwrite(str(path), picture, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]):
        raise DatasetError(f"{path} cannot be written: see whether the disk is full.")
