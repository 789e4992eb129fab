"""One task, made in one safe sequence, and made once however often it is tried.

A request whose answer was lost may have acted. So nothing that makes something is repeated
blindly: a task is looked for by its name first, what is there is compared with what was sent, and
what cannot be completed is deleted.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

from cvat_bridge.annotating import (
    Annotations,
    Progress,
    annotate,
    are_repeated,
    delete_quietly,
    delete_task,
    same_poses,
)
from cvat_bridge.errors import (
    ConflictError,
    NotFoundError,
    PayloadError,
    RequestFailedError,
)
from cvat_bridge.frames import Frame, number_frames, to_shapes_and_tracks, upload_groups
from cvat_bridge.payloads import check_annotations, check_subset
from cvat_bridge.reading import (
    find_renamed_task,
    find_task,
    read_annotations,
    read_frames,
    read_jobs,
)
from cvat_bridge.skeleton import SkeletonLabel
from cvat_bridge.tasks import Outcome, Project, Task
from cvat_bridge.transport import Transport

MAX_NAME_LENGTH = 256
"""Longest name of a project or task that CVAT stores."""

FRAMES_PER_TASK = 500
"""Frames of one task in a large push.

From 100 to 1,000 frames a task the time of a push is the same (benchmarks/cvat_push.py), and what
a broken push repeats grows.
"""


def push_task(
    transport: Transport,
    project: Project,
    name: str,
    frames: Sequence[Frame],
    *,
    as_tracks: bool,
    subset: str | None,
    segment_size: int | None,
    assignee: str | None,
    image_quality: int,
    resumed: bool,
    progress: Progress,
) -> tuple[Task, Outcome]:
    """Make or complete a task; see `cvat_bridge.server.Server.push_task`.

    `frames` are named. Returns the task and what was done with it.
    """
    annotations = to_annotations(frames, project.label, as_tracks=as_tracks)
    if annotations["tracks"] and segment_size is not None and segment_size < len(frames):
        # TaskAnnotation._patch_data slices what it is sent by job: it stores more tracks.
        raise PayloadError(
            f"CVAT cuts tracks where a job ends, and jobs of {segment_size} frames would cut these "
            f"{len(frames)}: leave segment_size out, or send shapes (as_tracks=False)."
        )
    check_options(name, subset=subset, segment_size=segment_size, image_quality=image_quality)
    spec = _task_spec(project, name, subset, segment_size)
    task = find_task(transport, name, project.id)
    if task is None and resumed:
        task = find_renamed_task(transport, project.id, [str(frame.name) for frame in frames])
    task = _settled(transport, task)
    user_id = None if assignee is None else _user_id(transport, assignee)
    if task is not None:
        _check_frames(transport, task, frames)
        outcome = _complete(
            transport,
            task,
            project.label,
            annotations,
            len(frames),
            resumed=resumed,
            progress=progress,
        )
        if user_id is not None and outcome != "under_review":
            _assign_jobs(transport, task, user_id)
        return task, outcome
    if user_id is not None:
        spec["assignee_id"] = user_id
    task = _make(transport, spec, frames, image_quality, progress)
    if user_id is not None:
        _assign_jobs(transport, task, user_id)
    if annotations["shapes"] or annotations["tracks"]:
        annotate(transport, task, project.label, annotations, len(frames), progress, is_new=True)
    return task, "made"


def to_annotations(
    frames: Sequence[Frame], label: SkeletonLabel, *, as_tracks: bool
) -> Annotations:
    """Turn the poses of a task's frames into checked shapes and tracks.

    Raises
    ------
    PayloadError
        If something may not be sent; names frame and point.
    """
    annotations = to_shapes_and_tracks(frames, range(len(frames)), label, as_tracks=as_tracks)
    check_annotations(annotations, label, frame_count=len(frames))
    return annotations


def split_into_tasks(
    name: str, frames: Iterator[Frame], frames_per_task: int
) -> Iterator[tuple[str, list[Frame]]]:
    """Yield tasks ``<name>-1``, ``<name>-2``, ... with their frames, numbered through all.

    Raises
    ------
    PayloadError
        A frame has the name of one in an earlier task.
    """
    used: set[str] = set()
    part = 0
    while chunk := list(islice(frames, frames_per_task)):
        named = number_frames(chunk, start=len(used))
        names = [str(frame.name).lower() for frame in named]
        for number, frame in enumerate(named, start=len(used)):
            if str(frame.name).lower() in used:
                raise PayloadError(
                    f"Frame {number}: the name {frame.name!r} is that of a frame in an earlier "
                    "task of this push; names must differ, or exports could be mixed up."
                )
        part += 1
        yield f"{name}-{part}", named
        used.update(names)


def check_options(
    name: str,
    *,
    subset: str | None = None,
    segment_size: int | None = None,
    image_quality: int = 95,
) -> None:
    """Refuse what CVAT would take and choke on later; see `cvat_bridge.server.Server.push_task`.

    Raises
    ------
    PayloadError
        Naming the option.
    """
    if not 0 < len(name) <= MAX_NAME_LENGTH:
        raise PayloadError(f"A task's name has 1 to {MAX_NAME_LENGTH} characters: {name!r}.")
    if not 1 <= image_quality <= 100:
        raise PayloadError(f"image_quality is a percentage from 1 to 100, not {image_quality}.")
    if segment_size is not None and segment_size < 1:
        raise PayloadError(f"segment_size must be 1 frame or more, not {segment_size}.")
    check_subset(subset or "")


def _task_spec(
    project: Project, name: str, subset: str | None, segment_size: int | None
) -> dict[str, Any]:
    optional = {"subset": subset, "segment_size": segment_size}
    given = {key: value for key, value in optional.items() if value is not None}
    return {"name": name, "project_id": project.id, **given}


def _settled(transport: Transport, task: Task | None) -> Task | None:
    """Wait for a task's pictures; None if there is none or it had to be deleted."""
    if task is None or task.size:
        return task
    doing = f"Waiting for the pictures of task {task.id}"
    running = transport.pages("/api/requests", doing=doing, task_id=task.id, action="create")
    for request in running:
        if request["status"] in ("queued", "started"):
            with suppress(RequestFailedError, NotFoundError):
                transport.wait(str(request["id"]), doing=doing)
    with suppress(NotFoundError):
        path = f"/api/tasks/{task.id}"
        item = transport.json("GET", path, doing=doing, needs=("id", "name"))
        if item.get("size"):
            return Task.from_server(item, transport.url)
        delete_task(transport, task.id)
    return None


