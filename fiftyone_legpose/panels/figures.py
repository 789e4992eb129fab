"""Plotly figures of the panel, as plain data: importing plotly itself takes longer than a click."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from fiftyone_legpose import legs
from fiftyone_legpose.dataset import fields
from fiftyone_legpose.evaluation.comparison import PCK_THRESHOLDS
from fiftyone_legpose.evaluation.plain_words import WORDS, tell
from fiftyone_legpose.evaluation.result import Evaluation
from fiftyone_legpose.panels.tracks import Track, curve
from fiftyone_legpose.zoo import registry
from fiftyone_legpose.zoo.checkpoints import NAME

Traces = list[dict[str, Any]]

STATE_COLORS: Final = {
    fields.SELECTED: "#ffd60a",
    fields.OUT: "#bf5af2",
    fields.CORRECTED: "#34c759",
    fields.EMPTY: "#8e8e93",
}
_VERSION_COLORS: Final = ("#5ac8fa", "#34c759", "#bf5af2", "#ffd60a")
_CONFIDENCE: Final = "#5ac8fa"
_SCORE: Final = "#ff9f0a"
_JUMP: Final = "#ff453a"
_GAP: Final = "rgba(255, 69, 58, 0.22)"
_MEASURES: Final = (
    "ap50_95",
    "pck@0.1/all/all",
    "median_px/all/all",
    "p95_px/all/all",
    "found",
    "swapped/all",
)
_JUMPS: Final = ("jump", "swapped")


def timeline(track: Track) -> Traces:
    """Draw confidence and review score by time; jumps, gaps and chosen frames are marked."""
    time_s = np.round(track.time_s, 3)
    reasons = [", ".join(why) for why in track.reasons]
    traces = [_gaps(track, time_s)] if np.isnan(track.confidence).any() else []
    traces.append(
        _line("confidence", time_s, track.confidence, _CONFIDENCE, track.frame.tolist())
        | {"hovertemplate": "frame %{customdata}: confidence %{y:.2f}<extra></extra>"}
    )
    if not np.isnan(track.score).all():
        traces.append(
            _line("review score", time_s, track.score, _SCORE, reasons)
            | {"hovertemplate": "review score %{y:.2f} %{customdata}<extra></extra>"}
        )
    jumps = np.array([any(why.startswith(_JUMPS) for why in whys) for whys in track.reasons], bool)
    if jumps.any():
        traces.append(_dots("jump or swap", time_s, jumps, -0.06, _JUMP, "x", reasons))
    for state, color in STATE_COLORS.items():
        chosen = track.state == state
        if chosen.any():
            traces.append(_dots(state, time_s, chosen, 1.06, color, "circle", reasons))
    return traces


def trajectory(track: Track, name: str) -> Traces:
    """Draw one curve of both legs, left blue and right orange."""
    sides = curve(track, name)
    unit = "°" if name.endswith("angle") else " px"
    return [
        _line(side, np.round(track.time_s, 3), sides[side], color, track.frame.tolist())
        | {"hovertemplate": f"frame %{{customdata}}: %{{y:.0f}}{unit}<extra>{side}</extra>"}
        for side, color in (("left", legs.LEFT_COLOR), ("right", legs.RIGHT_COLOR))
    ]


def joint_errors(evaluation: Evaluation) -> Traces:
    """Draw the median error of each joint in px, a bar a version."""
    traces = []
    for name, color in zip(evaluation.names, _colors(evaluation), strict=True):
        estimates = [evaluation.estimates[name].get(f"median_px/all/{j}") for j in legs.KEYPOINTS]
        values = [None if e is None else e.value for e in estimates]
        traces.append(
            {
                "type": "bar",
                "name": shown_name(name),
                "x": [joint.replace("_", " ") for joint in legs.KEYPOINTS],
                "y": values,
                "marker": {"color": color},
                "hovertemplate": f"%{{x}}: %{{y:.1f}} px<extra>{shown_name(name)}</extra>",
            }
        )
    return traces


def pck_curves(evaluation: Evaluation) -> Traces:
    """Draw the share of points that are near enough, by what near means in leg lengths."""
    return [
        {
            "type": "scatter",
            "mode": "lines+markers",
            "name": shown_name(name),
            "x": list(PCK_THRESHOLDS),
            "y": [evaluation.estimates[name][f"pck@{t}/all/all"].value for t in PCK_THRESHOLDS],
            "line": {"color": color, "width": 2},
            "hovertemplate": (
                f"within %{{x}} leg lengths: %{{y:.0%}}<extra>{shown_name(name)}</extra>"
            ),
        }
        for name, color in zip(evaluation.names, _colors(evaluation), strict=True)
    ]


def headlines(evaluation: Evaluation) -> list[dict[str, str]]:
    """List the headline numbers: ``measure``, ``term``, and a column for each version."""
    rows = []
    for measure in _MEASURES:
        row = {"measure": WORDS[measure].plain, "term": WORDS[measure].term}
        for i, name in enumerate(evaluation.names):
            row[column(i)] = tell(measure, evaluation.estimates[name][measure])
            change = evaluation.changes.get(name, {}).get(measure)
            if change is not None and change.verdict in ("better", "worse"):
                row[column(i)] += f", {change.verdict}"
        rows.append(row)
    return rows


def column(version: int) -> str:
    """Name the column of a version, by its place."""
    return f"version_{version}"


def shown_name(name: str) -> str:
    """Name what was evaluated as the forms do: a version by its name, without the model's."""
    if name == fields.PREDICTIONS:
        return "stored predictions"
    return registry.SHIPPED if name == NAME else name.removeprefix(f"{NAME}@")


