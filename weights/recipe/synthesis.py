"""Synthetic pictures of dressed legs with exact keypoints, as a YOLO-pose folder."""

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np

from fiftyone_legpose.pose import geometry
from weights.recipe.augmentation import degrade, hide
from weights.recipe.clothing import Layer, dress
from weights.recipe.mesh import Mesh, draw_shape, load_mesh
from weights.recipe.photographs import Photographs, pick, read_photographs
from weights.recipe.picture_folder import FEWEST_POINTS, Draw, Picture, write_pictures
from weights.recipe.posture import draw_posture
from weights.recipe.rendering import Camera, Rendering, look_at, render
from weights.recipe.scenery import cast_shadow, draw_aids, draw_room, noise, paper
from weights.recipe.skinning import pose_body, rotation_y

_TOGETHER_SHARE: Final = 0.55
"""How often there are two people, who may hide each other."""

_THIRD_SHARE: Final = 0.15
"""How often two people are joined by a third."""

_CLOSE_SHARE: Final = 0.45
"""How often the second or third one stands close to the camera, cut off by the picture's border."""

_CLOSEST_M: Final = 0.6
"""Camera to hips."""

_NEAR_SHARE: Final = 0.2
"""How often the picture ends above somebody's feet."""

_BACKLIT_SHARE: Final = 0.15
"""How often people stand darkly before what is bright."""

_WOVEN_SHARE: Final = 0.3
"""How often a photographed surface lies on people's clothes and skin."""

_BEHIND_SKIN_M: Final = (0.2, 0.2, 0.12, 0.12, 0.09, 0.09, 0.06, 0.06, 0.06, 0.06)
"""How far inside the body each keypoint lies at most; what is nearer to the camera hides it."""


@dataclass(frozen=True)
class Person:
    """Legs in the world, y up."""

    layers: tuple[Layer, ...]
    keypoints: np.ndarray
    """(10, 3) m."""
    ground: float
    """m"""


def synthesize(
    mesh_folder: str | Path,
    out: str | Path,
    pictures: int,
    *,
    backgrounds: str | Path | None = None,
    seed: int = 0,
    processes: int = 1,
) -> int:
    """Write pictures and labels into ``out/images/train`` and ``out/labels/train``.

    Parameters
    ----------
    mesh_folder : path
        MakeHuman's files; see `mesh.load_mesh`.
    out : path
        Pictures that are there already are kept: an interrupted call goes on where it stopped.
    pictures : int
        How many there are to be in all.
    backgrounds : path, optional
        Folder that `photographs.read_photographs` takes.
    seed : int
        Picture number i of a seed is always the same, whatever the number of processes.
    processes : int

    Returns
    -------
    int
        Number of pictures written by this call.
    """
    return write_pictures(
        out, f"synthetic_{seed}", pictures, partial(_prepare, mesh_folder, backgrounds), processes
    )


def draw_picture(
    mesh: Mesh, rng: np.random.Generator, photographs: Photographs | None = None
) -> Picture:
    """Return one random picture; the same generator state gives the same picture."""
    while True:
        picture = _try_picture(mesh, rng, photographs or Photographs())
        if picture is not None:
            return picture


def _prepare(mesh_folder: str | Path, backgrounds: str | Path | None) -> Draw:
    mesh = load_mesh(mesh_folder)
    photographs = read_photographs(backgrounds) if backgrounds else Photographs()
    return lambda rng: draw_picture(mesh, rng, photographs)


