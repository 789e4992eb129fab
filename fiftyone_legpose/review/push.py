"""push: frames to reviewers in CVAT, with the model's poses drawn on them."""

from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Unpack

import fiftyone as fo

from cvat_bridge.errors import (
    ConflictError,
    NotFoundError,
    PayloadError,
    PermissionDeniedError,
    RejectedError,
)
from cvat_bridge.pushing import FRAMES_PER_TASK
from fiftyone_legpose import legs
from fiftyone_legpose.cvat.announce import BACKEND
from fiftyone_legpose.cvat.login import Account, Login, find_login
from fiftyone_legpose.cvat.outgoing import check_key
from fiftyone_legpose.cvat.results import is_begun, load_results
from fiftyone_legpose.dataset import fields, frame_review, keypoint_labels, pose_table
from fiftyone_legpose.dataset.by_name import takes_name
from fiftyone_legpose.dataset.checks import check_collection
from fiftyone_legpose.dataset.fields import SHOWN_PREFIX
from fiftyone_legpose.dataset.frames import frame_ids, names_frames, select, source_dataset, write
from fiftyone_legpose.dataset.keypoint_labels import declare_like
from fiftyone_legpose.dataset.pose_table import people_by_frame
from fiftyone_legpose.dataset.writing_lock import waits_its_turn
from fiftyone_legpose.errors import DatasetError, LegposeError
from fiftyone_legpose.privacy.modes import Mode
from fiftyone_legpose.privacy.refusals import forget_refusal, remember_refusal
from fiftyone_legpose.privacy.stills import Policy, PrivacyError
from fiftyone_legpose.progress import Report, reporting
from fiftyone_legpose.review.backend import ReviewBackendConfig
from fiftyone_legpose.review.guide import as_shown
from fiftyone_legpose.review.handover import send_file
from fiftyone_legpose.review.runs import begun_keys, count_missing, gone_tasks, review_keys

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
    unsure: int
    """Points that the model was unsure of (`legs.OCCLUDED_BELOW`); they are drawn like others."""
    occluded: int
    """Points drawn as occluded, because their labels say so."""
    missing: int = 0
    """Frames that the run had before this call and the dataset no longer; not counted above."""
    links: list[str] = field(default_factory=list)
    """Address of each task."""
    taken_up: list[str] = field(default_factory=list)
    """Of these, tasks that were there already, from a push of this key whose run was deleted: what
    was drawn in them stays, and the predictions of now were not sent."""
    gone: list[str] = field(default_factory=list)
    """Of these, tasks that are not in CVAT any more; `again` makes them anew."""
    project: str | None = None
    """Address of the project in CVAT."""
    organization: str | None = None
    """Short name of the organisation that it belongs to; empty for the personal workspace."""
    backup: str | None = None
    """The file that was written."""
    sent: bool = True
    """False if all of it was out before this call."""


