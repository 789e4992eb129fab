"""A task backup as CVAT writes it, read without a server."""

import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from cvat_bridge.archives import Archive, open_archive, read_text
from cvat_bridge.backup import Backup, Job
from cvat_bridge.errors import FormatError, SkeletonError
from cvat_bridge.poses import Pose
from cvat_bridge.shapes import from_jobs
from cvat_bridge.skeleton import SkeletonLabel


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


_MOST_ANNOTATION_BYTES = 2**30


_STEP = re.compile(r"step\s*=\s*([1-9]\d*)")
