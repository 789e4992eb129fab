"""C3D: marker trajectories with gait events, for Visual3D, Mokka, Vicon Nexus and MATLAB.

Binary, by ezc3d. Group POINT has the labels and the unit; missing points have a residual of -1.
Group EVENT has, for each event, CONTEXTS (Left, Right), LABELS (Foot Strike, Foot Off) and TIMES
(minutes, seconds), as Vicon writes them. Source: The C3D File Format, https://www.c3d.org.

Here x goes to the right of the picture, y up from the lowest point, z is 0. Units are millimetres
where gait has a scale, else px. Time 0 of the file is its first frame.
"""

from pathlib import Path

import numpy as np

from fiftyone_legpose import legs
from fiftyone_legpose.errors import MissingToolError
from fiftyone_legpose.exports.people import Person

_LABELS = {"contact": "Foot Strike", "toe_off": "Foot Off"}


def write_c3d(person: Person, path: Path) -> int:
    """Write one person's markers and events; returns the number of frames.

    Raises
    ------
    MissingToolError
        ezc3d is not installed.
    """
    try:
        import ezc3d
    except ImportError:
        raise MissingToolError(
            "C3D needs ezc3d: pip install 'fiftyone-legpose[formats]', or take another format"
        ) from None
    points, unit = person.in_metres()
    if unit == "m":
        points, unit = points * 1000, "mm"
    file = ezc3d.c3d()
    file.add_parameter("TRIAL", "DESCRIPTIONS", [f"{person.video}, track {person.track}"])
    file["parameters"]["POINT"]["UNITS"]["value"] = [unit]
    file["parameters"]["POINT"]["RATE"]["value"] = [person.rate_hz]
    file["parameters"]["POINT"]["LABELS"]["value"] = list(legs.KEYPOINTS)
    flat = np.ones((4, len(legs.KEYPOINTS), len(points)))
    flat[:3] = points.transpose(2, 1, 0)
    file["data"]["points"] = flat
    missing = np.isnan(flat[:3]).any(axis=0)
    file["data"]["meta_points"]["residuals"] = np.where(missing, -1.0, 0.0)[None]
    _add_events(file, person)
    file.write(str(path))
    return len(points)


def _add_events(file: object, person: Person) -> None:
    events = sorted(person.events, key=lambda event: event["time_s"])
    if not events:
        return
    times = np.array([event["time_s"] for event in events]) - person.time_s[0]
    add = file.add_parameter  # type: ignore[attr-defined]
    add("EVENT", "USED", [len(events)])
    add("EVENT", "CONTEXTS", [event["side"].capitalize() for event in events])
    add("EVENT", "LABELS", [_LABELS[event["kind"]] for event in events])
    add("EVENT", "SUBJECTS", [person.subject or ""] * len(events))
    add("EVENT", "TIMES", np.stack([times // 60, times % 60]))
