"""A CVAT server: projects, tasks, jobs and annotations, with nothing lost and nothing doubled.

    >>> with connect("https://cvat.example.org", token=token) as server:       # doctest: +SKIP
    ...     project = server.project("gait", SKELETON)
    ...     for task in server.push(project, "legpose-64f0-round1", frames):
    ...         print(task.id, task.url)
    ...     for task in server.tasks(project.id):
    ...         result = server.download(task.id)

Frames count from 0 within a task. Whoever ran a push that broke runs the same push again: tasks
are found by their names, checked, completed or made anew, never doubled.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from cvat_bridge.errors import (
    ConflictError,
    CvatError,
    FormatError,
    NotFoundError,
    PayloadError,
    RequestFailedError,
)
from cvat_bridge.frames import Frame, number_frames, upload_groups
from cvat_bridge.payloads import check_annotations
from cvat_bridge.poses import Pose, from_annotations, to_shape, to_track
from cvat_bridge.skeleton import Skeleton, SkeletonLabel
from cvat_bridge.transport import Transport, open_transport

FRAMES_PER_TASK = 500
"""Frames of one task in a large push; see benchmarks/cvat_push.py for the choice."""

YOLO_POSE_FORMAT = "Ultralytics YOLO Pose 1.0"
"""CVAT's name of the export that ultralytics trains on."""

MAX_NAME_LENGTH = 256
"""Longest name of a project or task that CVAT stores."""

Progress = Callable[[str, int, int], None]
"""Called as progress(step, done, total); steps are ``"upload"``, ``"wait"``, ``"annotate"``."""

Annotations = dict[str, list[dict[str, Any]]]


@dataclass(frozen=True)
class Project:
    """A project and its skeleton label; `created` tells whether this call made it."""

    id: int
    name: str
    label: SkeletonLabel
    url: str
    created: bool = False


@dataclass(frozen=True)
class Task:
    """A task as the server lists it; `size` is its number of frames, 0 while it has none."""

    id: int
    name: str
    project_id: int | None
    size: int
    url: str


@dataclass(frozen=True)
class PushedTask(Task):
    """A task that holds the frames of a push.

    Parameters
    ----------
    frame_names
        Names without suffix, by frame.
    outcome
        ``"made"``: new. ``"completed"``: an earlier push had begun it. ``"found"``: it was
        complete. ``"under_review"``: it was complete and somebody has changed it since; nothing
        was sent.
    """

    frame_names: tuple[str, ...] = ()
    outcome: Literal["made", "completed", "found", "under_review"] = "made"


@dataclass(frozen=True)
class Job:
    """A reviewer's part of a task.

    Parameters
    ----------
    state
        ``"new"``, ``"in progress"``, ``"rejected"`` or ``"completed"``.
    stage
        ``"annotation"``, ``"validation"`` or ``"acceptance"``.
    assignee
        User name, or None.
    start_frame, stop_frame
        First and last frame, both included.
    updated
        When it changed last (ISO 8601), or None.
    """

    id: int
    task_id: int
    state: str
    stage: str
    assignee: str | None
    start_frame: int
    stop_frame: int
    updated: str | None
    url: str

    @property
    def finished(self) -> bool:
        """Whether the reviewer has marked it completed."""
        return self.state == "completed"

    @property
    def frames(self) -> range:
        """Frames of the task that it covers."""
        return range(self.start_frame, self.stop_frame + 1)


@dataclass(frozen=True)
class TaskPoses:
    """What came back from a task.

    Parameters
    ----------
    label
        The skeleton label; the points of all poses are in its order.
    frame_names
        File names as the task has them, by frame; ``frame_<number in the video>`` for a video.
    sizes
        (width, height) in pixels, by frame.
    jobs
        All annotation jobs.
    finished
        Frames that only completed jobs cover.
    deleted
        Frames that somebody deleted in CVAT; they have no poses and are not in `finished`.
    poses
        Frame to poses. A frame of `finished` that is not here was confirmed to show no one.
    """

    task_id: int
    label: SkeletonLabel
    frame_names: tuple[str, ...]
    sizes: tuple[tuple[int, int], ...]
    jobs: tuple[Job, ...]
    finished: frozenset[int]
    deleted: frozenset[int]
    poses: dict[int, list[Pose]] = field(default_factory=dict)


