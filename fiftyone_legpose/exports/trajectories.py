"""export: keypoints over time as a table, for whoever analyses gait."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from scipy.optimize import linear_sum_assignment

from fiftyone_legpose import legs
from fiftyone_legpose.dataset import fields
from fiftyone_legpose.dataset.by_name import takes_name
from fiftyone_legpose.dataset.checks import check_legs, check_whole
from fiftyone_legpose.dataset.file_names import file_names
from fiftyone_legpose.dataset.frames import sample_values, source_dataset, values
from fiftyone_legpose.dataset.pose_table import PoseTable, read_poses
from fiftyone_legpose.errors import DatasetError
from fiftyone_legpose.exports.coco_keypoints import CocoFile
from fiftyone_legpose.files import write_whole
from fiftyone_legpose.pose import geometry
from fiftyone_legpose.pose.geometry import SAME_PERSON_FROM
from fiftyone_legpose.progress import Report, reporting

Format = Literal["csv", "parquet", "coco"]

_ENDINGS: dict[str, Format] = {".csv": "csv", ".parquet": "parquet", ".json": "coco"}

SCHEMA = pa.schema(
    [
        ("video", pa.string()),
        ("subject", pa.string()),
        ("frame", pa.int32()),
        ("time_s", pa.float64()),
        ("track", pa.int32()),
        ("keypoint", pa.string()),
        ("x_px", pa.float64()),
        ("y_px", pa.float64()),
        ("confidence", pa.float64()),
        ("visibility", pa.int8()),
        ("corrected", pa.bool_()),
    ]
)

_IMAGES_A_BATCH = 1000

_SAME_TRACK = 0.1
"""OKS that a person may lack and still be the one with the track that she was sent with."""

_ON_TRACK = 1.0
"""Leg lengths that a person may be away from where a track leads and still be on it."""


@dataclass(frozen=True)
class ExportSummary:
    """What `export` wrote."""

    path: Path
    rows: int
    """Of the table; of a COCO file, the persons."""
    frames: int
    """Frames that somebody is on."""
    corrected_frames: int
    """Frames of the view that a person has looked at, empty ones included."""


@takes_name("dataset_or_view")
def export(
    dataset_or_view: Any,
    path: str | Path,
    *,
    format: Format | None = None,  # noqa: A002 - the word that users know
    field: str = fields.PREDICTIONS,
    gt_field: str = fields.GROUND_TRUTH,
    progress: Report | bool | None = None,
) -> ExportSummary:
    """Write one row for each frame, person and keypoint, or COCO keypoints.

    On a frame that a person has looked at, the corrections replace all predictions.

    Parameters
    ----------
    dataset_or_view
        Videos or images; of a view only its own frames are written.
    path
        The file, replaced where it is there, and complete or not there at all.
    format
        ``csv``, ``parquet`` or ``coco``; by default what the file's name ends in (``.json`` is
        COCO); CSV where it has no ending.
    field
        The predictions.
    gt_field
        The corrections.
    progress
        See `fiftyone_legpose.progress.reporting`.

    Returns
    -------
    ExportSummary

    Raises
    ------
    DatasetError
        There are neither predictions nor corrections, on no frame at all, no such format or one
        that the file's name contradicts, or the file cannot be written.

    Notes
    -----
    Columns: ``video`` (base name of the file that was loaded, never its folders), ``subject``,
    ``frame`` (from 1), ``time_s`` (from the first frame, by the clock of the file that was loaded;
    empty for images), ``track``, ``keypoint``, ``x_px`` and ``y_px`` (empty where cut off),
    ``confidence`` (empty where corrected), ``visibility`` (2 visible, 1 occluded, 0 cut off),
    ``corrected``. A corrected person without a track takes the track of the predicted person in
    the same place.
    """
    target = Path(path).expanduser()
    view = dataset_or_view
    check_whole(view)
    columns = [name for name in (field, gt_field) if _has_keypoints(view, name)]
    if not columns:
        raise DatasetError(
            f"there are no keypoints in {field!r} nor in {gt_field!r}; run predict first, or name "
            "the fields"
        )
    ending = target.suffix.lower()
    kind: Any = format or _ENDINGS.get(ending, ending or "csv")
    if kind not in get_args(Format):
        raise DatasetError(
            f"there is no format {kind!r}: take csv or parquet for a table, coco for COCO "
            "keypoints, by the end of the file's name or as format; for YOLO-pose see "
            "dataset.export and YOLOPoseDataset"
        )
    other = _ENDINGS.get(ending, kind)
    if other != kind:
        [ending] = [ending for ending, of in _ENDINGS.items() if of == kind]
        raise DatasetError(
            f"{target.name} would hold {kind}: name it {target.stem}{ending}, or take the format "
            f"{other}"
        )
    kinds = values(view, *(f"{name}._cls" for name in columns))
    if not any(kind is not None for column in kinds for kind in column):
        raise DatasetError(
            f"no frame has predictions in {field!r} or corrections in {gt_field!r}; run predict "
            "first, or name the fields"
        )
    if kind == "coco":
        return _write_coco(view, target, field, gt_field, columns, progress)
    rows = frames = corrected = 0
    with reporting("export", progress) as report, _table_writer(target, kind) as writer:
        names = _names(view)
        batches = list(_batches(view))
        for number, batch in enumerate(batches):
            report(number, len(batches), "")
            predicted = _read(batch, field) if field in columns else None
            fixed = _read(batch, gt_field) if gt_field in columns else None
            table, on_frames = _rows(batch, predicted, fixed, names)
            writer.write_table(table)
            rows += table.num_rows
            frames += on_frames
            corrected += int(fixed.looked_at.sum()) if fixed else 0
        report(len(batches), len(batches), f"{rows} rows")
    return ExportSummary(target, rows, frames, corrected)


def _write_coco(
    view: Any,
    target: Path,
    field: str,
    gt_field: str,
    columns: Sequence[str],
    progress: Report | bool | None,
) -> ExportSummary:
    """Write each frame with what is known of it best; a row of the summary is a person."""
    file, persons, on_frames, corrected = CocoFile(view), 0, 0, 0
    with reporting("export", progress) as report:
        batches = list(_batches(view))
        for number, batch in enumerate(batches):
            report(number, len(batches), "")
            fixed = _read(batch, gt_field) if gt_field in columns else None
            done = np.flatnonzero(fixed.looked_at) if fixed else np.array([], int)
            if fixed:
                persons += file.add(fixed, done.tolist(), corrected=True)
                on_frames += len(np.unique(fixed.pose_frame))
            if field in columns:
                predicted = _read(batch, field)
                rest = np.setdiff1d(np.flatnonzero(predicted.looked_at), done)
                persons += file.add(predicted, rest.tolist(), corrected=False)
                on_frames += len(np.intersect1d(predicted.pose_frame, rest))
            corrected += len(done)
        file.write(target)
        report(len(batches), len(batches), f"{persons} persons")
    return ExportSummary(target, persons, on_frames, corrected)


@contextmanager
def _table_writer(target: Path, kind: Format) -> Iterator[Any]:
    """Give a writer whose file takes the target's name only when all of it is written."""
    with write_whole(target) as part:
        if kind == "parquet":
            with pyarrow.parquet.ParquetWriter(part, SCHEMA) as writer:
                yield writer
        else:
            options = pyarrow.csv.WriteOptions(quoting_style="needed")
            with pyarrow.csv.CSVWriter(part, SCHEMA, write_options=options) as writer:
                yield writer


