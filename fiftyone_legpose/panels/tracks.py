"""What the panel draws of one video: confidence, review and trajectories over time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from fiftyone_legpose import legs
from fiftyone_legpose.dataset import frame_review
from fiftyone_legpose.dataset.pose_table import PoseTable, read_poses

ANGLES: Final[Mapping[str, tuple[str, str, str]]] = {
    "knee angle": ("hip", "knee", "ankle"),
    "ankle angle": ("knee", "ankle", "foot"),
}
"""The angle at the middle joint, by its name."""

JOINTS: Final = tuple(dict.fromkeys(name.split("_")[1] for name in legs.KEYPOINTS))

CURVES: Final = (
    *ANGLES,
    *(f"{joint} {axis}" for joint in JOINTS for axis in ("height", "sideways")),
)
"""Names of the curves that `curve` gives."""


@dataclass(frozen=True)
class Track:
    """One video, frame by frame, for the person who is seen most; F frames."""

    sample_id: str
    frame: np.ndarray
    """(F,): numbers from 1."""
    time_s: np.ndarray
    """(F,)"""
    confidence: np.ndarray
    """(F,): mean keypoint confidence, NaN where the person was not found."""
    points: np.ndarray
    """(F, K, 2) in px, NaN where not found."""
    score: np.ndarray
    """(F,): review score, NaN where there is none."""
    reasons: Sequence[Sequence[str]]
    state: np.ndarray
    """(F,) of object: review state or None."""
    persons: Mapping[int, int]
    """Frames by track id, the most first; -1 is whoever has none."""
    person: int
    """The track that is shown."""


def read_track(dataset: Any, sample_id: str, field: str, person: int | None = None) -> Track | None:
    """Read one video; None where it has no frame with predictions.

    Parameters
    ----------
    dataset
        Video dataset.
    sample_id
        Of the video.
    field
        Bare name of the keypoint field.
    person
        Track id to show; by default the one seen most.
    """
    if dataset.get_field(f"frames.{field}") is None:
        return None
    view = dataset.select(sample_id)
    table = read_poses(view, field)
    if not len(table.points):
        return None
    reviews = frame_review.read(view)
    found, counts = np.unique(table.track, return_counts=True)
    order = np.lexsort((found, -counts))
    persons = {int(found[i]): int(counts[i]) for i in order}
    shown = person if person in persons else next(iter(persons))
    confidence, points = _of_person(table, shown)
    return Track(
        sample_id=sample_id,
        frame=table.frame_number,
        time_s=table.time_s,
        confidence=confidence,
        points=points,
        score=reviews.score,
        reasons=reviews.reasons,
        state=reviews.state,
        persons=persons,
        person=shown,
    )


def _of_person(table: PoseTable, person: int) -> tuple[np.ndarray, np.ndarray]:
    frames = len(table.frame_number)
    confidence = np.full(frames, np.nan)
    points = np.full((frames, *table.points.shape[1:]), np.nan)
    rows = np.flatnonzero(table.track == person)
    # Of several untracked persons in a frame the surest one is taken: the last one written.
    rows = rows[np.argsort(np.nan_to_num(table.score[rows]), kind="stable")]
    known = ~np.isnan(table.confidence[rows])
    mean = np.where(known, table.confidence[rows], 0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    confidence[table.pose_frame[rows]] = np.where(known.any(axis=1), mean, 1.0)
    points[table.pose_frame[rows]] = table.points[rows]
    return confidence, points


def curve(track: Track, name: str) -> dict[str, np.ndarray]:
    """Give one of `CURVES` of both sides.

    Parameters
    ----------
    track
        From `read_track`.
    name
        One of `CURVES`.

    Returns
    -------
    dict
        ``left`` and ``right``, each (F,): degrees for angles (180 is a straight knee), else px;
        height counts from the lower edge of what the joint reached, so that up is up.
    """
    sides = {}
    for side in ("left", "right"):
        if name in ANGLES:
            a, b, c = (track.points[:, _index(side, joint)] for joint in ANGLES[name])
            sides[side] = _angle(a - b, c - b)
        else:
            joint, axis = name.split()
            xy = track.points[:, _index(side, joint)]
            sides[side] = -xy[:, 1] if axis == "height" else xy[:, 0]
    if name.endswith("height"):
        lowest = min(np.nanmin(values, initial=0.0) for values in sides.values())
        sides = {side: values - lowest for side, values in sides.items()}
    return sides


def _index(side: str, joint: str) -> int:
    return legs.KEYPOINTS.index(f"{side}_{joint}")


def _angle(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Angle (F,) in degrees between vectors (F, 2)."""
    cross = u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0]
    return np.degrees(np.abs(np.arctan2(cross, (u * v).sum(axis=1))))
