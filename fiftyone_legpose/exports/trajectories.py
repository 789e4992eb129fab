"""CSV and Parquet: keypoints over time, one row for each frame, person and keypoint.

Columns: ``video`` (base name of the file that was loaded, never its folders), ``subject``,
``frame`` (from 1), ``time_s`` (from the first frame, by the clock of the file that was loaded;
empty for images), ``track``, ``keypoint``, ``x_px`` and ``y_px`` (empty where cut off),
``confidence`` (empty where corrected), ``visibility`` (2 visible, 1 occluded, 0 cut off),
``corrected``; ``source`` (predicted, corrected, filled, missing) and, where smooth was run, the
clean path in ``x_smooth_px`` and ``y_smooth_px``. On a frame that a person has looked at, the
corrections replace all predictions. A corrected person without a track takes the track of the
predicted person in the same place.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from fiftyone_legpose import legs
from fiftyone_legpose.dataset.checks import check_legs
from fiftyone_legpose.dataset.frames import sample_values
from fiftyone_legpose.dataset.pose_table import PoseTable, read_poses
from fiftyone_legpose.exports.people import subjects, video_names
from fiftyone_legpose.progress import Report
from fiftyone_legpose.trajectories.corrected_tracks import take_tracks
from fiftyone_legpose.trajectories.path_labels import SOURCE_NAMES, read_sources
from fiftyone_legpose.trajectories.paths import Source

Format = Literal["csv", "parquet"]

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
        ("source", pa.string()),
        ("x_smooth_px", pa.float64()),
        ("y_smooth_px", pa.float64()),
    ]
)

_IMAGES_A_BATCH = 1000

Smooth = tuple[PoseTable, np.ndarray]
"""Clean paths, and the source (N, K) of their points."""


@dataclass(frozen=True)
class Written:
    """What was written."""

    rows: int
    frames: int
    """Frames that somebody is on."""
    corrected_frames: int
    """Frames that a person has looked at, empty ones included."""


def write_trajectories(
    view: Any,
    path: Path,
    kind: Format,
    *,
    field: str | None,
    gt_field: str | None,
    smooth_field: str | None,
    report: Report,
) -> Written:
    """Write the table of a view.

    Parameters
    ----------
    view
        Videos or images; of a view only its own frames are written.
    path
        The file.
    kind
        ``csv`` or ``parquet``.
    field, gt_field, smooth_field
        Predictions, corrections and clean paths; None where there are none.
    report
        Called with the progress.

    Returns
    -------
    Written
    """
    rows = frames = corrected = 0
    with _table_writer(path, kind) as writer:
        names = video_names(view)
        parts = list(batches(view))
        for number, batch in enumerate(parts):
            report(number, len(parts), "")
            predicted = read_legs(batch, field) if field else None
            fixed = read_legs(batch, gt_field) if gt_field else None
            smooth = None
            if smooth_field:
                smooth = (read_legs(batch, smooth_field), read_sources(batch, smooth_field)[0])
            table, on_frames = _rows(batch, predicted, fixed, smooth, names)
            writer.write_table(table)
            rows += table.num_rows
            frames += on_frames
            corrected += int(fixed.looked_at.sum()) if fixed else 0
        report(len(parts), len(parts), f"{rows} rows")
    return Written(rows, frames, corrected)


@contextmanager
def _table_writer(path: Path, kind: Format) -> Iterator[Any]:
    if kind == "parquet":
        with pyarrow.parquet.ParquetWriter(path, SCHEMA) as writer:
            yield writer
        return
    options = pyarrow.csv.WriteOptions(quoting_style="needed")
    with pyarrow.csv.CSVWriter(path, SCHEMA, write_options=options) as writer:
        yield writer


def batches(view: Any) -> Iterator[Any]:
    """Give a view video by video, or some images at a time."""
    [ids] = sample_values(view, "id")
    size = 1 if view.media_type == "video" else _IMAGES_A_BATCH
    for start in range(0, len(ids), size):
        yield view.select(ids[start : start + size], ordered=True)


def read_legs(view: Any, field: str) -> PoseTable:
    """Read a field of the ten leg keypoints."""
    table = read_poses(view, field)
    check_legs(table.points, field)
    return table


def _rows(
    view: Any,
    predicted: PoseTable | None,
    corrected: PoseTable | None,
    smooth: Smooth | None,
    names: Mapping[str, str],
) -> tuple[pa.Table, int]:
    """Build the rows of some samples, and count the frames that somebody is on."""
    base = predicted or corrected
    assert base is not None
    frame, track, values = _people(predicted, corrected, smooth, len(base.frame_ids))
    order = np.lexsort((track, frame))
    frame, track = frame[order], track[order]
    points, clean, source, confidence, seen, fixed = (array[order] for array in values)
    pose_count, keypoints = len(frame), len(legs.KEYPOINTS)
    on_frames = len(np.unique(frame))
    frame, track = np.repeat(frame, keypoints), np.repeat(track, keypoints)
    sample = base.frame_sample[frame]
    columns = {
        "video": _text([names[i] for i in base.sample_ids], sample),
        "subject": _text(subjects(view), sample),
        "frame": pa.array(base.frame_number[frame], pa.int32()),
        "time_s": _numbers(base.time_s[frame], 6),
        "track": pa.array(track, pa.int32(), mask=track < 0),
        "keypoint": _text(list(legs.KEYPOINTS), np.tile(np.arange(keypoints), pose_count)),
        "x_px": _numbers(points[..., 0], 3),
        "y_px": _numbers(points[..., 1], 3),
        "confidence": _numbers(confidence, 4),
        "visibility": pa.array(seen.ravel(), pa.int8()),
        "corrected": pa.array(np.repeat(fixed, keypoints)),
        "source": _text(list(SOURCE_NAMES), source.ravel()),
        "x_smooth_px": _numbers(clean[..., 0], 3),
        "y_smooth_px": _numbers(clean[..., 1], 3),
    }
    return pa.table(columns, schema=SCHEMA), on_frames


Arrays = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]
"""Points and clean points (N, K, 2) in px, source, confidence and visibility (N, K), corrected
(N,)."""


def _people(
    predicted: PoseTable | None,
    corrected: PoseTable | None,
    smooth: Smooth | None,
    frames: int,
) -> tuple[np.ndarray, np.ndarray, Arrays]:
    """List frame and track of each person once, with what is known of them."""
    done = corrected.looked_at if corrected else np.zeros(frames, bool)
    people = []
    if predicted:
        people.append((predicted, ~done[predicted.pose_frame], predicted.track, False))
    if corrected:
        track = take_tracks(corrected, predicted) if predicted else corrected.track
        people.append((corrected, np.ones(len(track), bool), track, True))
    frame = np.concatenate([table.pose_frame[rows] for table, rows, _, _ in people])
    track = np.concatenate([track[rows] for _, rows, track, _ in people])
    points = np.concatenate([t.points[rows] for t, rows, _, _ in people])
    seen = np.concatenate([t.visibility[rows] for t, rows, _, _ in people])
    confidence = np.concatenate(
        [np.where(fixed, np.nan, t.confidence[rows]) for t, rows, _, fixed in people]
    )
    fixed = np.concatenate([np.full(rows.sum(), by_hand) for _, rows, _, by_hand in people])
    clean = np.full_like(points, np.nan)
    seen_from = np.where(fixed[:, None], Source.CORRECTED, Source.PREDICTED)
    source = np.where(np.isnan(points).any(axis=-1), Source.MISSING, seen_from)
    if smooth is None:
        return frame, track, (points, clean, source, confidence, seen, fixed)
    table, sources = smooth
    # Whoever is alone in a video without tracks has a path all the same, as track 0.
    own = np.where(track < 0, 0, track) if not table.track.any() else track
    place = {pair: row for row, pair in enumerate(zip(frame.tolist(), own.tolist(), strict=True))}
    pairs = zip(table.pose_frame.tolist(), table.track.tolist(), strict=True)
    at = np.array([place.get(pair, -1) for pair in pairs], int)
    clean[at[at >= 0]], source[at[at >= 0]] = table.points[at >= 0], sources[at >= 0]
    # Somebody whom no frame shows here, because the gap was short enough to be filled.
    added = np.flatnonzero((at < 0) & (table.track >= 0))
    unknown = np.full((len(added), *points.shape[1:]), np.nan)
    return (
        np.concatenate([frame, table.pose_frame[added]]),
        np.concatenate([track, table.track[added]]),
        (
            np.concatenate([points, unknown]),
            np.concatenate([clean, table.points[added]]),
            np.concatenate([source, sources[added]]),
            np.concatenate([confidence, unknown[..., 0]]),
            np.concatenate([seen, table.visibility[added]]),
            np.concatenate([fixed, np.zeros(len(added), bool)]),
        ),
    )


def _text(values: list[str] | list[str | None], index: np.ndarray) -> pa.Array:
    return pa.array(values, pa.string()).take(pa.array(index))


def _numbers(values: np.ndarray, digits: int) -> pa.Array:
    return pa.array(values.ravel().round(digits), pa.float64(), from_pandas=True)
