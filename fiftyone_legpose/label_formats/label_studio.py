"""Label Studio: the JSON export of a project with keypoint labels on images.

Format: https://labelstud.io/guide/export#Label-Studio-JSON-format-of-annotated-tasks
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import numpy as np

from cvat_bridge.errors import FormatError
from cvat_bridge.poses import Pose
from fiftyone_legpose.cvat.label_files import LabelFile, short_names, without_suffix

_KIND = "keypointlabels"


def is_label_studio(values: Any) -> bool:
    """Tell whether a JSON file is an export of Label Studio."""
    return (
        isinstance(values, Sequence)
        and bool(values)
        and all(isinstance(task, Mapping) and "data" in task for task in values)
    )


def read_label_studio(tasks: Sequence[Mapping[str, Any]], origin: str) -> LabelFile:
    """Read the keypoints of all tasks; points are shares of the picture.

    Keypoints of one parent region are one person; those without are one person of the picture.
    A task without a finished annotation is left out: nobody has looked at it.

    Raises
    ------
    FormatError
        There are no keypoints; or a picture has one twice and no regions around its persons.
    """
    names = sorted({name for task in tasks for name, _, _ in _points(task)})
    if not names:
        raise FormatError(
            f"{origin} has no keypoints: export a project with KeyPointLabels as JSON, and not as "
            "JSON-MIN."
        )
    done = [task for task in tasks if _annotation(task) is not None]
    files = [_file_name(task) for task in done]
    keys = short_names([without_suffix(name) for name in files], origin)
    return LabelFile(
        poses={
            key: _people(task, names, key, origin) for key, task in zip(keys, done, strict=True)
        },
        keypoint_count=len(names),
        keypoint_names=tuple(names),
    )


def _annotation(task: Mapping[str, Any]) -> Mapping[str, Any] | None:
    found = [one for one in task.get("annotations") or () if not one.get("was_cancelled")]
    return found[-1] if found else None


def _points(task: Mapping[str, Any]) -> list[tuple[str, str, tuple[float, float]]]:
    """List name, person and place (shares) of each keypoint of a task."""
    found = []
    for region in (_annotation(task) or {}).get("result") or ():
        value = region.get("value") or {}
        for name in value.get(_KIND) or ():
            place = float(value["x"]) / 100, float(value["y"]) / 100
            found.append((str(name), str(region.get("parentID") or ""), place))
    return found


def _people(task: Mapping[str, Any], names: Sequence[str], picture: str, origin: str) -> list[Pose]:
    persons: dict[str, dict[str, tuple[float, float]]] = defaultdict(dict)
    for name, person, place in _points(task):
        if name in persons[person]:
            raise FormatError(
                f"{origin}: {picture} has {name} twice. Draw a rectangle around each person and "
                "put the keypoints into it, so that they can be told apart."
            )
        persons[person][name] = place
    nowhere = (np.nan, np.nan)
    return [
        Pose(
            np.array([at.get(name, nowhere) for name in names]),
            np.array([2 * (name in at) for name in names]),
        )
        for at in persons.values()
    ]


def _file_name(task: Mapping[str, Any]) -> str:
    """Name the picture as it was uploaded: Label Studio puts eight signs and a dash before it."""
    address = next(
        (str(value) for key, value in task["data"].items() if key in ("image", "img")),
        str(next(iter(task["data"].values()), "")),
    )
    parts = urlsplit(address)
    local = parse_qs(parts.query).get("d")
    path = PurePosixPath(unquote(local[0] if local else parts.path))
    name = path.name
    if "/upload/" in parts.path and len(name) > 9 and name[8] == "-":
        name = name[9:]
    return str(path.with_name(name)).lstrip("/") if name else path.as_posix()
