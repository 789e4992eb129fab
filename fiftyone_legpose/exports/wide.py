"""Wide CSV: clean paths, one row for each frame and person, two columns for each keypoint.

Columns: ``video``, ``subject``, ``track``, ``frame`` (from 1), ``time_s``, then ``left_hip_x_px``,
``left_hip_y_px`` and so on; a missing point is empty.
"""

import csv
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from fiftyone_legpose import legs
from fiftyone_legpose.exports.people import Person


def write_wide(people: Iterable[Person], path: Path) -> int:
    """Write everybody's clean paths; returns the number of rows."""
    names = ["video", "subject", "track", "frame", "time_s"]
    names += [f"{name}_{axis}_px" for name in legs.KEYPOINTS for axis in "xy"]
    rows = 0
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(names)
        for person in people:
            who = [person.video, person.subject or "", person.track]
            for t in np.flatnonzero(np.isfinite(person.points).any(axis=(1, 2))).tolist():
                points = ["" if np.isnan(v) else f"{v:.3f}" for v in person.points[t].ravel()]
                writer.writerow([*who, person.frame[t], f"{person.time_s[t]:.6f}", *points])
                rows += 1
    return rows
