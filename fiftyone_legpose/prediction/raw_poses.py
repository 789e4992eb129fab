"""What a pose model is given and gives back, before anything of FiftyOne."""

from dataclasses import dataclass

import numpy as np

from fiftyone_legpose import legs


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


def nobody() -> RawPoses:
    """Make the answer of a frame in which nobody is found."""
    count = len(legs.KEYPOINTS)
    empty = np.zeros((0, count))
    return RawPoses(np.zeros((0, 4)), np.zeros(0), np.zeros((0, count, 2)), empty)


@dataclass(frozen=True)
class PreparedFrame:
    """A frame scaled and padded for the model; small, so that many can wait in memory."""

    pixels: np.ndarray
    """(H, W, 3) of uint8, BGR, sides multiples of the model's stride."""
    shape: tuple[int, int]
    """Height and width of the original frame in px."""


@dataclass(frozen=True)
class Frame:
    """A frame as it was decoded, to be looked at in more than one way."""

    picture: np.ndarray
    """(H, W, 3) of uint8, BGR."""

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in px."""
        return self.picture.shape[0], self.picture.shape[1]