def _make(
    transport: Transport,
    spec: Mapping[str, Any],
    frames: Sequence[Frame],
    image_quality: int,
    progress: Progress,
) -> Task:
    doing = f"Making task {spec['name']!r}"
    made = transport.json("POST", "/api/tasks", doing=doing, needs=("id", "name"), body=spec)
    task = Task.from_server(made, transport.url)
    try:
        request_id = _upload(transport, task, frames, image_quality, progress)
    except BaseException:
        # Half an upload cannot be completed: CVAT takes the pictures of a task only once.
        delete_quietly(transport, task)
        raise
    try:
        transport.wait(
            request_id,
            doing=f"Reading the pictures of task {task.id}",
            progress=lambda share: progress("wait", round(share * len(frames)), len(frames)),
        )
        _check_frames(transport, task, frames)
    except (RequestFailedError, ConflictError):
        delete_quietly(transport, task)
        raise
    return task


def _upload(
    transport: Transport,
    task: Task,
    frames: Sequence[Frame],
    image_quality: int,
    progress: Progress,
) -> str:
    doing = f"Uploading the pictures of task {task.id}"
    path = f"/api/tasks/{task.id}/data/"
    transport.request("POST", path, doing=doing, headers={"Upload-Start": ""})
    names: list[str] = []
    for group in upload_groups(frames):
        files = {f"client_files[{index}]": file for index, file in enumerate(group)}
        transport.request(
            "POST",
            path,
            doing=doing,
            fields={"image_quality": str(image_quality), **files},
            headers={"Upload-Multiple": ""},
        )
        names += [name for name, _ in group]
        progress("upload", len(names), len(frames))
    return transport.start(
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


def _check_frames(transport: Transport, task: Task, frames: Sequence[Frame]) -> None:
    names, sizes, _ = read_frames(transport, task.id)
    stems = [Path(name).stem for name in names]
    expected = [str(frame.name) for frame in frames]
    if stems != expected:
        wrong = next(
            (i for i, pair in enumerate(zip(stems, expected, strict=False)) if len({*pair}) > 1),
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
    transport: Transport,
    task: Task,
    label: SkeletonLabel,
    annotations: Annotations,
    frame_count: int,
    *,
    resumed: bool,
    progress: Progress,
) -> Outcome:
    stored = read_annotations(transport, task.id)
    if same_poses(stored, annotations, label, frame_count):
        return "found"
    drawn = [item for kind in ("shapes", "tracks", "tags") for item in stored.get(kind) or ()]
    # What a person draws, changes or imports is "manual", "semi-auto" or "file", and the first
    # save in CVAT's client begins the job.
    by_hand = any(item.get("source") != "auto" for item in drawn)
    if by_hand or any(job.state != "new" for job in read_jobs(transport, task.id)):
        return "under_review"
    # CVAT stores persons twice where two requests with them overlap.
    if not drawn or are_repeated(stored, annotations, label, frame_count):
        annotate(transport, task, label, annotations, frame_count, progress, is_new=False)
        return "completed"
    if resumed:
        # The push that broke may have had frames or poses that are gone since.
        return "kept"
    raise ConflictError(
        f"Task {task.id} ({task.name!r}) holds other poses than this push, and nobody has begun to "
        "review them: they are of an earlier push. Delete that task in CVAT or push under another "
        "name."
    )


def _assign_jobs(transport: Transport, task: Task, user_id: int) -> None:
    """Give the jobs that nobody has to a user; who is assigned to the task alone sees no job."""
    for job in read_jobs(transport, task.id):
        if job.assignee is None and job.state == "new":
            doing = f"Assigning job {job.id} of task {task.id}"
            transport.request(
                "PATCH", f"/api/jobs/{job.id}", doing=doing, body={"assignee": user_id}
            )


def _user_id(transport: Transport, name: str) -> int:
    doing = f"Looking for user {name!r}"
    for user in transport.pages("/api/users", doing=doing, username=name):
        if user["username"] == name:
            return int(user["id"])
    raise NotFoundError(
        f"There is no user {name!r} on {transport.url}, or this account cannot see them; check "
        "the name, or leave the assignee out and assign the jobs in CVAT."
    )


def report_nothing(step: str, done: int, total: int) -> None:
    """Stand in for a progress function."""
