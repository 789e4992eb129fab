"""Poses as CVAT's skeleton shapes and tracks, and back."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import zip_longest
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvat_bridge.errors import PayloadError
from cvat_bridge.poses import Pose
from cvat_bridge.skeleton import SkeletonLabel


def to_shape(
    pose: Pose, frame: int, label: SkeletonLabel, *, source: str = "auto"
) -> dict[str, Any]:
    """Write a pose as a CVAT skeleton shape.

    Parameters
    ----------
    pose
        With as many points as `label` has keypoints, in its order.
    frame
        Frame within the task, from 0.
    label
        The skeleton label as the server knows it.
    source
        CVAT's word for where an annotation comes from: ``"auto"`` or ``"manual"``.

    Returns
    -------
    dict
        A ``LabeledShapeRequest``. A point with visibility 0 is *outside*; if its coordinates are
        NaN it stands where the label's drawing, fitted to the other points, has it, so that a
        reviewer who brings it back finds it near its place. `track_id` travels as CVAT's group
        (``track_id + 1``; 0 is no group), which survives review.

    Raises
    ------
    PayloadError
        If the number of points differs.
    """
    _check_size(pose, frame, label)
    common = {"frame": int(frame), "group": _to_group(pose), "source": source, "attributes": []}
    points = _placed(pose, label)
    elements = [
        _flags(visibility) | common | {"type": "points", "label_id": label_id, "points": xy}
        for label_id, visibility, xy in zip(
            label.sublabel_ids, pose.visibility.tolist(), points.tolist(), strict=True
        )
    ]
    # The skeleton's own flags are what CVAT's client derives from the elements.
    own = {
        "outside": not pose.visibility.any(),
        "occluded": bool((pose.visibility < 2).all() and pose.visibility.any()),
        "z_order": 0,
        "rotation": 0.0,
    }
    return (
        common
        | own
        | {"type": "skeleton", "label_id": label.id, "points": [], "elements": elements}
    )


def fits_track(pose: Pose) -> bool:
    """Tell whether a track can hold a pose: it needs a number and a point that is not outside.

    A person who leaves is marked in CVAT by points that are all outside; the client changes
    nothing else (cvat-core, ``SkeletonTrack.save``), and exports drop such a frame whatever the
    skeleton's own keyframe says (``TrackManager.to_shapes``). So a pose without any point would
    come back as nobody; as a shape with the number of its track it is kept.
    """
    return pose.track_id is not None and bool(pose.visibility.any())


def to_track(
    poses_by_frame: Mapping[int, Pose],
    label: SkeletonLabel,
    *,
    frame_count: int,
    source: str = "auto",
) -> dict[str, Any]:
    """Write one person's poses as a CVAT skeleton track with a keyframe on each frame given.

    Parameters
    ----------
    poses_by_frame
        Frame within the task (from 0) to pose. On frames left out between or after them the
        person is *outside*, as on those whose pose has no point (see `fits_track`).
    label
        The skeleton label as the server knows it.
    frame_count
        Frames of the task; a track without an end goes on to the last one.
    source
        As in `to_shape`.

    Returns
    -------
    dict
        A ``LabeledTrackRequest``.

    Raises
    ------
    PayloadError
        If there is no pose, a frame is not in the task or the number of points differs.
    """
    if not poses_by_frame:
        raise PayloadError("A track needs at least one pose; leave it out.")
    frames = sorted(poses_by_frame)
    if frames[0] < 0 or frames[-1] >= frame_count:
        wrong = frames[0] if frames[0] < 0 else frames[-1]
        raise PayloadError(
            f"Frame {wrong} of a track is not in the task, whose frames are 0 to {frame_count - 1}."
        )
    own: list[dict[str, Any]] = []
    shapes: list[list[dict[str, Any]]] = [[] for _ in label.sublabel_ids]
    for frame, following in zip(frames, [*frames[1:], frame_count], strict=True):
        pose = poses_by_frame[frame]
        _check_size(pose, frame, label)
        points = _placed(pose, label).tolist()
        own.append(_keyframe("skeleton", frame, 2, []))
        for index, visibility in enumerate(pose.visibility.tolist()):
            shapes[index].append(_keyframe("points", frame, visibility, points[index]))
        if following > frame + 1:
            own.append(_keyframe("skeleton", frame + 1, 0, []))
            for index, xy in enumerate(points):
                shapes[index].append(_keyframe("points", frame + 1, 0, xy))
    first = poses_by_frame[frames[0]]
    common = {
        "frame": frames[0],
        "group": _to_group(first),
        "source": source,
        "attributes": [],
    }
    elements = [
        common | {"label_id": label_id, "shapes": keyframes}
        for label_id, keyframes in zip(label.sublabel_ids, shapes, strict=True)
    ]
    return common | {"label_id": label.id, "shapes": own, "elements": elements}


def from_annotations(
    annotations: Mapping[str, Any],
    label: SkeletonLabel,
    *,
    frame_count: int,
    skip_frames: Iterable[int] = (),
    new_tracks_from: int = 0,
) -> dict[int, list[Pose]]:
    """Read the poses of one label from what ``GET /api/tasks/<id>/annotations`` returned.

    Parameters
    ----------
    annotations
        With ``shapes`` and ``tracks``; unknown fields are ignored, and so are other labels, tags
        and other shapes.
    label
        The skeleton label as the server knows it.
    frame_count
        Frames of the task; tracks are interpolated up to there as CVAT does.
    skip_frames
        Frames to leave out, for example those deleted in CVAT.
    new_tracks_from
        Lowest number for a track that has no group of its own, as tracks that somebody drew; they
        also stay above the groups that are there.

    Returns
    -------
    dict
        Frame to its poses, in the order shapes, then tracks, each by id; a frame with no one is
        not there. A keypoint that is absent from a shape is NaN with visibility 0; one that is
        outside keeps its coordinates. A track whose points are all outside is no one; such a
        shape is a pose without points.
    """
    skipped = set(skip_frames)
    poses: dict[int, list[Pose]] = {}
    shapes = _sorted(annotations.get("shapes"))
    for shape in shapes:
        frame = int(shape["frame"])
        if _is_ours(shape, label) and 0 <= frame < frame_count and frame not in skipped:
            poses.setdefault(frame, []).append(_from_shape(shape, label))
    tracks = [t for t in _sorted(annotations.get("tracks")) if int(t["label_id"]) == label.id]
    free = max([new_tracks_from, *(int(item.get("group") or 0) for item in (*shapes, *tracks))])
    for track, track_id in zip(tracks, _track_ids(tracks, free), strict=True):
        for frame, pose in _from_track(track, track_id, label, frame_count).items():
            if frame not in skipped:
                # Whoever brings a person back on its track leaves the shape of `fits_track` there.
                others = [
                    one
                    for one in poses.get(frame, ())
                    if one.visibility.any() or one.track_id != track_id
                ]
                poses[frame] = [*others, pose]
    return dict(sorted(poses.items()))


def from_jobs(
    jobs: Iterable[tuple[range, Mapping[str, Any]]],
    label: SkeletonLabel,
    *,
    skip_frames: Iterable[int] = (),
    new_tracks_from: int = 0,
) -> dict[int, list[Pose]]:
    """Read the poses of one label job by job, so that a frame of two jobs counts once.

    Where jobs overlap, both may hold the same person, and CVAT does not take two skeletons for one
    when it puts a task together (https://github.com/cvat-ai/cvat/issues/5634).

    Parameters
    ----------
    jobs
        In order: the frames of each, and its annotations, as `from_annotations` takes them.
    label, skip_frames, new_tracks_from
        See `from_annotations`. What is drawn in another job is another track.

    Returns
    -------
    dict
        As `from_annotations`; of a frame of several jobs, what the first has that has somebody on
        it.
    """
    skipped = set(skip_frames)
    poses: dict[int, list[Pose]] = {}
    for frames, annotations in jobs:
        found = from_annotations(
            annotations,
            label,
            frame_count=frames.stop,
            skip_frames=skipped,
            new_tracks_from=new_tracks_from,
        )
        numbers = [
            p.track_id for people in found.values() for p in people if p.track_id is not None
        ]
        new_tracks_from = max([new_tracks_from, *(number + 1 for number in numbers)])
        for frame, people in found.items():
            if frame in frames:
                poses.setdefault(frame, people)
    return dict(sorted(poses.items()))


def _check_size(pose: Pose, frame: int, label: SkeletonLabel) -> None:
    expected = len(label.sublabel_ids)
    if len(pose.points) != expected:
        raise PayloadError(
            f"Frame {frame}: a pose has {len(pose.points)} points, but the label "
            f"{label.skeleton.name!r} has {expected}; use the label's own skeleton."
        )


def _to_group(pose: Pose) -> int:
    return 0 if pose.track_id is None else int(pose.track_id) + 1


def _placed(pose: Pose, label: SkeletonLabel) -> NDArray[np.float64]:
    """Points (K, 2) with a finite place for each missing one."""
    known = np.asarray(np.isfinite(pose.points).all(axis=1))
    if known.all():
        return pose.points
    seen = known & (pose.visibility > 0) if (known & (pose.visibility > 0)).any() else known
    layout = label.skeleton.layout
    drawing = np.zeros_like(pose.points) if layout is None else np.array(layout, dtype=float)
    if not seen.any():
        return drawing
    # Least-squares scale and shift of the drawing onto the points that are there.
    at = drawing - drawing[seen].mean(axis=0)
    centre = pose.points[seen].mean(axis=0)
    spread = float((at[seen] ** 2).sum())
    scale = float((at[seen] * (pose.points[seen] - centre)).sum()) / spread if spread else 0.0
    return np.where(known[:, None], pose.points, centre + max(scale, 0.0) * at)


def _flags(visibility: int) -> dict[str, Any]:
    return {
        "outside": visibility == 0,
        "occluded": visibility == 1,
        "z_order": 0,
        "rotation": 0.0,
    }


def _keyframe(kind: str, frame: int, visibility: int, points: Sequence[float]) -> dict[str, Any]:
    return _flags(visibility) | {
        "type": kind,
        "frame": int(frame),
        "points": list(points),
        "attributes": [],
    }


def _sorted(items: Iterable[Mapping[str, Any]] | None) -> list[Mapping[str, Any]]:
    return sorted(items or (), key=lambda item: item.get("id") or 0)


def _is_ours(shape: Mapping[str, Any], label: SkeletonLabel) -> bool:
    return shape.get("type") == "skeleton" and int(shape["label_id"]) == label.id


def _visibility(shape: Mapping[str, Any]) -> int:
    if shape.get("outside"):
        return 0
    return 1 if shape.get("occluded") else 2


def _from_shape(shape: Mapping[str, Any], label: SkeletonLabel) -> Pose:
    index = {label_id: i for i, label_id in enumerate(label.sublabel_ids)}
    points = np.full((len(index), 2), np.nan)
    visibility = np.zeros(len(index), dtype=np.int64)
    for element in shape.get("elements") or ():
        position = index.get(int(element["label_id"]))
        if position is not None and len(element["points"]) >= 2:
            points[position] = element["points"][:2]
            visibility[position] = _visibility(element)
    group = int(shape.get("group") or 0)
    return Pose(
        points, visibility, score=shape.get("score"), track_id=group - 1 if group > 0 else None
    )


def _track_ids(tracks: Sequence[Mapping[str, Any]], free: int) -> list[int]:
    """Take each track's number from its group, or, if it has none of its own, the next free."""
    groups = [int(track.get("group") or 0) for track in tracks]
    own = [group - 1 if group > 0 and groups.count(group) == 1 else None for group in groups]
    ids = []
    for number in own:
        ids.append(free if number is None else number)
        free += number is None
    return ids


def _from_track(
    track: Mapping[str, Any], track_id: int, label: SkeletonLabel, frame_count: int
) -> dict[int, Pose]:
    index = {label_id: i for i, label_id in enumerate(label.sublabel_ids)}
    points = np.full((frame_count, len(index), 2), np.nan)
    visibility = np.zeros((frame_count, len(index)), dtype=np.int64)
    for element in track.get("elements") or ():
        position = index.get(int(element["label_id"]))
        if position is not None:
            _interpolate(element["shapes"], points[:, position], visibility[:, position])
    there = np.asarray(visibility.any(axis=1))
    for start, stop, shape in _spans(track.get("shapes") or (), frame_count):
        there[start:stop] &= not shape.get("outside")
    return {
        frame: Pose(points[frame], visibility[frame], track_id=track_id)
        for frame in np.flatnonzero(there).tolist()
    }


def _interpolate(
    keyframes: Iterable[Mapping[str, Any]],
    points: NDArray[np.float64],
    visibility: NDArray[np.int64],
) -> None:
    """Fill one keypoint's points (frames, 2) and visibility (frames,) from its keyframes.

    Linear from each keyframe to the next, even if that one is outside; flags hold until the next
    keyframe; the last one lasts to the end (CVAT's ``TrackManager.get_interpolated_shapes``, and
    the export of a track with an outside keyframe that a server made).
    """
    ordered = sorted(keyframes, key=lambda shape: int(shape["frame"]))
    spans = _spans(ordered, len(points))
    for (start, stop, shape), after in zip_longest(spans, ordered[1:]):
        begin = np.array(shape["points"][:2], dtype=float)
        first = int(shape["frame"])
        visibility[start:stop] = _visibility(shape)
        if after is None:
            points[start:stop] = begin
            continue
        end = np.array(after["points"][:2], dtype=float)
        share = (np.arange(start, stop) - first) / (int(after["frame"]) - first)
        points[start:stop] = begin + share[:, None] * (end - begin)


def _spans(
    keyframes: Iterable[Mapping[str, Any]], frame_count: int
) -> list[tuple[int, int, Mapping[str, Any]]]:
    ordered = sorted(keyframes, key=lambda shape: int(shape["frame"]))
    starts = [min(max(int(shape["frame"]), 0), frame_count) for shape in ordered]
    return list(zip(starts, [*starts, frame_count][1:], ordered, strict=True))
