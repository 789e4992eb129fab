"""What came back of a review run: from its tasks on a server, or from a file."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from cvat_bridge.errors import FormatError, NotFoundError
from cvat_bridge.poses import Pose
from fiftyone_legpose.cvat.label_files import read_label_file
from fiftyone_legpose.cvat.run import Run, SentTask
from fiftyone_legpose.files import file_sha256

if TYPE_CHECKING:
    from cvat_bridge.server import Job, Server, TaskPoses


@dataclass(frozen=True)
class Returned:
    """What came back of one task or file; frames by their position in the run."""

    poses: Mapping[int, list[Pose]]
    """Finished frames alone; track ids are those of the dataset again."""
    numbers: Mapping[int, list[int | None]] = field(default_factory=dict)
    """Of each of those poses: its number in the run, as far as CVAT has kept it."""
    by: Mapping[int, str | None] = field(default_factory=dict)
    """Reviewer of each finished frame."""
    at: Mapping[int, datetime | None] = field(default_factory=dict)
    """When the reviewer's job changed last."""
    waiting: int = 0
    """Frames that are not finished."""
    deleted: int = 0
    """Frames that somebody deleted in CVAT."""
    gone: str | None = None
    """Address of a task that is not there any more."""


def from_server(
    run: Run,
    server: "Server",
    *,
    highest_track: Callable[[str], int],
    finished_only: bool = True,
) -> Iterator[Returned]:
    """Fetch a run's tasks, one after the other.

    Parameters
    ----------
    run
        What was sent.
    server
        Where its tasks are.
    highest_track
        Tells the highest track number of a sample, by its id, -1 where nobody has one: a person
        whom a reviewer added gets a higher one.
    finished_only
        Leave out frames whose jobs are not all marked completed.

    Raises
    ------
    ConflictError
        A task holds other frames than were sent, or another skeleton.
    """
    for task in run.tasks:
        try:
            found = server.download(
                task.id,
                finished_only=finished_only,
                label=run.skeleton,
                new_tracks_from=len(run.people),
            )
        except NotFoundError:
            yield Returned({}, waiting=task.frames, gone=task.url)
            continue
        yield _from_task(run, task, found, highest_track, finished_only)


def from_file(run: Run, path: str | Path, *, highest_track: Callable[[str], int]) -> Returned:
    """Read an export or task backup of one of a run's tasks; all its frames count as finished.

    Raises
    ------
    FormatError
        It is no such file, holds no frame of this run, or is the very file that went out.
    """
    path = Path(path)
    if run.file_sha256 and path.is_file() and file_sha256(path) in run.file_sha256:
        raise FormatError(
            f"{path} is the file that push wrote, so nobody has corrected it: create a task from "
            "it in CVAT, and pull the export of that task."
        )
    position = {name: i for i, name in enumerate(run.frames.names)}
    sizes = dict(zip(position, run.frames.sizes, strict=True))
    skeleton = run.skeleton
    count = len(skeleton.keypoints)
    found = read_label_file(
        path,
        label=skeleton.name,
        sizes=sizes,
        keypoint_count=count,
        new_tracks_from=len(run.people),
    )
    if found.keypoint_names not in (None, skeleton.keypoints):
        raise FormatError(
            f"{path} has other keypoints than were sent ({', '.join(found.keypoint_names or ())}); "
            "read it with import_labels."
        )
    inside = {position[name]: people for name, people in found.poses.items() if name in position}
    deleted = sum(name in position for name in found.deleted)
    if not inside and not deleted:
        first = next(iter(found.poses), "nothing")
        raise FormatError(
            f"{path} holds no frame of run {run.key!r}: its pictures are named like {first}, "
            f"those of the run like {run.frames.names[0]}. Export the task of this run."
        )
    return Returned(
        {i: _decoded(run, i, people, highest_track) for i, people in sorted(inside.items())},
        {i: _numbers(people) for i, people in inside.items()},
        waiting=len(position) - len(inside) - deleted,
        deleted=deleted,
    )


def _from_task(
    run: Run,
    task: SentTask,
    found: "TaskPoses",
    highest_track: Callable[[str], int],
    finished_only: bool,
) -> Returned:
    run.check_frames(task, found.frame_names)
    first, count = task.first, task.frames
    frames = found.finished
    if not finished_only:
        frames = frozenset(range(count)) - found.deleted
    last: dict[int, Job] = {}
    for job in sorted(found.jobs, key=lambda job: job.updated or ""):
        last |= dict.fromkeys(job.frames, job)
    return Returned(
        poses={
            first + i: _decoded(run, first + i, found.poses.get(i, []), highest_track)
            for i in sorted(frames)
        },
        numbers={first + i: _numbers(found.poses.get(i, [])) for i in frames},
        by={first + i: last[i].assignee for i in frames if i in last},
        at={first + i: _time(last[i].updated) for i in frames if i in last},
        waiting=count - len(frames) - len(found.deleted),
        deleted=len(found.deleted),
    )


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _numbers(people: list[Pose]) -> list[int | None]:
    return [pose.track_id for pose in people]


def _decoded(
    run: Run, frame: int, people: list[Pose], highest_track: Callable[[str], int]
) -> list[Pose]:
    """Give persons the track id (``index``) that they have in the dataset."""
    sample = run.frames.sample_ids[frame]
    known = len(run.people)
    indices: list[int | None] = []
    for pose in people:
        number = pose.track_id
        if number is None:
            indices.append(None)
        elif number < known:
            of, index = run.people[number]
            indices.append(index if of == sample and index >= 0 else None)
        else:
            # A track that the reviewer drew keeps one number through all its frames.
            indices.append(highest_track(sample) + 1 + number - known)
    return [
        replace(pose, track_id=index if indices.count(index) == 1 else None)
        for pose, index in zip(people, indices, strict=True)
    ]