def _has_keypoints(view: Any, field: str) -> bool:
    prefix = "frames." if view.media_type == "video" else ""
    return view.get_field(f"{prefix}{field}.keypoints") is not None


def _names(view: Any) -> dict[str, str]:
    """Name each sample by its file; files of the same name are told apart by their sample ids.

    Of the same name in the dataset: what a video is called does not depend on the view.
    """
    [ids], names = sample_values(view, "id"), file_names(view)
    count = Counter(file_names(source_dataset(view)))
    return {
        sample: name if count[name] == 1 else f"{name}#{sample}"
        for sample, name in zip(ids, names, strict=True)
    }


def _batches(view: Any) -> Iterator[Any]:
    [ids] = sample_values(view, "id")
    size = 1 if view.media_type == "video" else _IMAGES_A_BATCH
    for start in range(0, len(ids), size):
        yield view.select(ids[start : start + size], ordered=True)


def _read(view: Any, field: str) -> PoseTable:
    table = read_poses(view, field)
    check_legs(table.points, field)
    return table


def _rows(
    view: Any, predicted: PoseTable | None, corrected: PoseTable | None, names: Mapping[str, str]
) -> tuple[pa.Table, int]:
    """Build the rows of some samples, and count the frames that somebody is on."""
    base = predicted or corrected
    assert base is not None
    done = corrected.looked_at if corrected else np.zeros(len(base.frame_ids), bool)
    people = []
    if predicted:
        rows = ~done[predicted.pose_frame]
        people.append((predicted, rows, predicted.track, False))
    if corrected:
        track = _take_tracks(corrected, predicted) if predicted else corrected.track
        people.append((corrected, np.ones(len(track), bool), track, True))
    frame = np.concatenate([table.pose_frame[rows] for table, rows, _, _ in people])
    track = np.concatenate([track[rows] for _, rows, track, _ in people])
    order = np.lexsort((track, frame))
    pose_count, keypoints = len(frame), len(legs.KEYPOINTS)
    points = np.concatenate([t.points[rows] for t, rows, _, _ in people])[order]
    seen = np.concatenate([t.visibility[rows] for t, rows, _, _ in people])[order]
    confidence = np.concatenate(
        [np.where(fixed, np.nan, t.confidence[rows]) for t, rows, _, fixed in people]
    )[order]
    fixed = np.concatenate([np.full(rows.sum(), by_hand) for _, rows, _, by_hand in people])[order]
    frame, track = np.repeat(frame[order], keypoints), np.repeat(track[order], keypoints)
    sample = base.frame_sample[frame]
    subjects = _subjects(view)
    number = base.frame_number[frame]
    columns = {
        "video": _text([names[i] for i in base.sample_ids], sample),
        "subject": _text(subjects, sample),
        "frame": pa.array(number, pa.int32()),
        "time_s": _numbers(base.time_s[frame], 6),
        "track": pa.array(track, pa.int32(), mask=track < 0),
        "keypoint": _text(list(legs.KEYPOINTS), np.tile(np.arange(keypoints), pose_count)),
        "x_px": _numbers(points[..., 0], 3),
        "y_px": _numbers(points[..., 1], 3),
        "confidence": _numbers(confidence, 4),
        "visibility": pa.array(seen.ravel(), pa.int8()),
        "corrected": pa.array(np.repeat(fixed, keypoints)),
    }
    return pa.table(columns, schema=SCHEMA), len(np.unique(frame))


