"""What a CVAT server knows: projects, labels, tasks, jobs, background requests."""

import itertools
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from io import BytesIO
from typing import Any

import PIL.Image

LABEL_TYPES = (
    "any cuboid ellipse mask points polygon polyline rectangle skeleton tag".split()  # noqa: SIM905
)
# What CVAT gives to labels without a colour; which one does not matter here.
PALETTE = ("#560b00", "#8bb8ce", "#c38b48", "#ca6947", "#5d791b", "#ec8fa0", "#96bee8", "#90da9e")


class Refusal(Exception):  # noqa: N818
    """An answer that is no success: status and JSON body, or text."""

    def __init__(self, status: int, body: Any) -> None:
        super().__init__(status, body)
        self.status = status
        self.body = body


class BackgroundError(Exception):
    """Background work failed; the message is the one that a request shows."""


class Text(str):
    """An answer that is no JSON."""


def server_error() -> Refusal:
    page = (
        '\n<!doctype html>\n<html lang="en">\n<head>\n  <title>Server Error (500)</title>\n'
        "</head>\n<body>\n  <h1>Server Error (500)</h1><p></p>\n</body>\n</html>\n"
    )
    return Refusal(500, Text(page))


def missing(kind: str) -> Refusal:
    return Refusal(404, {"detail": f"No {kind} matches the given query."})


def now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@dataclass
class Frame:
    name: str
    width: int
    height: int
    data: bytes = b""


@dataclass
class Job:
    id: int
    task: "Task"
    start: int
    stop: int
    state: str = "new"
    stage: str = "annotation"
    assignee: int | None = None
    created: str = field(default_factory=now)
    updated: str = field(default_factory=now)

    @property
    def status(self) -> str:
        if self.stage == "acceptance" and self.state == "completed":
            return "completed"
        return "annotation" if self.stage == "annotation" else "validation"


@dataclass
class Task:
    id: int
    name: str
    project_id: int | None
    subset: str = ""
    organization: int | None = None
    assignee: int | None = None
    segment_size: int = 0
    overlap: int | None = None
    created: str = field(default_factory=now)
    updated: str = field(default_factory=now)
    uploads: dict[str, bytes] = field(default_factory=dict)
    frames: list[Frame] = field(default_factory=list)
    has_data: bool = False
    data_id: int = 0
    image_quality: int = 70
    video: dict[str, Any] | None = None
    deleted: set[int] = field(default_factory=set)
    jobs: list[Job] = field(default_factory=list)
    shapes: list[dict[str, Any]] = field(default_factory=list)
    tracks: list[dict[str, Any]] = field(default_factory=list)
    tags: list[dict[str, Any]] = field(default_factory=list)
    poisoned: bool = False
    unreadable: bool = False

    @property
    def size(self) -> int:
        return len(self.frames)


@dataclass
class Project:
    id: int
    name: str
    organization: int | None = None
    created: str = field(default_factory=now)
    updated: str = field(default_factory=now)


@dataclass
class Label:
    id: int
    name: str
    type: str
    color: str
    project_id: int | None
    task_id: int | None
    attributes: list[Any]
    sublabels: list["Label"] = field(default_factory=list)
    svg: str = ""


@dataclass
class Request:
    """Background work; it is done when it has been looked at often enough."""

    id: str
    kind: str
    target: str
    work: Callable[[], Any]
    polls_left: int
    project_id: int | None = None
    task_id: int | None = None
    job_id: int | None = None
    format: str | None = None
    status: str = "started"
    message: str = ""
    result_url: str | None = None
    result_id: int | None = None
    result: bytes = b""
    created: str = field(default_factory=now)
    started: str | None = None
    finished: str | None = None

    @property
    def running(self) -> bool:
        return self.status in ("queued", "started")

    def look(self) -> None:
        if not self.running:
            return
        self.started = now()
        if self.polls_left > 0:
            self.polls_left -= 1
            return
        self.finished = now()
        try:
            self.work()
            self.status = "finished"
        except BackgroundError as error:
            self.status, self.message = "failed", f"{error}\n"


