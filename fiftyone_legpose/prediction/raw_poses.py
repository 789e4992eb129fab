"""What a pose model is given and gives back, before anything of FiftyOne."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class RawPoses:
    """What the model found in one frame: N persons, K keypoints, in px of the original frame."""

    boxes: np.ndarray
    """(N, 4): x1, y1, x2, y2."""
    scores: np.ndarray
    """(N,): box confidence."""
    points: np.ndarray
    """(N, K, 2), in the order of `legs.KEYPOINTS`."""
    confidence: np.ndarray | None
    """(N, K), or None from weights without a confidence a point."""


@dataclass(frozen=True)
class PreparedFrame:
    """A frame scaled and padded for the model; small, so that many can wait in memory."""

    pixels: np.ndarray
    """(H, W, 3) of uint8, BGR, sides multiples of the model's stride."""
    shape: tuple[int, int]
    """Height and width of the original frame in px."""