def connect(
    url: str,
    *,
    token: str | None = None,
    user: str | None = None,
    password: str | None = None,
    organization: str | None = None,
    ca_file: str | Path | None = None,
    verify: bool = True,
    timeout_s: float = 300.0,
    retries: int = 3,
    backoff_s: float = 0.5,
    poll_s: float = 0.2,
    wait_s: float = 3600.0,
) -> "Server":
    """Log in to a CVAT server.

    Parameters
    ----------
    url
        Like ``https://cvat.example.org``; without a scheme it is https.
    token
        Personal access token (CVAT: Profile, Security); preferred to user and password.
    user, password
        Login, if there is no token.
    organization
        Short name of the organisation to work in; ``""`` is the personal workspace, None leaves
        it open.
    ca_file
        Certificate (PEM) of the institution that signed the server's.
    verify
        False connects without checking the certificate, with a warning.
    timeout_s
        Longest wait for one answer.
    retries, backoff_s
        How often requests that are safe to repeat are sent again after a broken connection or an
        answer of 429, 502, 503 or 504, and the factor of the growing pause between.
    poll_s, wait_s
        First pause between looks at background work, and the longest wait for it.

    Returns
    -------
    Server
        A context manager; leaving it logs out.

    Raises
    ------
    AddressError, TlsError, NotCvatError, VersionError, LoginError
        By what is wrong; no message holds a password or token.
    """
    transport, name = open_transport(
        url,
        token=token,
        user=user,
        password=password,
        organization=organization,
        ca_file=ca_file,
        verify=verify,
        timeout_s=timeout_s,
        retries=retries,
        backoff_s=backoff_s,
        poll_s=poll_s,
        wait_s=wait_s,
    )
    return Server(transport, name)


