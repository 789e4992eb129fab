"""Compare predicted persons with true ones, and turn that into numbers with intervals.

Pure functions on arrays: G true persons, P predicted persons, K keypoints, F frames, R resamples.
`compare` measures once, `summarize` turns that into numbers, for all frames or for many resamples
of them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.optimize import linear_sum_assignment

from fiftyone_legpose import legs
from fiftyone_legpose.evaluation.metrics import BINS, OKS_THRESHOLDS, Persons, coco_match, swaps
from fiftyone_legpose.pose.geometry import (
    CORRECT_WITHIN,
    FOUND_FROM,
    PAIR_NAMES,
    SAME_PERSON_FROM,
    areas,
    fill_leg_length,
    leg_length,
    oks,
)

PCK_THRESHOLDS: Final = (0.05, 0.1, 0.2)
"""Distances in leg lengths within which a point counts as correct."""

_RECALL: Final = np.linspace(0, 1, 101)

_CHUNK: Final = 4_000_000
"""Numbers that a weighted quantile holds in memory at a time."""


@dataclass(frozen=True)
class Comparison:
    """What one set of predictions got right, person by person and point by point."""

    frame: np.ndarray
    """(G,): frame of each true person that has a labelled point."""
    person: np.ndarray
    """(G,): its index among the true persons that were given."""
    visibility: np.ndarray
    """(G, K) of the true points."""
    leg: np.ndarray
    """(G,): leg length in px."""
    match: np.ndarray
    """(G,): index of the predicted person, -1 where missed."""
    oks: np.ndarray
    """(G,): 0 where missed."""
    error: np.ndarray
    """(G, K): distance in px; NaN where unlabelled, infinite where the person was missed."""
    confidence: np.ndarray
    """(G, K) of the predicted points, NaN where unlabelled, missed or unknown."""
    swapped: np.ndarray
    """(G, J) for the J left/right pairs: 1 exchanged, 0 not, NaN where it cannot be told."""
    spare: np.ndarray
    """(E,): index of each predicted person who is not there."""
    spare_frame: np.ndarray
    """(E,): frame of each of them."""
    prediction_frame: np.ndarray
    """(P,): frame of each prediction."""
    prediction_score: np.ndarray
    """(P,)"""
    hit: np.ndarray
    """(P, 10): 1 matches a true person at that OKS threshold, 0 does not, -1 is not counted."""


def compare(
    truth: Persons,
    predicted: Persons,
    *,
    leg: np.ndarray | None = None,
    area: np.ndarray | None = None,
    min_score: float = 0.25,
    sigmas: Sequence[float] = legs.SIGMAS,
) -> Comparison:
    """Match predicted persons with true ones and measure each pair.

    Parameters
    ----------
    truth, predicted
        Persons of the same frames, with the keypoints of `legs.KEYPOINTS`.
    leg
        Shape (N,): leg length of each true person in px; by default from the pose itself.
    area
        Shape (N,): area of each true person in px²; by default from the pose itself.
    min_score
        Predictions of a lower box confidence count for AP alone.
    sigmas
        OKS constant of each keypoint.

    Returns
    -------
    Comparison
        True persons without a labelled point are left out.

    Notes
    -----
    A pair is matched by OKS, or by OKS after left and right are exchanged if that is higher, so
    that a swapped pose is a person with wrong points and not a person missed.
    """
    person = np.flatnonzero((truth.visibility > 0).any(axis=1))
    frame, points, seen = truth.frame[person], truth.points[person], truth.visibility[person]
    area = areas(points, seen) if area is None else area[person]
    leg = (
        fill_leg_length(leg_length(points, seen), points, seen, np.arange(len(points)))
        if leg is None
        else leg[person]
    )
    score = np.nan_to_num(predicted.score, nan=1.0)
    counted = score >= min_score
    match = np.full(len(frame), -1)
    similarity = np.zeros(len(frame))
    hit = np.zeros((len(score), len(OKS_THRESHOLDS)), np.int8)
    for t, p in _by_frame(frame, predicted.frame):
        table = oks(points[t], seen[t], area[t], predicted.points[p], sigmas)
        hit[p] = coco_match(table, score[p])
        exchanged = predicted.points[p][:, list(legs.FLIP_INDEX)]
        either = np.maximum(table, oks(points[t], seen[t], area[t], exchanged, sigmas))
        either[:, ~counted[p]] = 0
        rows, columns = linear_sum_assignment(-either)
        same = either[rows, columns] >= SAME_PERSON_FROM
        rows, columns = rows[same], columns[same]
        match[t[rows]] = p[columns]
        similarity[t[rows]] = table[rows, columns]

    paired = match >= 0
    found_points = np.full(points.shape, np.nan)
    found_points[paired] = predicted.points[match[paired]]
    confidence = np.full(seen.shape, np.nan)
    confidence[paired] = predicted.confidence[match[paired]]
    confidence[seen == 0] = np.nan
    error = np.linalg.norm(found_points - points, axis=-1)
    error[np.isnan(error)] = np.inf
    error[seen == 0] = np.nan
    spare = np.setdiff1d(np.flatnonzero(counted), match)
    return Comparison(
        frame=frame,
        person=person,
        visibility=seen,
        leg=leg,
        match=match,
        oks=similarity,
        error=error,
        confidence=confidence,
        swapped=swaps(points, seen, found_points, leg),
        spare=spare,
        spare_frame=predicted.frame[spare],
        prediction_frame=predicted.frame,
        prediction_score=score,
        hit=hit,
    )


def summarize(
    comparison: Comparison,
    group: np.ndarray,
    weights: np.ndarray | None = None,
) -> dict[str, np.ndarray]:
    """Turn a comparison into numbers.

    Parameters
    ----------
    comparison
        From `compare`.
    group
        Shape (F,): the group (video, subject) of each frame, from 0.
    weights
        Shape (R, groups): how often each group counts in each resample; once where not given.

    Returns
    -------
    dict
        Each of shape (R,), NaN where nothing was there to measure. Keys:

        - ``ap50``, ``ap50_95``: average precision over OKS thresholds;
        - ``oks``: mean over true persons, 0 for a missed one; ``found``, ``missed``: shares of the
          true persons; ``spare``: predicted persons a frame who are not there;
        - ``calibration``: expected calibration error of keypoint confidence;
        - ``swapped/<all or joint>``: share of the left/right pairs that are exchanged;
        - ``pck@<t>/<points>/<joint>``: share of points within t leg lengths, a missed person's
          points counting as wrong;
        - ``median_px``, ``p95_px``, ``median_leg``, ``p95_leg`` with the same endings: error over
          the persons found, in px and in leg lengths.

        ``<points>`` is all, visible or occluded; ``<joint>`` is all or a keypoint's name.
    """
    if weights is None:
        weights = np.ones((1, int(group.max(initial=0)) + 1))
    persons = group[comparison.frame]
    found = (comparison.oks >= FOUND_FROM).astype(float)
    spare = np.bincount(comparison.spare_frame, minlength=len(group)).astype(float)
    out = {
        **_average_precision(comparison, group, weights),
        "oks": _mean(comparison.oks, persons, weights),
        "found": _mean(found, persons, weights),
        "missed": _mean(1 - found, persons, weights),
        "spare": _mean(spare, group, weights),
        "calibration": _calibration_error(comparison, persons, weights),
    }
    for name, columns in _columns(PAIR_NAMES):
        out[f"swapped/{name}"] = _mean(comparison.swapped[:, columns], persons, weights)
    relative = comparison.error / comparison.leg[:, None]
    sets = {"all": comparison.visibility > 0}
    sets |= {"visible": comparison.visibility == 2, "occluded": comparison.visibility == 1}
    for points, mask in sets.items():
        for joint, columns in _columns(legs.KEYPOINTS):
            end = f"{points}/{joint}"
            near = np.where(mask, relative, np.nan)[:, columns]
            for threshold in PCK_THRESHOLDS:
                right = np.where(np.isnan(near), np.nan, near <= threshold)
                out[f"pck@{threshold}/{end}"] = _mean(right, persons, weights)
            far = np.where(mask, comparison.error, np.nan)[:, columns]
            for unit, cells in (("px", far), ("leg", near)):
                median, p95 = _quantiles(cells, persons, weights, (0.5, 0.95))
                out[f"median_{unit}/{end}"], out[f"p95_{unit}/{end}"] = median, p95
    return out


def _columns(names: Sequence[str]) -> list[tuple[str, np.ndarray]]:
    every = np.arange(len(names))
    return [("all", every), *((name, every[i : i + 1]) for i, name in enumerate(names))]


def _average_precision(
    comparison: Comparison, group: np.ndarray, weights: np.ndarray
) -> dict[str, np.ndarray]:
    # `coco_average_precision` gives the same number, but that library knows no weights: a bootstrap
    # through it would match every frame again a thousand times.
    precision = np.full((len(weights), len(OKS_THRESHOLDS)), np.nan)
    total = weights[:, group[comparison.frame]].sum(axis=1)
    used = comparison.hit[:, 0] >= 0
    order = np.flatnonzero(used)[np.argsort(-comparison.prediction_score[used], kind="stable")]
    hit = comparison.hit[order]
    for r in np.flatnonzero(total):
        weight = weights[r, group[comparison.prediction_frame[order]]]
        seen = np.maximum(np.cumsum(weight), np.spacing(1))
        right = np.cumsum(weight[:, None] * hit, axis=0)
        exact = right / seen[:, None]
        envelope = np.maximum.accumulate(exact[::-1], axis=0)[::-1]
        for t in range(len(OKS_THRESHOLDS)):
            place = np.searchsorted(right[:, t] / total[r], _RECALL)
            precision[r, t] = np.append(envelope[:, t], 0)[place].mean()
    return {"ap50": precision[:, 0], "ap50_95": precision.mean(axis=1)}


def _calibration_error(
    comparison: Comparison, group: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    known = ~np.isnan(comparison.confidence)
    place = np.clip((np.where(known, comparison.confidence, 0) * BINS).astype(int), 0, BINS - 1)
    right = comparison.error <= CORRECT_WITHIN * comparison.leg[:, None]
    gap = np.zeros(len(weights))
    count = weights @ _by_group(known, group, weights)
    for b in range(BINS):
        inside = known & (place == b)
        difference = np.where(inside, comparison.confidence - right, 0)
        gap += np.abs(weights @ _by_group(difference, group, weights))
    with np.errstate(invalid="ignore"):
        return gap / count


def _mean(cells: np.ndarray, group: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Average cells (N,) or (N, M) that belong to groups (N,), without NaN, a resample."""
    known = ~np.isnan(cells)
    above = weights @ _by_group(np.where(known, cells, 0), group, weights)
    below = weights @ _by_group(known, group, weights)
    with np.errstate(invalid="ignore"):
        return above / below


