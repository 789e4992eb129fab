"""What a server holds, as this package sees it: projects, tasks, jobs and what came back."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Self

from cvat_bridge.poses import Pose
from cvat_bridge.skeleton import SkeletonLabel

Outcome = Literal["made", "completed", "found", "kept", "under_review"]
"""What a push did with a task; see `PushedTask`."""

YOLO_POSE_FORMAT = "Ultralytics YOLO Pose 1.0"
"""CVAT's name of the export that ultralytics trains on."""


@dataclass(frozen=True)
class Project:
    """A project and its skeleton label.

    Parameters
    ----------
    organization
        Short name of the organisation that it belongs to; ``""`` is the personal workspace.
    created
        This call has made it.
    """

    id: int
    name: str
    label: SkeletonLabel
    url: str
    organization: str = ""
    created: bool = False


@dataclass(frozen=True)
class Task:
    """A task as the server lists it; `size` is its number of frames, 0 while it has none."""

    id: int
    name: str
    project_id: int | None
    size: int
    url: str

    @classmethod
    def from_server(cls, item: Mapping[str, Any], url: str) -> Self:
        """Read a task as ``GET /api/tasks`` gives it; `url` is the server's address."""
        return cls(
            id=int(item["id"]),
            name=str(item["name"]),
            project_id=item.get("project_id"),
            size=int(item.get("size") or 0),
            url=f"{url}/tasks/{item['id']}",
        )


@dataclass(frozen=True)
class PushedTask(Task):
    """A task that holds the frames of a push.

    Parameters
    ----------
    frame_names
        Names without suffix, by frame.
    outcome
        ``"made"``: new. ``"completed"``: an earlier push had begun it. ``"found"``: it holds just
        these poses. Nothing was sent to a task that holds others: ``"under_review"`` if somebody
        has begun to review it, ``"kept"`` if nobody has and a push was resumed, whose poses of
        then it keeps.
    """

    frame_names: tuple[str, ...] = ()
    outcome: Outcome = "made"


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

    @classmethod
    def from_server(cls, item: Mapping[str, Any], url: str) -> Self:
        """Read a job as ``GET /api/jobs`` gives it; `url` is the server's address."""
        return cls(
            id=int(item["id"]),
            task_id=int(item["task_id"]),
            state=str(item["state"]),
            stage=str(item["stage"]),
            assignee=(item.get("assignee") or {}).get("username"),
            start_frame=int(item["start_frame"]),
            stop_frame=int(item["stop_frame"]),
            updated=item.get("updated_date"),
            url=f"{url}/tasks/{item['task_id']}/jobs/{item['id']}",
        )

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
