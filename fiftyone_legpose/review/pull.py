"""pull: corrections of finished frames into the ground truth, once, on the right frames."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Unpack

import fiftyone as fo

from cvat_bridge.poses import Pose
from fiftyone_legpose.cvat.login import Account, Login, find_login
from fiftyone_legpose.cvat.results import CvatSkeletonResults, load_results
from fiftyone_legpose.cvat.returned import Returned, from_file, from_server
from fiftyone_legpose.dataset import fields, frame_review, keypoint_labels, pose_table
from fiftyone_legpose.dataset.by_name import takes_name
from fiftyone_legpose.dataset.checks import check_collection
from fiftyone_legpose.dataset.frames import select, write
from fiftyone_legpose.dataset.keypoint_labels import declare_like
from fiftyone_legpose.dataset.pose_table import people_by_frame
from fiftyone_legpose.dataset.writing_lock import waits_its_turn
from fiftyone_legpose.errors import DatasetError
from fiftyone_legpose.pose.matching import match_people, same_people
from fiftyone_legpose.progress import Report, reporting
from fiftyone_legpose.review.pull_summary import PullSummary
from fiftyone_legpose.review.runs import known_key, only_open_key


@takes_name("dataset")
@waits_its_turn("dataset")
def pull(
    dataset: fo.Dataset,
    key: str | None = None,
    *,
    login: Login | None = None,
    export: str | Path | None = None,
    progress: Report | bool | None = None,
    **account: Unpack[Account],
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
    login, **account
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
    key = only_open_key(dataset) if key is None else known_key(dataset, key)
    results = load_results(dataset, key)
    if results is None or not (results.run.complete or results.run.tasks):
        raise DatasetError(f"Push {key!r} was interrupted before it was sent: push it again.")
    if results.run.file and export is None:
        raise DatasetError(
            f"Push {key!r} went out as a file: pull it from the export of its task (export)."
        )
    declare_ground_truth(dataset, results)
    summary = PullSummary(key, len(results.run.frames))
    login = find_login(login, **account)
    with reporting("pull", progress) as report:
        report(0, summary.frames, "asking" if export is None else "reading")
        states = _states(dataset)
        if export is not None:
            summary.file = str(export)
            part = from_file(results.run, export, highest_track=results.highest_track)
            write_part(dataset, results, part, states, summary)
        else:
            with login.connect(results.run.url, results.run.organization) as server:
                tracks = results.highest_track
                for part in from_server(results.run, server, highest_track=tracks):
                    write_part(dataset, results, part, states, summary)
                    report(summary.frames - summary.waiting, summary.frames, "writing")
        report(summary.frames, summary.frames, "done")
    return summary


def declare_ground_truth(dataset: fo.Dataset, results: CvatSkeletonResults) -> None:
    """Declare the field of corrections with the run's skeleton.

    Raises
    ------
    DatasetError
        It has another skeleton.
    """
    known = dataset.skeletons.get(fields.GROUND_TRUTH)
    if known is not None and tuple(known.labels or ()) != results.run.skeleton.keypoints:
        raise DatasetError(
            f"The field {fields.GROUND_TRUTH!r} of dataset {dataset.name!r} has another skeleton "
            f"than push {results.key!r}: rename or delete the field first."
        )
    declare_like(dataset, fields.GROUND_TRUTH, results.config.label_field)


def write_part(
    dataset: fo.Dataset,
    results: CvatSkeletonResults,
    part: Returned,
    states: Mapping[str, tuple[str | None, str | None]],
    summary: PullSummary,
) -> None:
    """Write the finished frames of one task or file, and count them.

    Ground truth is written before the state, and both only where they differ, so that a pull that
    was interrupted anywhere is completed by the next one.

    Parameters
    ----------
    dataset
        That the run belongs to.
    results
        Of the run.
    part
        What came back.
    states
        State and key of every frame of the dataset, by its id, before this pull.
    summary
        Counts what is written.
    """
    summary.waiting += part.waiting
    summary.deleted_frames += part.deleted
    if part.gone is not None:
        summary.gone.append(part.gone)
    positions = list(part.poses)
    if not positions:
        return
    ids = {i: results.run.frames.ids[i] for i in positions}
    there = [i for i in positions if ids[i] in states]
    summary.missing += len(positions) - len(there)
    imported = {i for i in there if states[ids[i]] in frame_review.IMPORTED}
    mine = [i for i in there if states[ids[i]][1] in (None, results.key) and i not in imported]
    summary.imported += len(imported)
    summary.elsewhere += len(there) - len(mine) - len(imported)
    frame_ids = [ids[i] for i in mine]
    view = select(dataset, frame_ids)
    shown = people_by_frame(pose_table.read_poses(view, results.config.label_field))
    stored = pose_table.read_poses(view, fields.GROUND_TRUTH)
    looked_at = dict(zip(stored.frame_ids, stored.looked_at.tolist(), strict=True))
    truth = people_by_frame(stored)
    labels: dict[str, fo.Keypoints | None] = {}
    marks: dict[tuple[str, Any, Any], list[str]] = defaultdict(list)
    for i in mine:
        frame_id, size = ids[i], results.run.frames.sizes[i]
        people = _with_tracks(shown[frame_id], part.poses[i])
        summary.corrections.add(shown[frame_id], people)
        state = fields.CORRECTED if people else fields.EMPTY
        summary.empty += not people
        same = looked_at[frame_id] and same_people(truth[frame_id], people)
        if same and states[frame_id] == (state, results.key):
            summary.unchanged += 1
            continue
        summary.written += 1
        if not same:
            labels[frame_id] = keypoint_labels.to_keypoints(
                people, size, label=results.run.skeleton.name, made_by=results.key
            )
        marks[state, part.by.get(i), part.at.get(i)].append(frame_id)
    write(dataset, fields.GROUND_TRUTH, labels)
    for (state, by, at), marked in marks.items():
        frame_review.mark(dataset, marked, state=state, key=results.key, by=by, at=at)


def _states(dataset: fo.Dataset) -> dict[str, tuple[str | None, str | None]]:
    reviews = frame_review.read(dataset)
    pairs = zip(reviews.state, reviews.key, strict=True)
    return dict(zip(reviews.frame_ids, pairs, strict=True))


def _with_tracks(shown: list[Pose], returned: list[Pose]) -> list[Pose]:
    """Give persons the track id under which they were shown; exports do not carry it."""
    before = {after: shown[i].track_id for i, after in match_people(shown, returned)}
    return [
        pose if pose.track_id is not None else replace(pose, track_id=before.get(i))
        for i, pose in enumerate(returned)
    ]