@takes_name("view")
@waits_its_turn("view")
def push(
    view: Any,
    key: str,
    *,
    label_field: str = fields.PREDICTIONS,
    login: Login | None = None,
    project: str | None = None,
    assignee: str | None = None,
    segment_size: int | None = None,
    frames_per_task: int = FRAMES_PER_TASK,
    image_quality: int = 95,
    as_tracks: bool = False,
    backup: str | Path | None = None,
    again: bool = False,
    privacy: Mode = "refuse",
    crop_below: float = 0.0,
    progress: Report | bool | None = None,
    **account: Unpack[Account],
) -> PushSummary:
    """Send frames to CVAT as stills, with the model's poses drawn on them.

    Called again with the key of a push that was interrupted, it goes on with that one, its frames
    and its settings. Points that the model was unsure of (`legs.OCCLUDED_BELOW`) are drawn like
    others, and none is left out: what is occluded only the reviewer says (`review.guide`).

    Parameters
    ----------
    view
        Image or video collection. Of a dataset, or of a view that chooses videos, the frames that
        `select` chose are sent; of a view of frames or of images, all.
    key
        Name of this run; seen in CVAT, so no patient's name.
    label_field
        Keypoint field to draw, without ``frames.``; it stays as it is.
    login
        The server and the account, not stored; by default those of ``FIFTYONE_CVAT_URL``,
        ``_TOKEN``, ``_USERNAME``, ``_PASSWORD``, ``_ORGANIZATION`` and ``_CA_FILE``.
    **account
        Instead of `login` its parts: url, token, user, password, organization.
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
        Send frames that are out or reviewed already; with the key of a push that is out, make the
        tasks anew that were deleted in CVAT.
    privacy
        ``refuse`` sends nothing where a still shows a face, or more than legs; ``blacken`` burns
        that black in the copy that leaves; ``off`` looks at nothing. The run remembers which.
    crop_below
        Share of each still's height, from its top, that is black, whatever it shows. So are the
        rectangles in the field ``privacy_mask``.
    progress
        See `fiftyone_legpose.progress.reporting`.

    Returns
    -------
    PushSummary

    Raises
    ------
    DatasetError
        There is nothing to send, frames are out already, or the key or the file is taken.
    PrivacyError
        Stills show more than legs; its ``refused`` names and pictures them.
    CvatError
        The server cannot be reached or refuses.
    """
    check_collection(view)
    check_key(key)
    policy = Policy(privacy, crop_below)
    dataset = source_dataset(view)
    backup = None if backup is None else Path(backup).expanduser()
    login = find_login(login, **account)
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
                "privacy": policy.mode,
                "crop_below": policy.crop_below,
            }
            if backup is None:
                login.connect().close()  # a wrong login shall leave no run behind
            show(chosen, key, label_field)
            register(chosen, key, label_field, settings)
        elif not is_begun(dataset, key):
            refuse_taken(dataset, key, view)
            if backup is None and not ((gone := gone_tasks(dataset, key, login)) and again):
                return replace(_pushed(dataset, key, missing, sent=False), gone=gone)
        try:
            if backup is not None:
                send_file(dataset, key, backup, report)
            else:
                send(dataset, key, login, report, resumed=resumed)
        except (LegposeError, *_REFUSED) as error:
            # Going on with it would take the same settings to the same refusal.
            forget_unsent(dataset, key)
            if isinstance(error, PrivacyError):
                remember_refusal(dataset, error)
            raise
        forget_refusal(dataset)
    return _pushed(dataset, key, missing, backup=backup)


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
        frames=len(results.run.frames) - count_missing(dataset, key),
        persons=len(table.points),
        points=int((table.visibility > 0).sum()),
        unsure=int(((table.visibility > 0) & (table.confidence < legs.OCCLUDED_BELOW)).sum()),
        occluded=int((table.visibility == 1).sum()),
        missing=missing,
        links=[task.url for task in results.run.tasks],
        taken_up=[task.url for task in results.run.tasks if task.taken_up],
        project=results.run.project_url,
        organization=results.run.organization,
        backup=None if backup is None else str(backup),
        sent=sent,
    )


def choose(view: Any) -> Any:
    """Give a view of the frames to send, by id, so that the run remembers just them.

    Raises
    ------
    DatasetError
        There are none.
    """
    if view.media_type not in ("video", "image"):
        raise DatasetError("push needs a collection of videos or of images that is not empty.")
    dataset = source_dataset(view)
    ids = _wanted_ids(view)
    if not ids and not names_frames(view):
        raise DatasetError(
            f"No frame of {_called(view)} is selected: run select first, or give a view of the "
            "frames to send."
        )
    if not ids:
        raise DatasetError("There are no frames in this view: nothing can be sent.")
    return select(dataset, ids)


def _wanted_ids(view: Any) -> list[str]:
    """Take the selected frames of a dataset or of whole videos, and all frames of another view."""
    return frame_ids(view) if names_frames(view) else frame_review.read(view).ids(fields.SELECTED)


def _called(view: Any) -> str:
    return f"dataset {view.name!r}" if isinstance(view, fo.Dataset) else "these videos"


