"""What a pose is worth: OKS, AP, leg length, swaps, calibration of confidence.

Pure functions on arrays: G true persons, P predicted persons, K keypoints. Nothing here knows
FiftyOne or a model. `fiftyone_legpose.evaluation.comparison` puts them together.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.stats import rankdata

from fiftyone_legpose import legs
from fiftyone_legpose.pose.geometry import PAIRS, areas

OKS_THRESHOLDS: Final = np.linspace(0.5, 0.95, 10)

SWAP_APART: Final = 0.1
"""Leg lengths that a true pair must be apart before exchanging it means anything."""

BINS: Final = 10
"""Bins of keypoint confidence from 0 to 1."""

_MAX_DETECTIONS: Final = 20
"""Predictions a frame that count for AP, as in COCO's keypoint evaluation."""


@dataclass(frozen=True)
class Persons:
    """The persons of some frames, true or predicted."""

    frame: np.ndarray
    """(N,): each person's frame, from 0 to the number of frames - 1."""
    points: np.ndarray
    """(N, K, 2) in px, NaN where unknown."""
    visibility: np.ndarray
    """(N, K): 0 unlabelled, 1 occluded, 2 visible."""
    confidence: np.ndarray
    """(N, K), NaN where unknown."""
    score: np.ndarray
    """(N,): confidence of the box, NaN where unknown."""


def swaps(
    true_points: np.ndarray, visibility: np.ndarray, points: np.ndarray, leg: np.ndarray
) -> np.ndarray:
    """Tell which left/right pairs are exchanged.

    Parameters
    ----------
    true_points, points
        Shape (G, K, 2) in px, of the same persons.
    visibility
        Shape (G, K) of the true points.
    leg
        Shape (G,) in px.

    Returns
    -------
    np.ndarray
        Shape (G, J): 1 where each point of the pair lies nearer to the other's true place than to
        its own, else 0. NaN where a point is unknown or the true pair is closer than
        `SWAP_APART`, because legs that cross cannot be told apart by distance.
    """
    own, other = true_points[:, PAIRS], true_points[:, PAIRS[:, ::-1]]
    placed = points[:, PAIRS]
    to_own = np.linalg.norm(placed - own, axis=-1)
    to_other = np.linalg.norm(placed - other, axis=-1)
    apart = np.linalg.norm(own[:, :, 0] - own[:, :, 1], axis=-1) > SWAP_APART * leg[:, None]
    labelled = (visibility[:, PAIRS] > 0).all(axis=-1) & ~np.isnan(to_own).any(axis=-1)
    return np.where(apart & labelled, (to_other < to_own).all(axis=-1), np.nan)


def coco_match(table: np.ndarray, score: np.ndarray) -> np.ndarray:
    """Match the predictions of one frame with its true persons as COCO does.

    Parameters
    ----------
    table
        Shape (G, P): OKS.
    score
        Shape (P,).

    Returns
    -------
    np.ndarray
        Shape (P, 10) of int8: 1 where a prediction takes a true person at that threshold, 0 where
        it does not, -1 beyond the 20 best predictions of the frame.
    """
    hit = np.full((len(score), len(OKS_THRESHOLDS)), -1, np.int8)
    order = np.argsort(-score, kind="mergesort")[:_MAX_DETECTIONS]
    for t, threshold in enumerate(OKS_THRESHOLDS):
        free = table.copy()
        for p in order:
            best = int(free[:, p].argmax()) if len(free) else -1
            hit[p, t] = best >= 0 and free[best, p] >= threshold
            if hit[p, t]:
                free[best] = -1
    return hit


