"""Metres: from a segment of the leg that somebody measured, or from the speed of a belt."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from fiftyone_legpose.errors import DatasetError
from fiftyone_legpose.gait_analysis.bouts import Bout
from fiftyone_legpose.gait_analysis.motion import SIDES, Motion

SEGMENTS: Final[Mapping[str, tuple[tuple[str, str], ...]]] = {
    "leg_length_m": (("hip", "knee"), ("knee", "ankle")),
    "thigh_m": (("hip", "knee"),),
    "shank_m": (("knee", "ankle"),),
    "foot_m": (("heel", "foot"),),
}
"""Segments that can be measured on the person: the leg from the hip joint (the greater trochanter)
by the knee to the ankle (the outer malleolus), the foot from the heel to the tip of the shoe."""

_LONGEST_M: Final = 1.5

_HEADING_ERROR_DEG: Final = 5.0
"""How far the heading is off, as a standard deviation, on drawn walkers seen obliquely."""


@dataclass(frozen=True)
class Scale:
    """What a leg length is in metres."""

    m_per_leg: float
    error_share: float
    """Standard error as a share of `m_per_leg`, from how far both legs and the strides differ, and
    in an oblique view from how well the heading is known."""
    source: str
    """What it comes from, for example ``leg_length_m`` or ``belt_speed_m_s``."""


def scale_from_segment(motion: Motion, bout: Bout, segment: str, length_m: float) -> Scale | None:
    """Find the scale of a bout by a segment of the leg.

    Parameters
    ----------
    motion
        Of one person.
    bout
        One of its bouts.
    segment
        One of `SEGMENTS`.
    length_m
        As measured on the person.

    Returns
    -------
    Scale or None
        None where the segment is not seen, or where the view is not from aside: there the picture
        shortens a leg that swings.
    """
    if bout.view in ("front", "back"):
        return None
    of_sides, spreads = [], []
    for side in SIDES:
        length = np.zeros(bout.rows.stop - bout.rows.start)
        for one, other in SEGMENTS[segment]:
            apart = (motion.joint(side, other) - motion.joint(side, one))[bout.rows]
            length = length + np.linalg.norm(apart / [bout.shortening, 1], axis=1)
        share = length / motion.leg_px[bout.rows]
        share = share[np.isfinite(share)]
        if not len(share):
            return None
        of_sides.append(float(np.median(share)))
        spreads.append(1.4826 * float(np.median(np.abs(share - np.median(share)))))
    share = float(np.mean(of_sides))
    # Neighbouring frames err alike: about one second of them counts as one.
    independent = max(1.0, bout.end_s - bout.start_s)
    error = np.hypot((of_sides[0] - of_sides[1]) / 2, np.mean(spreads) / np.sqrt(independent))
    slant = np.tan(np.arccos(bout.shortening)) if bout.view == "oblique" else 0.0
    of_heading = float(slant * np.radians(_HEADING_ERROR_DEG))
    return Scale(length_m / share, float(np.hypot(error / share, of_heading)), segment)


def scale_from_belt(
    stride_length_leg: np.ndarray, stride_time_s: np.ndarray, belt_speed_m_s: float
) -> Scale | None:
    """Find the scale of a bout on a treadmill: the belt goes on by a stride while one lasts.

    Parameters
    ----------
    stride_length_leg, stride_time_s
        Shape (N,), NaN where unknown.
    belt_speed_m_s
        As the treadmill shows it.

    Returns
    -------
    Scale or None
        None where no stride has a length.
    """
    scales = belt_speed_m_s * stride_time_s / stride_length_leg
    scales = scales[np.isfinite(scales)]
    if not len(scales):
        return None
    mean = float(scales.mean())
    error = float(scales.std(ddof=1) / np.sqrt(len(scales))) / mean if len(scales) > 1 else np.nan
    return Scale(mean, error, "belt_speed_m_s")


def read_segments(path: str | Path) -> dict[str, dict[str, float]]:
    """Read the subjects' table: a CSV with the column ``subject`` and any of `SEGMENTS`.

    Parameters
    ----------
    path
        The file; an empty cell is a segment that nobody measured.

    Returns
    -------
    dict
        Segments in m by subject.

    Raises
    ------
    DatasetError
        The file cannot be read, lacks the columns, names a subject twice, or a length is none.
    """
    try:
        with Path(path).expanduser().open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(f"the subjects' table {path} cannot be read: {error}") from None
    columns = set(rows[0]) if rows else set()
    if "subject" not in columns or not columns & set(SEGMENTS):
        raise DatasetError(
            f"the subjects' table {path} needs the column subject and one of {', '.join(SEGMENTS)}"
        )
    table: dict[str, dict[str, float]] = {}
    for row in rows:
        subject = (row["subject"] or "").strip()
        if subject in table:
            raise DatasetError(f"{path} names the subject {subject!r} twice: leave one row")
        given = {name: (row.get(name) or "").strip() for name in SEGMENTS}
        table[subject] = {
            name: check_length(name, text, f"{path}, subject {subject}: ")
            for name, text in given.items()
            if text
        }
    return table


def check_length(name: str, value: str | float, where: str = "") -> float:
    """Give a segment's length in m.

    Raises
    ------
    DatasetError
        It is no number, or longer than any leg: perhaps in centimetres.
    """
    try:
        length = float(value)
    except ValueError:
        length = np.nan
    if not 0 < length < _LONGEST_M:
        raise DatasetError(f"{where}{name} is {value}; give metres, for example 0.85")
    return length
