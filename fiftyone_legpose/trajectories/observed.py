"""Read what was predicted and corrected of each person of a video, in order of time."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fiftyone_legpose.dataset.checks import check_legs
from fiftyone_legpose.dataset.pose_table import PoseTable, read_poses
from fiftyone_legpose.errors import DatasetError
from fiftyone_legpose.trajectories.corrected_tracks import take_tracks
from fiftyone_legpose.trajectories.paths import Observed


@dataclass(frozen=True)
class Stray:
    """A person on one frame who belongs to no track."""

    row: int
    """Index of the frame in `VideoPoses`."""
    points: np.ndarray
    """(K, 2) in px."""
    confidence: np.ndarray
    visibility: np.ndarray
    """(K,) each."""
    corrected: bool


@dataclass(frozen=True)
class VideoPoses:
    """All that is known of the persons of one video."""

    frame_ids: list[str]
    """F ids."""
    frame: np.ndarray
    """(F,): numbers from 1."""
    looked_at: np.ndarray
    """(F,) of bool: predicted or reviewed."""
    size: tuple[int, int]
    """Width and height in px."""
    tracks: list[Observed]
    strays: list[Stray]


def has_keypoints(view: Any, field: str) -> bool:
    """Tell whether the frames of a video collection have a field of keypoints."""
    return view.get_field(f"frames.{field}.keypoints") is not None


def read_observed(video: Any, field: str, gt_field: str) -> VideoPoses:
    """Read one video.

    Parameters
    ----------
    video
        View of one whole video.
    field
        The predictions.
    gt_field
        The corrections; on a frame that a person has looked at they replace all predictions.

    Returns
    -------
    VideoPoses

    Raises
    ------
    DatasetError
        It has neither field, or they hold other keypoints than the legs.
    """
    tables = [read_poses(video, name) for name in (field, gt_field) if has_keypoints(video, name)]
    if not tables:
        raise DatasetError(
            f"there are no keypoints in {field!r} nor in {gt_field!r}; run predict first, or name "
            "the fields"
        )
    for table in tables:
        check_legs(table.points, field)
    corrected = tables.pop() if has_keypoints(video, gt_field) else _nobody(tables[0])
    predicted = _as_one_track(tables[0]) if tables else _nobody(corrected)
    track = _corrected_track(corrected, predicted)
    reviewed = corrected.looked_at
    free = ~reviewed[predicted.pose_frame]
    looked_at = predicted.looked_at | reviewed
    time_s = predicted.time_s
    found = np.union1d(predicted.track[free], track)
    return VideoPoses(
        frame_ids=predicted.frame_ids,
        frame=predicted.frame_number,
        looked_at=looked_at,
        size=(int(predicted.sizes[0, 0]), int(predicted.sizes[0, 1])),
        tracks=[
            _observe(
                int(number),
                (predicted, np.flatnonzero(free & (predicted.track == number))),
                (corrected, np.flatnonzero(track == number)),
                looked_at,
                time_s,
            )
            for number in found[found >= 0]
        ],
        strays=[
            *_strays(predicted, np.flatnonzero(free & (predicted.track < 0)), by_hand=False),
            *_strays(corrected, np.flatnonzero(track < 0), by_hand=True),
        ],
    )


def _nobody(table: PoseTable) -> PoseTable:
    """Give the table of the same frames on which nobody looked and nobody is."""
    cut = {
        name: getattr(table, name)[:0]
        for name in ("label_ids", "pose_frame", "points", "confidence", "visibility", "score")
    }
    return replace(table, looked_at=np.zeros_like(table.looked_at), track=table.track[:0], **cut)


def _as_one_track(table: PoseTable) -> PoseTable:
    """Take poses without tracks as one track where no frame has more than one."""
    alone = (table.track < 0).all() and len(np.unique(table.pose_frame)) == len(table.pose_frame)
    return replace(table, track=np.zeros_like(table.track)) if alone else table


def _corrected_track(corrected: PoseTable, predicted: PoseTable) -> np.ndarray:
    if not len(predicted.points):
        return _as_one_track(corrected).track
    track = take_tracks(corrected, predicted)
    alone = not predicted.track.any() and len(np.unique(corrected.pose_frame)) == len(track)
    return np.zeros_like(track) if alone else track


def _observe(
    number: int,
    predicted: tuple[PoseTable, np.ndarray],
    corrected: tuple[PoseTable, np.ndarray],
    looked_at: np.ndarray,
    time_s: np.ndarray,
) -> Observed:
    """Put the rows of one track into one array per frame that was looked at."""
    at = [table.pose_frame[rows] for table, rows in (predicted, corrected)]
    on = np.concatenate(at)
    inside = np.zeros(len(looked_at), bool)
    inside[on.min() : on.max() + 1] = True
    frames = np.flatnonzero(looked_at & inside)
    leg = np.concatenate([table.leg[rows] for table, rows in (predicted, corrected)])
    values = [
        [
            _spread(getattr(table, name)[rows], np.searchsorted(frames, when), len(frames))
            for name in ("points", "confidence", "visibility")
        ]
        for (table, rows), when in zip((predicted, corrected), at, strict=True)
    ]
    (points, confidence, visibility), (by_hand, _, seen_by_hand) = values
    return Observed(
        track=number,
        frame=predicted[0].frame_number[frames],
        time_s=time_s[frames],
        predicted=points,
        confidence=confidence,
        visibility=np.nan_to_num(visibility).astype(int),
        reviewed=corrected[0].looked_at[frames],
        corrected=by_hand,
        corrected_visibility=np.nan_to_num(seen_by_hand).astype(int),
        leg_px=float(np.median(leg)),
    )


def _spread(values: np.ndarray, at: np.ndarray, count: int) -> np.ndarray:
    spread = np.full((count, *values.shape[1:]), np.nan)
    spread[at] = values
    return spread


def _strays(table: PoseTable, rows: np.ndarray, *, by_hand: bool) -> Iterator[Stray]:
    for row in rows.tolist():
        yield Stray(
            row=int(table.pose_frame[row]),
            points=table.points[row],
            confidence=table.confidence[row],
            visibility=table.visibility[row],
            corrected=by_hand,
        )
