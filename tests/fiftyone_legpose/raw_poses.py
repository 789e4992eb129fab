"""Answers of a model that are made up, for what averages them."""

import numpy as np

from fiftyone_legpose.pose.geometry import leg_length
from fiftyone_legpose.prediction.raw_poses import RawPoses
from tests.fiftyone_legpose.walking import walk

POSE = walk(2)[0]
LEG = float(leg_length(POSE[None], np.full((1, 10), 2))[0])


def found(*persons: tuple[np.ndarray, float, float]) -> RawPoses:
    """Persons of (points, score, confidence of each point)."""
    points = np.array([p for p, _, _ in persons]).reshape(-1, 10, 2)
    return RawPoses(
        boxes=np.concatenate([points.min(axis=1), points.max(axis=1)], axis=1),
        scores=np.array([score for _, score, _ in persons]),
        points=points,
        confidence=np.array([np.full(10, c) for _, _, c in persons]).reshape(-1, 10),
    )
