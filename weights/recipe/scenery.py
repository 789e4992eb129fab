"""Rooms to stand in: floors in perspective, walls, clutter, cast shadows, real backgrounds."""

from typing import Final

import cv2
import numpy as np

from fiftyone_legpose import legs
from weights.recipe.clothing import Layer, draw_color
from weights.recipe.photographs import Photographs, pick
from weights.recipe.rendering import Camera, tube

_ROOM_SHARE: Final = 0.1

_PANORAMA_SHARE: Final = 0.35
"""Of what is left after `_ROOM_SHARE`."""

_PANORAMA_ANGLE: Final = (0.8, 2.0)
"""rad of a panorama that a picture's width shows: more than its camera would see, because
panoramas are coarse."""

_TEXTURE_SHARE: Final = 0.4
"""How often a wall, and how often a floor, looks like a photographed surface."""

_LEAVES_SHARE: Final = 0.3
"""How often the wall is a heap of shapes: leaves, shelves, a crowded room."""

_SHADOWS: Final = {"hip": 0.2, "knee": 0.16, "ankle": 0.13, "heel": 0.1, "foot": 0.1}
"""Width of what a limb casts at each joint, in leg lengths."""


def draw_room(
    camera: Camera,
    ground: float,
    size: tuple[int, int],
    photographs: Photographs,
    rng: np.random.Generator,
) -> np.ndarray:
    """Return a picture (H, W, 3) float32 of a place without people.

    Parameters
    ----------
    camera : Camera
    ground : float
        Height (m) of the floor.
    size : (height, width)
        px.
    photographs : Photographs
    rng : Generator
    """
    if photographs.rooms and rng.random() < _ROOM_SHARE:
        return _cut_background(pick(photographs.rooms, rng), size, rng)
    if photographs.panoramas and rng.random() < _PANORAMA_SHARE:
        room = _look_around(pick(photographs.panoramas, rng), camera, size, rng)
        floor_share = 0.3
    else:
        room = _leaves(size, rng) if rng.random() < _LEAVES_SHARE else _wall(size, rng)
        if photographs.textures and rng.random() < _TEXTURE_SHARE:
            room *= paper(pick(photographs.textures, rng), size, rng)
        floor_share = 0.85
    if rng.random() < floor_share:
        floor, seen = _floor(camera, ground, size, photographs, rng)
        room[seen] = floor[seen]
        room = cv2.GaussianBlur(room, (0, 0), rng.uniform(0.4, 1.6))
    return room


def cast_shadow(
    room: np.ndarray,
    keypoints: np.ndarray,
    camera: Camera,
    ground: float,
    leg_length: float,
    rng: np.random.Generator,
) -> np.ndarray:
    """Return the room darkened where legs (10, 3) m stand between one lamp and the floor."""
    foot_of = keypoints.copy()
    foot_of[:, [0, 2]] += (keypoints[:, 1:2] - ground) * rng.uniform(-1, 1, 2)
    foot_of[:, 1] = ground
    pixels, _ = camera.project(foot_of)
    shadow = np.zeros(room.shape[:2], np.float32)
    for a, b in legs.EDGES:
        width = _SHADOWS[legs.KEYPOINTS[a].split("_")[1]] * leg_length
        ends = [tuple(int(v) for v in np.clip(pixels[i], -9999, 9999)) for i in (a, b)]
        cv2.line(shadow, ends[0], ends[1], 1.0, max(2, int(width)))
    shadow = cv2.GaussianBlur(shadow, (0, 0), max(0.5, rng.uniform(0.01, 0.06) * leg_length))
    return room * (1 - rng.uniform(0, 0.6) * shadow)[..., None]


def draw_aids(keypoints: np.ndarray, ground: float, rng: np.random.Generator) -> list[Layer]:
    """Return a cane, crutches, a walking frame or parallel bars for legs (10, 3) m.

    Where the bars hide a joint, the depth of the rendering says so.
    """
    hips = keypoints[:2]
    left = hips[0] - hips[1]
    left = left / np.linalg.norm(left)
    ahead = np.cross(left, (0.0, 1, 0))
    middle = hips.mean(axis=0)
    color, radius = draw_color(rng), rng.uniform(0.008, 0.018)

    def at(side: float, forward: float, up: float) -> np.ndarray:
        point = middle + side * left + forward * ahead
        return np.array([point[0], ground + up, point[2]])

    match rng.choice(["cane", "crutches", "frame", "bars"], p=[0.4, 0.15, 0.3, 0.15]):
        case "cane" | "crutches" as kind:
            sides = (-1, 1) if kind == "crutches" else (rng.choice([-1, 1]),)
            tops = rng.uniform(0.75, 1.0) if kind == "cane" else 1.4
            forward = rng.uniform(-0.2, 0.5, len(sides))
            return [
                tube(at(s * rng.uniform(0.25, 0.4), f, 0), at(s * 0.28, 0.1, tops), radius, color)
                for s, f in zip(sides, forward, strict=True)
            ]
        case "frame":
            front, width, up = (
                rng.uniform(0.3, 0.6),
                rng.uniform(0.25, 0.35),
                rng.uniform(0.7, 0.95),
            )
            posts = [
                tube(at(s * width, f, 0), at(s * width * 0.9, f, up), radius, color)
                for s in (-1, 1)
                for f in (front, front - 0.45)
            ]
            rails = [
                tube(at(s * width, front, up), at(s * width, front - 0.45, up), radius, color)
                for s in (-1, 1)
            ]
            cross = tube(at(-width, front, up * 0.5), at(width, front, up * 0.5), radius, color)
            return [*posts, *rails, cross]
    up, width = rng.uniform(0.7, 1.0), rng.uniform(0.3, 0.45)
    return [tube(at(s * width, -2, up), at(s * width, 2, up), radius * 1.6, color) for s in (-1, 1)]


