"""MOT: joint angles over time for OpenSim.

Text: a name, ``version=1``, ``nRows=``, ``nColumns=``, ``inDegrees=yes``, ``endheader``, then names
and values separated by tabs, the first column ``time``. Every cell holds a number.
Source: OpenSim documentation, "Motion (.mot) Files".

Columns are ``knee_angle_l``, ``ankle_angle_l`` as in OpenSim's models since Rajagopal 2016 (knee
bent and toes lifted are positive) and the leg's segments ``thigh_l``, ``shank_l``, ``foot_l``
against the vertical or the floor; ``_r`` likewise. Only frames of walking bouts seen from aside or
obliquely, on which all of them are known.
"""

from pathlib import Path
from typing import Final

import numpy as np

from fiftyone_legpose.exports.people import Person
from fiftyone_legpose.gait_analysis.angles import leg_angles

COLUMNS: Final = {
    "knee_angle": "knee_flexion_deg",
    "ankle_angle": "ankle_dorsiflexion_deg",
    "thigh": "thigh_deg",
    "shank": "shank_deg",
    "foot": "foot_deg",
}


def has_angles(person: Person) -> bool:
    """Tell whether somebody walks in a view that shows how joints bend."""
    return bool(np.isfinite(_angles(person)[1]).all(axis=1).any())


def write_mot(person: Person, path: Path) -> int:
    """Write the angles of somebody who `has_angles`; returns the number of rows."""
    columns, rows = _angles(person)
    rows = rows[np.isfinite(rows).all(axis=1)]
    lines = [
        path.stem,
        "version=1",
        f"nRows={len(rows)}",
        f"nColumns={len(columns)}",
        "inDegrees=yes",
        "endheader",
        "\t".join(columns),
        *("\t".join(f"{value:.6f}" for value in row) for row in rows),
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return len(rows)


def _angles(person: Person) -> tuple[list[str], np.ndarray]:
    columns = ["time", *(f"{name}_{side}" for side in "lr" for name in COLUMNS)]
    table = np.full((len(person.time_s), len(columns)), np.nan)
    for bout in person.bouts:
        if bout["view"] not in ("side", "oblique"):
            continue
        inside = (person.time_s >= bout["start_s"]) & (person.time_s < bout["end_s"])
        stretch = 1 / np.cos(np.radians(bout["heading_deg"]))
        table[inside, 0] = person.time_s[inside]
        for first, side in ((1, "left"), (1 + len(COLUMNS), "right")):
            found = leg_angles(person.points[inside], side, stretch)
            for column, name in enumerate(COLUMNS.values(), start=first):
                table[inside, column] = found[name]
    return columns, table
