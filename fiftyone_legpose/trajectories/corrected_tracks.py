"""Which track a corrected person belongs to: that of the prediction which she replaces."""

from typing import Final

import numpy as np
from scipy.optimize import linear_sum_assignment

from fiftyone_legpose.dataset.pose_table import PoseTable
from fiftyone_legpose.pose import geometry
from fiftyone_legpose.pose.geometry import SAME_PERSON_FROM

_SAME_TRACK: Final = 0.1
"""OKS that a person may lack and still be the one with the track that she was sent with."""

_ON_TRACK: Final = 1.0
"""Leg lengths that a person may be away from where a track leads and still be on it."""


def take_tracks(corrected: PoseTable, predicted: PoseTable) -> np.ndarray:
    """Give corrected persons (N,) the track of the prediction they replace.

    The track they were sent with decides only between equals: a later prediction numbers anew. A
    person who replaces nobody keeps hers only where it leads past her, or is nobody else's.
    """
    track = corrected.track.copy()
    area = geometry.areas(corrected.points, corrected.visibility)
    for frame in np.unique(corrected.pose_frame):
        own = np.flatnonzero(corrected.pose_frame == frame)
        other = np.flatnonzero((predicted.pose_frame == frame) & (predicted.track >= 0))
        likeness = geometry.oks(
            corrected.points[own], corrected.visibility[own], area[own], predicted.points[other]
        )
        same = track[own][:, None] == predicted.track[other]
        rows, columns = linear_sum_assignment(-likeness - _SAME_TRACK * same)
        near = likeness[rows, columns] >= SAME_PERSON_FROM
        for row in np.delete(own, rows[near]).tolist():
            if track[row] >= 0 and not _leads_past(predicted, corrected, row):
                track[row] = -1
        track[own[rows[near]]] = predicted.track[other[columns[near]]]
    return track


def _leads_past(predicted: PoseTable, corrected: PoseTable, row: int) -> bool:
    """Tell whether the track that a corrected person bears is hers, or nobody's, in predictions."""
    frame = corrected.pose_frame[row]
    on_track = (predicted.track == corrected.track[row]) & (
        predicted.pose_sample == corrected.frame_sample[frame]
    )
    if not on_track.any():
        return True
    numbers = predicted.frame_number[predicted.pose_frame[on_track]]
    points, number = predicted.points[on_track], corrected.frame_number[frame]
    if number in numbers:
        return False  # whoever has it is in this very frame, in another place
    after = int(np.searchsorted(numbers, number))
    first, last = max(after - 1, 0), min(after, len(numbers) - 1)
    times_s = predicted.time_s[predicted.pose_frame[on_track]]
    passed_s, between_s = corrected.time_s[frame] - times_s[first], times_s[last] - times_s[first]
    share = passed_s / between_s if between_s else 0
    away = corrected.points[row] - (points[first] + share * (points[last] - points[first]))
    both = ~np.isnan(away).any(axis=1)
    if not both.any():
        return False
    return bool(np.linalg.norm(away[both].mean(axis=0)) <= _ON_TRACK * corrected.leg[row])
