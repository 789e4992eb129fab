"""The flip test: one answer from what a model finds in a frame and in its mirror image."""

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np
from scipy.optimize import linear_sum_assignment

from fiftyone_legpose import legs
from fiftyone_legpose.pose.geometry import (
    CORRECT_WITHIN,
    FOUND_FROM,
    SAME_PERSON_FROM,
    areas,
    leg_length,
    oks,
)

if TYPE_CHECKING:
    from fiftyone_legpose.prediction.raw_poses import RawPoses

CANDIDATE_SHARE: Final = 0.25
"""Share of the lowest box confidence that either picture's persons need: their mean decides."""

_TINY = 1e-6


def merge(plain: "RawPoses", mirrored: "RawPoses", *, conf: float) -> "RawPoses":
    """Average what was found in a frame and in its mirror image.

    Parameters
    ----------
    plain
        Persons found in the frame, from `CANDIDATE_SHARE` of `conf` on.
    mirrored
        Persons found in the mirrored frame, turned back: px of the frame, sides exchanged.
    conf
        Lowest mean of the two box confidences that counts as a person, 0 to 1; in a picture where
        somebody is not found, theirs is 0.

    Returns
    -------
    RawPoses
        By falling box confidence. Points are means weighted by confidence; where the poses are less
        alike than an OKS of 0.5, as with left and right exchanged, those of the picture that is
        surer of the person: a mean would lie between the legs. A point's confidence is the mean of
        both, each times 2^(-(d/0.1)²), d being how many leg lengths the point lies from that
        picture's own.

    Notes
    -----
    The usual test of pose estimation, as in Newell et al. 2016, "Stacked hourglass networks for
    human pose estimation". That average is of heat maps, of which ours has none.
    """
    rows, columns, agree = _pairs(plain, mirrored)
    pairs = _mean(pick(plain, rows), pick(mirrored, columns), agree)
    alone = [
        pick(raw, np.setdiff1d(np.arange(len(raw.scores)), paired))
        for raw, paired in ((plain, rows), (mirrored, columns))
    ]
    merged = join(pairs, *(replace(raw, scores=raw.scores / 2) for raw in alone))
    order = np.argsort(-merged.scores, kind="stable")
    return pick(merged, order[merged.scores[order] >= conf])


def _pairs(plain: "RawPoses", mirrored: "RawPoses") -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Find the same persons in both, and tell whose poses agree."""
    seen = np.full(plain.points.shape[:2], 2)
    area = areas(plain.points, seen)
    likeness = oks(plain.points, seen, area, mirrored.points)
    exchanged = oks(plain.points, seen, area, mirrored.points[:, list(legs.FLIP_INDEX)])
    either = np.maximum(likeness, exchanged)
    either[either < SAME_PERSON_FROM] = 0
    # By score too: next to a person there can be candidates that are hardly one, and yet closer.
    rows, columns = linear_sum_assignment(-either * np.outer(plain.scores, mirrored.scores))
    same = either[rows, columns] > 0
    rows, columns = rows[same], columns[same]
    return rows, columns, likeness[rows, columns] >= FOUND_FROM


def _mean(plain: "RawPoses", mirrored: "RawPoses", agree: np.ndarray) -> "RawPoses":
    scores = np.stack([plain.scores, mirrored.scores])
    surer = np.arange(2)[:, None] == scores.argmax(axis=0)
    share = (agree | surer).astype(float)
    boxes = _weighted(np.stack([plain.boxes, mirrored.boxes]), share)
    points = np.stack([plain.points, mirrored.points])
    if plain.confidence is None or mirrored.confidence is None:
        mean = _weighted(points, share)
        return replace(plain, boxes=boxes, scores=scores.mean(axis=0), points=mean)
    confidence = np.stack([plain.confidence, mirrored.confidence])
    mean = _weighted(points, (confidence + _TINY) * share[..., None])
    leg = np.maximum(leg_length(mean, np.full(mean.shape[:2], 2)), 1)
    off = np.linalg.norm(points - mean, axis=-1) / leg[:, None]
    agreed = (confidence * 2.0 ** -((off / CORRECT_WITHIN) ** 2)).mean(axis=0)
    return replace(plain, boxes=boxes, scores=scores.mean(axis=0), points=mean, confidence=agreed)


def _weighted(values: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Average two pictures' values (2, N, ..., D) by weights (2, N, ...)."""
    weight = np.broadcast_to(weight[..., *[None] * (values.ndim - weight.ndim)], values.shape)
    return np.average(values, axis=0, weights=weight)


def pick(raw: "RawPoses", persons: np.ndarray | list[int]) -> "RawPoses":
    """Keep some of the persons of an answer, in this order."""
    return replace(
        raw,
        boxes=raw.boxes[persons],
        scores=raw.scores[persons],
        points=raw.points[persons],
        confidence=None if raw.confidence is None else raw.confidence[persons],
    )


def join(*parts: "RawPoses") -> "RawPoses":
    """Make one answer of several."""
    known = [part.confidence for part in parts if part.confidence is not None]
    return replace(
        parts[0],
        boxes=np.concatenate([part.boxes for part in parts]),
        scores=np.concatenate([part.scores for part in parts]),
        points=np.concatenate([part.points for part in parts]),
        confidence=np.concatenate(known) if known else None,
    )
