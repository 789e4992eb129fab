"""TRC: marker trajectories for OpenSim, Pose2Sim and Visual3D.

Tab-separated text. Line 1 names the type and the file; line 2 and 3 hold names and values of
DataRate, CameraRate, NumFrames, NumMarkers, Units and the original rate, start and length; line 4
``Frame#``, ``Time`` and each marker's name over three columns; line 5 ``X1 Y1 Z1 X2 ...``; line 6
is empty; then one line for each frame. A missing marker is three empty cells.
Source: OpenSim documentation, "Marker (.trc) Files".

Here x goes to the right of the picture, y up from the lowest point, z is 0. Units are metres where
gait has a scale, else px, which OpenSim does not know.
"""

from pathlib import Path

import numpy as np

from fiftyone_legpose import legs
from fiftyone_legpose.exports.people import Person


def write_trc(person: Person, path: Path) -> int:
    """Write one person's markers; returns the number of frames."""
    points, unit = person.in_metres()
    rate, count = person.rate_hz, len(points)
    names = ("DataRate", "CameraRate", "NumFrames", "NumMarkers", "Units")
    values = (f"{rate:.6g}", f"{rate:.6g}", count, len(legs.KEYPOINTS), unit)
    origin = ("OrigDataRate", "OrigDataStartFrame", "OrigNumFrames")
    lines = [
        f"PathFileType\t4\t(X/Y/Z)\t{path.name}",
        "\t".join([*names, *origin]),
        "\t".join(map(str, [*values, f"{rate:.6g}", 1, count])),
        "Frame#\tTime\t" + "\t\t\t".join(legs.KEYPOINTS) + "\t\t",
        "\t\t" + "\t".join(f"{axis}{i + 1}" for i in range(len(legs.KEYPOINTS)) for axis in "XYZ"),
        "",
    ]
    for number, (when, row) in enumerate(zip(person.time_s, points, strict=True), start=1):
        cells = ["" if np.isnan(value) else f"{value:.6f}" for value in row.ravel()]
        lines.append("\t".join([str(number), f"{when:.6f}", *cells]))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return count