def layout(
    x: str, y: str, height_px: int = 250, y_range: Sequence[float] | None = None, **more: Any
) -> dict[str, Any]:
    """Give the layout that all figures share; the App adds its own theme."""
    return {
        "height": height_px,
        "margin": {"l": 52, "r": 16, "t": 32, "b": 40},
        "xaxis": {"title": {"text": x}, "automargin": True},
        "yaxis": {"title": {"text": y}, "automargin": True}
        | ({"range": list(y_range)} if y_range is not None else {}),
        "showlegend": True,
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
        "hovermode": "closest",
        **more,
    }


def _colors(evaluation: Evaluation) -> Sequence[str]:
    return [_VERSION_COLORS[i % len(_VERSION_COLORS)] for i in range(len(evaluation.names))]


def _line(
    name: str, x: np.ndarray, y: np.ndarray, color: str, custom: Sequence[Any]
) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x": x.tolist(),
        "y": [None if np.isnan(value) else round(float(value), 3) for value in y],
        "customdata": list(custom),
        "line": {"color": color, "width": 1.5},
        "connectgaps": False,
    }


def _dots(
    name: str,
    x: np.ndarray,
    chosen: np.ndarray,
    height: float,
    color: str,
    symbol: str,
    reasons: Sequence[str],
) -> dict[str, Any]:
    rows = np.flatnonzero(chosen)
    return {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "x": x[rows].tolist(),
        "y": [height] * len(rows),
        "customdata": [reasons[i] for i in rows.tolist()],
        "marker": {"color": color, "size": 9, "symbol": symbol},
        "hovertemplate": f"{name} at %{{x}} s<br>%{{customdata}}<extra></extra>",
    }


def _gaps(track: Track, x: np.ndarray) -> dict[str, Any]:
    """Shade the stretches where the person was not found."""
    missing = np.isnan(track.confidence).astype(int)
    edges = np.diff(missing, prepend=0, append=0)
    starts, ends = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1) - 1
    step = float(np.median(np.diff(x))) if len(x) > 1 else 0.0
    xs: list[float | None] = []
    ys: list[float | None] = []
    for first, last in zip(starts, ends, strict=True):
        left, right = float(x[first]) - step / 2, float(x[last]) + step / 2
        xs += [left, left, right, right, None]
        ys += [0, 1, 1, 0, None]
    return {
        "type": "scatter",
        "mode": "lines",
        "name": "not found",
        "x": xs,
        "y": ys,
        "fill": "toself",
        "fillcolor": _GAP,
        "line": {"width": 0},
        "hoverinfo": "skip",
    }
