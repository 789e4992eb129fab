"""A push step by step: choose frames, refuse what is out, stage, register, send."""

from collections import Counter
from pathlib import Path
from typing import Any

import fiftyone as fo

from cvat_bridge.backup import read_task_name, write_backup
from cvat_bridge.errors import FormatError
from fiftyone_legpose.cvat.announce import BACKEND
from fiftyone_legpose.cvat.backend import CvatSkeletonBackendConfig
from fiftyone_legpose.cvat.login import Login
from fiftyone_legpose.cvat.run import is_begun, load_results
from fiftyone_legpose.dataset import fields, frame_review, keypoint_labels, pose_table
from fiftyone_legpose.dataset.checks import source_dataset
from fiftyone_legpose.dataset.fields import SHOWN_PREFIX
from fiftyone_legpose.dataset.frames import frame_ids, write_labels
from fiftyone_legpose.dataset.keypoint_labels import declare_like
from fiftyone_legpose.dataset.pose_table import people_by_frame
from fiftyone_legpose.errors import DatasetError, writing
from fiftyone_legpose.files import file_sha256
from fiftyone_legpose.progress import Report


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
    if not ids and _is_whole(view):
        raise DatasetError(
            f"No frame of {_called(view)} is selected: run select first, or give a view of the "
            "frames to send."
        )
    if not ids:
        raise DatasetError("There are no frames in this view: nothing can be sent.")
    return dataset.select_frames(ids) if dataset.media_type == "video" else dataset.select(ids)


def _wanted_ids(view: Any) -> list[str]:
    """Take the selected frames of a dataset or of whole videos, and all frames of another view."""
    return frame_review.read(view).ids(fields.SELECTED) if _is_whole(view) else frame_ids(view)


def _is_whole(view: Any) -> bool:
    """Tell whether nobody has said which frames: a dataset, or a view that only chooses videos."""
    if isinstance(view, fo.Dataset):
        return True
    if view.media_type != "video" or view._is_generated:
        return False
    said = (fo.SelectFrames, fo.ExcludeFrames, fo.MatchFrames)
    return not any(isinstance(stage, said) for stage in view._stages)


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
    new = set(_wanted_ids(view)) - set(results.frames["id"] if results else ())
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
        keypoint_labels.to_keypoints(people[frame_id], size)
        for frame_id, size in zip(table.frame_ids, sizes, strict=True)
    ]
    write_labels(dataset, shown, dict(zip(table.frame_ids, labels, strict=True)))


def register(chosen: Any, key: str, label_field: str, settings: dict[str, Any]) -> None:
    """Register a push as an annotation run; nothing is sent yet."""
    shown = SHOWN_PREFIX + key
    path = f"frames.{shown}" if chosen.media_type == "video" else shown
    edits = ("additions", "deletions", "label_edits", "index_edits", "spatial_edits")
    info = {"type": "keypoints", "classes": [], "existing_field": True}
    schema = {path: info | {f"allow_{edit}": True for edit in edits}}
    config = CvatSkeletonBackendConfig(BACKEND, schema, predictions=label_field, **settings)
    config.build().register_run(chosen, key, overwrite=False)


def send(
    dataset: fo.Dataset, key: str, login: Login, report: Report, *, resumed: bool = False
) -> None:
    """Send a registered push to its server, or what is missing of it (`resumed`)."""
    config = dataset.get_annotation_info(key).config
    with login.connect() as server:
        view = dataset.load_annotation_view(key)
        config.build().send(server, view, key, report, resumed=resumed)


def send_file(dataset: fo.Dataset, key: str, path: Path, report: Report) -> None:
    """Write a registered push as a task backup.

    The same push gives the same file again, without frames that were deleted from the dataset.
    """
    backend = dataset.get_annotation_info(key).config.build()
    results, outgoing = backend.prepare(dataset.load_annotation_view(key), key)
    known = load_results(dataset, key)
    if known is not None and known.tasks:
        raise DatasetError(
            f"Push {key!r} went to {known.url}, so it cannot go out as a file too: choose another "
            "key and say so (again)."
        )
    task_name = f"{results.task_name}-1"
    if path.is_file() and not _holds_task(path, task_name):
        raise DatasetError(
            f"{path} is there already and not of push {key!r} of dataset {dataset.name!r}: give "
            "another file or folder, or move that one away first."
        )
    total = len(outgoing.frame_ids)
    report(0, total, "writing")
    try:
        with writing(path):
            write_backup(
                path,
                task_name,
                results.to_skeleton(),
                outgoing.to_frames(),
                segment_size=backend.config.segment_size or 0,
                image_quality=backend.config.image_quality,
                as_tracks=backend.config.as_tracks,
            )
    except FormatError as error:
        raise DatasetError(str(error)) from None
    report(total, total, "written")
    written = file_sha256(path)
    if known is None or not known.complete:
        results.file = results.complete = True
        results.file_sha256 = [written]
        backend.mark_out(results, range(total))
        results.save()
    elif written not in known.file_sha256:
        known.file_sha256.append(written)
        known.people = results.people
        known.save()


def _holds_task(path: Path, name: str) -> bool:
    try:
        return read_task_name(path) == name
    except FormatError:
        return False


def count_missing(dataset: fo.Dataset, key: str) -> int:
    """Count the frames of a push that are not in the dataset any more."""
    results = load_results(dataset, key)
    sent = set(results.frames["id"]) if results else set()
    return len(sent.difference(frame_review.read(dataset).frame_ids))


def forget_unsent(dataset: fo.Dataset, key: str) -> None:
    """Delete a push of which nothing left, so that its frames are free for another try."""
    if load_results(dataset, key) is None:
        dataset.delete_annotation_run(key)


def review_keys(dataset: fo.Dataset) -> list[str]:
    """List the keys of all pushes of a dataset."""
    runs = dataset.list_annotation_runs(method=BACKEND)
    return [key for key in runs if dataset.get_annotation_info(key).config.predictions is not None]


def open_first(dataset: fo.Dataset) -> list[str]:
    """List the keys of all pushes, those that are out before the others, the newest first."""
    video = dataset.media_type == "video"
    collection = dataset._frame_collection if video else dataset._sample_collection
    out = collection.distinct(f"{fields.REVIEW}.key", {f"{fields.REVIEW}.state": fields.OUT})
    pushed_at = {key: dataset.get_annotation_info(key).timestamp for key in review_keys(dataset)}
    return sorted(pushed_at, key=lambda key: (key in out, pushed_at[key]), reverse=True)


def begun_keys(dataset: fo.Dataset) -> list[str]:
    """List the keys of the pushes that were interrupted before all of their frames were sent."""
    return [key for key in review_keys(dataset) if is_begun(dataset, key)]
