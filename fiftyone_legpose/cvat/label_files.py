"""Labels that a person downloaded from CVAT: an export or a task backup, read alike."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from cvat_bridge.archives import open_archive
from cvat_bridge.backup_reading import read_backup
from cvat_bridge.errors import FormatError
from cvat_bridge.pose_sets import Frame
from cvat_bridge.poses import Pose
from cvat_bridge.yolo_pose import read_yolo_pose


@dataclass(frozen=True)
class LabelFile:
    """The poses of one export or backup by picture."""

    poses: Mapping[str, list[Pose]]
    """By name of the picture, without suffix, and without folders where names alone tell pictures
    apart; empty where nobody is labelled."""
    keypoint_count: int
    keypoint_names: tuple[str, ...] | None = None
    """In order, where the file says them; exports do not."""
    sizes: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """Width and height in px by picture."""
    pictures: Mapping[str, str] = field(default_factory=dict)
    """Where each picture is in the file, for those that it holds."""
    deleted: frozenset[str] = frozenset()
    """Pictures that were deleted in CVAT, where the file says so."""
    in_px: bool = False
    """Points are px of the frame even where shares of the picture were asked for."""
    every_frame: bool = False
    """Numbers at the end of names count the frames of the video, from 1."""


def read_label_file(
    source: str | Path,
    *,
    label: str | None = None,
    sizes: Mapping[str, tuple[int, int]] | None = None,
    keypoint_count: int | None = None,
    normalized: bool = False,
    new_tracks_from: int = 0,
) -> LabelFile:
    """Read an "Ultralytics YOLO Pose 1.0" export or a task backup, zip or folder.

    Parameters
    ----------
    source
        The file that came from CVAT.
    label
        Name of the skeleton label; needed where there are several.
    sizes
        Width and height in px by picture, for an export without pictures.
    keypoint_count
        Keypoints of the label, for an export that pads them.
    normalized
        Give points as shares of the picture instead of px; `sizes` are not needed then.
    new_tracks_from
        See `cvat_bridge.poses.from_annotations`.

    Raises
    ------
    FormatError
        It is neither, or damaged, or two pictures have one name.
    """
    with open_archive(source) as archive:
        is_backup = "task.json" in archive.names
    if is_backup:
        return _from_backup(source, label, normalized, new_tracks_from)
    found = read_yolo_pose(
        source, label=label, sizes=sizes, keypoint_count=keypoint_count, normalized=normalized
    )
    each = _once(found.frames.values())
    names = short_names([frame.name for frame in each], source, [frame.subset for frame in each])
    frames = dict(zip(names, each, strict=True))
    return LabelFile(
        poses={name: list(frame.poses) for name, frame in frames.items()},
        keypoint_count=found.keypoint_count,
        keypoint_names=found.keypoint_names,
        sizes={name: frame.size for name, frame in frames.items() if frame.size},
        pictures={name: frame.image for name, frame in frames.items() if frame.image},
    )


def _once(frames: Iterable[Frame]) -> list[Frame]:
    """Take a picture once that several subsets list: small sets validate on what they train on."""
    kept: dict[tuple[str, str], Frame] = {}
    for frame in frames:
        file = frame.image or frame.label_file
        kept.setdefault((file or frame.name, "" if file else frame.subset), frame)
    return list(kept.values())


def short_names(names: Sequence[str], origin: object, subsets: Sequence[str] = ()) -> list[str]:
    """Name each picture by as little of its path as tells it from the others.

    Parameters
    ----------
    names
        Paths below one folder, without suffix.
    origin
        Where they come from.
    subsets
        Of each, where there are any.

    Raises
    ------
    FormatError
        Two pictures have one path.
    """
    whole = [f"{subset}/{name}" for subset, name in zip(subsets, names, strict=False)]
    for choice in ([PurePosixPath(name).name for name in names], list(names), whole):
        if len(set(choice)) == len(names):
            return choice
    twice = next(name for name, count in Counter(names).items() if count > 1)
    raise FormatError(
        f"{origin} has two pictures named {twice}, so their labels cannot be told apart. "
        "Rename one, and export again."
    )


def without_suffix(name: str) -> str:
    """Give the path of a picture without its suffix."""
    return str(PurePosixPath(name).with_suffix(""))


def to_shares(pose: Pose, size: tuple[int, int]) -> Pose:
    """Give a pose in px as shares of a picture of this width and height."""
    return replace(pose, points=pose.points / size)


def _from_backup(
    source: str | Path, label: str | None, normalized: bool, new_tracks_from: int
) -> LabelFile:
    backup = read_backup(source, label=label, new_tracks_from=new_tracks_from)
    stems = short_names([without_suffix(name) for name in backup.frame_names], source)
    present = [i for i in range(len(stems)) if i not in backup.deleted_frames]
    poses = {i: list(backup.poses.get(i, ())) for i in present}
    if normalized:
        poses = {i: [to_shares(p, backup.sizes[i]) for p in people] for i, people in poses.items()}
    return LabelFile(
        poses={stems[i]: poses[i] for i in present},
        keypoint_count=len(backup.skeleton.keypoints),
        keypoint_names=backup.skeleton.keypoints,
        sizes={stems[i]: backup.sizes[i] for i in present},
        pictures={stems[i]: f"data/{backup.frame_names[i]}" for i in present},
        deleted=frozenset(stems[i] for i in backup.deleted_frames),
    )
