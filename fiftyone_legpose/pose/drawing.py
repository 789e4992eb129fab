"""Skeletons drawn into pictures."""

from typing import Any

import cv2
import numpy as np

from fiftyone_legpose import legs


def draw_poses(picture: np.ndarray, people: list[Any], *, scale: float = 1.0) -> np.ndarray:
    """Draw skeletons into a picture, left blue and right orange, occluded points hollow.

    Parameters
    ----------
    picture
        Shape (H, W, 3), BGR; it is changed.
    people
        `Pose` in px of the picture.
    scale
        Of lines and points.

    Returns
    -------
    np.ndarray
        The same picture.
    """
    thickness = max(1, round(scale * min(picture.shape[:2]) / 240))
    radius = 2 * thickness
    for pose in people:
        points = np.nan_to_num(pose.points, nan=-1).round().astype(int)
        drawn = pose.visibility > 0
        for a, b in legs.EDGES:
            if drawn[a] and drawn[b]:
                cv2.line(picture, points[a], points[b], _bgr(b), thickness, cv2.LINE_AA)
        for k in np.flatnonzero(drawn):
            fill = cv2.FILLED if pose.visibility[k] == 2 else thickness
            cv2.circle(picture, points[k], radius, _bgr(int(k)), fill, cv2.LINE_AA)
    return picture


def _bgr(keypoint: int) -> tuple[int, int, int]:
    red, green, blue = bytes.fromhex(legs.COLORS[keypoint][1:])
    return blue, green, red
