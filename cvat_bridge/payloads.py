"""What may be sent to CVAT, checked here: the server accepts what destroys a task."""

from collections.abc import Mapping
from math import isfinite
from typing import Any

from cvat_bridge.errors import PayloadError
from cvat_bridge.skeleton import SkeletonLabel


def check_annotations(
    annotations: Mapping[str, Any], label: SkeletonLabel, *, frame_count: int
) -> None:
    """Refuse what the server would drop, or what would make the task unreadable for good.

    A server takes an element on another frame than its skeleton with 200 and then answers every
    read and write of that task with 500; only deleting the task helps. So each payload is checked
    on this side before it leaves.

    Parameters
    ----------
    annotations
        ``shapes`` and ``tracks`` as they are to be sent.
    label
        The only label they may use.
    frame_count
        Frames of the task.

    Raises
    ------
    PayloadError
        Naming the frame and the keypoint.
    """
    for shape in annotations.get("shapes") or ():
        _check_shape(shape, label, frame_count)
    for track in annotations.get("tracks") or ():
        _check_track(track, label, frame_count)


def check_subset(subset: str) -> None:
    """Refuse the name of a subset with which no export of the task would ever succeed.

    Raises
    ------
    PayloadError
    """
    # Seen in CVAT 2.54: a subset with a slash makes every export fail, "names" is a key of
    # data.yaml.
    if "/" in subset or "\\" in subset or subset in ("names", "path", "kpt_shape"):
        raise PayloadError(f"CVAT cannot export a subset named {subset!r}; choose another name.")


def _check_shape(shape: Mapping[str, Any], label: SkeletonLabel, frame_count: int) -> None:
    frame = shape.get("frame")
    where = f"Frame {frame}"
    _check_frame(frame, frame_count, where)
    if shape.get("type") != "skeleton":
        raise PayloadError(f"{where}: a shape is a {shape.get('type')!r}, not a skeleton.")
    _check_own_label(shape, label, where)
    if shape.get("points"):
        raise PayloadError(f"{where}: a skeleton has points of its own; put them in elements.")
    for element, name in _checked_elements(shape, label, where):
        if element.get("frame") != frame:
            raise PayloadError(
                f"{where}, {name}: the point stands on frame {element.get('frame')}, its skeleton "
                f"on frame {frame}; CVAT could never open the task again. Give both one frame."
            )
        _check_point(element, f"{where}, {name}")


def _check_track(track: Mapping[str, Any], label: SkeletonLabel, frame_count: int) -> None:
    where = f"Track from frame {track.get('frame')}"
    _check_frame(track.get("frame"), frame_count, where)
    _check_own_label(track, label, where)
    _check_keyframes(track, frame_count, where)
    for shape in track["shapes"]:
        if shape.get("points"):
            raise PayloadError(
                f"{where}, frame {shape['frame']}: a skeleton has points of its own; put them in "
                "elements."
            )
    for element, name in _checked_elements(track, label, where):
        _check_keyframes(element, frame_count, f"{where}, {name}")
        if element.get("frame") != track.get("frame"):
            raise PayloadError(
                f"{where}, {name}: the point's track starts on frame {element.get('frame')}; "
                "start it on its skeleton's frame."
            )
        for shape in element["shapes"]:
            _check_point(shape, f"{where}, frame {shape['frame']}, {name}")


def _check_frame(frame: Any, frame_count: int, where: str) -> None:
    if not isinstance(frame, int) or isinstance(frame, bool) or not 0 <= frame < frame_count:
        raise PayloadError(
            f"{where}: the task has the frames 0 to {frame_count - 1}; CVAT would drop this one "
            "without a word."
        )


def _check_own_label(item: Mapping[str, Any], label: SkeletonLabel, where: str) -> None:
    if item.get("label_id") == label.id:
        return
    name = _name(label, item.get("label_id"))
    told = f"the label of the point {name}" if name else "no label of this project"
    raise PayloadError(
        f"{where}: a skeleton's label is {item.get('label_id')}, {told}; it must be {label.id} "
        f"({label.skeleton.name})."
    )


def _checked_elements(
    item: Mapping[str, Any], label: SkeletonLabel, where: str
) -> list[tuple[Mapping[str, Any], str]]:
    elements = item.get("elements") or ()
    if not elements:
        raise PayloadError(f"{where}: a skeleton has no points; leave it out.")
    named: dict[str, Mapping[str, Any]] = {}
    for element in elements:
        name = _name(label, element.get("label_id"))
        if name is None:
            told = "the skeleton's own" if element.get("label_id") == label.id else "unknown"
            raise PayloadError(
                f"{where}: a point's label is {element.get('label_id')}, {told}; use the label of "
                "a keypoint."
            )
        if name in named:
            raise PayloadError(f"{where}: {name} is there twice; keep one.")
        named[name] = element
    return [(element, name) for name, element in named.items()]


def _name(label: SkeletonLabel, label_id: Any) -> str | None:
    names = dict(zip(label.sublabel_ids, label.skeleton.keypoints, strict=True))
    return names.get(label_id)


def _check_keyframes(item: Mapping[str, Any], frame_count: int, where: str) -> None:
    if not item.get("shapes"):
        raise PayloadError(f"{where}: there is no keyframe; leave it out.")
    seen = set()
    for shape in item["shapes"]:
        frame = shape.get("frame")
        _check_frame(frame, frame_count, f"{where}, keyframe {frame}")
        if frame in seen or frame < item["frame"]:
            told = "is there twice" if frame in seen else "lies before the track begins"
            raise PayloadError(f"{where}: the keyframe {frame} {told}.")
        seen.add(frame)


def _check_point(shape: Mapping[str, Any], where: str) -> None:
    points = shape.get("points") or ()
    if shape.get("type") != "points" or len(points) != 2:
        raise PayloadError(
            f"{where}: a keypoint is one point [x, y], not {shape.get('type')!r} with "
            f"{len(points)} numbers."
        )
    good = all(
        isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
        for value in points
    )
    if not good:
        raise PayloadError(
            f"{where}: the coordinates are {list(points)}; they must be finite numbers, with "
            "outside set where the point is unknown."
        )
