"""What clinic videos do to a picture: darkness, blur, noise, compression, things in front."""

from typing import Final

import cv2
import numpy as np

from weights.recipe.clothing import draw_color

_SHARES: Final = {
    "light": 0.5,
    "haze": 0.25,
    "dark": 0.12,
    "defocus": 0.12,
    "motion": 0.15,
    "noise": 0.2,
    "jpeg": 0.15,
}
"""How often each fault befalls a picture, one independent of the other."""


def degrade(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return a picture (H, W, 3) uint8 BGR with some of a camera's faults."""
    faulty = {fault for fault, share in _SHARES.items() if rng.random() < share}
    values: np.ndarray = picture.astype(np.float32)
    if "light" in faulty:
        values = 255 * (values / 255) ** rng.uniform(0.75, 1.3)
        values *= rng.uniform(0.8, 1.15) * rng.uniform(0.92, 1.08, 3)
    if "haze" in faulty:
        color = rng.uniform(130, 255) * rng.uniform(0.85, 1, 3)
        values += _haze(picture.shape[:2], rng) * (color - values)
    if "dark" in faulty:
        values = 255 * (np.clip(values, 0, 255) / 255) ** rng.uniform(1.2, 2.2)
        values *= rng.uniform(0.35, 0.8)
    if "defocus" in faulty:
        values = cv2.GaussianBlur(values, (0, 0), rng.uniform(0.5, 1.8))
    if "motion" in faulty:
        values = cv2.filter2D(values, -1, _motion_kernel(rng))
    if "noise" in faulty or "dark" in faulty:  # dark pictures come with the gain turned up
        values += rng.normal(0, rng.uniform(2, 10), values.shape)
    result = np.clip(values, 0, 255).astype(np.uint8)
    if "jpeg" in faulty:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(20, 70))]
        return np.asarray(cv2.imdecode(cv2.imencode(".jpg", result, quality)[1], cv2.IMREAD_COLOR))
    return result


def hide(
    picture: np.ndarray, points: np.ndarray, visibility: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Put something in front of somebody: a chair's edge, a hand, a post.

    Parameters
    ----------
    picture : (H, W, 3) array
        Changed in place.
    points : (N, K, 2) array
        px.
    visibility : (N, K) array

    Returns
    -------
    (N, K) array
        Visibility with 1 (occluded) where a visible point is now covered.
    """
    height, width = picture.shape[:2]
    seen = points[visibility > 0]
    if not len(seen):
        return visibility
    extent = np.ptp(seen, axis=0) + 1
    center = seen[rng.integers(len(seen))] + rng.normal(0, 0.1, 2) * extent
    half = rng.uniform(0.04, 0.22, 2) * extent.max() / 2
    low = np.clip(center - half, 0, (width, height)).astype(int)
    high = np.clip(center + half, 0, (width, height)).astype(int)
    patch = picture[low[1] : high[1], low[0] : high[0]]
    texture = rng.normal(1, rng.uniform(0, 0.15), (*patch.shape[:2], 1))
    patch[:] = np.clip(draw_color(rng) * texture, 0, 255)
    covered = ((points >= low) & (points < high)).all(axis=-1)
    return np.where(covered & (visibility == 2), 1, visibility)


def _haze(size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Return how much of a picture (H, W, 1) light hides: a veil, or a beam from a lamp or window.

    A bright window behind somebody leaves little contrast on the legs, and none of their colour.
    """
    height, width = size
    y, x = np.mgrid[:height, :width].astype(np.float32) / max(size)
    angle = rng.uniform(0, 2 * np.pi)
    across = (x - rng.uniform(0, 1)) * np.cos(angle) + (y - rng.uniform(0, 1)) * np.sin(angle)
    if rng.random() < 0.35:
        shape = np.exp(-((across / rng.uniform(0.03, 0.25)) ** 2))
    else:
        shape = 1 / (1 + np.exp(across / rng.uniform(0.05, 0.6)))
    veil = rng.uniform(0, 0.45)
    return np.asarray(veil + (rng.uniform(0, 0.7) * (1 - veil)) * shape)[..., None]


def _motion_kernel(rng: np.random.Generator) -> np.ndarray:
    """Return a line of 3 to 11 px, mostly level: people walk across pictures."""
    length = int(rng.choice([3, 5, 7, 9, 11]))
    kernel = np.zeros((length, length), np.float32)
    middle = length // 2
    angle = rng.normal(0, 0.4)
    dx, dy = np.cos(angle) * middle, np.sin(angle) * middle
    ends = [(round(middle - dx), round(middle - dy)), (round(middle + dx), round(middle + dy))]
    cv2.line(kernel, ends[0], ends[1], 1.0)
    return kernel / kernel.sum()
