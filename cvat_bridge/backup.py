"""CVAT task backups: pictures, skeleton and poses in one file, made and read without a server.

A person uploads the file in CVAT with "Create from backup"; the same comes out of "Backup task".
The layout is that of CVAT 2.54 (``cvat/apps/engine/backup.py``, version "1.0" of the format):
``task.json``, ``annotations.json`` with an entry a job, ``data/`` with pictures and
``manifest.jsonl``.
"""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from colorsys import hls_to_rgb
from dataclasses import dataclass, field
from typing import Any

from cvat_bridge.archives import create_zip
from cvat_bridge.errors import PayloadError
from cvat_bridge.frames import Frame, number_frames, to_shapes_and_tracks, upload_groups
from cvat_bridge.payloads import check_annotations, check_subset
from cvat_bridge.poses import Pose
from cvat_bridge.skeleton import Skeleton, SkeletonLabel

_LONGEST_NAME = 256


@dataclass(frozen=True)
class Job:
    """A part of a task that one person works on; frames count from 0, both ends included."""

    start_frame: int
    stop_frame: int
    status: str
    """``"annotation"``, ``"validation"`` or ``"completed"``."""


@dataclass(frozen=True)
class Backup:
    """What a task backup holds, without the pictures themselves."""

    name: str
    subset: str
    skeleton: Skeleton
    frame_names: tuple[str, ...]
    """Name of each frame's picture, with suffix."""
    sizes: tuple[tuple[int, int], ...]
    """Width and height of each frame in px."""
    jobs: tuple[Job, ...]
    deleted_frames: frozenset[int] = frozenset()
    poses: Mapping[int, Sequence[Pose]] = field(default_factory=dict)
    """By frame number; a frame with nobody is not in it, nor is a deleted one."""


def write_backup(
    path: str | os.PathLike[str],
    name: str,
    skeleton: Skeleton,
    frames: Iterable[Frame],
    *,
    subset: str = "",
    segment_size: int = 0,
    image_quality: int = 95,
    as_tracks: bool = False,
    guide: str = "",
) -> int:
    """Write a task backup that CVAT makes a task of, whole or not at all.

    Parameters
    ----------
    path
        File to write; replaced if it is there. Equal content gives equal bytes.
    name
        Of the task, at most 256 characters.
    skeleton
        Becomes the task's only label.
    frames
        In the order of the task. Pictures given by path or function are read one at a time.
    subset
        For example ``"Train"``.
    segment_size
        Frames a job; 0 makes one job of all.
    image_quality
        0 to 100, of the copies that CVAT shows while somebody draws.
    as_tracks
        Poses with one `track_id` become one track a job instead of a shape a frame, all but
        those without any point (`poses.fits_track`).
    guide
        Markdown that reviewers can open beside their job.

    Returns
    -------
    int
        Number of poses written.

    Raises
    ------
    PayloadError
        A name, subset, picture or pose would be refused by the server, or accepted and break the
        task; the message names the frame.
    FormatError
        `path` is a folder.
    """
    if not 0 < len(name) <= _LONGEST_NAME:
        raise PayloadError(f"A task needs a name of 1 to {_LONGEST_NAME} characters: {name!r}.")
    if segment_size < 0 or not 0 <= image_quality <= 100:
        raise PayloadError("segment_size must not be negative, image_quality is 0 to 100.")
    check_subset(subset)
    named = number_frames(frames)
    jobs = _split(len(named), segment_size)
    label = SkeletonLabel(1, skeleton, tuple(range(2, 2 + len(skeleton.keypoints))))
    annotations = [
        to_shapes_and_tracks(
            named, range(job.start_frame, job.stop_frame + 1), label, as_tracks=as_tracks
        )
        for job in jobs
    ]
    for job in annotations:
        check_annotations(job, label, frame_count=len(named))
    with create_zip(path) as archive:
        file_names: list[str] = []
        for ((file_name, data),) in upload_groups(named, limit_bytes=0):
            if file_names and file_name <= file_names[-1]:
                # CVAT sorts what it restores; another order would put poses on other pictures.
                raise PayloadError(
                    f"Frame {len(file_names)}: {file_name} comes before {file_names[-1]} in "
                    "alphabetical order, but after it here. Leave names out to number the frames."
                )
            file_names.append(file_name)
            archive.add(f"data/{file_name}", data)
        archive.add("data/manifest.jsonl", _manifest(file_names, named))
        task = _task(name, subset, skeleton, named, jobs, image_quality)
        archive.add("task.json", _dump(task))
        if guide:
            archive.add("annotation_guide.md", guide)
        ids = {label.id: skeleton.name}
        ids |= dict(zip(label.sublabel_ids, skeleton.keypoints, strict=True))
        archive.add(
            "annotations.json",
            _dump(
                [
                    {
                        "version": 0,
                        "tags": [],
                        "shapes": [_with_names(shape, ids) for shape in job["shapes"]],
                        "tracks": [_with_names(track, ids) for track in job["tracks"]],
                    }
                    for job in annotations
                ]
            ),
        )
    return sum(len(frame.poses) for frame in named)


