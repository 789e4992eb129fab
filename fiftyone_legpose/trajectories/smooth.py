"""smooth: where the legs were over time, from predictions and corrections."""

import hashlib
import json
from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from fiftyone_legpose.dataset import fields
from fiftyone_legpose.dataset.by_name import takes_name
from fiftyone_legpose.dataset.checks import check_whole
from fiftyone_legpose.dataset.frames import frame_ids, source_dataset
from fiftyone_legpose.dataset.writing_lock import waits_its_turn
from fiftyone_legpose.errors import DatasetError
from fiftyone_legpose.progress import Report, reporting
from fiftyone_legpose.trajectories import path_labels
from fiftyone_legpose.trajectories.clean import Cleaning, clean_path
from fiftyone_legpose.trajectories.observed import has_keypoints, read_observed


@dataclass(frozen=True)
class SmoothSummary:
    """What `smooth` did."""

    run_key: str
    videos: int
    """Videos with somebody on them."""
    empty: int
    """Videos on which nobody was found, or that were never predicted."""
    people: int
    """Tracks."""
    sides_exchanged: int
    """Persons, over all frames, whose left and right were exchanged back."""
    points: dict[str, int] = field(default_factory=dict)
    """Points by where they came from: predicted, corrected, filled, missing."""


@takes_name("dataset_or_view")
@waits_its_turn("dataset_or_view")
def smooth(
    dataset_or_view: Any,
    *,
    field: str = fields.PREDICTIONS,
    gt_field: str = fields.GROUND_TRUTH,
    label_field: str = fields.SMOOTH,
    cutoff_hz: float | None = None,
    lowest_cutoff_hz: float = 5.0,
    highest_cutoff_hz: float = 10.0,
    max_gap_s: float = 0.25,
    reach_s: float = 0.75,
    repair_sides: bool = True,
    progress: Report | bool | None = None,
) -> SmoothSummary:
    """Make one clean path of each person's points over time.

    Left and right are exchanged back where the motion says that the model mixed them up, points
    that leave their path are rejected, short gaps are filled, noise is filtered without a lag.
    The path goes through every corrected point; the difference to the prediction fades out before
    and after it. Predictions and corrections stay as they are. Called again, it writes the same
    again, or what new predictions and corrections make of it.

    Parameters
    ----------
    dataset_or_view
        Videos that were predicted. Paths are made of whole videos; of a view only its own frames
        are written.
    field
        The predictions.
    gt_field
        The corrections. On a frame that a person has looked at they replace all predictions.
    label_field
        Field to write. Each point's ``source`` is ``predicted``, ``corrected``, ``filled`` or
        ``missing``; what was filled counts as occluded, with a confidence of 0.
    cutoff_hz
        Cut-off of the filter for all points. By default it is found for each point from the data
        (`lowpass.find_cutoff`), within the two bounds that follow.
    lowest_cutoff_hz, highest_cutoff_hz
        Bounds of the cut-off that is found.
    max_gap_s
        Longest time without a point that is filled.
    reach_s
        Seconds before and after a corrected frame over which the correction fades out.
    repair_sides
        Exchange left and right back (`side_swaps.find_swaps`).
    progress
        See `fiftyone_legpose.progress.reporting`.

    Returns
    -------
    SmoothSummary

    Raises
    ------
    DatasetError
        The collection holds images, was not predicted, or a setting is none.

    Notes
    -----
    A person without a track has no path: such a person is copied as predicted. Frames that nobody
    looked at stay without a label.
    """
    view = dataset_or_view
    check_videos(view)
    how = Cleaning(cutoff_hz, lowest_cutoff_hz, highest_cutoff_hz, max_gap_s, reach_s, repair_sides)
    _check_settings(how, label_field, (field, gt_field))
    if not any(has_keypoints(view, name) for name in (field, gt_field)):
        raise DatasetError(
            f"there are no keypoints in {field!r} nor in {gt_field!r}; run predict first, or name "
            "the fields"
        )
    dataset = source_dataset(view)
    path_labels.declare(dataset, label_field)
    key = _register(dataset, label_field, {"field": field, "gt_field": gt_field} | asdict(how))
    tally: Counter[str] = Counter()
    points: Counter[str] = Counter()
    ids = view.values("id")
    with reporting("smooth", progress) as report:
        for number, sample_id in enumerate(ids):
            report(number, len(ids), "")
            own = set(frame_ids(view.select(sample_id)))
            video = dataset.select(sample_id)
            seen = read_observed(video, field, gt_field)
            paths = [clean_path(track, how) for track in seen.tracks]
            path_labels.write_paths(video, label_field, seen, paths, key, own)
            tally["videos" if paths else "empty"] += 1
            for path in paths:
                tally["people"] += 1
                tally["sides_exchanged"] += int(path.exchanged.sum())
                for source, count in zip(*np.unique(path.source, return_counts=True), strict=True):
                    points[path_labels.SOURCE_NAMES[source]] += int(count)
        report(len(ids), len(ids), f"{tally['people']} people")
    counts = {name: tally[name] for name in ("videos", "empty", "people", "sides_exchanged")}
    return SmoothSummary(run_key=key, points=dict(points), **counts)


def check_videos(view: Any) -> None:
    """Refuse what is no collection of whole videos.

    Raises
    ------
    DatasetError
    """
    check_whole(view)
    if view.media_type != "video":
        raise DatasetError(
            "smooth and gait follow points over time, and these are images: load the videos that "
            "they were taken from"
        )


def _check_settings(how: Cleaning, label_field: str, read: tuple[str, str]) -> None:
    for name in ("lowest_cutoff_hz", "highest_cutoff_hz", "reach_s"):
        if not getattr(how, name) > 0:
            raise DatasetError(f"{name} is {getattr(how, name)}; give a number above 0")
    if how.cutoff_hz is not None and not how.cutoff_hz > 0:
        raise DatasetError(f"cutoff_hz is {how.cutoff_hz}; give a number above 0, or none")
    if how.lowest_cutoff_hz > how.highest_cutoff_hz:
        raise DatasetError(
            f"lowest_cutoff_hz is {how.lowest_cutoff_hz}, highest_cutoff_hz "
            f"{how.highest_cutoff_hz}; exchange them"
        )
    if not how.max_gap_s >= 0:
        raise DatasetError(f"max_gap_s is {how.max_gap_s}; give seconds, or 0 to fill nothing")
    if label_field in read or label_field == fields.GROUND_TRUTH or "." in label_field:
        raise DatasetError(
            f"label_field {label_field!r} cannot hold clean paths: give a bare field name that "
            "holds neither predictions nor corrections"
        )


def _register(dataset: Any, label_field: str, settings: dict[str, Any]) -> str:
    """Keep the settings as a run of the dataset; equal calls share one."""
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:12]
    key = f"smooth_{label_field}_{digest}"
    if not dataset.has_run(key):
        config = dataset.init_run(method="legpose/smooth", label_field=label_field, **settings)
        dataset.register_run(key, config)
    return key
