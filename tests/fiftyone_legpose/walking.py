"""A person who walks across the picture, seen from the side: exact leg keypoints over time."""

import numpy as np

SIZE = (1280, 720)
LEG_PX = 400.0


def walk(frames: int, fps: float = 30.0, *, speed_hz: float = 0.9) -> np.ndarray:
    """Make keypoints (frames, 10, 2) in px; legs of `LEG_PX`, 1 / speed_hz s a stride."""
    t = np.arange(frames) / fps
    phase = 2 * np.pi * speed_hz * t
    hip = np.stack([np.linspace(300, 900, frames), 150 + 5 * np.sin(2 * phase)], axis=-1)
    out = np.zeros((frames, 10, 2))
    for side, shift in ((0, 0.0), (1, np.pi)):
        thigh = 0.45 * np.sin(phase + shift)
        knee_bend = 0.5 + 0.45 * np.sin(phase + shift - 1.2)
        shank = thigh - knee_bend
        foot = shank + np.pi / 2 + 0.2
        own_hip = hip + np.array([10 - 20 * side, 4 * side])
        knee = own_hip + LEG_PX / 2 * _direction(thigh)
        ankle = knee + LEG_PX / 2 * _direction(shank)
        heel = ankle - 20 * _direction(foot) + 12 * _direction(shank)
        toe = heel + 100 * _direction(foot)
        for joint, place in enumerate((own_hip, knee, ankle, heel, toe)):
            out[:, 2 * joint + side] = place
    return out


def _direction(angle: np.ndarray) -> np.ndarray:
    """Unit vectors (T, 2) at an angle from straight down, forwards positive."""
    return np.stack([np.sin(angle), np.cos(angle)], axis=-1)
