"""COCO keypoints: one JSON file of images, annotations and categories, by itself or in a zip.

Format: https://cocodataset.org/#format-data
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from cvat_bridge.errors import FormatError
from cvat_bridge.poses import Pose
from fiftyone_legpose.cvat.label_files import LabelFile, short_names, without_suffix


def is_coco(values: Any) -> bool:
    """Tell whether a JSON file is one of COCO's."""
    return isinstance(values, Mapping) and {"images", "annotations", "categories"} <= values.keys()


def read_coco(
    values: Mapping[str, Any], origin: str, *, label: str | None = None, members: Iterable[str] = ()
) -> LabelFile:
    """Read the keypoints of one category; points are shares of the picture.

    Pictures of which only persons without keypoints are known are left out: they do not show
    nobody.

    Parameters
    ----------
    values
        The JSON file.
    origin
        Where it is, for messages.
    label
        Name of the category, where several have keypoints.
    members
        Files of the zip or folder that it lies in, in which pictures are looked for.

    Raises
    ------
    FormatError
        No category, or several, have keypoints; or an annotation is broken.
    """
    category = _category(values["categories"], origin, label)
    names = [str(name) for name in category["keypoints"]]
    images = {image["id"]: image for image in values["images"]}
    people: dict[Any, list[Pose]] = defaultdict(list)
    unfinished = set()
    for annotation in values["annotations"]:
        image = images.get(annotation.get("image_id"))
        if image is None or annotation.get("category_id") != category["id"]:
            continue
        if annotation.get("keypoints") and any(annotation["keypoints"][2::3]):
            people[image["id"]].append(_pose(annotation, image, len(names), origin))
        else:
            unfinished.add(image["id"])
    kept = [image for key, image in images.items() if people[key] or key not in unfinished]
    files = [str(image["file_name"]).replace("\\", "/") for image in kept]
    keys = short_names([without_suffix(name) for name in files], origin)
    places = {key: _place(file, members) for key, file in zip(keys, files, strict=True)}
    return LabelFile(
        poses={key: people[image["id"]] for key, image in zip(keys, kept, strict=True)},
        keypoint_count=len(names),
        keypoint_names=tuple(names),
        sizes={
            key: (int(image["width"]), int(image["height"]))
            for key, image in zip(keys, kept, strict=True)
        },
        pictures={key: place for key, place in places.items() if place is not None},
    )


def _category(categories: Iterable[Any], origin: str, label: str | None) -> Mapping[str, Any]:
    posed = [one for one in categories if one.get("keypoints")]
    found = [one for one in posed if label in (None, one.get("name"))]
    if len(found) != 1:
        known = ", ".join(str(one.get("name")) for one in posed) or "none"
        raise FormatError(
            f"{origin}: of which category are the keypoints? It has {known}. Name one (label)."
        )
    return dict(found[0])


def _pose(annotation: Mapping[str, Any], image: Mapping[str, Any], count: int, origin: str) -> Pose:
    try:
        values = np.array(annotation["keypoints"], float).reshape(-1, 3)
        size = np.array([image["width"], image["height"]], float)
    except (KeyError, TypeError, ValueError):
        values = size = np.empty((0, 3))
    if len(values) != count or not (size > 0).all() or not np.isin(values[:, 2], (0, 1, 2)).all():
        raise FormatError(
            f"{origin}: annotation {annotation.get('id')} is broken: it needs {count} keypoints of "
            "x, y and 0, 1 or 2, and its image a width and a height."
        )
    points = values[:, :2] / size
    points[values[:, 2] == 0] = np.nan
    return Pose(points, values[:, 2])


def _place(file: str, members: Iterable[str]) -> str | None:
    """Find a picture of the zip or folder by as much of its path as is there."""
    parts = PurePosixPath(file).parts
    known = set(members)
    for member in known:
        if PurePosixPath(member).parts[-len(parts) :] == parts:
            return member
    return None
