"""Voting: what a network says of one person several times over becomes one answer."""

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np

from fiftyone_legpose.comparison import CORRECT_WITHIN, FOUND_FROM
from fiftyone_legpose.metrics import areas, leg_length, oks

if TYPE_CHECKING:
    from fiftyone_legpose.backends import RawPoses

VOTER_SHARE: Final = 0.5
"""Share of a person's box confidence that who votes on her needs."""

_ALIKE: Final = CORRECT_WITHIN / 2
"""Leg lengths from the mean at which a vote's confidence counts half. Neighbouring cells see nearly
the same and err alike, so that they differ by less than they are wrong."""

_TINY = 1e-6


def vote(persons: "RawPoses", candidates: "RawPoses", *, overlap: float) -> "RawPoses":
    """Average each person's points over everything that the network says of her.

    Parameters
    ----------
    persons
        What non-maximum suppression keeps.
    candidates
        What it was given: the kept ones and those that it drops for them, of a box confidence from
        `VOTER_SHARE` of the kept ones' on.
    overlap
        Intersection over union of boxes from which a candidate votes on a person.

    Returns
    -------
    RawPoses
        The same persons, boxes and scores. Points are means of the voters', weighted by box
        confidence and the point's own; voters whose pose is less alike than an OKS of 0.5, as with
        left and right exchanged, count for the confidence alone: a mean would lie between the legs.
        A point's confidence is the mean of theirs by box confidence, each times 2^(-(d/0.05)²), d
        being how many leg lengths the voter's point lies from the mean.

    Notes
    -----
    Gidaris and Komodakis 2015, "Object detection via a multi-region and semantic segmentation-aware
    CNN model", do so with boxes.
    """
    from ultralytics.utils.metrics import bbox_ioa

    overlaps = bbox_ioa(persons.boxes, candidates.boxes, iou=True)
    voters = (overlaps >= overlap) & (candidates.scores >= VOTER_SHARE * persons.scores[:, None])
    seen = np.full(persons.points.shape[:2], 2)
    alike = oks(persons.points, seen, areas(persons.points, seen), candidates.points) >= FOUND_FROM
    said, known = candidates.points, candidates.confidence
    sure = np.ones(said.shape[:2]) if known is None else known
    points = persons.points.copy()
    confidence = None if persons.confidence is None else persons.confidence.copy()
    for person in np.flatnonzero((voters & alike).any(axis=1)):
        chosen = voters[person]
        weight = candidates.scores[chosen, None]
        share = weight * (sure[chosen] + _TINY) * alike[person, chosen, None]
        points[person] = (share[..., None] * said[chosen]).sum(axis=0) / share.sum(axis=0)[:, None]
        if confidence is None:
            continue
        leg = max(leg_length(points[[person]], seen[[person]])[0], 1)
        off = np.linalg.norm(said[chosen] - points[person], axis=-1) / leg
        agreed = sure[chosen] * 2.0 ** -((off / _ALIKE) ** 2)
        confidence[person] = (weight * agreed).sum(axis=0) / weight.sum()
    return replace(persons, points=points, confidence=confidence)