def coco_average_precision(
    truth: Persons,
    predicted: Persons,
    *,
    area: np.ndarray | None = None,
    sigmas: Sequence[float] = legs.SIGMAS,
) -> dict[str, float]:
    """Compute average precision over OKS thresholds with faster-coco-eval.

    Parameters
    ----------
    truth, predicted
        Persons of the same frames.
    area
        Shape (N,) of the true persons in px²; `areas` where not given.
    sigmas
        OKS constant of each keypoint.

    Returns
    -------
    dict
        ``ap50`` and ``ap50_95``, NaN where no true person has a labelled point.
    """
    from faster_coco_eval import COCO, COCOeval_faster

    area = areas(truth.points, truth.visibility) if area is None else area
    labelled = (truth.visibility > 0).any(axis=1)
    if not labelled.any():
        return {"ap50": np.nan, "ap50_95": np.nan}
    frames = np.union1d(truth.frame, predicted.frame)
    names = [str(k) for k in range(truth.points.shape[1])]
    dataset = COCO(
        {
            "info": {},
            "images": [{"id": int(f), "width": 1, "height": 1} for f in frames],
            "categories": [{"id": 1, "name": "legs", "keypoints": names, "skeleton": []}],
            "annotations": [
                {
                    "id": int(i) + 1,
                    "image_id": int(truth.frame[i]),
                    "category_id": 1,
                    "keypoints": _coco_points(truth.points[i], truth.visibility[i]),
                    "num_keypoints": int((truth.visibility[i] > 0).sum()),
                    "area": float(area[i]),
                    "bbox": [0.0, 0.0, 0.0, 0.0],
                    "iscrowd": 0,
                }
                for i in np.flatnonzero(labelled)
            ],
        }
    )
    scores = np.nan_to_num(predicted.score, nan=1.0)
    results = [
        {
            "image_id": int(predicted.frame[i]),
            "category_id": 1,
            "keypoints": _coco_points(predicted.points[i], np.full(len(names), 2)),
            "score": float(scores[i]),
        }
        for i in range(len(scores))
    ]
    if not results:
        return {"ap50": 0.0, "ap50_95": 0.0}
    evaluation = COCOeval_faster(
        dataset, dataset.loadRes(results), "keypoints", kpt_oks_sigmas=np.asarray(sigmas, float)
    )
    # Persons of every size count: the ranges of COCO's own objects say nothing about these.
    evaluation.params.areaRng, evaluation.params.areaRngLbl = [[0, 1e12]], ["all"]
    evaluation.evaluate()
    evaluation.accumulate()
    precision = evaluation.eval["precision"][:, :, 0, 0, -1]
    return {"ap50": float(precision[0].mean()), "ap50_95": float(precision.mean())}


def _coco_points(points: np.ndarray, visibility: np.ndarray) -> list[float]:
    far = np.where(np.isnan(points), -1e6, points)
    return np.column_stack([far, visibility]).ravel().tolist()


def calibration(
    confidence: np.ndarray, correct: np.ndarray, bins: int = BINS
) -> dict[str, np.ndarray]:
    """Compare keypoint confidence with how often the point is right.

    Parameters
    ----------
    confidence
        Any shape, 0 to 1; NaN is left out.
    correct
        Same shape, bool.
    bins
        Bins of equal width.

    Returns
    -------
    dict
        Of arrays (bins,): ``low`` edge, ``count``, mean ``confidence`` and share ``correct``, NaN
        in an empty bin.
    """
    known = ~np.isnan(confidence)
    values, right = confidence[known], np.asarray(correct, float)[known]
    place = np.clip((values * bins).astype(int), 0, bins - 1)
    count = np.bincount(place, minlength=bins)
    with np.errstate(invalid="ignore"):
        return {
            "low": np.arange(bins) / bins,
            "count": count,
            "confidence": np.bincount(place, values, bins) / count,
            "correct": np.bincount(place, right, bins) / count,
        }


def auc(score: np.ndarray, positive: np.ndarray) -> float:
    """Compute the area under the ROC curve, ties counting half.

    Parameters
    ----------
    score
        Shape (N,); NaN is left out.
    positive
        Shape (N,) of bool.

    Returns
    -------
    float
        NaN where only one class is present.
    """
    known = ~np.isnan(score)
    score, positive = score[known], np.asarray(positive, bool)[known]
    hits, rest = int(positive.sum()), int((~positive).sum())
    if not hits or not rest:
        return float("nan")
    # Mann-Whitney U over the number of pairs.
    return float((rankdata(score)[positive].sum() - hits * (hits + 1) / 2) / (hits * rest))
