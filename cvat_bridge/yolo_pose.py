"""The format "Ultralytics YOLO Pose 1.0": what CVAT exports and imports and ultralytics trains on.

A dataset is ``data.yaml``, a list of pictures or a folder of them for each subset, and for each
picture a text file with a line a person: ``class cx cy w h`` and ``x y [v]`` for each keypoint,
as shares of the picture's width and height.
https://docs.cvat.ai/docs/manual/advanced/formats/format-yolo-ultralytics-pose/
https://docs.ultralytics.com/datasets/pose/
"""

import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

import numpy as np
import yaml

from cvat_bridge.archives import (
    Archive,
    create_folder,
    create_zip,
    image_size,
    open_archive,
    read_text,
)
from cvat_bridge.errors import FormatError
from cvat_bridge.pose_sets import Frame, PoseSet, check_pose_set, subset_of
from cvat_bridge.yolo_layout import (
    Config,
    Entry,
    label_files,
    list_entries,
    read_config,
)
from cvat_bridge.yolo_lines import (
    format_for_cvat,
    format_for_training,
    parse_line,
    without_padding,
)

Flavour = Literal["cvat", "ultralytics"]


def read_yolo_pose(
    source: str | os.PathLike[str],
    *,
    sizes: Mapping[str, tuple[int, int]] | tuple[int, int] | None = None,
    normalized: bool = False,
    subset: str | None = None,
    label: str | None = None,
    keypoint_count: int | None = None,
) -> PoseSet:
    """Read a YOLO pose dataset.

    Parameters
    ----------
    source
        Folder or zip: an export of CVAT, or any layout that ultralytics trains on. A zip is read
        in place and nothing is unpacked.
    sizes
        Width and height in px, of all pictures or by frame name or picture name, for a source
        without pictures; what is said here counts even where there is a picture.
    normalized
        Leave coordinates as shares of the picture and do not look for sizes.
    subset
        Read only this subset.
    label
        Keep only poses of this class.
    keypoint_count
        Keypoints that a pose should have. A dataset of several skeletons pads the smaller ones
        with absent points, which are cut off here.

    Returns
    -------
    PoseSet
        A point with v = 0 keeps its coordinates (CVAT writes them for points outside), or is NaN
        where it has none (``0.0 0.0 0``). Without visibilities (``kpt_shape: [K, 2]``) every
        point counts as visible (2) but those at exactly 0 0. A number at the end of a line is
        the track id.

    Raises
    ------
    FormatError
        The source is no such dataset, a line is wrong (named by file and line number), or the
        size of a picture with poses is unknown or not positive.
    """
    find_given = _given_sizes({} if sizes is None else sizes)
    with open_archive(source) as archive:
        config = read_config(archive)
        if label is not None and label not in config.labels:
            raise FormatError(
                f"{source} has no class {label!r}, only {', '.join(config.labels)}. Name one."
            )
        entries = list_entries(archive, config)
        if subset is not None and subset not in config.subsets:
            raise FormatError(
                f"{source} has no subset {subset!r}, only {', '.join(config.subsets)}. Name one."
            )
        counts = Counter(entry.name for entry in entries)
        frames = {}
        for entry in entries:
            if subset in (None, entry.subset):
                key = entry.name if counts[entry.name] == 1 else f"{entry.subset}/{entry.name}"
                size = None if normalized else _find_size(archive, entry, key, find_given)
                frame = _read_frame(archive, config, entry, size, label, keypoint_count)
                if frame.poses and size is None and not normalized:
                    raise FormatError(
                        f"{source} holds no picture for {key}, so its width and height are not "
                        "known. Export with images, or say the sizes of the pictures."
                    )
                frames[key] = frame
        used = {entry.label_file for entry in entries}
        unlisted = tuple(name for name in label_files(archive, config) if name not in used)
    whole = keypoint_count in (None, config.keypoint_count)
    return PoseSet(
        labels=config.labels if label is None else (label,),
        keypoint_count=keypoint_count or config.keypoint_count,
        frames=frames,
        keypoint_names=config.keypoint_names if whole else None,
        flip_index=config.flip_index if whole else None,
        unlisted=unlisted,
    )


@dataclass
class Written:
    """What `write_yolo_pose` wrote."""

    frames: int = 0
    poses: int = 0
    cut_off: int = 0
    """Points outside of their picture, which the training flavour writes as absent."""
    left_out: int = 0
    """Poses with no point in their picture, which the training flavour leaves out."""


