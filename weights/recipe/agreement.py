"""Who counts as labelled: somebody of whom two teachers who saw the whole body say the same."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from fiftyone_legpose import legs
from fiftyone_legpose.pose.geometry import leg_length
from weights.recipe.measuring import Answer

LOOKS_WITHIN: Final = 0.09
"""Leg lengths that any point of BlazePose's two looks, plain and mirrored, may lie apart."""

LOOKS_MEAN_WITHIN: Final = 0.04
"""Leg lengths that all of them may on average."""

TEACHERS_WITHIN: Final = (0.16, 0.16, 0.10, 0.10, 0.09, 0.09)
"""Leg lengths that hips, knees and ankles of both teachers may lie apart.

Hips may most: COCO's annotators put them further up and out than BlazePose, which has the joint.
"""

SMALLEST_LEG_PX: Final = 60.0
"""Smaller people are labelled too coarsely to learn from."""

_SURE: Final = 0.5
"""BlazePose's visibility from which a point counts as visible."""

_HIPS: Final = slice(0, 2)
_BOTH_TEACH: Final = slice(2, 6)
"""Knees and ankles: the mean of both teachers, BlazePose counting twice."""


@dataclass(frozen=True)
class Seen:
    """Somebody whom the pose model for COCO's keypoints sees."""

    box: np.ndarray
    """(4,) x1, y1, x2, y2 in px, of the whole body."""
    points: np.ndarray
    """(6, 2) px: hips, knees, ankles, left first."""


@dataclass(frozen=True)
class Agreed:
    """Somebody of whom both teachers say the same."""

    points: np.ndarray
    """(10, 2) px."""
    visibility: np.ndarray
    """(10,): 2 visible, 1 hidden."""
    leg_px: float


def agree(seen: Seen, plain: Answer, mirrored: Answer) -> Agreed | str:
    """Return what both teachers say of somebody, or in words why they do not agree.

    Parameters
    ----------
    seen : Seen
    plain, mirrored : (points, confidence, score)
        What BlazePose says of the person and of the mirrored picture, both in px of the picture
        and with the person's own sides; empty where it sees nobody.
    """
    if not len(plain[0]) or not len(mirrored[0]):
        return "BlazePose sees nobody"
    looks = np.stack([plain[0][0], mirrored[0][0]])
    points = looks.mean(axis=0)
    leg = float(leg_length(points[None], np.full((1, len(legs.KEYPOINTS)), 2))[0])
    if not leg >= SMALLEST_LEG_PX:
        return f"the legs are {leg:.0f} px long, less than {SMALLEST_LEG_PX:.0f}"
    apart = np.linalg.norm(looks[0] - looks[1], axis=1) / leg
    if apart.max() > LOOKS_WITHIN:
        return _differ("BlazePose sees", apart, "otherwise in the mirrored picture")
    if apart.mean() > LOOKS_MEAN_WITHIN:
        return f"BlazePose's points are {apart.mean():.2f} leg lengths off in the mirrored picture"
    apart = np.linalg.norm(points[:6] - seen.points, axis=1) / leg
    over = np.where(apart > TEACHERS_WITHIN, apart, 0)
    if over.any():
        return _differ("BlazePose and the pose model put", over, "apart")
    points[_BOTH_TEACH] = (2 * points[_BOTH_TEACH] + seen.points[_BOTH_TEACH]) / 3
    sure = (plain[1][0] + mirrored[1][0]) / 2 > _SURE
    return Agreed(points, np.where(sure, 2, 1), leg)


def _differ(who: str, apart: np.ndarray, how: str) -> str:
    worst = int(apart.argmax())
    return f"{who} {legs.KEYPOINTS[worst]} {apart[worst]:.2f} leg lengths {how}"
