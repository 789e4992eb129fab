"""Faces in pictures that had none: Eileen Collins (NASA, public domain), from scikit-image."""

import cv2
import numpy as np
from skimage import data

_HEAD = (165, 0, 285, 190)
_FACE_WIDTH = 88
"""Of the head in px, as a face detector frames it."""


def real_head() -> tuple[np.ndarray, np.ndarray]:
    """The head in BGR, and how much of each pixel belongs to it, (H, W, 1) of 0 to 1."""
    x1, y1, x2, y2 = _HEAD
    head = cv2.cvtColor(data.astronaut(), cv2.COLOR_RGB2BGR)[y1:y2, x1:x2]
    mask = np.zeros(head.shape[:2], np.float32)
    cv2.ellipse(mask, (60, 95), (52, 85), 0, 0, 360, 1.0, cv2.FILLED)
    return head, cv2.GaussianBlur(mask, (0, 0), 4)[..., None]


def plant_face(
    picture: np.ndarray, width_px: int, rng: np.random.Generator
) -> tuple[np.ndarray, tuple[float, float]]:
    """Put the face somewhere into a copy of a picture, lit and turned by chance.

    Returns the copy and the middle of the face in px.
    """
    head, mask = real_head()
    scale = width_px / _FACE_WIDTH
    if rng.random() < 0.5:
        head, mask = head[:, ::-1], mask[:, ::-1]
    turn = cv2.getRotationMatrix2D((head.shape[1] / 2, head.shape[0] / 2), rng.uniform(-15, 15), 1)
    turned = [
        cv2.warpAffine(np.ascontiguousarray(p), turn, head.shape[1::-1]) for p in (head, mask)
    ]
    size = [max(1, round(side * scale)) for side in head.shape[1::-1]]
    small, share = (cv2.resize(part, size, interpolation=cv2.INTER_AREA) for part in turned)
    lit = np.clip(small * rng.uniform(0.5, 1.3), 0, 255)
    x = int(rng.integers(0, picture.shape[1] - size[0]))
    y = int(rng.integers(0, picture.shape[0] - size[1]))
    copy = picture.copy()
    place = copy[y : y + size[1], x : x + size[0]]
    place[:] = place * (1 - share[..., None]) + lit * share[..., None]
    return copy, (x + size[0] / 2, y + size[1] / 2)