def write_yolo_pose(
    target: str | os.PathLike[str],
    dataset: PoseSet,
    *,
    flavour: Flavour = "cvat",
    box_margin: float = 0.0,
    include_images: bool = False,
    overwrite: bool = False,
) -> Written:
    """Write a YOLO pose dataset, whole or not at all.

    Parameters
    ----------
    target
        Folder, or file with the suffix ``.zip``. A folder may hold other subsets of the same
        dataset; they stay, and ``data.yaml`` names them all.
    dataset
        An empty subset counts as ``"train"``, as in CVAT.
    flavour
        ``"cvat"``: what CVAT imports; points keep their place outside of the picture and boxes
        are tight, as in its own exports.
        ``"ultralytics"``: what ultralytics trains on, with ``flip_idx`` and ``kpt_names``; points
        outside of the picture are written as absent, because ultralytics drops a whole picture
        for one of them.
    box_margin
        For training: added on each side of a tight box, as a share of its longer side.
    include_images
        Copy the pictures too, from each frame's `image`, which must be a file on disk; that of a
        frame which was read is a path within its source.
    overwrite
        Replace a zip, or subsets of a folder, that are there already.

    Raises
    ------
    FormatError
        A frame cannot be written (it is named), the subset is there already, or something else
        than a dataset is in the place.
    """
    target = Path(target)
    check_pose_set(dataset)
    others: dict[str, str] = {}
    if target.suffix.lower() == ".zip":
        if target.exists() and not overwrite:
            raise FormatError(f"{target} exists. Choose another name or ask to overwrite it.")
        with create_zip(target) as archive:
            return _write_files(archive.add, dataset, flavour, box_margin, include_images, others)
    subsets = sorted({subset_of(frame) for frame in dataset.frames.values()})
    if target.is_dir() and any(target.iterdir()):
        others = _other_subsets(target, dataset, subsets, overwrite)
    # Pictures may have been put there by somebody else: they are replaced only by pictures.
    replaced = [f"labels/{subset}" for subset in subsets]
    replaced += [f"images/{subset}" for subset in subsets if include_images]
    with create_folder(target, replaced, last="data.yaml") as folder:
        return _write_files(folder.add, dataset, flavour, box_margin, include_images, others)


def mirrored(keypoint_names: Sequence[str]) -> tuple[int, ...]:
    """Say which keypoint each one becomes in a mirrored picture, by "left" and "right" in names.

    Returns
    -------
    tuple of int
        ``flip_idx``; a keypoint without a counterpart stays itself.

    Examples
    --------
    >>> mirrored(["nose", "left_eye", "right_eye"])
    (0, 2, 1)
    """
    index = {name: i for i, name in enumerate(keypoint_names)}
    swaps = [("left", "right"), ("Left", "Right"), ("LEFT", "RIGHT")]
    other = {}
    for name in keypoint_names:
        twins = [name.replace(a, b) for pair in swaps for a, b in (pair, pair[::-1]) if a in name]
        other[name] = next((index[twin] for twin in twins if twin in index), index[name])
    return tuple(other[name] for name in keypoint_names)


def _given_sizes(
    sizes: Mapping[str, tuple[int, int]] | tuple[int, int],
) -> Callable[[str], tuple[int, int] | None]:
    """Check sizes, and give what finds that of a name."""
    if not isinstance(sizes, Mapping):
        size = _checked_size("all pictures", sizes)
        return lambda name: size
    return {name: _checked_size(name, size) for name, size in sizes.items()}.get


def _checked_size(of: str, size: Sequence[int]) -> tuple[int, int]:
    try:
        width, height = (int(value) for value in size)
    except (TypeError, ValueError):
        width = height = 0
    if width <= 0 or height <= 0:
        raise FormatError(
            f"The size of {of} is {size!r}: give (width, height) in px, both more than 0."
        )
    return width, height


def _find_size(
    archive: Archive,
    entry: Entry,
    key: str,
    find_given: Callable[[str], tuple[int, int] | None],
) -> tuple[int, int] | None:
    image_name = (entry.image or "").rpartition("/")[2]
    for name in (key, entry.name, entry.image or "", image_name):
        given = find_given(name)
        if given is not None:
            return given
    return None if entry.image is None else image_size(archive, entry.image)


def _read_frame(
    archive: Archive,
    config: Config,
    entry: Entry,
    size: tuple[int, int] | None,
    label: str | None,
    keypoint_count: int | None,
) -> Frame:
    lines = []
    if entry.label_file is not None:
        text = read_text(archive, entry.label_file).replace("\r\n", "\n")
        for number, line_text in enumerate(text.split("\n"), 1):
            if not line_text.strip():
                continue
            where = f"{archive.source}: {entry.label_file}, line {number}"
            line = parse_line(
                line_text,
                class_count=len(config.labels),
                keypoint_count=config.keypoint_count,
                has_visibility=config.has_visibility,
                where=where,
            )
            if label in (None, config.labels[line.class_id]):
                lines.append(without_padding(line, keypoint_count, where))
    scale = size or (1, 1)
    boxes = np.array([line.box for line in lines], float).reshape(-1, 4)
    return Frame(
        name=entry.name,
        poses=tuple(line.to_pose(scale) for line in lines),
        size=size,
        subset=entry.subset,
        image=entry.image,
        label_file=entry.label_file,
        labels=tuple(config.labels[line.class_id] for line in lines),
        boxes=boxes * (*scale, *scale),
    )