class Server:
    """A logged-in CVAT server; made by `connect`.

    Every method raises `cvat_bridge.errors.ServerError` in one of its kinds when the server
    cannot be reached or refuses; only further errors are listed below.
    """

    def __init__(self, transport: Transport, user: str) -> None:
        self._transport = transport
        self.user = user

    def __repr__(self) -> str:
        return f"<CVAT at {self.url} as {self.user}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def url(self) -> str:
        """Address of the server."""
        return self._transport.url

    def close(self) -> None:
        """Log out; never fails."""
        self._transport.close()

    def project(self, name: str, skeleton: Skeleton) -> Project:
        """Return the project of this name whose label is `skeleton`, making it if there is none.

        Raises
        ------
        ConflictError
            If projects of this name exist, but none with this label; says how they differ.
        """
        if not 0 < len(name) <= MAX_NAME_LENGTH:
            raise PayloadError(f"A project's name has 1 to {MAX_NAME_LENGTH} characters: {name!r}.")
        doing = f"Looking for project {name!r}"
        listed = self._transport.pages("/api/projects", doing=doing, name=name)
        ids = sorted(int(item["id"]) for item in listed if item["name"] == name)
        told = []
        for project_id in ids:
            label, difference = self._compared(project_id, skeleton)
            if label is not None and not difference:
                return self._project(project_id, name, label)
            told.append(f"project {project_id}: {difference}")
        if ids:
            raise ConflictError(
                f"A project named {name!r} is there, but with another label ({'; '.join(told)}). "
                "Choose another project name, or use that project's own skeleton."
            )
        made = self._transport.json(
            "POST",
            "/api/projects",
            doing=f"Making project {name!r}",
            body={"name": name, "labels": [skeleton.to_label()]},
        )
        label, difference = self._compared(int(made["id"]), skeleton)
        if label is None or difference:
            raise ConflictError(f"The server stored the label of {name!r} otherwise: {difference}.")
        return self._project(int(made["id"]), name, label, created=True)

    def labels(
        self, *, task_id: int | None = None, project_id: int | None = None
    ) -> list[SkeletonLabel]:
        """List the skeleton labels of a task or a project, whatever tool drew them.

        Raises
        ------
        SkeletonError
            If one has a drawing that CVAT itself could not export.
        """
        labels = self._raw_labels(task_id=task_id, project_id=project_id)
        return [SkeletonLabel.from_server(label) for label in labels]

    def tasks(self, project_id: int) -> list[Task]:
        """List the tasks of a project, by id."""
        # Asked first, because a list of tasks of a project that is not there is merely empty.
        doing = f"Reading project {project_id}"
        self._transport.json("GET", f"/api/projects/{int(project_id)}", doing=doing)
        listed = self._transport.pages("/api/tasks", doing=doing, project_id=int(project_id))
        return sorted((self._task(item) for item in listed), key=lambda task: task.id)

    def find_task(self, name: str, *, project_id: int | None = None) -> Task | None:
        """Return the only task of this name, in this project if one is given, or None.

        Raises
        ------
        ConflictError
            If there are several.
        """
        query = {"name": name} | ({} if project_id is None else {"project_id": project_id})
        listed = self._transport.pages("/api/tasks", doing=f"Looking for task {name!r}", **query)
        found = [self._task(item) for item in listed if item["name"] == name]
        if len(found) > 1:
            ids = ", ".join(str(task.id) for task in found)
            raise ConflictError(
                f"There are {len(found)} tasks named {name!r} (ids {ids}); look which one holds "
                "the review and delete the others in CVAT."
            )
        return found[0] if found else None

    def push(
        self,
        project: Project,
        name: str,
        frames: Iterable[Frame],
        *,
        frames_per_task: int = FRAMES_PER_TASK,
        **options: Any,
    ) -> Iterator[PushedTask]:
        """Send any number of frames as tasks ``<name>-1``, ``<name>-2``, ... of limited size.

        Frames are taken from the iterator task by task, and numbered through all tasks
        (``frame_000500`` is the first of the second task), so that exports of two tasks cannot be
        mixed up. Yields each task as soon as it is complete.

        Parameters
        ----------
        project, name, frames
            As `push_task`.
        frames_per_task
            The last task may hold fewer.
        **options
            Of `push_task`.
        """
        if frames_per_task < 1:
            raise PayloadError(f"frames_per_task must be 1 or more, not {frames_per_task}.")
        remaining = iter(frames)
        sent = part = 0
        while chunk := number_frames_of(remaining, frames_per_task, start=sent):
            part += 1
            sent += len(chunk)
            yield self.push_task(project, f"{name}-{part}", chunk, **options)

    def push_task(
        self,
        project: Project,
        name: str,
        frames: Iterable[Frame],
        *,
        as_tracks: bool = False,
        subset: str | None = None,
        segment_size: int | None = None,
        overlap: int | None = None,
        assignee: str | None = None,
        image_quality: int = 95,
        progress: Progress | None = None,
    ) -> PushedTask:
        """Make one task with these frames and poses, or complete the one that is there.

        In this order: everything is checked on this side; a task of this name is looked for; it
        is made, the pictures uploaded, and every frame's name, place and size compared with what
        was sent; the poses are sent in one request, read back and compared. A task whose pictures
        never arrived in full is deleted and made anew. Annotations are only sent to a task that
        has none and that nobody has begun to review.

        Parameters
        ----------
        project
            From `Server.project`.
        name
            Name of the task; carries the run, since by it a repeated push finds the task.
        frames
            In order. Frames without a name are numbered from 0.
        as_tracks
            Send the poses of one ``track_id`` as one skeleton track; poses without are shapes.
        subset
            Name of the subset in exports (``"train"``).
        segment_size, overlap
            Frames of one job, and of two neighbouring jobs in common; None makes one job.
        assignee
            User name of the reviewer.
        image_quality
            1 to 100, of the pictures that the reviewer sees; the sent ones are kept as they are.
        progress
            Called as work proceeds.

        Returns
        -------
        PushedTask

        Raises
        ------
        PayloadError
            If something may not be sent; names frame and point. Nothing stays on the server.
        ConflictError
            If the task of this name holds other frames, or the server stored something else.
        RequestFailedError
            If the server could not read the pictures; the task is deleted.
        """
        named = number_frames(frames)
        report = progress or _quiet
        annotations = _annotations(named, project.label, as_tracks=as_tracks)
        spec = _task_spec(project, name, subset, segment_size, overlap, image_quality)
        task = self._settled(self.find_task(name, project_id=project.id))
        outcome: Literal["made", "completed", "found", "under_review"] = "made"
        if task is None:
            if assignee is not None:
                spec["assignee_id"] = self._user_id(assignee)
            task = self._make(spec, named, image_quality, report)
            if annotations["shapes"] or annotations["tracks"]:
                self._annotate(task, project.label, annotations, report)
        else:
            self._check_frames(task, named)
            outcome = self._complete(task, project.label, annotations, report)
        names = tuple(str(frame.name) for frame in named)
        return PushedTask(
            id=task.id,
            name=name,
            project_id=project.id,
            size=len(named),
            url=task.url,
            frame_names=names,
            outcome=outcome,
        )

    def jobs(self, task_id: int) -> list[Job]:
        """List the annotation jobs of a task, by their first frame."""
        doing = f"Reading the jobs of task {task_id}"
        listed = self._transport.pages("/api/jobs", doing=doing, task_id=int(task_id))
        # Ground-truth jobs and consensus replicas repeat frames of the annotation jobs.
        jobs = [
            self._job(item) for item in listed if item.get("type", "annotation") == "annotation"
        ]
        return sorted(jobs, key=lambda job: (job.start_frame, job.id))

    def download(
        self,
        task_id: int,
        *,
        finished_only: bool = True,
        label: str | Skeleton | None = None,
    ) -> TaskPoses:
        """Read what a task holds now, with full precision.

        Parameters
        ----------
        task_id
            Of any task, made here or by hand.
        finished_only
            Give only the poses on frames whose jobs are all marked completed.
        label
            Name of the skeleton label, or the skeleton that it must have; None takes the only
            one.

        Returns
        -------
        TaskPoses

        Raises
        ------
        ConflictError
            If there is no such label, or several to choose from, or the skeleton differs.
        """
        doing = f"Reading task {task_id}"
        self._transport.json("GET", f"/api/tasks/{int(task_id)}", doing=doing)
        chosen = self._label_of(task_id, label)
        names, sizes, deleted = self._frames_of(task_id)
        # Jobs before annotations: what a job marked completed held then is in what is read next.
        jobs = self.jobs(task_id)
        open_frames = {frame for job in jobs if not job.finished for frame in job.frames}
        finished = {frame for job in jobs for frame in job.frames} - open_frames - deleted
        poses = from_annotations(
            self._annotations_of(task_id), chosen, frame_count=len(names), skip_frames=deleted
        )
        if finished_only:
            poses = {frame: found for frame, found in poses.items() if frame in finished}
        return TaskPoses(
            task_id=int(task_id),
            label=chosen,
            frame_names=names,
            sizes=sizes,
            jobs=tuple(jobs),
            finished=frozenset(finished),
            deleted=frozenset(deleted),
            poses=poses,
        )

    def export_yolo_pose(
        self, task_id: int, path: str | Path, *, include_images: bool = False
    ) -> Path:
        """Export a task as "Ultralytics YOLO Pose 1.0" to a zip, replacing what is there.

        CVAT rounds to 0.01 px, lists frames of all jobs and leaves deleted frames out. If the
        same export is running already, its result is taken.

        Raises
        ------
        FormatError
            If what came is no zip.
        """
        import zipfile

        target = Path(path)
        if not target.parent.is_dir():
            raise FileNotFoundError(f"The folder {target.parent} is not there; make it first.")
        doing = f"Exporting task {task_id}"
        request_id = self._transport.start(
            "POST",
            f"/api/tasks/{int(task_id)}/dataset/export",
            doing=doing,
            query={"format": YOLO_POSE_FORMAT, "save_images": include_images},
        )
        done = self._transport.wait(request_id, doing=doing)
        self._transport.save(str(done["result_url"]), target, doing=doing)
        if not zipfile.is_zipfile(target):
            target.unlink()
            raise FormatError(f"{doing}: the server sent something that is no zip; try again.")
        return target

    def delete_task(self, task_id: int) -> None:
        """Delete a task with its pictures and annotations; one that is gone is no error."""
        with suppress(NotFoundError):
            self._transport.request(
                "DELETE", f"/api/tasks/{int(task_id)}", doing=f"Deleting task {task_id}"
            )

    def _project(
        self, project_id: int, name: str, label: SkeletonLabel, *, created: bool = False
    ) -> Project:
        url = f"{self.url}/projects/{project_id}"
        return Project(project_id, name, label, url, created)

    def _compared(self, project_id: int, skeleton: Skeleton) -> tuple[SkeletonLabel | None, str]:
        labels = self._raw_labels(project_id=project_id)
        named = [label for label in labels if label["name"] == skeleton.name]
        if not named:
            return None, f"it has no skeleton label {skeleton.name!r}"
        try:
            label = SkeletonLabel.from_server(named[0])
        except CvatError as error:
            return None, str(error)
        return label, "; ".join(skeleton.differences(label.skeleton))

    def _raw_labels(self, **query: int | None) -> list[dict[str, Any]]:
        chosen = {key: int(value) for key, value in query.items() if value is not None}
        owner, number = next(iter(chosen.items()))
        doing = f"Reading the labels of {owner.removesuffix('_id')} {number}"
        listed = self._transport.pages("/api/labels", doing=doing, **chosen)
        return [label for label in listed if label.get("type") == "skeleton"]

    def _task(self, item: Mapping[str, Any]) -> Task:
        return Task(
            id=int(item["id"]),
            name=str(item["name"]),
            project_id=item.get("project_id"),
            size=int(item.get("size") or 0),
            url=f"{self.url}/tasks/{item['id']}",
        )

    def _job(self, item: Mapping[str, Any]) -> Job:
        return Job(
            id=int(item["id"]),
            task_id=int(item["task_id"]),
            state=str(item["state"]),
            stage=str(item["stage"]),
            assignee=(item.get("assignee") or {}).get("username"),
            start_frame=int(item["start_frame"]),
            stop_frame=int(item["stop_frame"]),
            updated=item.get("updated_date"),
            url=f"{self.url}/tasks/{item['task_id']}/jobs/{item['id']}",
        )

    def _settled(self, task: Task | None) -> Task | None:
        """Wait for a task's pictures; None if there is none or it had to be deleted."""
        if task is None or task.size:
            return task
        doing = f"Waiting for the pictures of task {task.id}"
        running = self._transport.pages(
            "/api/requests", doing=doing, task_id=task.id, action="create"
        )
        for request in running:
            if request["status"] in ("queued", "started"):
                with suppress(RequestFailedError, NotFoundError):
                    self._transport.wait(str(request["id"]), doing=doing)
        with suppress(NotFoundError):
            item = self._transport.json("GET", f"/api/tasks/{task.id}", doing=doing)
            if item.get("size"):
                return self._task(item)
            self.delete_task(task.id)
        return None

    def _make(
        self,
        spec: Mapping[str, Any],
        frames: Sequence[Frame],
        image_quality: int,
        progress: Progress,
    ) -> Task:
        doing = f"Making task {spec['name']!r}"
        task = self._task(self._transport.json("POST", "/api/tasks", doing=doing, body=spec))
        try:
            request_id = self._upload(task, frames, image_quality, progress)
        except BaseException:
            # Half an upload cannot be completed: CVAT takes the pictures of a task only once.
            self._give_up(task)
            raise
        try:
            self._transport.wait(
                request_id,
                doing=f"Reading the pictures of task {task.id}",
                progress=lambda share: progress("wait", round(share * len(frames)), len(frames)),
            )
            self._check_frames(task, frames)
        except (RequestFailedError, ConflictError):
            self._give_up(task)
            raise
        return task

    def _give_up(self, task: Task) -> None:
        with suppress(CvatError):
            self.delete_task(task.id)

    def _upload(
        self, task: Task, frames: Sequence[Frame], image_quality: int, progress: Progress
    ) -> str:
        doing = f"Uploading the pictures of task {task.id}"
        path = f"/api/tasks/{task.id}/data/"
        self._transport.request("POST", path, doing=doing, headers={"Upload-Start": ""})
        names: list[str] = []
        for group in upload_groups(frames):
            files = {f"client_files[{index}]": file for index, file in enumerate(group)}
            self._transport.request(
                "POST",
                path,
                doing=doing,
                fields={"image_quality": str(image_quality), **files},
                headers={"Upload-Multiple": ""},
            )
            names += [name for name, _ in group]
            progress("upload", len(names), len(frames))
        return self._transport.start(
            "POST",
            path,
            doing=doing,
            headers={"Upload-Finish": ""},
            body={
                "image_quality": image_quality,
                "sorting_method": "predefined",
                "upload_file_order": names,
            },
        )

    def _check_frames(self, task: Task, frames: Sequence[Frame]) -> None:
        names, sizes, _ = self._frames_of(task.id)
        stems = [Path(name).stem for name in names]
        expected = [str(frame.name) for frame in frames]
        if stems != expected:
            wrong = next(
                (
                    i
                    for i, pair in enumerate(zip(stems, expected, strict=False))
                    if len({*pair}) > 1
                ),
                min(len(stems), len(expected)),
            )
            raise ConflictError(
                f"Task {task.id} ({task.name!r}) holds {len(stems)} frames, this push "
                f"{len(expected)}; they differ from frame {wrong} on. Delete that task in CVAT or "
                "push under another key."
            )
        for number, (size, frame) in enumerate(zip(sizes, frames, strict=True)):
            if size != (frame.width, frame.height):
                raise ConflictError(
                    f"Task {task.id}, frame {number}: CVAT shows {size[0]} x {size[1]} pixels, "
                    f"the poses are meant for {frame.width} x {frame.height}."
                )

    def _complete(
        self, task: Task, label: SkeletonLabel, annotations: Annotations, progress: Progress
    ) -> Literal["completed", "found", "under_review"]:
        stored = self._annotations_of(task.id)
        if _same(stored, annotations, label, task.size):
            return "found"
        empty = not any(stored.get(kind) for kind in ("shapes", "tracks", "tags"))
        if not empty or any(job.state != "new" for job in self.jobs(task.id)):
            return "under_review"
        self._annotate(task, label, annotations, progress)
        return "completed"

    def _annotate(
        self, task: Task, label: SkeletonLabel, annotations: Annotations, progress: Progress
    ) -> None:
        count = sum(len(items) for items in annotations.values())
        progress("annotate", 0, count)
        # One PUT replaces all annotations at once, so there is never half of them; and 1,000
        # skeletons in one request take a third of the time of ten requests of 100.
        self._transport.request(
            "PUT",
            f"/api/tasks/{task.id}/annotations/",
            doing=f"Sending the poses of task {task.id}",
            body={"version": 0, "tags": [], **annotations},
        )
        if not _same(self._annotations_of(task.id), annotations, label, task.size or None):
            self._give_up(task)
            raise ConflictError(
                f"The server stored other poses in task {task.id} than were sent, so the task was "
                "deleted; look into the server's log, then push again."
            )
        progress("annotate", count, count)

    def _annotations_of(self, task_id: int) -> dict[str, Any]:
        path = f"/api/tasks/{int(task_id)}/annotations/"
        return dict(self._transport.json("GET", path, doing=f"Reading the poses of task {task_id}"))

    def _frames_of(
        self, task_id: int
    ) -> tuple[tuple[str, ...], tuple[tuple[int, int], ...], set[int]]:
        doing = f"Reading the frames of task {task_id}"
        meta = self._transport.json("GET", f"/api/tasks/{int(task_id)}/data/meta", doing=doing)
        frames = meta["frames"]
        count = int(meta.get("size") or len(frames))
        names = tuple(str(frame["name"]) for frame in frames)
        sizes = tuple((int(frame["width"]), int(frame["height"])) for frame in frames)
        if len(frames) == 1 and count > 1:
            step = int(str(meta.get("frame_filter") or "step=1").rpartition("=")[2])
            start = int(meta.get("start_frame") or 0)
            names = tuple(f"frame_{start + index * step:06d}" for index in range(count))
            sizes = sizes * count
        return names, sizes, {int(frame) for frame in meta.get("deleted_frames") or ()}

    def _label_of(self, task_id: int, wanted: str | Skeleton | None) -> SkeletonLabel:
        raw = self._raw_labels(task_id=task_id)
        names = [str(label["name"]) for label in raw]
        name = wanted.name if isinstance(wanted, Skeleton) else wanted
        if name is None and len(raw) != 1:
            raise ConflictError(
                f"Task {task_id} has {len(raw)} skeleton labels ({', '.join(names) or 'none'}); "
                "name the one to read."
            )
        if name is not None and name not in names:
            raise ConflictError(
                f"Task {task_id} has no skeleton label {name!r}, only "
                f"{', '.join(names) or 'none at all'}."
            )
        label = SkeletonLabel.from_server(raw[0 if name is None else names.index(name)])
        if isinstance(wanted, Skeleton):
            difference = "; ".join(wanted.differences(label.skeleton))
            if difference:
                raise ConflictError(
                    f"The label {name!r} of task {task_id} is another skeleton: {difference}."
                )
        return label

    def _user_id(self, name: str) -> int:
        doing = f"Looking for user {name!r}"
        for user in self._transport.pages("/api/users", doing=doing, username=name):
            if user["username"] == name:
                return int(user["id"])
        raise NotFoundError(
            f"There is no user {name!r} on {self.url}, or this account cannot see them; check the "
            "name, or leave the assignee out and assign the jobs in CVAT."
        )


