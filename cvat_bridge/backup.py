"""CVAT task backups: pictures, skeleton and poses in one file, made and read without a server.

A person uploads the file in CVAT with "Create from backup"; the same comes out of "Backup task".
The layout is that of CVAT 2.54 (``cvat/apps/engine/backup.py``, version "1.0" of the format):
``task.json``, ``annotations.json`` with an entry a job, ``data/`` with pictures and
``manifest.jsonl``.
"""

import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from colorsys import hls_to_rgb
from dataclasses import dataclass, field
from typing import Any

from cvat_bridge.archives import Archive, create_zip, open_archive, read_text
from cvat_bridge.errors import FormatError, PayloadError, SkeletonError
from cvat_bridge.frames import Frame, number_frames, upload_groups
from cvat_bridge.payloads import check_annotations, check_subset
from cvat_bridge.poses import Pose, fits_track, from_jobs, to_shape, to_track
from cvat_bridge.skeleton import Skeleton, SkeletonLabel

_LONGEST_NAME = 256
_MOST_ANNOTATION_BYTES = 2**30
_STEP = re.compile(r"step\s*=\s*([1-9]\d*)")


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
    annotations = [_annotations(named, job, label, as_tracks) for job in jobs]
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


def read_backup(
    source: str | os.PathLike[str], *, label: str | None = None, new_tracks_from: int = 0
) -> Backup:
    """Read a backup of an image task, ours or any that a CVAT server made.

    Parameters
    ----------
    source
        Zip or unpacked folder.
    label
        Name of the skeleton label; needed where the task has several.
    new_tracks_from
        See `poses.from_annotations`.

    Raises
    ------
    FormatError
        It is no task backup, or one of a video.
    """
    with open_archive(source) as archive:
        if "task.json" not in archive.names or "annotations.json" not in archive.names:
            raise FormatError(
                f"{source} is no CVAT task backup: it needs task.json and annotations.json. In "
                "CVAT choose 'Backup Task' in the task's menu."
            )
        try:
            task = _load(archive, "task.json")
            skeleton_label = _read_label(task["labels"], label, source)
            frames = _read_frames(archive, task["data"])
            jobs = [_read_job(job) for job in task["jobs"]]
            deleted = frozenset(int(frame) for frame in task["data"].get("deleted_frames") or ())
            poses = _read_poses(
                _load(archive, "annotations.json"),
                task["jobs"],
                skeleton_label,
                len(frames),
                new_tracks_from,
            )
            return Backup(
                name=str(task["name"]),
                subset=str(task.get("subset") or ""),
                skeleton=skeleton_label.skeleton,
                frame_names=tuple(name for name, _ in frames),
                sizes=tuple(size for _, size in frames),
                jobs=tuple(job for job in jobs if job is not None),
                deleted_frames=deleted,
                poses={frame: poses[frame] for frame in sorted(poses) if frame not in deleted},
            )
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            if isinstance(error, FormatError):
                raise
            raise FormatError(
                f"{source} is damaged or of a format that is not known here ({error!r})."
            ) from error


def read_task_name(source: str | os.PathLike[str]) -> str:
    """Read which task a backup is of, without its pictures and poses.

    Raises
    ------
    FormatError
        It is no task backup.
    """
    with open_archive(source) as archive:
        task = _load(archive, "task.json") if "task.json" in archive.names else None
    if not isinstance(task, dict) or "name" not in task:
        raise FormatError(f"{source} is no CVAT task backup: it has no task.json with a name.")
    return str(task["name"])


def _split(count: int, segment_size: int) -> list[Job]:
    size = segment_size or count
    return [
        Job(start, min(start + size, count) - 1, "annotation") for start in range(0, count, size)
    ]


