"""gait: how each person in the videos walks, from clean paths to parameters."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import fiftyone as fo
import numpy as np

from fiftyone_legpose.dataset import fields
from fiftyone_legpose.dataset.by_name import takes_name
from fiftyone_legpose.dataset.frame_times import video_times
from fiftyone_legpose.dataset.frames import source_dataset
from fiftyone_legpose.dataset.writing_lock import waits_its_turn
from fiftyone_legpose.errors import DatasetError
from fiftyone_legpose.gait_analysis.event_edits import Edit, find_edits, join_edits
from fiftyone_legpose.gait_analysis.event_labels import Phase, find_phases, read_labels, to_labels
from fiftyone_legpose.gait_analysis.events import Event, Method
from fiftyone_legpose.gait_analysis.person import Measured, PersonGait, analyse
from fiftyone_legpose.gait_analysis.record import read_edits, to_record, to_summary
from fiftyone_legpose.gait_analysis.scale import check_length, read_segments
from fiftyone_legpose.progress import Report, reporting
from fiftyone_legpose.trajectories.observed import has_keypoints
from fiftyone_legpose.trajectories.path_labels import read_paths
from fiftyone_legpose.trajectories.smooth import check_videos


@dataclass(frozen=True)
class GaitSummary:
    """What `gait` found."""

    run_key: str
    videos: int
    """Videos in which somebody walks."""
    without_walking: int
    bouts: int
    strides: int
    edited_events: int
    """Events that a person set."""
    cadence_spm: float | None
    """Mean over the videos in which somebody walks."""
    warnings: dict[str, list[str]]
    """What makes numbers doubtful, by file path of the video."""


@takes_name("dataset_or_view")
@waits_its_turn("dataset_or_view")
def gait(
    dataset_or_view: Any,
    *,
    field: str = fields.SMOOTH,
    method: Method | None = None,
    leg_length_m: float | None = None,
    thigh_m: float | None = None,
    shank_m: float | None = None,
    foot_m: float | None = None,
    subjects: str | Path | None = None,
    belt_speed_m_s: float | None = None,
    progress: Report | bool | None = None,
) -> GaitSummary:
    """Find walking bouts, gait events, strides, parameters and cycle curves in videos.

    Phases of stance and swing go onto the video's timeline (`fields.EVENTS`), where a person can
    move, add or delete them. Edited events win over found ones, now and in later calls. The
    parameters of who walks most are in `fields.GAIT`, everything in `fields.GAIT_DETAILS`.

    Parameters
    ----------
    dataset_or_view
        Videos that `smooth` has been through. Of a view all of each video is analysed.
    field
        The clean paths.
    method
        ``zeni`` or ``heights``, see `events.find_events`; by default by the view.
    leg_length_m, thigh_m, shank_m, foot_m
        Segment measured on the person in all videos, see `scale.SEGMENTS`; the leg counts before
        the others. Without any there are leg lengths, and no metres.
    subjects
        CSV with a column ``subject`` and any of the four above; it counts before them.
    belt_speed_m_s
        Speed of the treadmill; it counts before any segment in bouts on one.
    progress
        See `fiftyone_legpose.progress.reporting`.

    Returns
    -------
    GaitSummary

    Raises
    ------
    DatasetError
        The collection holds images or has no clean paths, or a setting is none.
    """
    view = dataset_or_view
    check_videos(view)
    if not has_keypoints(view, field):
        raise DatasetError(f"there are no clean paths in {field!r}; run smooth first")
    if method is not None and method not in get_args(Method):
        raise DatasetError(f"method is {method!r}; take one of {', '.join(get_args(Method))}")
    given = {
        "leg_length_m": leg_length_m, "thigh_m": thigh_m, "shank_m": shank_m, "foot_m": foot_m
    }  # fmt: skip
    common = {name: check_length(name, value) for name, value in given.items() if value is not None}
    table = read_segments(subjects) if subjects is not None else {}
    if belt_speed_m_s is not None and not belt_speed_m_s > 0:
        raise DatasetError(f"belt_speed_m_s is {belt_speed_m_s}; give metres per second above 0")
    dataset = source_dataset(view)
    _declare(dataset)
    settings = {"field": field, "event_method": method, "belt_speed_m_s": belt_speed_m_s, **given}
    key = _register(dataset, settings | {"subjects": table})
    ids = view.values("id")
    names = view.values(fields.SUBJECT) if view.has_sample_field(fields.SUBJECT) else ids
    found = []
    with reporting("gait", progress) as report:
        for number, (sample_id, subject) in enumerate(zip(ids, names, strict=True)):
            report(number, len(ids), "")
            measured = Measured(_segments(table, subject, common), belt_speed_m_s)
            found.append(_analyse_video(dataset, sample_id, field, method, measured, key))
        report(len(ids), len(ids), f"{sum(one['strides'] for one in found)} strides")
    return _summarise(key, found)


def _segments(
    table: Mapping[str, Mapping[str, float]], subject: Any, common: Mapping[str, float]
) -> Mapping[str, float]:
    return table.get(str(subject)) or common


def _declare(dataset: fo.Dataset) -> None:
    dataset.add_sample_field(
        fields.EVENTS, fo.EmbeddedDocumentField, embedded_doc_type=fo.TemporalDetections
    )
    dataset.add_sample_field(
        fields.GAIT, fo.EmbeddedDocumentField, embedded_doc_type=fo.DynamicEmbeddedDocument
    )
    dataset.add_sample_field(fields.GAIT_DETAILS, fo.DictField)


def _register(dataset: fo.Dataset, settings: dict[str, Any]) -> str:
    """Keep the settings as a run of the dataset; equal calls share one."""
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:12]
    key = f"gait_{digest}"
    if not dataset.has_run(key):
        dataset.register_run(key, dataset.init_run(method="legpose/gait", **settings))
    return key


def _analyse_video(
    dataset: fo.Dataset,
    sample_id: str,
    field: str,
    method: Method | None,
    measured: Measured,
    key: str,
) -> dict[str, Any]:
    """Analyse one video, write what was found, and count it."""
    video = dataset.select(sample_id)
    paths, made_by = read_paths(video, field)
    [sample] = video
    times = video_times(video)
    number, time_s = np.array(list(times), int), np.array(list(times.values()))
    most = max(paths, key=lambda path: len(path.frame), default=None)
    earlier, written = read_edits(sample[fields.GAIT_DETAILS])
    shown = read_labels(sample[fields.EVENTS], most.track if most else None)
    edits = join_edits(earlier, find_edits(shown, written))
    people = [
        analyse(path, measured, [edit for edit in edits if edit.track == path.track], method)
        for path in paths
    ]
    phases = [
        phase
        for person in people
        for one in person.bouts
        for phase in find_phases(person.track, one.events)
    ]
    phases += _beside_bouts(edits, people, number, time_s)
    places = [phase.shown(number, time_s) for phase in phases]
    sample[fields.EVENTS] = to_labels(phases, number, time_s, sample[fields.EVENTS])
    sample[fields.GAIT] = to_summary(people, key)
    sample[fields.GAIT_DETAILS] = to_record(key, people, edits, places)
    sample.save()
    warnings = [warning for person in people for one in person.bouts for warning in one.warnings]
    if len(made_by) > 1:
        warnings.append("smooth was interrupted in this video: run it again, then gait")
    return _count(sample.filepath, people) | {
        "cadence_spm": sample[fields.GAIT].cadence_spm,
        "warnings": list(dict.fromkeys(warnings)),
    }


def _beside_bouts(
    edits: list[Edit], people: list[PersonGait], number: np.ndarray, time_s: np.ndarray
) -> list[Phase]:
    """Make phases of what a person set where no walking was found, so that it stays."""
    used = {
        (person.track, event.side, event.kind, event.time_s)
        for person in people
        for one in person.bouts
        for event in one.events
        if event.edited
    }
    left: dict[int, list[Event]] = {}
    for edit in edits:
        if edit.frame is None:
            continue
        when = float(np.interp(edit.frame, number, time_s))
        if (edit.track, edit.side, edit.kind, when) not in used:
            event = Event(edit.side, edit.kind, when, 1.0, "edited", edited=True)
            left.setdefault(edit.track, []).append(event)
    return [
        phase
        for track, events in left.items()
        for phase in find_phases(track, sorted(events, key=lambda event: event.time_s))
    ]


def _count(filepath: str, people: list[PersonGait]) -> dict[str, Any]:
    bouts = [found for person in people for found in person.bouts]
    return {
        "filepath": filepath,
        "bouts": len(bouts),
        "strides": sum(len(found.strides) for found in bouts),
        "edited": sum(event.edited for found in bouts for event in found.events),
    }


def _summarise(key: str, found: list[dict[str, Any]]) -> GaitSummary:
    cadences = [one["cadence_spm"] for one in found if one["cadence_spm"] is not None]
    walking = sum(one["bouts"] > 0 for one in found)
    return GaitSummary(
        run_key=key,
        videos=walking,
        without_walking=len(found) - walking,
        bouts=sum(one["bouts"] for one in found),
        strides=sum(one["strides"] for one in found),
        edited_events=sum(one["edited"] for one in found),
        cadence_spm=float(np.mean(cadences)) if cadences else None,
        warnings={one["filepath"]: one["warnings"] for one in found if one["warnings"]},
    )