def number_frames_of(frames: Iterator[Frame], count: int, *, start: int) -> list[Frame]:
    """Take up to `count` frames from an iterator and number them; empty at its end."""
    chunk = list(islice(frames, count))
    return number_frames(chunk, start=start) if chunk else []


def _quiet(step: str, done: int, total: int) -> None:
    """Report nothing."""


def _task_spec(
    project: Project,
    name: str,
    subset: str | None,
    segment_size: int | None,
    overlap: int | None,
    image_quality: int,
) -> dict[str, Any]:
    if not 0 < len(name) <= MAX_NAME_LENGTH:
        raise PayloadError(f"A task's name has 1 to {MAX_NAME_LENGTH} characters: {name!r}.")
    if not 1 <= image_quality <= 100:
        raise PayloadError(f"image_quality is a percentage from 1 to 100, not {image_quality}.")
    if segment_size is not None and segment_size < 1:
        raise PayloadError(f"segment_size must be 1 frame or more, not {segment_size}.")
    if overlap is not None and not 0 <= overlap < (segment_size or 1):
        raise PayloadError(
            f"overlap is {overlap} frames; it must be less than segment_size ({segment_size})."
        )
    # Seen in CVAT 2.54: a subset with a slash makes every export fail, "names" is a key of
    # data.yaml.
    if subset and ("/" in subset or "\\" in subset or subset in ("names", "path", "kpt_shape")):
        raise PayloadError(f"CVAT cannot export a subset named {subset!r}; choose another name.")
    optional = {"subset": subset, "segment_size": segment_size, "overlap": overlap}
    given = {key: value for key, value in optional.items() if value is not None}
    return {"name": name, "project_id": project.id, **given}