def _by_group(cells: np.ndarray, group: np.ndarray, weights: np.ndarray) -> np.ndarray:
    rows = cells.sum(axis=1) if cells.ndim == 2 else cells
    return np.bincount(group, rows, weights.shape[1])


def _quantiles(
    cells: np.ndarray, group: np.ndarray, weights: np.ndarray, levels: tuple[float, ...]
) -> list[np.ndarray]:
    """Quantiles of the finite cells (N, M), each counting as often as its group (N,) does.

    Inverse of the weighted distribution: always a value that was measured, never one between.
    """
    finite = np.isfinite(cells)
    values, belongs = cells[finite], np.nonzero(finite)[0]
    out = [np.full(len(weights), np.nan) for _ in levels]
    if not len(values):
        return out
    order = np.argsort(values)
    values, belongs = values[order], group[belongs[order]]
    step = max(1, _CHUNK // len(values))
    for start in range(0, len(weights), step):
        piece = slice(start, start + step)
        mass = np.cumsum(weights[piece][:, belongs], axis=1)
        for level, column in zip(levels, out, strict=True):
            first = (mass >= level * mass[:, -1:]).argmax(axis=1)
            column[piece] = np.where(mass[:, -1] > 0, values[first], np.nan)
    return out


def _by_frame(first: np.ndarray, second: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the indices of both sides for each frame that either has."""
    one, two = np.argsort(first, kind="stable"), np.argsort(second, kind="stable")
    frames = np.union1d(first, second)
    a = np.searchsorted(first[one], np.append(frames, np.inf))
    b = np.searchsorted(second[two], np.append(frames, np.inf))
    for i in range(len(frames)):
        yield one[a[i] : a[i + 1]], two[b[i] : b[i + 1]]