def _other_subsets(
    target: Path, dataset: PoseSet, subsets: Sequence[str], overwrite: bool
) -> dict[str, str]:
    """Read which subsets a folder has besides those to be written."""
    try:
        with open_archive(target) as archive:
            config = read_config(archive)
    except FormatError as error:
        if any((target / name).exists() for name in ("data.yaml", "labels")):
            raise FormatError(f"Other files are in the way: {error}") from error
        return {}
    if config.path != "data.yaml" or config.labels != dataset.labels or not config.has_visibility:
        raise FormatError(f"{target} holds another dataset ({config.path}). Choose a new folder.")
    if config.keypoint_count != dataset.keypoint_count:
        raise FormatError(
            f"{target} holds poses of {config.keypoint_count} keypoints, not of "
            f"{dataset.keypoint_count}. Choose a new folder."
        )
    there = [subset for subset in subsets if subset in config.subsets]
    if there and not overwrite:
        raise FormatError(
            f"{target} has the subset {there[0]} already. Choose a new folder or ask to overwrite."
        )
    return {subset: paths[0] for subset, paths in config.subsets.items() if subset not in subsets}


def _write_files(
    add: Callable[[str, bytes | str], None],
    dataset: PoseSet,
    flavour: Flavour,
    box_margin: float,
    include_images: bool,
    others: Mapping[str, str],
) -> Written:
    written = Written()
    lists: dict[str, list[str]] = {}
    for key, frame in dataset.frames.items():
        subset = subset_of(frame)
        suffix = PurePosixPath(frame.image or "").suffix or ".jpg"
        image = f"images/{subset}/{frame.name}{suffix}"
        # CVAT writes a folder that is in no zip, and accepts lists with and without it.
        lists.setdefault(subset, []).append(("data/" if flavour == "cvat" else "./") + image)
        text = _label_text(dataset, frame, flavour, box_margin, written)
        if text or flavour == "ultralytics":
            add(f"labels/{subset}/{frame.name}.txt", text)
        if include_images:
            add(image, _image_bytes(key, frame))
        written.frames += 1
    for subset, paths in lists.items():
        add(f"{subset}.txt", "".join(f"{path}\n" for path in paths))
    add("data.yaml", _data_yaml(dataset, flavour, {**others, **{s: f"{s}.txt" for s in lists}}))
    return written


def _label_text(
    dataset: PoseSet, frame: Frame, flavour: Flavour, box_margin: float, written: Written
) -> str:
    size = frame.size or (1, 1)
    text = ""
    for index, pose in enumerate(frame.poses):
        class_id = dataset.labels.index(frame.labels[index]) if frame.labels else 0
        line: str | None
        if flavour == "cvat":
            line = format_for_cvat(class_id, pose, size)
        else:
            box = None if frame.boxes is None else np.asarray(frame.boxes, float)[index]
            line, cut_off = format_for_training(
                class_id, pose, size, box=box, box_margin=box_margin
            )
            written.cut_off += cut_off
        written.poses += line is not None
        written.left_out += line is None
        text += line or ""
    return text


def _image_bytes(key: str, frame: Frame) -> bytes:
    try:
        return Path(frame.image or "").read_bytes()
    except OSError as error:
        raise FormatError(
            f"Frame {key}: its picture cannot be read ({error}). To copy pictures, image must be "
            "a file on disk; of what was read it is a path within its source: join it with that "
            "folder, or unpack that zip first."
        ) from error


def _data_yaml(dataset: PoseSet, flavour: Flavour, subsets: Mapping[str, str]) -> str:
    values: dict[str, object] = dict(subsets)
    values["kpt_shape"] = [dataset.keypoint_count, 3]
    values["names"] = dict(enumerate(dataset.labels))
    if flavour == "cvat":
        # CVAT takes nc and kpt_names for subsets and fails; ultralytics needs no path, and
        # would resolve this one from wherever it was started.
        values["path"] = "."
        return yaml.safe_dump(values, sort_keys=False, allow_unicode=True)
    if dataset.flip_index is not None:
        values["flip_idx"] = list(dataset.flip_index)
    if dataset.keypoint_names is not None:
        names = list(dataset.keypoint_names)
        values["kpt_names"] = {index: list(names) for index in range(len(dataset.labels))}
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True)
