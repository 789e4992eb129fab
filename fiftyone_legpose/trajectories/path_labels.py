"""Clean paths as labels of a dataset, and back; each point says where it came from."""

from typing import Any, Final

import fiftyone as fo
import numpy as np
from bson import ObjectId

from fiftyone_legpose import legs
from fiftyone_legpose.dataset import frames, keypoint_labels
from fiftyone_legpose.dataset.checks import check_legs
from fiftyone_legpose.dataset.pose_table import read_poses
from fiftyone_legpose.errors import DatasetError
from fiftyone_legpose.trajectories.observed import VideoPoses, has_keypoints
from fiftyone_legpose.trajectories.paths import Path, Source

SOURCE_NAMES: Final = tuple(source.name.lower() for source in Source)


def declare(dataset: fo.Dataset, field: str) -> None:
    """Declare a field of clean paths on a video dataset."""
    keypoint_labels.declare(dataset, field)
    texts = fo.ListField
    dataset.add_frame_field(f"{field}.keypoints.source", texts, subfield=fo.StringField)
    dataset.add_frame_field(f"{field}.keypoints.sides_exchanged", fo.BooleanField)


def write_paths(
    video: Any, field: str, seen: VideoPoses, paths: list[Path], made_by: str, own: set[str]
) -> None:
    """Write the paths of one video in place of all that the field held.

    Parameters
    ----------
    video
        View of one whole video.
    field
        Declared by `declare`.
    seen
        What the paths were made from. A person without a track is copied as she is.
    paths
        One for each track.
    made_by
        Key of the run.
    own
        Ids of the frames that are to be written.
    """
    people: list[list[dict[str, Any]]] = [[] for _ in seen.frame_ids]
    for path in paths:
        rows = np.searchsorted(seen.frame, path.frame)
        for t in np.flatnonzero((path.source != Source.MISSING).any(axis=1)).tolist():
            people[rows[t]].append(
                _document(
                    path.points[t] / seen.size,
                    path.confidence[t],
                    path.visibility[t],
                    path.source[t],
                    index=path.track,
                    sides_exchanged=bool(path.exchanged[t]),
                )
            )
    for stray in seen.strays:
        source = np.where(
            stray.visibility > 0,
            Source.CORRECTED if stray.corrected else Source.PREDICTED,
            Source.MISSING,
        )
        sure = np.ones(len(source)) if stray.corrected else np.nan_to_num(stray.confidence, nan=1.0)
        people[stray.row].append(
            _document(stray.points / seen.size, sure, stray.visibility, source)
        )
    values = {
        frame_id: {"_cls": "Keypoints", "keypoints": found, "made_by": made_by} if looked else None
        for frame_id, found, looked in zip(seen.frame_ids, people, seen.looked_at, strict=True)
        if frame_id in own
    }
    frames.write(video, field, values)


def _document(
    points: np.ndarray,
    confidence: np.ndarray,
    visibility: np.ndarray,
    source: np.ndarray,
    **attributes: Any,
) -> dict[str, Any]:
    """Build one serialized `fo.Keypoint` from relative points."""
    return {
        "_id": ObjectId(),
        "_cls": "Keypoint",
        "attributes": {},
        "tags": [],
        "label": keypoint_labels.LABEL,
        "points": points.tolist(),
        "confidence": confidence.tolist(),
        "visible": visibility.tolist(),
        "source": [SOURCE_NAMES[i] for i in source.tolist()],
        **attributes,
    }


def read_paths(video: Any, field: str) -> tuple[list[Path], set[str]]:
    """Read the clean paths of one video back.

    Parameters
    ----------
    video
        View of one whole video.
    field
        Written by `smooth`.

    Returns
    -------
    paths : list of Path
        One for each track.
    made_by : set of str
        Keys of the runs that wrote them; more than one where the last was interrupted.

    Raises
    ------
    DatasetError
        There is no such field, or it holds other keypoints than the legs.
    """
    if not has_keypoints(video, field):
        raise DatasetError(f"there are no clean paths in {field!r}; run smooth first")
    table = read_poses(video, field)
    check_legs(table.points, field)
    source, swapped, made_by = read_sources(video, field)
    paths = []
    for track in np.unique(table.track[table.track >= 0]):
        rows = np.flatnonzero(table.track == track)
        at = table.pose_frame[rows]
        paths.append(
            Path(
                track=int(track),
                frame=table.frame_number[at],
                time_s=table.time_s[at],
                points=table.points[rows],
                confidence=table.confidence[rows],
                visibility=table.visibility[rows],
                source=source[rows],
                exchanged=swapped[rows],
                leg_px=float(np.median(table.leg[rows])),
            )
        )
    return paths, made_by


def read_sources(video: Any, field: str) -> tuple[np.ndarray, np.ndarray, set[str]]:
    """Read where the points of clean paths come from.

    Parameters
    ----------
    video
        View of videos.
    field
        Written by `smooth`.

    Returns
    -------
    source : np.ndarray
        Shape (N, K) of `Source`, for the persons in the order of `read_poses`.
    exchanged : np.ndarray
        Shape (N,) of bool: left and right were exchanged back.
    made_by : set of str
        Keys of the runs that wrote them.
    """
    names = ("made_by", "keypoints.source", "keypoints.sides_exchanged")
    sources: list[list[int]] = []
    exchanged: list[bool] = []
    made_by: set[str] = set()
    for _, row in frames.frame_documents(video, [f"{field}.{name}" for name in names]):
        label = row.get(field) or {}
        if "keypoints" in label:
            made_by.add(str(label.get("made_by")))
        for keypoint in label.get("keypoints") or []:
            sources.append([SOURCE_NAMES.index(name) for name in keypoint["source"]])
            exchanged.append(bool(keypoint.get("sides_exchanged")))
    source = np.array(sources, int).reshape(-1, len(legs.KEYPOINTS))
    return source, np.array(exchanged, bool), made_by