def _annotations(
    frames: Sequence[Frame], job: Job, label: SkeletonLabel, as_tracks: bool
) -> dict[str, list[dict[str, Any]]]:
    shapes = []
    tracks: dict[int, dict[int, Pose]] = {}
    for number in range(job.start_frame, job.stop_frame + 1):
        here: set[int] = set()
        for pose in frames[number].poses:
            if as_tracks and pose.track_id is not None:
                if pose.track_id in here:
                    raise PayloadError(
                        f"Frame {number}: two poses have the track id {pose.track_id}."
                    )
                here.add(pose.track_id)
                if fits_track(pose):
                    tracks.setdefault(pose.track_id, {})[number] = pose
                    continue
            shapes.append(to_shape(pose, number, label))
    return {
        "shapes": shapes,
        "tracks": [
            to_track(track, label, frame_count=job.stop_frame + 1) for track in tracks.values()
        ],
    }


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


def _load(archive: Archive, name: str) -> Any:
    text = read_text(archive, name, limit_bytes=_MOST_ANNOTATION_BYTES)
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{archive.source}: {name} is not valid JSON ({error}).") from error


def _read_label(
    labels: Sequence[Mapping[str, Any]], wanted: str | None, source: object
) -> SkeletonLabel:
    skeletons = [label for label in labels if label.get("type") == "skeleton"]
    chosen = [label for label in skeletons if wanted in (None, label["name"])]
    if len(chosen) != 1:
        names = ", ".join(str(label["name"]) for label in skeletons) or "none"
        asked = "" if wanted is None else f", not {wanted!r}"
        raise FormatError(f"{source} has these skeleton labels: {names}{asked}. Name one.")
    sublabels = [
        {**sublabel, "id": number} for number, sublabel in enumerate(chosen[0]["sublabels"], 2)
    ]
    try:
        return SkeletonLabel.from_server({**chosen[0], "id": 1, "sublabels": sublabels})
    except SkeletonError as error:
        raise FormatError(f"{source}: {error}") from error


def _read_frames(archive: Archive, data: Mapping[str, Any]) -> list[tuple[str, tuple[int, int]]]:
    if "data/manifest.jsonl" not in archive.names:
        raise FormatError(f"{archive.source} lacks data/manifest.jsonl. Make the backup again.")
    lines = read_text(archive, "data/manifest.jsonl").split("\n")
    entries = [json.loads(line) for line in lines if line.strip()]
    if {"type": "video"} in entries:
        raise FormatError(
            f"{archive.source} is the backup of a video. Export the task in the format "
            "'Ultralytics YOLO Pose 1.0' instead."
        )
    pictures = [
        (entry["name"] + entry["extension"], (int(entry["width"]), int(entry["height"])))
        for entry in entries
        if "extension" in entry
    ]
    step = _STEP.fullmatch(data.get("frame_filter") or "step=1")
    start, stop = int(data.get("start_frame") or 0), int(data["stop_frame"])
    return pictures[start : stop + 1 : int(step[1]) if step else 1]


def _read_job(job: Mapping[str, Any]) -> Job | None:
    if job.get("type", "annotation") != "annotation":
        return None  # copies for quality control
    return Job(int(job["start_frame"]), int(job["stop_frame"]), str(job["status"]))


def _read_poses(
    annotations: Sequence[Mapping[str, Any]],
    jobs: Sequence[Mapping[str, Any]],
    label: SkeletonLabel,
    frame_count: int,
    new_tracks_from: int,
) -> dict[int, list[Pose]]:
    parts = []
    for values, raw_job in zip(annotations, jobs, strict=True):
        job = _read_job(raw_job)
        if job is None:
            continue
        ours = {
            "shapes": _with_ids(values.get("shapes") or (), label),
            "tracks": _with_ids(values.get("tracks") or (), label),
        }
        parts.append((range(job.start_frame, min(job.stop_frame + 1, frame_count)), ours))
    return from_jobs(parts, label, new_tracks_from=new_tracks_from)


def _with_ids(items: Iterable[Mapping[str, Any]], label: SkeletonLabel) -> list[dict[str, Any]]:
    """Give the labels of one skeleton their numbers, and leave items of other labels out."""
    ids = dict(zip(label.skeleton.keypoints, label.sublabel_ids, strict=True))
    return [
        {
            **item,
            "label_id": label.id,
            "elements": [
                {**element, "label_id": ids[element["label"]]}
                for element in item.get("elements") or ()
                if element["label"] in ids
            ],
        }
        for item in items
        if item["label"] == label.skeleton.name
    ]