def refuse_known(dataset: fo.Dataset, chosen: Any) -> None:
    """Refuse frames that are out or reviewed, or belong to an interrupted push.

    Raises
    ------
    DatasetError
        Naming the runs.
    """
    wanted = set(frame_ids(chosen))
    reviews = frame_review.read(dataset)
    known = Counter(
        f"{'out' if state == fields.OUT else 'reviewed'} in run {key!r}"
        for frame_id, state, key in zip(reviews.frame_ids, reviews.state, reviews.key, strict=True)
        if frame_id in wanted and state in frame_review.SETTLED
    )
    for key in begun_keys(dataset):
        begun = wanted & set(frame_ids(dataset.load_annotation_view(key)))
        if begun:
            known[f"in the interrupted push {key!r}"] = len(begun)
    if known:
        told = "; ".join(f"{count} are {where}" for where, count in known.items())
        raise DatasetError(
            f"Of {len(wanted)} frames {told}. Complete and pull those runs first, or ask to send "
            "the frames again (again)."
        )


def refuse_taken(dataset: fo.Dataset, key: str, view: Any) -> None:
    """Refuse the key of a push that is out, unless it is for the same frames.

    Raises
    ------
    DatasetError
    """
    if key not in review_keys(dataset):
        raise DatasetError(
            f"Dataset {dataset.name!r} has another annotation run {key!r}: choose another key."
        )
    results = load_results(dataset, key)
    new = set(_wanted_ids(view)) - set(results.run.frames.ids if results else ())
    if new:
        raise DatasetError(
            f"Push {key!r} is out already, and {len(new)} of these frames are not in it: choose "
            "another key for them."
        )


def show(chosen: Any, key: str, label_field: str) -> None:
    """Copy what the reviewer is to see into the run's own field."""
    dataset = source_dataset(chosen)
    path = f"frames.{label_field}" if dataset.media_type == "video" else label_field
    if dataset.get_field(path) is None:
        raise DatasetError(
            f"Dataset {dataset.name!r} has no field {label_field!r}: run predict first, or name "
            "the field to draw."
        )
    shown = SHOWN_PREFIX + key
    declare_like(dataset, shown, label_field)
    table = pose_table.read_poses(chosen, label_field)
    sizes = table.sizes[table.frame_sample]
    people = people_by_frame(table)
    labels = [
        keypoint_labels.to_keypoints([as_shown(pose) for pose in people[frame_id]], size)
        for frame_id, size in zip(table.frame_ids, sizes, strict=True)
    ]
    write(dataset, shown, dict(zip(table.frame_ids, labels, strict=True)))


def register(chosen: Any, key: str, label_field: str, settings: dict[str, Any]) -> None:
    """Register a push as an annotation run; nothing is sent yet."""
    shown = SHOWN_PREFIX + key
    path = f"frames.{shown}" if chosen.media_type == "video" else shown
    edits = ("additions", "deletions", "label_edits", "index_edits", "spatial_edits")
    info = {"type": "keypoints", "classes": [], "existing_field": True}
    schema = {path: info | {f"allow_{edit}": True for edit in edits}}
    config = ReviewBackendConfig(BACKEND, schema, predictions=label_field, **settings)
    config.build().register_run(chosen, key, overwrite=False)


def send(
    dataset: fo.Dataset, key: str, login: Login, report: Report, *, resumed: bool = False
) -> None:
    """Send a registered push to its server, or what is missing of it (`resumed`)."""
    config = dataset.get_annotation_info(key).config
    known = load_results(dataset, key)
    with login.connect(organization=known.run.organization if known else None) as server:
        view = dataset.load_annotation_view(key)
        config.build().send(server, view, key, report, resumed=resumed)


def forget_unsent(dataset: fo.Dataset, key: str) -> None:
    """Delete a push of which nothing left, so that its frames are free for another try."""
    if load_results(dataset, key) is None:
        dataset.delete_annotation_run(key)
