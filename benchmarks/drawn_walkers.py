"""Walkers for benchmarks/gait.py: bodies, styles, cameras, and videos of them."""

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from weights.recipe.clothing import dress
from weights.recipe.mesh import Mesh, draw_shape
from weights.recipe.photographs import Photographs
from weights.recipe.posture import Posture
from weights.recipe.rendering import Camera, look_at, render
from weights.recipe.scenery import draw_room
from weights.recipe.skinning import pose_body
from weights.recipe.walking import STYLES, Legs, Style, Walk, simulate_walk

AZIMUTHS_DEG = {"side": 90.0, "oblique": 50.0, "front": 0.0}
SIZES = {"treadmill": (480, 480), "overground": (960, 400)}
"""Width and height in px."""

SECONDS = {"treadmill": 6.0, "overground": 4.0}
_NORMAL = 7
_TRUNK_LEAN = 0.05


@dataclass(frozen=True)
class Walker:
    """Somebody who walks in a style of their own."""

    name: str
    seed: int
    style: Style
    legs: Legs
    body: np.ndarray
    """(V, 3) m at rest."""

    @property
    def leg_m(self) -> float:
        """Hip to knee to ankle."""
        return float(np.linalg.norm(self.legs.thigh) + np.linalg.norm(self.legs.shank))

    def walk(self, fps: float, seconds: float) -> Walk:
        """Let them walk, always the same walk."""
        time_s = np.arange(0, seconds, 1 / fps)
        return simulate_walk(self.legs, self.style, time_s, np.random.default_rng(self.seed))


def draw_walkers(mesh: Mesh, count: int) -> list[Walker]:
    """Draw people of any build: seven in twelve walk normally, the others each a disorder."""
    disorders = [name for name in STYLES if name != "normal"]
    walkers = []
    for seed in range(count):
        rng = np.random.default_rng(seed)
        body = draw_shape(mesh, rng)
        legs = measure_legs(mesh, body)
        place = seed % (_NORMAL + len(disorders))
        name = "normal" if place < _NORMAL else disorders[place - _NORMAL]
        style = STYLES[name]
        if name == "normal":
            style = replace(
                style,
                stride_time_s=rng.uniform(0.95, 1.25),
                stride_length_m=rng.uniform(1.1, 1.5),
                double_support=(rng.uniform(0.09, 0.15),) * 2,
                unsteady=0.02,
            )
        leg = float(np.linalg.norm(legs.thigh) + np.linalg.norm(legs.shank))
        style = replace(style, stride_length_m=style.stride_length_m * leg / 0.83)
        walkers.append(Walker(name, seed, style, legs, body))
    return walkers


def measure_legs(mesh: Mesh, body: np.ndarray) -> Legs:
    """Measure the legs of a body that stands upright."""
    points = pose_body(mesh, body, _posture(np.zeros(2), np.zeros(2), np.zeros(2), np.zeros(2)))
    hip, knee, ankle, heel, toe = (points.keypoints[2 * joint, 1:] for joint in range(5))
    half = float(points.keypoints[0, 0] - points.keypoints[1, 0]) / 2
    return Legs(knee - hip, ankle - knee, heel - ankle, toe - ankle, half)


def _posture(
    hip: np.ndarray, knee: np.ndarray, ankle: np.ndarray, abduction: np.ndarray
) -> Posture:
    zero = np.zeros(2)
    return Posture(hip, knee, ankle, abduction, zero, zero, _TRUNK_LEAN)


def place_camera(walk: Walk, view: str, surface: str) -> tuple[Camera, np.ndarray]:
    """Return a camera that stands still, and the belt's way (N,) m under the person."""
    azimuth = np.radians(AZIMUTHS_DEG[view])
    width, height = SIZES[surface]
    hip = float(walk.hips[:, 1].mean())
    belt = np.zeros(len(walk.time_s))
    middle = (walk.hips[0, 2] + walk.hips[-1, 2]) / 2
    if surface == "treadmill":
        belt = walk.hips[0, 2] + walk.speed_m_s * walk.time_s
        target, distance, focal = np.array([0, hip / 2, 0]), 3.0, 0.75 * height * 3.0 / hip
    elif view == "front":
        # Towards the camera, up to two and a half metres before it.
        target, distance = np.array([0, hip / 2, walk.hips[-1, 2]]), 2.5
        focal = 0.8 * height * 2.5 / hip
    else:
        length = walk.hips[-1, 2] - walk.hips[0, 2] + 1.2
        target, distance = np.array([0, hip / 2, middle]), 5.5
        focal = min(0.9 * width * distance / length, 0.75 * height * distance / hip)
    place = look_at(target, distance, elevation=0.06, azimuth=azimuth, roll=0.0)
    return Camera(*place, focal, np.array([width / 2, 0.53 * height])), belt


def film_points(walk: Walk, camera: Camera, belt: np.ndarray) -> np.ndarray:
    """Return the true keypoints (N, 10, 2) px."""
    points = walk.keypoints - belt[:, None, None] * [0, 0, 1]
    return camera.project(points.reshape(-1, 3))[0].reshape(-1, 10, 2)


def draw_frames(
    mesh: Mesh, walker: Walker, walk: Walk, camera: Camera, belt: np.ndarray, surface: str
) -> Iterator[np.ndarray]:
    """Draw the pictures of a video, in the same clothes, room and light throughout."""
    width, height = SIZES[surface]
    seed = 1000 + walker.seed
    ground = float(walk.keypoints[:, 6:, 1].min()) - 0.03
    room = draw_room(camera, ground, (height, width), Photographs(), np.random.default_rng(seed))
    for i in range(len(walk.time_s)):
        posture = _posture(
            walk.hip_flexion[i], walk.knee_flexion[i], walk.ankle_dorsiflexion[i], walk.abduction[i]
        )
        body = pose_body(mesh, walker.body, posture)
        shift = walk.hips[i] - [0, 0, belt[i]] - body.keypoints[:2].mean(axis=0)
        layers = [
            replace(layer, vertices=layer.vertices + shift)
            for layer in dress(mesh, body, np.random.default_rng(seed))
        ]
        drawn = render(layers, camera, (height, width), np.random.default_rng(seed))
        picture = room * (1 - drawn.alpha[..., None]) + drawn.color
        yield np.clip(picture, 0, 255).astype(np.uint8)


def write_video(
    path: Path, frames: Iterator[np.ndarray], size: tuple[int, int], fps: float
) -> None:
    command = ["ffmpeg", "-v", "error", "-y", "-f", "rawvideo", "-pix_fmt", "bgr24"]
    command += ["-s", f"{size[0]}x{size[1]}", "-r", str(fps), "-i", "pipe:0", "-crf", "20"]
    command += ["-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv420p", str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as encoder:
        assert encoder.stdin is not None
        for frame in frames:
            encoder.stdin.write(frame.tobytes())
    if encoder.returncode:
        raise RuntimeError(f"ffmpeg could not write {path}")
