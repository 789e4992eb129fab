"""The review score: how signals add up to one number and its reasons."""

from collections.abc import Mapping
from typing import Final

import numpy as np

from fiftyone_legpose.dataset.pose_table import PoseTable
from fiftyone_legpose.selection import signals
from fiftyone_legpose.selection.signals import PLACES

WEIGHTS: Final[Mapping[str, float]] = {
    "low confidence": 0.6,
    "unsure": 0.6,
    "weak box": 0.5,
    "not found": 0.9,
    "track breaks": 0.5,
    "jump": 0.9,
    "trembles": 0.5,
    "swapped": 0.9,
    "length": 0.7,
    "heel and toe": 0.6,
    "mirror disagrees": 0.8,
}
"""How sure a signal at full strength is that a person would correct the frame."""

REASON_FROM: Final = 0.2
"""Strength times weight from which a signal is named as a reason."""

_MAX_REASONS: Final = 4


def combine(strengths: Mapping[str, np.ndarray]) -> tuple[np.ndarray, list[list[str]]]:
    """Turn signals into one score and its reasons a frame.

    Parameters
    ----------
    strengths
        Arrays (T, places) by signal.

    Returns
    -------
    score : np.ndarray
        Shape (T,), from 0 to 1: the chance that at least one signal is right, if each was right
        with its weight times its strength and knew nothing of the others.
    reasons : list of list of str
        For each frame what looks wrong, worst first, for example ``jump left_ankle``.
    """
    names = list(strengths)
    strongest = np.stack([strengths[n].max(axis=1) * WEIGHTS[n] for n in names], axis=1)
    place = np.stack([strengths[n].argmax(axis=1) for n in names], axis=1)
    score = 1 - np.prod(1 - strongest, axis=1)
    order = np.argsort(-strongest, axis=1, kind="stable")[:, :_MAX_REASONS]
    reasons: list[list[str]] = [[] for _ in range(len(score))]
    for t in np.flatnonzero(strongest.max(axis=1) >= REASON_FROM):
        for s in order[t]:
            if strongest[t, s] >= REASON_FROM:
                reasons[t].append(f"{names[s]} {PLACES[names[s]][place[t, s]]}".strip())
    return score, reasons


def score_frames(table: PoseTable) -> dict[str, np.ndarray]:
    """Compute the signals of every frame of a collection.

    Parameters
    ----------
    table
        Predictions of whole videos, or of images, which have no signals over time.

    Returns
    -------
    dict
        Strengths (F, places) of the signals in `review_score.PLACES`.
    """
    out = signals.pose_signals(
        len(table.frame_ids),
        table.pose_frame,
        table.points,
        table.confidence,
        table.visibility,
        table.score,
        table.leg,
    )
    pose_sample = table.pose_sample
    for sample in np.flatnonzero(np.isfinite(table.frame_rates)):
        frames = np.flatnonzero((table.frame_sample == sample) & table.looked_at)
        poses = np.flatnonzero(pose_sample == sample)
        if len(frames) < 2 or not len(poses):
            continue
        over_time = signals.track_signals(
            len(frames),
            np.searchsorted(frames, table.pose_frame[poses]),
            table.track[poses],
            table.points[poses],
            table.visibility[poses],
            table.leg[poses],
            time_s=table.time_s[frames],
            size=(table.sizes[sample, 0], table.sizes[sample, 1]),
        )
        for name, strength in over_time.items():
            out[name][frames] = np.maximum(out[name][frames], strength)
    return out
