"""push, status and pull: frames to reviewers in CVAT, pre-drawn, and their corrections back.

A push is a FiftyOne annotation run of the backend `cvat-skeleton` on a field of its own, a copy
of the predictions. Only pull writes `ground_truth`, only from jobs marked completed.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import fiftyone as fo

from cvat_bridge.errors import (
    ConflictError,
    NotFoundError,
    PayloadError,
    PermissionDeniedError,
    RejectedError,
)
from cvat_bridge.server import FRAMES_PER_TASK
from fiftyone_legpose.corrections import Corrections
from fiftyone_legpose.cvat.login import find_login
from fiftyone_legpose.cvat.outgoing import check_key
from fiftyone_legpose.cvat.returned import from_file, from_server
from fiftyone_legpose.cvat.run import is_begun, load_results
from fiftyone_legpose.dataset import fields, frame_review, pose_table
from fiftyone_legpose.dataset.checks import check_collection, source_dataset
from fiftyone_legpose.errors import DatasetError, LegposeError
from fiftyone_legpose.progress import Report, reporting
from fiftyone_legpose.review_back import declare_ground_truth, take_in
from fiftyone_legpose.review_out import (
    choose,
    count_missing,
    forget_unsent,
    refuse_known,
    refuse_taken,
    register,
    review_keys,
    send,
    send_file,
    show,
)
from fiftyone_legpose.review_status import RunStatus, run_status

_REFUSED = (PayloadError, ConflictError, NotFoundError, PermissionDeniedError, RejectedError)
"""Errors that come again however often the same push is tried."""


@dataclass(frozen=True)
class PushSummary:
    """What is out under a run after a push."""

    key: str
    frames: int
    persons: int
    points: int
    """Points drawn, without those that the model did not place at all."""
    occluded: int
    """Points drawn as occluded, because the model was unsure of them."""
    missing: int = 0
    """Frames that the run had before this call and the dataset no longer; not counted above."""
    links: list[str] = field(default_factory=list)
    """Address of each task."""
    project: str | None = None
    """Address of the project in CVAT."""
    backup: str | None = None
    """The file that was written."""
    sent: bool = True
    """False if all of it was out before this call."""


def push(
    view: Any,
    key: str,
    *,
    label_field: str = fields.PREDICTIONS,
    url: str | None = None,
    token: str | None = None,
    user: str | None = None,
    password: str | None = None,
    organization: str | None = None,
    project: str | None = None,
    assignee: str | None = None,
    segment_size: int | None = None,
    frames_per_task: int = FRAMES_PER_TASK,
    image_quality: int = 95,
    as_tracks: bool = False,
    backup: str | Path | None = None,
    again: bool = False,
    progress: Report | bool | None = None,
) -> PushSummary:
    """Send frames to CVAT as stills, with the model's poses drawn on them.

    Called again with the key of a push that was interrupted, it goes on with that one, its frames
    and its settings. Points that the model was unsure of (`legs.OCCLUDED_BELOW`) are drawn as
    occluded; none is left out.

    Parameters
    ----------
    view
        Image or video collection. Of a dataset, or of a view that chooses videos, the frames that
        `select` chose are sent; of a view of frames or of images, all.
    key
        Name of this run; seen in CVAT, so no patient's name.
    label_field
        Keypoint field to draw, without ``frames.``; it stays as it is.
    url, token, user, password, organization
        The server and the account; by default ``FIFTYONE_CVAT_URL``, ``_TOKEN``, ``_USERNAME``,
        ``_PASSWORD`` and ``_ORGANIZATION``. They are not stored.
    project
        Name of the CVAT project, which is made where there is none.
    assignee
        CVAT user name of the reviewer.
    segment_size
        Frames of one job; None makes one job a task.
    frames_per_task
        More frames make more tasks.
    image_quality
        1 to 100, of the pictures as CVAT shows them.
    as_tracks
        Send consecutive frames of a video as one skeleton track a person.
    backup
        Write a CVAT task backup to this file instead of going to a server. A person uploads it
        with "Create from backup". A file that is there is replaced only if it is of this push.
    again
        Send frames that are out or reviewed already.
    progress
        See `fiftyone_legpose.progress.reporting`.

    Returns
    -------
    PushSummary

    Raises
    ------
    DatasetError
        There is nothing to send, frames are out already, or the key or the file is taken.
    CvatError
        The server cannot be reached or refuses.
    """
    check_collection(view)
    check_key(key)
    dataset = source_dataset(view)
    backup = None if backup is None else Path(backup).expanduser()
    login = find_login(
        url=url, token=token, user=user, password=password, organization=organization
    )
    with reporting("push", progress) as report:
        resumed = key in dataset.list_annotation_runs()
        missing = count_missing(dataset, key) if resumed else 0
        if not resumed:
            chosen = choose(view)
            if not again:
                refuse_known(dataset, chosen)
            settings = {
                "project": project,
                "assignee": assignee,
                "segment_size": segment_size,
                "frames_per_task": frames_per_task,
                "image_quality": image_quality,
                "as_tracks": as_tracks,
            }
            if backup is None:
                login.connect().close()  # a wrong login shall leave no run behind
            show(chosen, key, label_field)
            register(chosen, key, label_field, settings)
        elif not is_begun(dataset, key):
            refuse_taken(dataset, key, view)
            if backup is None:
                return _pushed(dataset, key, missing, sent=False)
        try:
            if backup is not None:
                send_file(dataset, key, backup, report)
            else:
                send(dataset, key, login, report, resumed=resumed)
        except (LegposeError, *_REFUSED):
            # Going on with it would take the same settings to the same refusal.
            forget_unsent(dataset, key)
            raise
    return _pushed(dataset, key, missing, backup=backup)


def status(
    dataset: fo.Dataset,
    key: str | None = None,
    *,
    url: str | None = None,
    token: str | None = None,
    user: str | None = None,
    password: str | None = None,
    organization: str | None = None,
) -> list[RunStatus]:
    """Tell where pushes stand: frames by state, jobs and links.

    Runs that are done are told from the dataset alone, without asking the server.

    Parameters
    ----------
    dataset
        Image or video dataset.
    key
        Of one push; None tells of all.
    url, token, user, password, organization
        As for `push`.

    Returns
    -------
    list of RunStatus
        By key; empty where nothing was ever pushed.
    """
    check_collection(dataset)
    keys = review_keys(dataset) if key is None else [_known_key(dataset, key)]
    login = find_login(
        url=url, token=token, user=user, password=password, organization=organization
    )
    return [run_status(dataset, one, login) for one in keys]


def count_selected(dataset: fo.Dataset) -> int:
    """Count the frames that are selected and were not pushed yet."""
    return len(frame_review.read(dataset).ids(fields.SELECTED))


@dataclass
class PullSummary:
    """What a pull brought back, and what the reviewers changed."""

    key: str
    frames: int
    """Frames of the run."""
    written: int = 0
    """Frames whose ground truth this call wrote."""
    unchanged: int = 0
    """Finished frames that an earlier pull had written."""
    empty: int = 0
    """Finished frames that were confirmed to show nobody."""
    waiting: int = 0
    """Frames that are still with the reviewer."""
    deleted_frames: int = 0
    """Frames that somebody deleted in CVAT; they stay out."""
    elsewhere: int = 0
    """Frames that went out again in a later run, which alone may write them."""
    imported: int = 0
    """Frames whose labels were replaced by `import_labels` since; they stay as they are."""
    missing: int = 0
    """Frames that are not in the dataset any more."""
    corrections: Corrections = field(default_factory=Corrections)
    """Over all finished frames, against what was shown."""
    gone: list[str] = field(default_factory=list)
    """Tasks that are not there any more."""
    file: str | None = None
    """The file that was read; all of its frames counted as completed."""


def pull(
    dataset: fo.Dataset,
    key: str | None = None,
    *,
    url: str | None = None,
    token: str | None = None,
    user: str | None = None,
    password: str | None = None,
    organization: str | None = None,
    export: str | Path | None = None,
    progress: Report | bool | None = None,
) -> PullSummary:
    """Fetch corrections into `ground_truth`, from jobs that are marked completed.

    Predictions stay as they are. A frame confirmed to show nobody becomes an empty
    `fo.Keypoints`. Called again it changes nothing, or completes what was not finished before.

    Parameters
    ----------
    dataset
        Image or video dataset.
    key
        Of the push; None takes the only one that is out.
    url, token, user, password, organization
        As for `push`.
    export
        Read this file instead of asking a server: an export "Ultralytics YOLO Pose 1.0" of the
        run's task, or its backup. Files do not tell which jobs are completed, so **all of their
        frames count as completed**.
    progress
        See `fiftyone_legpose.progress.reporting`.

    Returns
    -------
    PullSummary

    Raises
    ------
    DatasetError
        There is no such push, or it never went out.
    CvatError
        The server or the file is not what is needed.
    """
    check_collection(dataset)
    export = None if export is None else Path(export).expanduser()
    key = _only_open_key(dataset) if key is None else _known_key(dataset, key)
    results = load_results(dataset, key)
    if results is None or not (results.complete or results.tasks):
        raise DatasetError(f"Push {key!r} was interrupted before it was sent: push it again.")
    if results.file and export is None:
        raise DatasetError(
            f"Push {key!r} went out as a file: pull it from the export of its task (export)."
        )
    declare_ground_truth(dataset, results)
    summary = PullSummary(key, len(results.frames["id"]))
    login = find_login(
        url=url, token=token, user=user, password=password, organization=organization
    )
    with reporting("pull", progress) as report:
        report(0, summary.frames, "asking" if export is None else "reading")
        if export is not None:
            summary.file = str(export)
            take_in(dataset, results, from_file(results, export), summary)
        else:
            with login.connect(results.url) as server:
                for part in from_server(results, server):
                    take_in(dataset, results, part, summary)
                    report(summary.frames - summary.waiting, summary.frames, "writing")
        report(summary.frames, summary.frames, "done")
    return summary


def _pushed(
    dataset: fo.Dataset,
    key: str,
    missing: int,
    *,
    backup: Path | None = None,
    sent: bool = True,
) -> PushSummary:
    results = load_results(dataset, key)
    assert results is not None
    table = pose_table.read_poses(dataset.load_annotation_view(key), results.config.label_field)
    return PushSummary(
        key=key,
        frames=len(results.frames["id"]) - count_missing(dataset, key),
        persons=len(table.points),
        points=int((table.visibility > 0).sum()),
        occluded=int((table.visibility == 1).sum()),
        missing=missing,
        links=[task["url"] for task in results.tasks],
        project=results.project_url,
        backup=None if backup is None else str(backup),
        sent=sent,
    )


def _known_key(dataset: fo.Dataset, key: str) -> str:
    keys = review_keys(dataset)
    if key not in keys:
        known = ", ".join(keys) or "none"
        raise DatasetError(f"Dataset {dataset.name!r} has no push {key!r}; it has: {known}.")
    return key


def _only_open_key(dataset: fo.Dataset) -> str:
    reviews = frame_review.read(dataset)
    pairs = zip(reviews.state, reviews.key, strict=True)
    out = sorted({key for state, key in pairs if state == fields.OUT and key})
    if len(out) == 1:
        return out[0]
    told = f"{len(out)} pushes are out ({', '.join(out)})" if out else "no push is out"
    raise DatasetError(f"Of dataset {dataset.name!r} {told}: name the one to pull.")
