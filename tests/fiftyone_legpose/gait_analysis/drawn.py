"""Walks with known events, as a camera sees them."""

import numpy as np

from fiftyone_legpose.trajectories.paths import Path, Source
from weights.recipe.rendering import Camera, look_at
from weights.recipe.walking import ADULT, STYLES, Walk, simulate_walk

SIZE = (1280, 720)
LEG_M = 0.83


def walk(style: str = "normal", *, fps: float = 30.0, seconds: float = 6.0, seed: int = 0) -> Walk:
    time_s = np.arange(0, seconds, 1 / fps)
    return simulate_walk(ADULT, STYLES[style], time_s, np.random.default_rng(seed))


def film(walked: Walk, azimuth_deg: float, *, treadmill: bool = False) -> np.ndarray:
    """Project a walk: (T, 10, 2) in px; at 90 degrees the camera is on the person's left."""
    points = walked.keypoints.copy()
    middle = (walked.hips[0, 2] + walked.hips[-1, 2]) / 2
    target, distance = np.array([0, 0.5, middle]), 6.0
    facing = np.cos(np.radians(azimuth_deg))
    if treadmill:
        belt = walked.hips[0, 2] + walked.speed_m_s * walked.time_s
        points[:, :, 2] -= belt[:, None]
        target, distance = np.array([0, 0.5, 0]), 3.0
    elif abs(facing) > 0.85:
        target[2], distance = walked.hips[-1 if facing > 0 else 0, 2], 2.5
    place = look_at(target, distance, elevation=0.08, azimuth=np.radians(azimuth_deg), roll=0.0)
    camera = Camera(*place, 900.0, np.array([640.0, 360.0]))
    return camera.project(points.reshape(-1, 3))[0].reshape(-1, 10, 2)


def path(points: np.ndarray, time_s: np.ndarray, track: int = 1) -> Path:
    count = len(points)
    thigh, shank = (
        np.linalg.norm(points[:, [i, i + 1]] - points[:, [i - 2, i - 1]], axis=-1) for i in (2, 4)
    )
    return Path(
        track=track,
        frame=np.arange(1, count + 1),
        time_s=time_s,
        points=points,
        confidence=np.full((count, 10), 0.9),
        visibility=np.full((count, 10), 2),
        source=np.full((count, 10), Source.PREDICTED),
        exchanged=np.zeros(count, bool),
        leg_px=float(np.median((thigh + shank).max(axis=1))),
    )


def compare(found: np.ndarray, true: np.ndarray, within_s: float = 0.1) -> tuple[list[float], int]:
    """Errors of the true times that were found, and how many of either were not."""
    errors, left = [], list(found)
    for when in true:
        near = [other for other in left if abs(other - when) <= within_s]
        if near:
            best = min(near, key=lambda other: abs(other - when))
            left.remove(best)
            errors.append(best - when)
    return errors, len(true) - len(errors) + len(left)