def _subjects(view: Any) -> list[str | None]:
    if not view.has_sample_field(fields.SUBJECT):
        return [None] * len(view)
    return [
        None if subject is None else str(subject)
        for subject in sample_values(view, fields.SUBJECT)[0]
    ]


def _take_tracks(corrected: PoseTable, predicted: PoseTable) -> np.ndarray:
    """Give corrected persons (N,) the track of the prediction they replace.

    The track they were sent with decides only between equals: a later prediction numbers anew. A
    person who replaces nobody keeps hers only where it leads past her, or is nobody else's.
    """
    track = corrected.track.copy()
    area = geometry.areas(corrected.points, corrected.visibility)
    for frame in np.unique(corrected.pose_frame):
        own = np.flatnonzero(corrected.pose_frame == frame)
        other = np.flatnonzero((predicted.pose_frame == frame) & (predicted.track >= 0))
        likeness = geometry.oks(
            corrected.points[own], corrected.visibility[own], area[own], predicted.points[other]
        )
        same = track[own][:, None] == predicted.track[other]
        rows, columns = linear_sum_assignment(-likeness - _SAME_TRACK * same)
        near = likeness[rows, columns] >= SAME_PERSON_FROM
        for row in np.delete(own, rows[near]).tolist():
            if track[row] >= 0 and not _leads_past(predicted, corrected, row):
                track[row] = -1
        track[own[rows[near]]] = predicted.track[other[columns[near]]]
    return track


def _leads_past(predicted: PoseTable, corrected: PoseTable, row: int) -> bool:
    """Tell whether the track that a corrected person bears is hers, or nobody's, in predictions."""
    frame = corrected.pose_frame[row]
    on_track = (predicted.track == corrected.track[row]) & (
        predicted.pose_sample == corrected.frame_sample[frame]
    )
    if not on_track.any():
        return True
    numbers = predicted.frame_number[predicted.pose_frame[on_track]]
    points, number = predicted.points[on_track], corrected.frame_number[frame]
    if number in numbers:
        return False  # whoever has it is in this very frame, in another place
    after = int(np.searchsorted(numbers, number))
    first, last = max(after - 1, 0), min(after, len(numbers) - 1)
    times_s = predicted.time_s[predicted.pose_frame[on_track]]
    passed_s, between_s = corrected.time_s[frame] - times_s[first], times_s[last] - times_s[first]
    share = passed_s / between_s if between_s else 0
    away = corrected.points[row] - (points[first] + share * (points[last] - points[first]))
    both = ~np.isnan(away).any(axis=1)
    if not both.any():
        return False
    return bool(np.linalg.norm(away[both].mean(axis=0)) <= _ON_TRACK * corrected.leg[row])


def _text(values: list[str] | list[str | None], index: np.ndarray) -> pa.Array:
    return pa.array(values, pa.string()).take(pa.array(index))


def _numbers(values: np.ndarray, digits: int) -> pa.Array:
    return pa.array(values.ravel().round(digits), pa.float64(), from_pandas=True)
