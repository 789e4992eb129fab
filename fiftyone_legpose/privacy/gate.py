"""Decide of one still whether it may leave and which parts of it are hidden; arrays alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from cvat_bridge.poses import Pose
from fiftyone_legpose import legs
from fiftyone_legpose.pose.geometry import PAIRS, leg_length

Reason = Literal["face", "upper body"]

CHIN = 0.6
"""Lowest place of a chin above the hip of the same person upright, in leg lengths.

Drillis and Contini (1966; Winter, "Biomechanics and motor control of human movement", fig. 4.1) put
the chin at 0.870 of the stature, the hip at 0.530 and the ankle at 0.039: 0.69 leg lengths. A
person who stoops a little comes to 0.6. Of 168 legs-only pictures none shows more than 0.38.
"""

CROWN = 1.25
"""Highest place of a head, in leg lengths: the crown is 0.96 above the hip, and hair or a hat."""

WAIST = 0.3
"""How much stays to be seen above the topmost hip, in leg lengths: to the navel."""

_HEAD_WIDTH = 0.5
_FACE_MARGIN = (0.3, 0.6, 0.3, 0.3)
"""Added to a face to its left, above, to its right and below, in its own width and height: hair,
ears, chin."""


def are_legs(keypoints: Sequence[str]) -> bool:
    """Tell whether poses of these keypoints have the hips that `judge` looks for."""
    return tuple(keypoints) == legs.KEYPOINTS


@dataclass(frozen=True)
class Verdict:
    """What one still shows that should stay in the house."""

    reasons: tuple[Reason, ...]
    """Empty where it may leave as it is."""
    hidden: np.ndarray
    """Shape (N, 4) of int: x1, y1, x2, y2 in px of what has to be black before it leaves."""


def judge(
    size: tuple[int, int], people: Sequence[Pose], faces: np.ndarray, *, top_px: float = 0.0
) -> Verdict:
    """Decide what a still shows that should stay in the house.

    Parameters
    ----------
    size
        Width and height in px.
    people
        Whom the pose model found, with the ten keypoints of `legs`.
    faces
        Shape (N, 4 or more): x1, y1, x2, y2 in px, as `find_faces` gives them.
    top_px
        Height of what is black already at the top of the picture.

    Returns
    -------
    Verdict
        A face is a reason, and so is a person whose chin would be in the picture if she stood
        upright. Everything above the topmost hip less `WAIST` is hidden, and each face with a
        margin; where no hip was found, everything down to the chin of the lowest face.
    """
    width, height = size
    hips, lengths = _hips(people), _lengths(people)
    seen = np.isfinite(hips[:, 1])
    regions = [_around(face, height) for face in faces[:, :4]]
    if seen.any():
        waist = np.min(hips[seen, 1] - WAIST * np.nan_to_num(lengths[seen]))
        regions.append((0.0, 0.0, width, waist))
        regions += [_head(hip, leg) for hip, leg in zip(hips, lengths, strict=True)]
    elif len(regions):
        regions.append((0.0, 0.0, width, max(y2 for _, _, _, y2 in regions)))
    has_upper_body = bool((hips[:, 1] - top_px > CHIN * lengths).any())
    found: dict[Reason, bool] = {"face": len(faces) > 0, "upper body": has_upper_body}
    return Verdict(
        reasons=tuple(reason for reason, is_there in found.items() if is_there),
        hidden=_whole_px(regions, width, height, top_px),
    )


def blacken(picture: np.ndarray, regions: np.ndarray) -> np.ndarray:
    """Copy a picture with regions in black.

    Parameters
    ----------
    picture
        Shape (H, W, 3); it stays as it is.
    regions
        Shape (N, 4) of int: x1, y1, x2, y2 in px.

    Returns
    -------
    np.ndarray
        The copy.
    """
    copy = picture.copy()
    for x1, y1, x2, y2 in regions.tolist():
        copy[y1:y2, x1:x2] = 0
    return copy


def face_regions(faces: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Give what has to be black so that nobody is known by these faces.

    Parameters
    ----------
    faces
        Shape (N, 4 or more): x1, y1, x2, y2 in px.
    size
        Width and height of the picture in px.

    Returns
    -------
    np.ndarray
        Shape (N, 4) of int, with hair, ears and chin.
    """
    width, height = size
    return _whole_px([_around(face, height) for face in faces[:, :4]], width, height, 0)


def _hips(people: Sequence[Pose]) -> np.ndarray:
    """Find the higher hip of each person, (P, 2) in px; NaN where both are cut off."""
    hips = np.full((len(people), 2), np.nan)
    for i, pose in enumerate(people):
        known = [k for k in PAIRS[0] if pose.visibility[k] > 0]
        if known:
            hips[i] = min((pose.points[k] for k in known), key=lambda point: point[1])
    return hips


def _lengths(people: Sequence[Pose]) -> np.ndarray:
    """Measure legs, (P,) in px; where an ankle is cut off the thigh counts twice; else NaN."""
    if not people:
        return np.zeros(0)
    points = np.stack([pose.points for pose in people])
    seen = np.stack([pose.visibility for pose in people])
    known = np.where((seen > 0)[..., None], points, np.nan)
    thighs = np.linalg.norm(known[:, PAIRS[0]] - known[:, PAIRS[1]], axis=-1)
    whole = leg_length(points, seen)
    return np.where(np.isnan(whole), 2 * np.fmax(thighs[:, 0], thighs[:, 1]), whole)


def _head(hip: np.ndarray, leg: float) -> tuple[float, float, float, float]:
    """Give the region where a person's head is if she stands upright."""
    side = _HEAD_WIDTH * leg / 2
    return (hip[0] - side, hip[1] - CROWN * leg, hip[0] + side, hip[1] - CHIN * leg)


def _around(face: np.ndarray, height: int) -> tuple[float, float, float, float]:
    left, above, right, below = _FACE_MARGIN
    x1, y1, x2, y2 = face.tolist()
    return (
        x1 - left * (x2 - x1),
        y1 - above * (y2 - y1),
        x2 + right * (x2 - x1),
        min(y2 + below * (y2 - y1), height),
    )


def _whole_px(
    regions: Sequence[tuple[float, ...]], width: int, height: int, top_px: float
) -> np.ndarray:
    """Round regions outwards to px of the picture, and drop what is outside or black already."""
    if not regions:
        return np.zeros((0, 4), int)
    limits = np.array([width, height, width, height])
    table = np.array(regions, float)
    table = table[np.isfinite(table).all(axis=1)]
    whole = np.clip(np.hstack([np.floor(table[:, :2]), np.ceil(table[:, 2:])]), 0, limits)
    is_new = (whole[:, 2] > whole[:, 0]) & (whole[:, 3] > np.maximum(whole[:, 1], top_px))
    return whole[is_new].astype(int)
