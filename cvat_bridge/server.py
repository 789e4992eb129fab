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

import logging
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from inspect import signature
from itertools import chain, islice, pairwise
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from cvat_bridge.annotating import Progress, delete_task
from cvat_bridge.errors import FormatError, PayloadError
from cvat_bridge.frames import Frame, number_frames
from cvat_bridge.one_at_a_time import one_at_a_time
from cvat_bridge.projects import find_or_make_project
from cvat_bridge.pushing import (
    FRAMES_PER_TASK,
    check_options,
    push_task,
    report_nothing,
    split_into_tasks,
)
from cvat_bridge.reading import (
    choose_label,
    find_task,
    read_annotations,
    read_frames,
    read_job_annotations,
    read_jobs,
    read_labels,
)
from cvat_bridge.shapes import from_jobs
from cvat_bridge.skeleton import Skeleton, SkeletonLabel
from cvat_bridge.tasks import YOLO_POSE_FORMAT, Job, Project, PushedTask, Task, TaskPoses
from cvat_bridge.transport import Transport

__all__ = ["Job", "Project", "PushedTask", "Server", "Task", "TaskPoses"]

logger = logging.getLogger(__name__)


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
    def organization(self) -> str | None:
        """Short name of the organisation; ``""`` is the personal workspace, None leaves it open."""
        return self._transport.organization

    @property
    def url(self) -> str:
        """Address of the server."""
        return self._transport.url

    def close(self) -> None:
        """Log out; never fails."""
        self._transport.close()

    def project(self, name: str, skeleton: Skeleton) -> Project:
        """Return the project of this name whose label is `skeleton`, making it if there is none.

        Where no organisation was named, one of the personal workspace comes first, then that of
        the only organisation that has one; a new one is personal. What follows happens there.

        Raises
        ------
        ConflictError
            If projects of this name exist, but none with this label; says how they differ. Or if
            several organisations have one.
        """
        with self._alone(f"project {name}", "making a project"):
            return find_or_make_project(self._transport, name, skeleton)

    def add_guide(self, project: Project, markdown: str) -> None:
        """Give a project the text that reviewers can open beside their job."""
        body = {"project_id": project.id, "markdown": markdown}
        doing = f"Writing the guide of project {project.name!r}"
        self._transport.request("POST", "/api/guides", doing=doing, body=body)

    def labels(
        self, *, task_id: int | None = None, project_id: int | None = None
    ) -> list[SkeletonLabel]:
        """List the skeleton labels of a task or a project, whatever tool drew them.

        Raises
        ------
        SkeletonError
            If one has a drawing that CVAT itself could not export.
        """
        labels = read_labels(self._transport, task_id=task_id, project_id=project_id)
        return [SkeletonLabel.from_server(label) for label in labels]

    def tasks(self, project_id: int) -> list[Task]:
        """List the tasks of a project, by id."""
        # Asked first, because a list of tasks of a project that is not there is merely empty.
        doing = f"Reading project {project_id}"
        self._transport.json("GET", f"/api/projects/{int(project_id)}", doing=doing)
        listed = self._transport.pages("/api/tasks", doing=doing, project_id=int(project_id))
        return sorted(
            (Task.from_server(item, self.url) for item in listed), key=lambda task: task.id
        )

    def find_task(self, name: str, *, project_id: int | None = None) -> Task | None:
        """Return the only task of this name, in this project if one is given, or None.

        Raises
        ------
        ConflictError
            If there are several.
        """
        return find_task(self._transport, name, project_id)

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
        mixed up. Yields each task as soon as it is complete: **nothing is sent until somebody
        iterates**, ``tasks = list(server.push(...))``.

        Parameters
        ----------
        project, name, frames
            As `push_task`.
        frames_per_task
            The last task may hold fewer.
        **options
            Of `push_task`.

        Returns
        -------
        iterator of PushedTask

        Raises
        ------
        PayloadError
            At once if there is no frame or an option would be refused; while iterating as
            `push_task`, or if a frame has the name of one in an earlier task.
        """
        if frames_per_task < 1:
            raise PayloadError(f"frames_per_task must be 1 or more, not {frames_per_task}.")
        # A misspelt option is a TypeError here, not when the first task is sent.
        signature(self.push_task).bind(project, name, (), **options)
        known = ("subset", "segment_size", "image_quality")
        check_options(f"{name}-1", **{key: options[key] for key in known if key in options})
        remaining = iter(frames)
        first = list(islice(remaining, 1))
        if not first:
            raise PayloadError("There are no frames to send; CVAT makes no task without pictures.")
        parts = split_into_tasks(name, chain(first, remaining), frames_per_task)
        return (self.push_task(project, part, named, **options) for part, named in parts)

    def push_task(
        self,
        project: Project,
        name: str,
        frames: Iterable[Frame],
        *,
        as_tracks: bool = False,
        subset: str | None = None,
        segment_size: int | None = None,
        assignee: str | None = None,
        image_quality: int = 95,
        resumed: bool = False,
        progress: Progress | None = None,
    ) -> PushedTask:
        """Make one task with these frames and poses, or complete the one that is there.

        In this order: everything is checked on this side; a task of this name is looked for; it
        is made, the pictures uploaded, and every frame's name, place and size compared with what
        was sent; the poses are sent in one request, read back and compared. A task whose pictures
        never arrived in full is deleted and made anew. Annotations are only sent to a task that
        has none and that nobody has begun to review. A task that is there stays as it was made:
        `subset`, `segment_size` and `image_quality` are for a new one.

        Parameters
        ----------
        project
            From `Server.project`.
        name
            Name of the task; carries the run, since by it a repeated push finds the task. New
            poses of the same frames go under a new name.
        frames
            In order. Frames without a name are numbered from 0.
        as_tracks
            Send the poses of one ``track_id`` as one skeleton track; poses without are shapes,
            and so are poses without any point, which a track cannot hold (`poses.fits_track`).
            Not with several jobs a task: CVAT would cut the tracks.
        subset
            Name of the subset in exports (``"train"``).
        segment_size
            Frames of one job; None makes one job. Jobs do not overlap: CVAT would show each
            person twice on the frames that two have in common.
        assignee
            User name of the reviewer, of the task and of its jobs. Jobs that somebody has, or has
            begun, stay as they are.
        image_quality
            1 to 100, of the pictures that the reviewer sees; the sent ones are kept as they are.
        resumed
            An earlier push of these frames broke. Where no task has the name, the one of the
            project that holds just these frames is taken, because a person may have renamed it.
            A task keeps the poses that were sent then, should they be others now. Frames need
            names that no other push gives.
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
            If the task of this name holds other frames, or other poses that nobody has begun to
            review, or the server stored something else.
        RequestFailedError
            If the server could not read the pictures; the task is deleted.
        """
        named = number_frames(frames)
        with self._alone(f"project {project.id}, task {name}", "making a task"):
            task, outcome = push_task(
                self._transport,
                project,
                name,
                named,
                as_tracks=as_tracks,
                subset=subset,
                segment_size=segment_size,
                assignee=assignee,
                image_quality=image_quality,
                resumed=resumed,
                progress=progress or report_nothing,
            )
        return PushedTask(
            id=task.id,
            name=task.name,
            project_id=project.id,
            size=len(named),
            url=task.url,
            frame_names=tuple(str(frame.name) for frame in named),
            outcome=outcome,
        )

    def frames(self, task_id: int) -> tuple[tuple[str, ...], frozenset[int]]:
        """Read the names of a task's frames, in order, and the numbers of those deleted in CVAT."""
        names, _, deleted = read_frames(self._transport, task_id)
        return names, frozenset(deleted)

    def jobs(self, task_id: int) -> list[Job]:
        """List the annotation jobs of a task, by their first frame."""
        return read_jobs(self._transport, task_id)

    def download(
        self,
        task_id: int,
        *,
        finished_only: bool = True,
        label: str | Skeleton | None = None,
        new_tracks_from: int = 0,
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
        new_tracks_from
            See `poses.from_annotations`.

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
        chosen = choose_label(self._transport, task_id, label)
        names, sizes, deleted = read_frames(self._transport, task_id)
        # Jobs before annotations: what a job marked completed held then is in what is read next.
        jobs = read_jobs(self._transport, task_id)
        open_frames = {frame for job in jobs if not job.finished for frame in job.frames}
        finished = {frame for job in jobs for frame in job.frames} - open_frames - deleted
        if any(job.stop_frame >= after.start_frame for job, after in pairwise(jobs)):
            parts = [(job.frames, read_job_annotations(self._transport, job)) for job in jobs]
        else:
            parts = [(range(len(names)), read_annotations(self._transport, task_id))]
        poses = from_jobs(parts, chosen, skip_frames=deleted, new_tracks_from=new_tracks_from)
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
            If `path` is a folder, or what came is no zip; a file that was there stays as it was.
        """
        target = Path(path)
        if target.is_dir():
            raise FormatError(f"{target} is a folder. Give the name of a zip file in it.")
        if not target.parent.is_dir():
            raise FileNotFoundError(f"The folder {target.parent} is not there; make it first.")
        doing = f"Exporting task {task_id}"

        def check(part: Path) -> None:
            if not zipfile.is_zipfile(part):
                raise FormatError(f"{doing}: the server sent something that is no zip; try again.")

        request_id = self._transport.start(
            "POST",
            f"/api/tasks/{int(task_id)}/dataset/export",
            doing=doing,
            query={"format": YOLO_POSE_FORMAT, "save_images": include_images},
        )
        done = self._transport.wait(request_id, doing=doing)
        self._transport.save(str(done["result_url"]), target, doing=doing, check=check)
        return target

    def delete_task(self, task_id: int) -> None:
        """Delete a task with its pictures and annotations; one that is gone is no error."""
        delete_task(self._transport, task_id)

    def _alone(self, what: str, work: str) -> AbstractContextManager[bool]:
        """Look for something and make it without another process that does the same."""

        def tell(holder: str) -> None:
            logger.warning("Waiting for another one at work on %s (%s)", what, holder)

        return one_at_a_time(f"{self.url} {what}", work, tell)
