"""Task backups: "Create from backup" and its counterpart."""

import json
import zipfile
from io import BytesIO
from typing import Any

from tests.cvat_server import annotations
from tests.cvat_server.state import BackgroundError, Frame, State, Task

CHUNK_SIZE = 72


def restore(state: State, packed: bytes) -> Task:
    """Make a task from a backup: labels, pictures, annotations."""
    try:
        with zipfile.ZipFile(BytesIO(packed)) as archive:
            files = {name: archive.read(name) for name in archive.namelist()}
        spec = json.loads(files["task.json"])
        drawn = json.loads(files["annotations.json"])
        manifest = [json.loads(line) for line in files["data/manifest.jsonl"].splitlines()]
    except (zipfile.BadZipFile, KeyError, ValueError) as error:
        raise BackgroundError(f"{type(error).__name__}: {error}") from None
    task = Task(state.new_id("task"), spec["name"], None, subset=spec.get("subset", ""))
    state.add_labels(spec["labels"], project_id=None, task_id=task.id)
    task.data_id, task.has_data = state.new_id("data"), True
    task.image_quality = spec["data"]["image_quality"]
    task.deleted = set(spec["data"].get("deleted_frames", []))
    frames = []
    for item in manifest[2:]:
        name = item["name"] + item["extension"]
        if f"data/{name}" not in files:
            raise BackgroundError(f"FileNotFoundError: {name}")
        frames.append(Frame(name, item["width"], item["height"], files[f"data/{name}"]))
    spans = [(job["start_frame"], job["stop_frame"]) for job in spec["jobs"]]
    task.segment_size = spans[0][1] + 1
    task.overlap = spans[0][1] + 1 - spans[1][0] if len(spans) > 1 else 0
    state.tasks[task.id] = task
    state.set_frames(task, frames)
    for job, part in zip(task.jobs, drawn, strict=True):
        payload = {
            kind: [_with_ids(state, task, i) for i in part[kind]] for kind in ("shapes", "tracks")
        }
        annotations.check(state, task, payload, with_ids=False)
        annotations.add(state, task, payload, job)
    return task


def save(state: State, task: Task) -> bytes:
    """Write the backup of an image task."""
    labels = state.labels_of(task)
    spec = {
        "name": task.name,
        "bug_tracker": "",
        "status": "annotation",
        "subset": task.subset,
        "labels": [_label_spec(state, label) for label in labels],
        "version": "1.0",
        "data": {
            "chunk_size": CHUNK_SIZE,
            "image_quality": task.image_quality,
            "start_frame": 0,
            "stop_frame": task.size - 1,
            "storage_method": "cache",
            "sorting_method": "lexicographical",
            "chunk_type": "imageset",
            "deleted_frames": sorted(task.deleted),
            "storage": "local",
        },
        "jobs": [
            {
                "status": job.status,
                "type": "annotation",
                "start_frame": job.start,
                "stop_frame": job.stop,
            }
            for job in task.jobs
        ],
    }
    names = {label.id: label.name for label in labels}
    names |= {sub.id: sub.name for label in labels for sub in label.sublabels}
    # A real server cuts tracks at the ends of jobs. Here one is whole in the job it begins in.
    drawn = [
        {
            "version": 0,
            "tags": [],
            "shapes": [
                _with_names(names, shape) for shape in task.shapes if shape["job_id"] == job.id
            ],
            "tracks": [
                _with_names(names, track)
                for track in task.tracks
                if job.start <= track["frame"] <= job.stop
            ],
        }
        for job in task.jobs
    ]
    lines: list[dict[str, Any]] = [{"version": "1.1"}, {"type": "images"}]
    for frame in task.frames:
        stem, _, suffix = frame.name.rpartition(".")
        size = {"width": frame.width, "height": frame.height}
        lines.append({"name": stem, "extension": f".{suffix}", **size})
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("task.json", json.dumps(spec))
        archive.writestr("annotations.json", json.dumps(drawn))
        archive.writestr(
            "data/manifest.jsonl", "\n".join(json.dumps(line) for line in lines) + "\n"
        )
        for frame in task.frames:
            archive.writestr(f"data/{frame.name}", frame.data)
    return packed.getvalue()


def chunk(task: Task, number: int) -> bytes:
    """Zip the pictures of a chunk, as the SDK's datasets fetch them."""
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for frame in task.frames[number * CHUNK_SIZE : (number + 1) * CHUNK_SIZE]:
            archive.writestr(frame.name, frame.data)
    return packed.getvalue()


def _label_spec(state: State, label: Any) -> dict[str, Any]:
    shown = state.show_label(label)
    spec = {key: shown[key] for key in ("name", "color", "attributes", "type")}
    keys = ("name", "color", "attributes", "type")
    spec["sublabels"] = [{key: sub[key] for key in keys} for sub in shown["sublabels"]]
    svg = shown.get("svg", "")
    for sub in shown["sublabels"]:
        svg = svg.replace(f'data-label-id="{sub["id"]}"', f'data-label-name="{sub["name"]}"')
    return spec | {"svg": svg}


def _with_ids(state: State, task: Task, item: dict[str, Any]) -> dict[str, Any]:
    label = next((one for one in state.labels_of(task) if one.name == item["label"]), None)
    if label is None:
        raise BackgroundError(f"KeyError: {item['label']!r}")
    ids = {sub.name: sub.id for sub in label.sublabels}
    elements = [
        {**element, "label_id": ids[element["label"]]} for element in item.get("elements") or ()
    ]
    return {**item, "label_id": label.id, "elements": elements}


def _with_names(names: dict[int, str], item: dict[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in item.items() if key not in ("id", "job_id", "label_id")}
    kept["label"] = names[item["label_id"]]
    kept["elements"] = [_with_names(names, element) for element in item["elements"]]
    if "shapes" in kept:
        kept["shapes"] = [
            {key: value for key, value in shape.items() if key != "id"} for shape in kept["shapes"]
        ]
    return kept