def _try_picture(mesh: Mesh, rng: np.random.Generator, photographs: Photographs) -> Picture | None:
    height = int(rng.integers(220, 420))
    width = min(560, int(height * rng.choice([0.6, 0.75, 1, 1.33, 1.6, 1.9])))
    people = [_draw_person(mesh, rng)]
    camera, leg_length = _frame(people[0], (height, width), rng)
    if rng.random() < _TOGETHER_SHARE:
        others = 2 if rng.random() < _THIRD_SHARE else 1
        for _ in range(others):
            person = _draw_person(mesh, rng)
            close = rng.random() < _CLOSE_SHARE
            people.append(
                _close_by(person, people[0], camera, (height, width), leg_length, rng)
                if close
                else _beside(person, people[0], camera, rng)
            )
    if not all(_fits(person, camera, (height, width)) for person in people):
        return None
    layers = [layer for person in people for layer in person.layers]
    if rng.random() < 0.2:
        layers += draw_aids(people[0].keypoints, people[0].ground, rng)
    rendering = render(layers, camera, (height, width), rng)
    seen = [_see(person, camera, rendering) for person in people]
    points, visibility = (np.stack(parts) for parts in zip(*seen, strict=True))
    room = draw_room(camera, people[0].ground, (height, width), photographs, rng)
    for person in people:
        room = cast_shadow(room, person.keypoints, camera, person.ground, leg_length, rng)
    image = _lay_over(room, rendering, leg_length, photographs, rng)
    if rng.random() < 0.12:
        visibility = hide(image, points, visibility, rng)
    if rng.random() < 0.7:
        image = degrade(image, rng)
    lengths = geometry.leg_length(points, np.ones(points.shape[:2]))
    return Picture(image, points, visibility, lengths)


def _draw_person(mesh: Mesh, rng: np.random.Generator) -> Person:
    body = pose_body(mesh, draw_shape(mesh, rng), draw_posture(rng))
    return Person(tuple(dress(mesh, body, rng)), body.keypoints, body.ground)


def _frame(person: Person, size: tuple[int, int], rng: np.random.Generator) -> tuple[Camera, float]:
    """Return a camera that cuts a person at the waist as clinics do, and her leg length in px."""
    hips = person.keypoints[:2].mean(axis=0)
    quarter_turns = rng.integers(4) * np.pi / 2 + rng.normal(0, 0.2)
    position, rotation = look_at(
        hips - (0, 0.35, 0),
        rng.uniform(1.5, 5),
        elevation=abs(rng.normal(0.08, 0.14)) if rng.random() < 0.6 else rng.uniform(0.15, 0.75),
        azimuth=quarter_turns if rng.random() < 0.5 else rng.uniform(0, 2 * np.pi),
        roll=rng.normal(0, 0.05 if rng.random() < 0.85 else 0.25),
    )
    unit = Camera(position, rotation, 1.0, np.zeros(2))
    pixels, _ = unit.project(person.keypoints)
    near = rng.random() < _NEAR_SHARE
    leg_length = size[0] * (rng.uniform(0.9, 1.9) if near else rng.uniform(0.36, 0.88))
    focal = leg_length / float(geometry.leg_length(pixels[None], np.ones((1, len(pixels))))[0])
    pixels *= focal
    above_hips = leg_length * rng.choice(
        [rng.uniform(0.03, 0.14), rng.uniform(0.14, 0.32), rng.uniform(-0.28, -0.03)],
        p=[0.45, 0.37, 0.18],
    )
    top = pixels[:2, 1].min() - above_hips
    margin = 0.08 * leg_length
    left, right = -pixels[:, 0].min() + margin, size[1] - pixels[:, 0].max() - margin
    center = rng.uniform(left, right) if right > left else (left + right) / 2
    return Camera(position, rotation, focal, np.array([center, -top])), leg_length


def _beside(person: Person, other: Person, camera: Camera, rng: np.random.Generator) -> Person:
    """Stand a second person beside, before or behind the first: a therapist, a passer-by."""
    turn = rotation_y(rng.uniform(0, 2 * np.pi))
    across = camera.rotation[0] * rng.choice([-1, 1]) * rng.uniform(0.3, 0.9)
    away = camera.rotation[2] * (1, 0, 1) * rng.uniform(-1.2, 1.2)
    hips = person.keypoints[:2].mean(axis=0)
    shift = other.keypoints[:2].mean(axis=0) + across + away - turn @ hips
    shift[1] = other.ground - person.ground
    return _move(person, turn, shift, other.ground)


