"""A pull step by step: what came back becomes ground truth, on the right frames, once."""

from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import fiftyone as fo

from cvat_bridge.poses import Pose
from fiftyone_legpose.cvat.returned import Returned
from fiftyone_legpose.cvat.run import CvatSkeletonResults
from fiftyone_legpose.dataset import fields, frame_review, keypoint_labels, pose_table
from fiftyone_legpose.dataset.frames import write_labels
from fiftyone_legpose.dataset.keypoint_labels import declare_like
from fiftyone_legpose.dataset.pose_table import people_by_frame
from fiftyone_legpose.errors import DatasetError
from fiftyone_legpose.pose.matching import match_people, same_people

if TYPE_CHECKING:
    from fiftyone_legpose.review import PullSummary


def declare_ground_truth(dataset: fo.Dataset, results: CvatSkeletonResults) -> None:
    """Declare the field of corrections with the run's skeleton.

    Raises
    ------
    DatasetError
        It has another skeleton.
    """
    known = dataset.skeletons.get(fields.GROUND_TRUTH)
    if known is not None and list(known.labels or []) != results.skeleton["keypoints"]:
        raise DatasetError(
            f"The field {fields.GROUND_TRUTH!r} of dataset {dataset.name!r} has another skeleton "
            f"than push {results.key!r}: rename or delete the field first."
        )
    declare_like(dataset, fields.GROUND_TRUTH, results.config.label_field)


def take_in(
    dataset: fo.Dataset, results: CvatSkeletonResults, part: Returned, summary: "PullSummary"
) -> None:
    """Write the finished frames of one task or file, and count them.

    Ground truth is written before the state, and both only where they differ, so that a pull that
    was interrupted anywhere is completed by the next one.
    """
    summary.waiting += part.waiting
    summary.deleted_frames += part.deleted
    if part.gone is not None:
        summary.gone.append(part.gone)
    positions = list(part.poses)
    if not positions:
        return
    ids = {i: results.frames["id"][i] for i in positions}
    states = _states(dataset)
    there = [i for i in positions if ids[i] in states]
    summary.missing += len(positions) - len(there)
    imported = {i for i in there if states[ids[i]] in frame_review.IMPORTED}
    mine = [i for i in there if states[ids[i]][1] in (None, results.key) and i not in imported]
    summary.imported += len(imported)
    summary.elsewhere += len(there) - len(mine) - len(imported)
    frame_ids = [ids[i] for i in mine]
    view = dataset.select_frames(frame_ids) if _is_video(dataset) else dataset.select(frame_ids)
    shown = people_by_frame(pose_table.read_poses(view, results.config.label_field))
    stored = pose_table.read_poses(view, fields.GROUND_TRUTH)
    looked_at = dict(zip(stored.frame_ids, stored.looked_at.tolist(), strict=True))
    truth = people_by_frame(stored)
    labels: dict[str, fo.Keypoints | None] = {}
    marks: dict[tuple[str, Any, Any], list[str]] = defaultdict(list)
    for i in mine:
        frame_id, size = ids[i], tuple(results.frames["size"][i])
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
                people, size, label=results.skeleton["name"], made_by=results.key
            )
        marks[state, part.by.get(i), part.at.get(i)].append(frame_id)
    write_labels(dataset, fields.GROUND_TRUTH, labels)
    for (state, by, at), marked in marks.items():
        frame_review.mark(dataset, marked, state=state, key=results.key, by=by, at=at)


def _is_video(dataset: fo.Dataset) -> bool:
    return bool(dataset.media_type == "video")


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
