"""Questions to a server about its tasks; nothing here changes anything."""

from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any

from cvat_bridge.errors import ConflictError, CvatError
from cvat_bridge.skeleton import Skeleton, SkeletonLabel
from cvat_bridge.tasks import Job, Task
from cvat_bridge.transport import Transport


def find_task(transport: Transport, name: str, project_id: int | None) -> Task | None:
    """Return the only task of this name; see `cvat_bridge.server.Server.find_task`."""
    query = {"name": name} | ({} if project_id is None else {"project_id": project_id})
    listed = transport.pages("/api/tasks", doing=f"Looking for task {name!r}", **query)
    found = [Task.from_server(item, transport.url) for item in listed if item["name"] == name]
    return _only(found, f"named {name!r}")


def find_renamed_task(
    transport: Transport, project_id: int, frame_names: Sequence[str]
) -> Task | None:
    """Return the only task of a project that holds just these frames, whatever its name is."""
    doing = f"Looking through the tasks of project {project_id}"
    listed = transport.pages("/api/tasks", doing=doing, project_id=project_id)
    tasks = [Task.from_server(item, transport.url) for item in listed]
    # A name can be changed in CVAT, and those of the frames cannot.
    found = [
        task
        for task in tasks
        if task.size == len(frame_names)
        and [PurePosixPath(name).stem for name in read_frames(transport, task.id)[0]]
        == list(frame_names)
    ]
    return _only(found, f"with the frames {frame_names[0]} to {frame_names[-1]}")


def _only(found: list[Task], told: str) -> Task | None:
    if len(found) > 1:
        ids = ", ".join(str(task.id) for task in found)
        raise ConflictError(
            f"There are {len(found)} tasks {told} (ids {ids}); look which one holds the review "
            "and delete the others in CVAT."
        )
    return found[0] if found else None


def read_organizations(transport: Transport) -> dict[int, str]:
    """Return the short names of the organisations that this account sees, by id."""
    listed = transport.pages("/api/organizations", doing="Reading the organisations")
    return {int(item["id"]): str(item["slug"]) for item in listed}


def read_update(transport: Transport, task_id: int) -> str:
    """Return when a task changed last, in the server's words; storing poses is a change."""
    doing = f"Looking whether task {task_id} changes"
    path = f"/api/tasks/{int(task_id)}"
    task = transport.json("GET", path, doing=doing, needs=("updated_date",))
    return str(task["updated_date"])


def read_jobs(transport: Transport, task_id: int) -> list[Job]:
    """List the annotation jobs of a task, by their first frame.

    Raises
    ------
    ConflictError
        If there are none, though the task holds pictures. CVAT finds a task by its number in any
        organisation and lists jobs of the one that is named, so all would seem to be waiting.
    """
    doing = f"Reading the jobs of task {task_id}"
    listed = transport.pages("/api/jobs", doing=doing, task_id=int(task_id))
    # Ground-truth jobs and consensus replicas repeat frames of the annotation jobs.
    jobs = [
        Job.from_server(item, transport.url)
        for item in listed
        if item.get("type", "annotation") == "annotation"
    ]
    if not jobs and transport.json("GET", f"/api/tasks/{int(task_id)}", doing=doing).get("size"):
        raise ConflictError(
            f"Task {task_id} has no jobs in the organisation {transport.organization or ''!r}, as "
            "if it belonged to another one: give the short name of that one (organization, or "
            "FIFTYONE_CVAT_ORGANIZATION)."
        )
    return sorted(jobs, key=lambda job: (job.start_frame, job.id))


def read_annotations(transport: Transport, task_id: int) -> dict[str, Any]:
    """Return the annotations of a task as the server gives them."""
    path = f"/api/tasks/{int(task_id)}/annotations/"
    doing = f"Reading the poses of task {task_id}"
    return dict(transport.json("GET", path, doing=doing, needs=("shapes", "tracks")))


def read_job_annotations(transport: Transport, job: Job) -> dict[str, Any]:
    """Return the annotations of a job as the server gives them."""
    path = f"/api/jobs/{job.id}/annotations/"
    doing = f"Reading the poses of job {job.id} of task {job.task_id}"
    return dict(transport.json("GET", path, doing=doing, needs=("shapes", "tracks")))


def read_frames(
    transport: Transport, task_id: int
) -> tuple[tuple[str, ...], tuple[tuple[int, int], ...], set[int]]:
    """Return the frames' names and (width, height) in px, and which frames were deleted."""
    doing = f"Reading the frames of task {task_id}"
    path = f"/api/tasks/{int(task_id)}/data/meta"
    meta = transport.json("GET", path, doing=doing, needs=("frames",))
    frames = meta["frames"]
    count = int(meta.get("size") or len(frames))
    names = tuple(str(frame["name"]) for frame in frames)
    sizes = tuple((int(frame["width"]), int(frame["height"])) for frame in frames)
    if len(frames) == 1 and count > 1:
        # A video is listed as one file; its exports name frames by their number in it.
        step = int(str(meta.get("frame_filter") or "step=1").rpartition("=")[2])
        start = int(meta.get("start_frame") or 0)
        names = tuple(f"frame_{start + index * step:06d}" for index in range(count))
        sizes = sizes * count
    return names, sizes, {int(frame) for frame in meta.get("deleted_frames") or ()}


def read_labels(
    transport: Transport, *, task_id: int | None = None, project_id: int | None = None
) -> list[dict[str, Any]]:
    """List the skeleton labels of a task or project as the server gives them."""
    if (task_id is None) == (project_id is None):
        raise ValueError("Give either task_id or project_id.")
    owner, number = ("task", task_id) if task_id is not None else ("project", project_id)
    doing = f"Reading the labels of {owner} {number}"
    listed = transport.pages("/api/labels", doing=doing, **{f"{owner}_id": number})
    return [label for label in listed if label.get("type") == "skeleton"]


def choose_label(
    transport: Transport, task_id: int, wanted: str | Skeleton | None
) -> SkeletonLabel:
    """Return the skeleton label of a task by name or skeleton, or the only one."""
    raw = read_labels(transport, task_id=task_id)
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


def compare_label(
    transport: Transport, project_id: int, skeleton: Skeleton
) -> tuple[SkeletonLabel | None, str]:
    """Return a project's label of the skeleton's name, and in words how it differs, if it does."""
    labels = read_labels(transport, project_id=project_id)
    named = [label for label in labels if label["name"] == skeleton.name]
    if not named:
        return None, f"it has no skeleton label {skeleton.name!r}"
    if "<svg" in named[0].get("svg", ""):
        return None, "its drawing is wrapped in <svg>, so CVAT cannot export it"
    try:
        label = SkeletonLabel.from_server(named[0])
    except CvatError as error:
        return None, str(error)
    return label, "; ".join(skeleton.differences(label.skeleton))