def _close_by(
    person: Person,
    other: Person,
    camera: Camera,
    size: tuple[int, int],
    leg_length: float,
    rng: np.random.Generator,
) -> Person:
    """Stand a second person nearer to the camera, at the left or right border of the picture.

    ``leg_length`` is the other's in px.
    """
    height, width = size
    turn = rotation_y(rng.uniform(0, 2 * np.pi))
    hips = turn @ person.keypoints[:2].mean(axis=0)
    _, depth = camera.project(other.keypoints[:2])
    nearness = max(height * rng.uniform(0.8, 1.7) / leg_length, 1.1)
    forward = max(depth.mean() / nearness, _CLOSEST_M)
    column = width * rng.uniform(-0.08, 0.3)
    if rng.random() < 0.5:
        column = width - column
    right = (column - camera.center[0]) / camera.focal * forward
    above_ground = other.ground + hips[1] - person.ground
    # Of the camera's axes only "down" is left to bring the hips to their height above the ground.
    up = camera.rotation[:, 1]
    down = (above_ground - camera.position[1] - up[0] * right - up[2] * forward) / up[1]
    shift = camera.position + np.array([right, down, forward]) @ camera.rotation - hips
    return _move(person, turn, shift, other.ground)


def _move(person: Person, turn: np.ndarray, shift: np.ndarray, ground: float) -> Person:
    moved = tuple(
        replace(layer, vertices=layer.vertices @ turn.T + shift) for layer in person.layers
    )
    return Person(moved, person.keypoints @ turn.T + shift, ground)


def _fits(person: Person, camera: Camera, size: tuple[int, int]) -> bool:
    """Tell whether enough of somebody's points are in the picture for a label."""
    return bool(_inside(*camera.project(person.keypoints), size).sum() >= FEWEST_POINTS)


def _inside(points: np.ndarray, depth: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    return np.asarray(((points >= 0) & (points < size[::-1])).all(axis=1) & (depth > 0))


def _see(person: Person, camera: Camera, rendering: Rendering) -> tuple[np.ndarray, np.ndarray]:
    """Return points (10, 2) px and whether each is visible, hidden, or outside of the picture."""
    points, depth = camera.project(person.keypoints)
    height, width = rendering.depth.shape
    inside = _inside(points, depth, (height, width))
    x, y = np.where(inside[:, None], points, 0).astype(int).T
    visible = rendering.depth[y, x] > depth - np.array(_BEHIND_SKIN_M)
    return points, np.where(inside, np.where(visible, 2, 1), 0)


def _lay_over(
    room: np.ndarray,
    rendering: Rendering,
    leg_length: float,
    photographs: Photographs,
    rng: np.random.Generator,
) -> np.ndarray:
    height, width = size = rendering.alpha.shape
    folds = 1 + 0.07 * noise(size, max(2.0, 0.03 * leg_length), rng)
    weave = 1 + rng.uniform(0, 0.1) * noise(size, rng.uniform(1.5, 8), rng)
    # The renderer's colours fade to black at the outline, which is what alpha weighs already.
    people = rendering.color * np.clip(folds * weave, 0.5, 1.5)[..., None]
    if photographs.textures and rng.random() < _WOVEN_SHARE:
        texture = pick(photographs.textures, rng)
        people *= 1 + rng.uniform(0.2, 1) * (paper(texture, (height, width), rng) - 1)
    if rng.random() < _BACKLIT_SHARE:
        people *= rng.uniform(0.12, 0.5)
        room = room * rng.uniform(1, 1.8)
    image = room * (1 - rendering.alpha[..., None]) + people
    return np.clip(image, 0, 255).astype(np.uint8)
