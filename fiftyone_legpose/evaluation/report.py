"""The evaluation as one HTML page: numbers, plots and the worst frames, without a network."""

import base64
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import plotly.graph_objects as go

from fiftyone_legpose import legs
from fiftyone_legpose.dataset.frames import dataset_id
from fiftyone_legpose.dataset.pose_table import PoseTable
from fiftyone_legpose.dataset.spacing import Timeline
from fiftyone_legpose.errors import UnreadableError
from fiftyone_legpose.evaluation.comparison import PCK_THRESHOLDS
from fiftyone_legpose.evaluation.intervals import Estimate
from fiftyone_legpose.evaluation.result import HEADLINES, Evaluation, show
from fiftyone_legpose.files import file_sha256, write_whole
from fiftyone_legpose.pose.drawing import draw_poses
from fiftyone_legpose.privacy.audit import hand_over
from fiftyone_legpose.privacy.stills import Policy, check_still
from fiftyone_legpose.videos import decoding

_HIDE = Policy("blacken")
_PICTURE_PX = 360
_APART_S = 0.5
_FEW_GROUPS = 6
_COLORS = ("#1f77b4", "#d95f02", "#1b9e77", "#7570b3", "#e7298a", "#666666")
_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 1100px; margin: 2rem auto; padding: 0 1rem;
       color: #222 }