def noise(size: tuple[int, int], cell: float, rng: np.random.Generator) -> np.ndarray:
    """Return smooth noise (H, W) of about unit size with cells of some px."""
    coarse = [max(2, int(length / cell)) for length in size]
    values = rng.normal(0, 1, coarse).astype(np.float32)
    return cv2.resize(values, size[::-1], interpolation=cv2.INTER_CUBIC)


def paper(texture: np.ndarray, size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Return a surface's colours (H, W, 3) about 1, repeated over a picture, turned and scaled."""
    scale, turn = np.exp(rng.uniform(np.log(0.25), np.log(2))), rng.uniform(0, 2 * np.pi)
    rows, columns = np.mgrid[: size[0], : size[1]].astype(np.float32) / np.float32(scale)
    x = columns * np.cos(turn) - rows * np.sin(turn)
    y = columns * np.sin(turn) + rows * np.cos(turn)
    return _repeat(texture, x, y)


def _repeat(texture: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return a texture's colours (H, W, 3) about 1 at places given in its px."""
    height, width = texture.shape[:2]
    seen = cv2.remap(
        texture,
        (x % width).astype(np.float32),
        (y % height).astype(np.float32),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_WRAP,
    )
    return np.asarray(seen / texture.mean(axis=(0, 1)), np.float32)


def _look_around(
    panorama: np.ndarray, camera: Camera, size: tuple[int, int], rng: np.random.Generator
) -> np.ndarray:
    """Return what a camera that stands in a panorama sees of it (H, W, 3)."""
    height, width = panorama.shape[:2]
    focal = size[1] / 2 / np.tan(rng.uniform(*_PANORAMA_ANGLE) / 2)
    y, x = np.mgrid[: size[0], : size[1]].astype(np.float32)
    # The picture's middle, not the camera's centre: cut pictures see what they were pointed at.
    rays = np.stack(
        [(x - size[1] / 2) / focal, (y - size[0] / 2) / focal, np.ones_like(x)], axis=-1
    )
    rays = rays @ camera.rotation
    rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
    east = np.arctan2(rays[..., 0], rays[..., 2]) / (2 * np.pi) + rng.random()
    down = np.arccos(np.clip(rays[..., 1], -1, 1)) / np.pi
    seen = cv2.remap(
        panorama,
        (east % 1 * width).astype(np.float32),
        (down * (height - 1)).astype(np.float32),
        cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_WRAP,
    )
    return np.clip(seen, 0, 255).astype(np.float32)


def _cut_background(
    picture: np.ndarray, size: tuple[int, int], rng: np.random.Generator
) -> np.ndarray:
    height, width = picture.shape[:2]
    scale = rng.uniform(0.35, 1) * min(height / size[0], width / size[1])
    h, w = int(size[0] * scale), int(size[1] * scale)
    y, x = rng.integers(height - h + 1), rng.integers(width - w + 1)
    cut = cv2.resize(picture[y : y + h, x : x + w], size[::-1], interpolation=cv2.INTER_AREA)
    if rng.random() < 0.5:
        cut = cut[:, ::-1]
    return np.ascontiguousarray(cut, np.float32)


def _wall(size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    height, width = size
    room = np.empty((height, width, 3), np.float32)
    room[:] = draw_color(rng)
    room *= (1 + 0.08 * noise(size, rng.uniform(20, 120), rng))[..., None]
    skirting = int(height * rng.uniform(0.1, 0.9))
    if rng.random() < 0.7:
        room[skirting:] = draw_color(rng)
    for _ in range(rng.integers(0, 7)):
        _add_clutter(room, rng)
    return room


def _leaves(size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Return a picture full of shapes that hide each other, small ones far more often.

    Edges of every length and direction, as photographs have them.
    Source: Lee, Mumford & Huang 2001, "Occlusion models for natural images".
    """
    height, width = size
    room = np.empty((height, width, 3), np.float32)
    room[:] = draw_color(rng)
    palette = np.stack([draw_color(rng) for _ in range(rng.integers(2, 7))])
    smallest, corners = rng.uniform(3, 14), int(rng.choice([0, 3, 4, 6]))
    count = min(1500, int(height * width / smallest**2 / 10))
    radii = smallest * np.minimum(rng.pareto(1.6, count) + 1, 30)
    centers = rng.uniform(-20, (width + 20, height + 20), (count, 2))
    colors = palette[rng.integers(len(palette), size=count)] * rng.uniform(0.6, 1.4, (count, 1))
    turns, thin = rng.uniform(0, 360, count), rng.uniform(0.2, 1, count)
    # The largest lie behind, or nothing else would be seen.
    for i in np.argsort(-radii):
        axes = (max(1, int(radii[i])), max(1, int(radii[i] * thin[i])))
        center = (int(centers[i, 0]), int(centers[i, 1]))
        step = 360 // corners if corners else 20
        outline = cv2.ellipse2Poly(center, axes, int(turns[i]), 0, 360, step)
        cv2.fillConvexPoly(room, outline, colors[i].tolist(), cv2.LINE_AA)
    return room * (1 + 0.15 * noise(size, rng.uniform(20, 120), rng))[..., None]


def _add_clutter(room: np.ndarray, rng: np.random.Generator) -> None:
    """Draw something that could be a door, a pole, a ball or a cupboard."""
    height, width = room.shape[:2]
    color = tuple(float(v) for v in draw_color(rng))
    x, y = int(rng.integers(width)), int(rng.integers(-height // 4, height))
    match rng.choice(["box", "pole", "round"], p=[0.5, 0.3, 0.2]):
        case "box":
            corner = (x + int(rng.integers(8, width // 2)), y + int(rng.integers(8, height // 2)))
            cv2.rectangle(room, (x, y), corner, color, -1)
        case "pole":
            end = (x + int(rng.integers(-30, 30)), y + int(rng.integers(height // 4, height)))
            cv2.line(room, (x, y), end, color, int(rng.integers(3, 26)))
        case "round":
            axes = (int(rng.integers(5, width // 4)), int(rng.integers(5, height // 4)))
            cv2.ellipse(room, (x, y), axes, float(rng.integers(180)), 0, 360, color, -1)


def _floor(
    camera: Camera,
    ground: float,
    size: tuple[int, int],
    photographs: Photographs,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Return a patterned floor (H, W, 3) and where it is seen (H, W)."""
    y, x = np.mgrid[: size[0], : size[1]].astype(np.float32)
    rays = np.stack(
        [
            (x - camera.center[0]) / camera.focal,
            (y - camera.center[1]) / camera.focal,
            np.ones_like(x),
        ],
        axis=-1,
    )
    rays = rays @ camera.rotation
    falling = rays[..., 1] < -1e-3
    reach = (ground - camera.position[1]) / np.where(falling, rays[..., 1], -1e-3)
    east = camera.position[0] + reach * rays[..., 0]
    north = camera.position[2] + reach * rays[..., 2]
    turn = rng.uniform(0, np.pi)
    u = east * np.cos(turn) - north * np.sin(turn)
    v = east * np.sin(turn) + north * np.cos(turn)
    tile = rng.uniform(0.08, 0.6)
    seen = falling & (reach < rng.uniform(3, 12))
    if photographs.textures and rng.random() < _TEXTURE_SHARE:
        texture = pick(photographs.textures, rng)
        finest = max(texture.shape) / rng.uniform(0.5, 3)
        surface = _repeat(texture, u * finest, v * finest)
        color = draw_color(rng) if rng.random() < 0.5 else texture.mean(axis=(0, 1))
        return (color * surface).astype(np.float32), seen
    match rng.choice(["planks", "tiles", "checks", "lane", "carpet", "plain"]):
        case "planks":
            pattern = (
                1
                + 0.15 * (np.floor(u / tile) % 2 - 0.5)
                + 0.08 * np.sin(30 * v + np.floor(u / tile) * 9)
            )
        case "tiles":
            pattern = 1 - 0.3 * (((u / tile) % 1 < 0.05) | ((v / tile) % 1 < 0.05))
        case "checks":
            pattern = 1 + 0.25 * ((np.floor(u / tile) + np.floor(v / tile)) % 2 - 0.5)
        case "lane":  # the tape or the belt's edges beside a walkway
            pattern = 1 - 0.35 * (np.abs(np.abs(u) - 0.3) < 0.03)
        case "carpet":
            pattern = 1 + 0.1 * noise(size, rng.uniform(2, 5), rng) + 0.08 * noise(size, 25, rng)
        case _:
            pattern = 1 + 0.05 * noise(size, 40, rng)
    return (draw_color(rng) * np.asarray(pattern)[..., None]).astype(np.float32), seen
