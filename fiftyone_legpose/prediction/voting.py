"""Voting: what a network says of one person several times over becomes one answer."""

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np

from fiftyone_legpose.pose.geometry import CORRECT_WITHIN, FOUND_FROM, areas, leg_length, oks

if TYPE_CHECKING:
    from fiftyone_legpose.prediction.raw_poses import RawPoses

VOTER_SHARE: Final = 0.5
"""A candidate needs this share of the person's box confidence to vote."""

_ALIKE: Final = CORRECT_WITHIN / 2
"""Leg lengths from the mean at which a vote's confidence counts half. Neighbouring cells see nearly
the same and err alike, so that they differ by less than they are wrong."""

_POWER: Final = 0.8
"""Of the votes' mean. Their distance and their own confidence tell much the same twice; this leaves
about as many points under `legs.OCCLUDED_BELOW` as there are without voting (see the card)."""

_TINY = 1e-6


def vote(persons: "RawPoses", candidates: "RawPoses", *, overlap: float) -> "RawPoses":
    """Average each person's points over everything that the network says of them.

    Parameters
    ----------
    persons
        What non-maximum suppression keeps.
    candidates
        What it chose from, and below its box confidence down to `VOTER_SHARE` of that.
    overlap
        Intersection over union of boxes from which a candidate votes on a person: on the one whom
        it overlaps most.

    Returns
    -------
    RawPoses
        The same persons, boxes and scores. Points are means of the voters', weighted by box
        confidence and the point's own; voters whose pose is less alike than an OKS of 0.5, as with
        left and right exchanged, count for the confidence alone: a mean would lie between the legs.
        A point's confidence is the mean of theirs by box confidence, each times 2^(-(d/0.05)²), d
        being how many leg lengths the voter's point lies from the mean; to the power of 0.8.

    Notes
    -----
    Gidaris and Komodakis 2015, "Object detection via a multi-region and semantic segmentation-aware
    CNN model", do so with boxes.
    """
    from ultralytics.utils.metrics import bbox_ioa

    overlaps = bbox_ioa(persons.boxes, candidates.boxes, iou=True)
    voters = (overlaps >= overlap) & (overlaps == overlaps.max(axis=0, initial=0))
    voters &= candidates.scores >= VOTER_SHARE * persons.scores[:, None]
    seen = np.full(persons.points.shape[:2], 2)
    area = areas(persons.points, seen)
    points = persons.points.copy()
    confidence = None if persons.confidence is None else persons.confidence.copy()
    for person, chosen in enumerate(voters):
        own, said, weight = [person], candidates.points[chosen], candidates.scores[chosen, None]
        alike = oks(persons.points[own], seen[own], area[own], said)[0] >= FOUND_FROM
        if not alike.any():
            continue
        known = candidates.confidence
        sure = np.ones(said.shape[:2]) if known is None else known[chosen]
        share = (weight * (sure + _TINY) * alike[:, None])[..., None]
        points[person] = (share * said).sum(axis=0) / share.sum(axis=0)
        if confidence is None:
            continue
        leg = max(leg_length(points[own], seen[own])[0], 1)
        off = np.linalg.norm(said - points[person], axis=-1) / leg
        agreed = sure * 2.0 ** -((off / _ALIKE) ** 2)
        confidence[person] = ((weight * agreed).sum(axis=0) / weight.sum()) ** _POWER
    return replace(persons, points=points, confidence=confidence)