table { border-collapse: collapse } th, td { padding: .2rem .8rem; text-align: right;
       border-bottom: 1px solid #ddd } th:first-child, td:first-child { text-align: left }
.better { color: #0a7d32 } .worse { color: #b3261e }
figure { margin: 1.5rem 0 } figure img { max-width: 100% } figcaption { color: #555 }
"""


@dataclass(frozen=True)
class WorstFrame:
    """One frame that predictions got wrong."""

    title: str
    """Which video and frame, without the file name, which can hold a patient's name."""
    errors: dict[str, float]
    """Error of each prediction in leg lengths; see `evaluation.frame_errors.frame_errors`."""
    jpeg: bytes
    """The labels, then each prediction, side by side."""


def write_report(
    evaluation: Evaluation, folder: str | Path, worst: Sequence[WorstFrame] = ()
) -> Path:
    """Write an evaluation as ``report.html``.

    Parameters
    ----------
    evaluation
        From `evaluate`.
    folder
        Made where it is missing; an older report in it is replaced.
    worst
        Frames to show, from `worst_frames`.

    Returns
    -------
    Path
        The file; it opens without a network.
    """
    target = Path(folder).expanduser() / "report.html"
    page = "".join(_page(evaluation, worst))
    with write_whole(target) as part:
        part.write_text(page, encoding="utf-8")
    return target


def log_report(view: Any, path: Path, pictures: int) -> None:
    """Log a report as handed over."""
    of = dataset_id(view)
    hand_over("report", path, _HIDE, {path.name: file_sha256(path)}, frames=pictures, dataset=of)


def worst_frames(
    truth: PoseTable,
    tables: Mapping[str, PoseTable],
    used: np.ndarray,
    errors: Mapping[str, np.ndarray],
    count: int,
    min_score: float = 0.25,
    masks: Mapping[str, np.ndarray] | None = None,
) -> list[WorstFrame]:
    """Picture the frames with the highest error of any prediction, apart in time.

    Parameters
    ----------
    truth
        The labels.
    tables
        The predictions on the same frames, by name.
    used
        Shape (F,) of bool: frames that were compared.
    errors
        Arrays (frames compared,) by name, from `evaluation.frame_errors.frame_errors`.
    count
        How many frames at most; fewer where the rest has no error.
    min_score
        Predicted persons of a lower box confidence are not drawn.
    masks
        Shares that are black by sample id, from `read_masks`.

    Returns
    -------
    list of WorstFrame
        Worst first, faces and upper bodies burnt black. A frame that can no longer be decoded is
        left out.
    """
    highest = np.zeros(len(used))
    highest[used] = np.max(list(errors.values()), axis=0)
    order = np.argsort(-highest, kind="stable")
    timeline = Timeline(truth.frame_sample, np.nan_to_num(truth.time_s), _APART_S)
    chosen = timeline.apart(order[highest[order] > 0], count)
    pictures = dict(_decode(truth, chosen))
    compared = np.cumsum(used) - 1
    return [
        WorstFrame(
            title=_title(truth, frame),
            errors={name: float(values[compared[frame]]) for name, values in errors.items()},
            jpeg=_side_by_side(
                pictures[frame],
                frame,
                [truth, *tables.values()],
                min_score,
                (masks or {}).get(truth.sample_ids[truth.frame_sample[frame]]),
            ),
        )
        for frame in chosen.tolist()
        if frame in pictures
    ]


def _decode(truth: PoseTable, frames: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    for sample in np.unique(truth.frame_sample[frames]):
        own = np.sort(frames[truth.frame_sample[frames] == sample])
        path = truth.filepaths[sample]
        try:
            if np.isnan(truth.frame_rates[sample]):
                yield int(own[0]), decoding.read_picture(path)
                continue
            frame_at = dict(zip(truth.frame_number[own].tolist(), own.tolist(), strict=True))
            for number, picture in decoding.read_frames(path, list(frame_at)):
                yield frame_at[number], picture
        except UnreadableError:
            continue


def _title(truth: PoseTable, frame: int) -> str:
    sample = truth.frame_sample[frame]
    if np.isnan(truth.frame_rates[sample]):
        return f"image {sample + 1}, id {truth.sample_ids[sample]}"
    return f"video {sample + 1}, frame {truth.frame_number[frame]}, id {truth.sample_ids[sample]}"


def _side_by_side(
    picture: np.ndarray,
    frame: int,
    tables: Sequence[PoseTable],
    min_score: float,
    masks: np.ndarray | None,
) -> bytes:
    people = [table.poses_of(frame, min_score) for table in tables]
    everybody = [pose for found in people for pose in found]
    shown = check_still(picture, everybody, _HIDE, masks).picture
    wide = np.concatenate([draw_poses(shown.copy(), each) for each in people], axis=1)
    scale = min(1, _PICTURE_PX / wide.shape[0])
    small = cv2.resize(wide, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 85])[1].tobytes()


def _page(evaluation: Evaluation, worst: Sequence[WorstFrame]) -> Iterator[str]:
    counts, settings = evaluation.counts, evaluation.settings
    yield "<!doctype html><html lang=en><meta charset=utf-8>"
    yield f"<title>Leg keypoints: {escape(', '.join(evaluation.names))}</title>"
    yield f"<style>{_STYLE}</style><h1>Leg keypoints: evaluation</h1>"
    yield (
        f"<p>{counts['persons']} labelled persons in {counts['frames']} frames, {evaluation.date}. "
        f"95% intervals by drawing the {counts['groups']} groups ({escape(settings['group_by'])}) "
        f"with replacement, {settings['resamples']} times, the same draws for all.</p>"
    )
    if counts["groups"] < _FEW_GROUPS:
        yield (
            f"<p><strong>With {counts['groups']} groups the intervals are rough at best; "
            "label frames of more videos before you trust a difference.</strong></p>"
        )
    for caution in evaluation.cautions():
        yield f"<p>{escape(caution)}</p>"
    if counts["frames_not_predicted"]:
        yield (
            f"<p>{counts['frames_not_predicted']} labelled frames have no prediction from all and "
            "were left out.</p>"
        )
    yield _headline_table(evaluation)
    plots = (
        ("Error of each joint", _error_plot(evaluation)),
        ("Points within a distance", _pck_plot(evaluation)),
        ("Visible and occluded points", _visibility_plot(evaluation)),
        ("Left and right swapped", _swap_plot(evaluation)),
        ("What changed, joint by joint", _change_plot(evaluation)),
        ("Is keypoint confidence honest?", _calibration_plot(evaluation)),
    )
    script: bool | str = True
    for title, figure in plots:
        if figure is None:
            continue
        figure.update_layout(template="plotly_white", height=420, margin={"t": 20})
        yield f"<h2>{title}</h2>{figure.to_html(full_html=False, include_plotlyjs=script)}"
        script = False
    if worst:
        names = ", ".join(escape(name) for name in evaluation.names)
        yield f"<h2>Worst frames</h2><p>From left: labels, {names}. Error in leg lengths.</p>"
    for frame in worst:
        errors = ", ".join(f"{escape(name)} {value:.3f}" for name, value in frame.errors.items())
        data = base64.b64encode(frame.jpeg).decode()
        yield (
            f'<figure><img alt="" src="data:image/jpeg;base64,{data}">'
            f"<figcaption>{escape(frame.title)}: {errors}</figcaption></figure>"
        )


def _headline_table(evaluation: Evaluation) -> str:
    head = "".join(f"<th>{escape(name)}" for name in evaluation.names)
    rows = []
    for measure, title in HEADLINES.items():
        cells = []
        for name in evaluation.names:
            change = evaluation.changes.get(name, {}).get(measure)
            verdict = change.verdict if change else ""
            mark = f' class="{verdict}"' if verdict in ("better", "worse") else ""
            note = f" ({verdict})" if verdict else ""
            cells.append(f"<td{mark}>{show(evaluation.estimates[name][measure])}{note}")
        rows.append(f"<tr><td>{title}{''.join(cells)}")
    return f"<table><tr><th>{head}{''.join(rows)}</table>"


def _error_plot(evaluation: Evaluation) -> go.Figure:
    keys = [f"median_px/all/{joint}" for joint in legs.KEYPOINTS]
    figure = _bars(evaluation, list(legs.KEYPOINTS), keys)
    return figure.update_layout(yaxis_title="median error, px")


def _pck_plot(evaluation: Evaluation) -> go.Figure:
    keys = [f"pck@{t}/all/all" for t in PCK_THRESHOLDS]
    figure = _bars(evaluation, [f"{t} leg lengths" for t in PCK_THRESHOLDS], keys)
    return figure.update_layout(yaxis_title="share of points", yaxis_range=[0, 1])


def _visibility_plot(evaluation: Evaluation) -> go.Figure:
    sets = ("all", "visible", "occluded")
    figure = _bars(evaluation, sets, [f"pck@0.1/{points}/all" for points in sets])
    return figure.update_layout(yaxis_title="PCK@0.1", yaxis_range=[0, 1])


def _swap_plot(evaluation: Evaluation) -> go.Figure:
    pairs = ("all", "hip", "knee", "ankle", "heel", "foot")
    figure = _bars(evaluation, pairs, [f"swapped/{pair}" for pair in pairs])
    return figure.update_layout(yaxis_title="share of pairs", yaxis_rangemode="tozero")


def _bars(evaluation: Evaluation, labels: Sequence[str], keys: Sequence[str]) -> go.Figure:
    figure = go.Figure()
    for name, color in _colored(evaluation.names):
        values = [evaluation.estimates[name][key] for key in keys]
        figure.add_bar(
            name=name,
            x=list(labels),
            y=[v.value for v in values],
            marker_color=color,
            error_y=_error_bars(values),
        )
    return figure


def _error_bars(values: Sequence[Estimate]) -> dict[str, object]:
    high = [(v.high or 0) - (v.value or 0) if v.high is not None else 0 for v in values]
    low = [(v.value or 0) - (v.low or 0) if v.low is not None else 0 for v in values]
    return {"type": "data", "symmetric": False, "array": high, "arrayminus": low}


def _change_plot(evaluation: Evaluation) -> go.Figure | None:
    figure = go.Figure()
    for name, color in _colored(evaluation.names):
        if name not in evaluation.changes:
            continue
        changes = [evaluation.changes[name][f"median_px/all/{joint}"] for joint in legs.KEYPOINTS]
        values = [Estimate(c.difference, c.low, c.high) for c in changes]
        figure.add_scatter(
            name=f"{name} minus {evaluation.names[0]}",
            x=list(legs.KEYPOINTS),
            y=[v.value for v in values],
            mode="markers",
            marker={"color": color, "size": 9},
            error_y=_error_bars(values),
        )
    if not figure.data:
        return None
    figure.add_hline(y=0, line_dash="dot")
    return figure.update_layout(yaxis_title="change of median error, px (below 0: better)")


def _calibration_plot(evaluation: Evaluation) -> go.Figure | None:
    figure = go.Figure()
    for name, color in _colored(evaluation.names):
        bins = evaluation.calibration[name]
        if not any(bins["count"]):
            continue
        figure.add_scatter(
            name=name,
            x=bins["confidence"],
            y=bins["correct"],
            mode="lines+markers",
            marker_color=color,
            text=[f"{count:.0f} points" for count in bins["count"] if count is not None],
        )
    if not figure.data:
        return None
    figure.add_shape(type="line", x0=0, y0=0, x1=1, y1=1, line_dash="dot")
    return figure.update_layout(
        xaxis_title="mean confidence of the points",
        yaxis_title="share within 0.1 leg lengths",
        xaxis_range=[0, 1],
        yaxis_range=[0, 1],
    )


def _colored(names: Sequence[str]) -> list[tuple[str, str]]:
    return [(name, _COLORS[i % len(_COLORS)]) for i, name in enumerate(names)]