def _annotations(frames: Sequence[Frame], label: SkeletonLabel, *, as_tracks: bool) -> Annotations:
    shapes: list[dict[str, Any]] = []
    tracks: dict[int, dict[int, Pose]] = {}
    for number, frame in enumerate(frames):
        for pose in frame.poses:
            if not as_tracks or pose.track_id is None:
                shapes.append(to_shape(pose, number, label))
            elif number in tracks.setdefault(pose.track_id, {}):
                raise PayloadError(
                    f"Frame {number}: two poses have the track number {pose.track_id}; one person "
                    "is on a frame once."
                )
            else:
                tracks[pose.track_id][number] = pose
    annotations = {
        "shapes": shapes,
        "tracks": [
            to_track(poses, label, frame_count=len(frames)) for _, poses in sorted(tracks.items())
        ],
    }
    check_annotations(annotations, label, frame_count=len(frames))
    return annotations


def _same(
    stored: Mapping[str, Any], sent: Annotations, label: SkeletonLabel, size: int | None
) -> bool:
    """Whether the server's annotations are those that were sent, ids and order aside."""
    for kind in ("shapes", "tracks", "tags"):
        if len(stored.get(kind) or ()) != len(sent.get(kind, ())):
            return False
    frame_count = size or 1 + max((shape["frame"] for shape in _all_shapes(sent)), default=0)
    ours, theirs = (
        from_annotations(annotations, label, frame_count=frame_count)
        for annotations in (sent, stored)
    )
    return ours.keys() == theirs.keys() and all(
        Counter(map(_fingerprint, ours[frame])) == Counter(map(_fingerprint, theirs[frame]))
        for frame in ours
    )


def _all_shapes(annotations: Annotations) -> Iterator[dict[str, Any]]:
    yield from annotations["shapes"]
    for track in annotations["tracks"]:
        yield from track["shapes"]


def _fingerprint(pose: Pose) -> tuple[bytes, bytes]:
    # The API keeps full float precision, so what was sent comes back to the last bit; + 0.0
    # makes -0.0 the zero that it equals.
    return pose.visibility.tobytes(), (pose.points + 0.0).tobytes()
