"""Tables of gait: events, strides, parameters, and angles over the cycle, as CSV.

One header line; what is not known is an empty cell. Each row says the video, the subject, the track
and the bout (numbered from 1 in each track). Times are in s from the start of the video.

``events``: side, event (contact, toe_off), time_s, confidence, method, edited.
``strides``: see `gait_analysis.strides.Stride`; lengths and speed also in metres where gait has a
scale. ``parameters``: measure, side (both, left, right), mean, sd, cv, n; ``cadence_spm`` and the
symmetry indices are rows of their own. ``cycles``: side, angle, percent (0 to 100), mean_deg,
sd_deg, n.
"""

import csv
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from fiftyone_legpose.dataset import fields
from fiftyone_legpose.errors import DatasetError
from fiftyone_legpose.exports.people import subjects, video_names

_IN_METRES: Final = {
    "step_length_leg": "step_length_m",
    "stride_length_leg": "stride_length_m",
    "speed_leg_s": "speed_m_s",
}

Row = dict[str, Any]


def write_table(view: Any, kind: str, path: Path) -> int:
    """Write one of `TABLES`; returns the number of rows.

    Raises
    ------
    DatasetError
        gait was not run.
    """
    if not view.has_sample_field(fields.GAIT_DETAILS):
        raise DatasetError("there are no gait parameters yet; run gait first")
    rows = list(_rows(view, TABLES[kind]))
    if not rows:
        raise DatasetError(
            "gait has found nobody who walks in these videos: there is nothing to write"
        )
    names = list(dict.fromkeys(name for row in rows for name in row))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, names, restval="")
        writer.writeheader()
        writer.writerows(rows)
    return len(rows)


def _rows(view: Any, table: Callable[[Mapping[str, Any]], Iterator[Row]]) -> Iterator[Row]:
    details = view.values(fields.GAIT_DETAILS)
    names = video_names(view).values()
    for name, subject, record in zip(names, subjects(view), details, strict=True):
        for person in record["people"] if record else []:
            for number, bout in enumerate(person["bouts"], start=1):
                where = {"video": name, "subject": subject, "track": person["track"]}
                for row in table(bout):
                    yield where | {"bout": number} | row


def _events(bout: Mapping[str, Any]) -> Iterator[Row]:
    for event in bout["events"]:
        yield {"side": event["side"], "event": event["kind"]} | {
            name: event[name] for name in ("time_s", "confidence", "method", "edited")
        }


def _strides(bout: Mapping[str, Any]) -> Iterator[Row]:
    scale = bout["scale"]
    for stride in bout["strides"]:
        row = {"view": bout["view"], "surface": bout["surface"], **stride}
        if scale is not None:
            row |= {
                metres: None if stride[name] is None else stride[name] * scale["m_per_leg"]
                for name, metres in _IN_METRES.items()
            } | {"scale_error_share": scale["error_share"]}
        yield row


def _parameters(bout: Mapping[str, Any]) -> Iterator[Row]:
    where = {"view": bout["view"], "surface": bout["surface"]}
    found = bout["parameters"]
    yield where | {
        "measure": "cadence_spm", "side": "both", "mean": found["cadence_spm"],
        "n": found["strides"],
    }  # fmt: skip
    for measure, sides in found["measures"].items():
        for side, spread in sides.items():
            yield where | {"measure": measure, "side": side, **spread}
    for measure, index in found["symmetry_index"].items():
        yield where | {"measure": f"symmetry_index {measure}", "side": "both", "mean": index}


def _cycles(bout: Mapping[str, Any]) -> Iterator[Row]:
    for side, angles in bout["cycles"].items():
        for angle, curve in angles.items():
            for percent, mean in enumerate(curve["mean"] or []):
                yield {
                    "side": side, "angle": angle, "percent": percent, "mean_deg": mean,
                    "sd_deg": curve["sd"][percent] if curve["sd"] else None, "n": curve["n"],
                }  # fmt: skip


TABLES: Final[Mapping[str, Callable[[Mapping[str, Any]], Iterator[Row]]]] = {
    "events": _events,
    "strides": _strides,
    "parameters": _parameters,
    "cycles": _cycles,
}
"""Tables by what they hold."""
