"""DeepLabCut: ``CollectedData_<scorer>.csv`` of a folder of labelled frames.

Format: https://deeplabcut.github.io/DeepLabCut/docs/standardDeepLabCut_UserGuide.html
"""

import csv
import io
from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np

from cvat_bridge.errors import FormatError
from cvat_bridge.poses import Pose
from fiftyone_legpose.cvat.label_files import LabelFile, short_names, without_suffix

_HEADERS = ("scorer", "individuals", "bodyparts", "coords")


def is_deeplabcut(text: str) -> bool:
    """Tell whether a CSV file is one of DeepLabCut's."""
    return text.startswith("scorer,")


def read_deeplabcut(text: str, origin: str) -> LabelFile:
    """Read all frames of a file; points are px of the frames.

    A point that was not placed is absent. A frame without any is left out: DeepLabCut does not
    tell whether somebody has looked at it.

    Raises
    ------
    FormatError
        It is no file of labels, as of an analysed video, or a number is none.
    """
    rows = [row for row in csv.reader(io.StringIO(text)) if row]
    heads = {row[0]: row for row in rows[:4] if row[0] in _HEADERS}
    width = next((i for i, cell in enumerate(rows[0][1:], 1) if cell), 1)
    coords = heads.get("coords", [])[width:]
    if "bodyparts" not in heads or set(coords) != {"x", "y"}:
        raise FormatError(
            f"{origin} holds no labels of DeepLabCut: give CollectedData_<scorer>.csv of a folder "
            "in labeled-data. What analyze_videos writes are predictions."
        )
    parts = heads["bodyparts"][width:]
    whose = heads.get("individuals", [""] * (len(parts) + width))[width:]
    names = list(dict.fromkeys(parts))
    poses: dict[str, list[Pose]] = {}
    for number, row in enumerate(rows[len(heads) :], len(heads) + 1):
        path = "/".join(cell for cell in row[:width] if cell).replace("\\", "/")
        try:
            values = [float(cell) if cell else np.nan for cell in row[width:]]
        except ValueError:
            raise FormatError(f"{origin}, line {number}: a coordinate is no number.") from None
        people = _people(values, parts, whose, coords, names)
        if people:
            poses[without_suffix(path.removeprefix("labeled-data/"))] = people
    keys = list(poses) if _are_numbered(poses) else short_names(list(poses), origin)
    return LabelFile(
        poses=dict(zip(keys, poses.values(), strict=True)),
        keypoint_count=len(names),
        keypoint_names=tuple(names),
        in_px=True,
    )


def _are_numbered(names: Iterable[str]) -> bool:
    """Tell whether frames are named img0042, so that their folder names their video."""
    return all(name.rpartition("/")[2].startswith("img") and "/" in name for name in names)


def _people(
    values: Sequence[float],
    parts: Sequence[str],
    whose: Sequence[str],
    coords: Sequence[str],
    names: Sequence[str],
) -> list[Pose]:
    points: dict[str, np.ndarray] = defaultdict(lambda: np.full((len(names), 2), np.nan))
    for value, part, person, axis in zip(values, parts, whose, coords, strict=False):
        points[person][names.index(part), "xy".index(axis)] = value
    seen = {person: np.isfinite(xy).all(axis=1) for person, xy in points.items()}
    return [Pose(points[person], 2 * there) for person, there in seen.items() if there.any()]