class State:
    """All of it, and how it is shown."""

    def __init__(self) -> None:
        self.url = ""
        self.users = {1: "admin"}
        self.organizations: dict[str, int] = {}
        self.guides: dict[int, str] = {}
        self.projects: dict[int, Project] = {}
        self.tasks: dict[int, Task] = {}
        self.labels: dict[int, Label] = {}
        self.requests: dict[str, Request] = {}
        self.background_polls = 0
        self.next_id = {
            kind: itertools.count(1)
            for kind in ("project", "task", "label", "job", "data", "shape", "track", "tracked")
        }

    def new_id(self, kind: str) -> int:
        return next(self.next_id[kind])

    def project(self, project_id: int) -> Project:
        if project_id not in self.projects:
            raise missing("Project")
        return self.projects[project_id]

    def task(self, task_id: int) -> Task:
        if task_id not in self.tasks:
            raise missing("Task")
        return self.tasks[task_id]

    def job(self, job_id: int) -> Job:
        for task in self.tasks.values():
            for job in task.jobs:
                if job.id == job_id:
                    return job
        raise missing("Job")

    def labels_of(self, task: Task) -> list[Label]:
        return [
            label
            for label in self.labels.values()
            if label.task_id == task.id
            or (task.project_id is not None and label.project_id == task.project_id)
        ]

    def add_labels(
        self, specs: list[dict[str, Any]], *, project_id: int | None, task_id: int | None
    ) -> None:
        for index, spec in enumerate(specs):
            if spec.get("type", "any") not in LABEL_TYPES:
                told = {"type": [f'"{spec["type"]}" is not a valid choice.']}
                raise Refusal(400, {"labels": [{}] * index + [told]})
            names = [sub["name"] for sub in spec.get("sublabels", [])]
            if len(set(names)) < len(names):
                raise Refusal(400, ["All label names must be unique"])
        if len({spec["name"] for spec in specs}) < len(specs):
            raise Refusal(400, ["All label names must be unique"])
        for spec in specs:
            label = self._label(spec, project_id, task_id)
            label.sublabels = [
                self._label(sub, project_id, task_id) for sub in spec.get("sublabels", [])
            ]
            # The server replaces text; it neither parses nor checks the drawing.
            label.svg = spec.get("svg", "")
            for sub in label.sublabels:
                label.svg = label.svg.replace(
                    f'data-label-name="{sub.name}"', f'data-label-id="{sub.id}"'
                )
            self.labels[label.id] = label

    def _label(self, spec: dict[str, Any], project_id: int | None, task_id: int | None) -> Label:
        number = self.new_id("label")
        return Label(
            id=number,
            name=spec["name"],
            type=spec.get("type", "any"),
            color=spec.get("color") or PALETTE[number % len(PALETTE)],
            project_id=project_id,
            task_id=task_id,
            attributes=spec.get("attributes", []),
        )

    def remove_task(self, task: Task) -> None:
        del self.tasks[task.id]
        for label in [label for label in self.labels.values() if label.task_id == task.id]:
            del self.labels[label.id]

    def add_request(self, request: Request) -> Request:
        """Start background work; the same work that is running already is refused with 409."""
        running = self.requests.get(request.id)
        if running is not None and running.running:
            raise Refusal(409, {"rq_id": request.id})
        self.requests[request.id] = request
        return request

    def read_pictures(self, task: Task, options: dict[str, Any]) -> None:
        """Turn uploaded files into frames, as the import of a task's data does."""
        names = list(task.uploads)
        order = options.get("upload_file_order")
        if options.get("sorting_method") == "predefined" and order:
            names = [name for name in order if name in task.uploads]
        elif options.get("sorting_method") == "natural":
            names.sort(key=lambda name: [int(p) if p.isdigit() else p for p in _split(name)])
        else:
            names.sort()
        media = [name for name in names if not name.endswith(".txt")]
        if not media:
            raise BackgroundError("ValueError: No media data found")
        frames = []
        for name in media:
            try:
                with PIL.Image.open(BytesIO(task.uploads[name])) as picture:
                    turned = picture.getexif().get(0x0112, 1) >= 5
                    size = picture.size[::-1] if turned else picture.size
            except (OSError, ImportError):  # ultralytics, once loaded, has PIL ask for HEIF
                if len(media) == 1:
                    path = f"/home/django/data/data/{task.data_id}/raw/{name}"
                    message = f"PIL.UnidentifiedImageError: cannot identify image file '{path}'"
                else:
                    kind = "utils.dataset_manifest.errors.InvalidImageError"
                    message = f"{kind}: failed to parse image file '{name}'"
                raise BackgroundError(message) from None
            frames.append(Frame(name, *size, task.uploads[name]))
        task.uploads = {}
        self.set_frames(task, frames)

    def set_frames(self, task: Task, frames: list[Frame]) -> None:
        task.frames = frames
        task.segment_size = min(task.segment_size or len(frames), len(frames))
        task.overlap = task.overlap if task.overlap is not None else 5 if task.video else 0
        task.overlap = min(task.overlap, task.segment_size // 2)
        step = task.segment_size - task.overlap
        for start in range(0, len(frames), step):
            stop = min(start + task.segment_size, len(frames)) - 1
            task.jobs.append(Job(self.new_id("job"), task, start, stop))
            if stop == len(frames) - 1:
                break
        task.updated = now()

    def show_user(self, user_id: int | None) -> dict[str, Any] | None:
        if user_id is None:
            return None
        return {
            "url": f"{self.url}/api/users/{user_id}",
            "id": user_id,
            "username": self.users[user_id],
            "first_name": "",
            "last_name": "",
        }

    def show_project(self, project: Project) -> dict[str, Any]:
        tasks = [task for task in self.tasks.values() if task.project_id == project.id]
        return {
            "url": f"{self.url}/api/projects/{project.id}",
            "id": project.id,
            "name": project.name,
            "owner": self.show_user(1),
            "assignee": None,
            "guide_id": None,
            "bug_tracker": "",
            "created_date": project.created,
            "updated_date": project.updated,
            "status": "annotation",
            "dimension": "2d" if tasks else None,
            "organization": project.organization,
            "organization_id": project.organization,
            "target_storage": None,
            "source_storage": None,
            "tasks": {
                "count": len(tasks),
                "url": f"{self.url}/api/tasks?project_id={project.id}",
            },
            "labels": {"url": f"{self.url}/api/labels?project_id={project.id}"},
            "assignee_updated_date": None,
            "task_subsets": sorted({task.subset for task in tasks if task.subset}),
        }

    def show_label(self, label: Label) -> dict[str, Any]:
        shown = {
            "id": label.id,
            "name": label.name,
            "color": label.color,
            "attributes": label.attributes,
            "type": label.type,
            "sublabels": [
                {
                    "id": sub.id,
                    "name": sub.name,
                    "color": sub.color,
                    "attributes": sub.attributes,
                    "type": sub.type,
                    "has_parent": True,
                }
                for sub in label.sublabels
            ],
            "parent_id": None,
            "has_parent": False,
        }
        owner = "project_id" if label.project_id is not None else "task_id"
        shown[owner] = getattr(label, owner)
        if label.type == "skeleton":
            shown["svg"] = label.svg
        return shown

    def show_task(self, task: Task) -> dict[str, Any]:
        done = [job for job in task.jobs if job.status == "completed"]
        validation = [job for job in task.jobs if job.status == "validation"]
        everything_done = bool(task.jobs) and len(done) == len(task.jobs)
        data = {
            "data_chunk_size": 36 if task.video else 72,
            "data_original_chunk_type": "video" if task.video else "imageset",
            "data_compressed_chunk_type": "video" if task.video else "imageset",
            "data_cloud_storage_id": None,
            "size": task.size,
            "image_quality": task.image_quality,
            "data": task.data_id,
        }
        return {
            "url": f"{self.url}/api/tasks/{task.id}",
            "id": task.id,
            "name": task.name,
            "project_id": task.project_id,
            "mode": ("interpolation" if task.video else "annotation") if task.frames else "",
            "owner": self.show_user(1),
            "assignee": self.show_user(task.assignee),
            "bug_tracker": "",
            "created_date": task.created,
            "updated_date": task.updated,
            "overlap": task.overlap,
            "segment_size": task.segment_size,
            "status": "completed" if everything_done else "annotation",
            "guide_id": None,
            "dimension": "2d",
            "subset": task.subset,
            "organization_id": task.organization,
            "organization": task.organization,
            "target_storage": None,
            "source_storage": None,
            "jobs": {
                "count": len(task.jobs),
                "completed": len(done),
                "validation": len(validation),
                "url": f"{self.url}/api/jobs?task_id={task.id}",
            },
            "labels": {"url": f"{self.url}/api/labels?task_id={task.id}"},
            "assignee_updated_date": None,
            "validation_mode": None,
            "consensus_enabled": False,
        } | (data if task.frames else {})

    def show_job(self, job: Job) -> dict[str, Any]:
        chunk_type = "video" if job.task.video else "imageset"
        return {
            "url": f"{self.url}/api/jobs/{job.id}",
            "id": job.id,
            "task_id": job.task.id,
            "project_id": job.task.project_id,
            "assignee": self.show_user(job.assignee),
            "guide_id": None,
            "dimension": "2d",
            "bug_tracker": "",
            "status": job.status,
            "stage": job.stage,
            "state": job.state,
            "mode": "interpolation" if job.task.video else "annotation",
            "frame_count": job.stop - job.start + 1,
            "start_frame": job.start,
            "stop_frame": job.stop,
            "data_chunk_size": 36 if job.task.video else 72,
            "data_compressed_chunk_type": chunk_type,
            "data_original_chunk_type": chunk_type,
            "created_date": job.created,
            "updated_date": job.updated,
            "issues": {"url": f"{self.url}/api/issues?job_id={job.id}", "count": 0},
            "labels": {"url": f"{self.url}/api/labels?job_id={job.id}"},
            "type": "annotation",
            "organization": job.task.organization,
            "target_storage": None,
            "source_storage": None,
            "assignee_updated_date": None,
            "parent_job_id": None,
            "consensus_replicas": 0,
        }

    def show_meta(self, task: Task) -> dict[str, Any]:
        video = task.video or {"name": None, "start": 0, "step": 1}
        names = [video["name"]] if task.video else [frame.name for frame in task.frames]
        return {
            "chapters": [] if task.video else None,
            "chunks_updated_date": task.updated,
            "chunk_size": 36 if task.video else 72,
            "size": task.size,
            "image_quality": task.image_quality,
            "start_frame": video["start"],
            "stop_frame": video["start"] + (task.size - 1) * video["step"],
            "frame_filter": f"step={video['step']}" if video["step"] > 1 else "",
            "frames": [
                {
                    "width": frame.width,
                    "height": frame.height,
                    "name": name,
                    "related_files": 0,
                    "has_related_context": False,
                }
                for frame, name in zip(task.frames, names, strict=False)
            ],
            "deleted_frames": sorted(task.deleted),
            "included_frames": None,
            "storage": "local",
            "cloud_storage_id": None,
        }

    def show_request(self, request: Request) -> dict[str, Any]:
        return {
            "status": request.status,
            "message": request.message,
            "id": request.id,
            "operation": {
                "type": request.kind,
                "target": request.target,
                "project_id": request.project_id,
                "task_id": request.task_id,
                "job_id": request.job_id,
                "format": request.format,
                "lightweight": None,
            },
            "progress": 0.0,
            "created_date": request.created,
            "started_date": request.started,
            "finished_date": request.finished,
            "expiry_date": request.finished,
            "owner": {"id": 1, "username": self.users[1]},
            "result_url": request.result_url,
            "result_id": request.result_id,
        }


def _split(name: str) -> Iterator[str]:
    return iter(re.split(r"(\d+)", name))