def _split(count: int, segment_size: int) -> list[Job]:
    size = segment_size or count
    return [
        Job(start, min(start + size, count) - 1, "annotation") for start in range(0, count, size)
    ]


def _manifest(file_names: Sequence[str], frames: Sequence[Frame]) -> str:
    lines: list[dict[str, Any]] = [{"version": "1.1"}, {"type": "images"}]
    for file_name, frame in zip(file_names, frames, strict=True):
        stem, dot, extension = file_name.rpartition(".")
        lines.append(
            {
                "name": stem,
                "extension": dot + extension,
                "width": frame.width,
                "height": frame.height,
            }
        )
    return "".join(f"{_dump(line)}\n" for line in lines)


def _task(
    name: str,
    subset: str,
    skeleton: Skeleton,
    frames: Sequence[Frame],
    jobs: Sequence[Job],
    image_quality: int,
) -> dict[str, Any]:
    # As many frames as CVAT itself puts into a chunk of pictures of this size.
    chunk_size = 36 * 1920 * 1080 // max(frame.width * frame.height for frame in frames)
    return {
        "name": name,
        "bug_tracker": "",
        "status": "annotation",
        "subset": subset,
        "labels": [_label(skeleton)],
        "version": "1.0",
        "data": {
            "chunk_size": max(2, min(72, chunk_size)),
            "image_quality": image_quality,
            "start_frame": 0,
            "stop_frame": len(frames) - 1,
            "storage_method": "cache",
            "sorting_method": "lexicographical",
            "chunk_type": "imageset",
            "deleted_frames": [],
            "storage": "local",
        },
        "jobs": [
            {
                "status": job.status,
                "type": "annotation",
                "start_frame": job.start_frame,
                "stop_frame": job.stop_frame,
            }
            for job in jobs
        ],
    }


def _label(skeleton: Skeleton) -> dict[str, Any]:
    # A restored label takes its colours from here; without them everything is drawn in one.
    label = skeleton.to_label()
    count = len(skeleton.keypoints)
    colors = skeleton.colors or tuple(_color(index / count) for index in range(count))
    label["color"] = "#33ddff"
    label["sublabels"] = [
        sublabel | {"color": color}
        for sublabel, color in zip(label["sublabels"], colors, strict=True)
    ]
    return label


def _color(hue: float) -> str:
    return "#" + "".join(f"{round(255 * channel):02x}" for channel in hls_to_rgb(hue, 0.5, 1.0))


def _with_names(item: Mapping[str, Any], names: Mapping[int, str]) -> dict[str, Any]:
    """Name labels, as backups do, instead of numbering them."""
    named = {key: value for key, value in item.items() if key not in ("label_id", "elements")}
    named["label"] = names[item["label_id"]]
    if "elements" in item:
        named["elements"] = [_with_names(element, names) for element in item["elements"]]
    return named


def _dump(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), allow_nan=False, ensure_ascii=False)
