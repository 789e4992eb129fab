"""A pinhole camera and a small painter's renderer for coloured quads."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from weights.recipe.clothing import Layer
from weights.recipe.mesh import normals
from weights.recipe.skinning import rotation_z

_SUPERSAMPLING: Final = 2
_NEAREST_M: Final = 0.2
FAR: Final = np.float32(1e6)
"""Depth where nothing was drawn."""


@dataclass(frozen=True)
class Camera:
    """Where points of the world (m; y up) fall in the picture (px; y down)."""

    position: np.ndarray
    """(3,) m."""
    rotation: np.ndarray
    """(3, 3) from the world to right, down, forward."""
    focal: float
    """px."""
    center: np.ndarray
    """(2,) px."""

    def project(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return pixels (N, 2) and depths (N,) m of points (N, 3)."""
        seen = (points - self.position) @ self.rotation.T
        depth = np.maximum(seen[:, 2], _NEAREST_M)
        return seen[:, :2] / depth[:, None] * self.focal + self.center, seen[:, 2]


def look_at(
    target: np.ndarray, distance: float, *, elevation: float, azimuth: float, roll: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return position (3,) and rotation (3, 3) of a camera that looks at a point.

    Parameters
    ----------
    target : (3,) array
        Metres.
    distance : float
        Metres.
    elevation, azimuth, roll : float
        rad; at azimuth 0 the camera stands before the person, on +z.
    """
    back = np.array(
        [
            np.sin(azimuth) * np.cos(elevation),
            np.sin(elevation),
            np.cos(azimuth) * np.cos(elevation),
        ]
    )
    right = np.cross(np.array([0.0, 1, 0]), back)
    right /= np.linalg.norm(right)
    down = np.cross(-back, right)
    return target + distance * back, rotation_z(roll) @ np.stack([right, down, -back])


@dataclass(frozen=True)
class Rendering:
    """What was drawn, H x W px."""

    color: np.ndarray
    """(H, W, 3) float32 BGR, black where nothing is."""
    alpha: np.ndarray
    """(H, W) float32, 0 to 1."""
    depth: np.ndarray
    """(H, W) m, `FAR` where nothing is."""


def render(
    layers: Sequence[Layer], camera: Camera, size: tuple[int, int], rng: np.random.Generator
) -> Rendering:
    """Draw layers under one random lamp, far quads first.

    Parameters
    ----------
    layers : sequence of Layer
        In the world's metres.
    camera : Camera
    size : (height, width)
        px.
    rng : Generator
        Draws the lamp.
    """
    height, width = size
    lamp = rng.uniform((-1, -1, -1), (1, 0.2, -0.2))
    lamp /= np.linalg.norm(lamp)
    ambient = rng.uniform(0.35, 0.7)
    drawn = [_project(layer, camera, lamp, ambient) for layer in layers]
    corners, depth, color = (np.concatenate(parts) for parts in zip(*drawn, strict=True))
    corners = corners * _SUPERSAMPLING
    inside = (
        (corners.max(axis=1) > 0).all(axis=1)
        & (corners.min(axis=1) < np.array([width, height]) * _SUPERSAMPLING).all(axis=1)
        & (depth > _NEAREST_M)
    )
    order = np.flatnonzero(inside)[np.argsort(-depth[inside])]
    fine = (height * _SUPERSAMPLING, width * _SUPERSAMPLING)
    image = np.zeros((*fine, 3), np.uint8)
    depths = np.full(fine, FAR, np.float32)
    polygons = np.round(corners).astype(np.int32)
    for i in order:
        cv2.fillConvexPoly(image, polygons[i], color[i].tolist())
        cv2.fillConvexPoly(depths, polygons[i], float(depth[i]))
    return Rendering(
        color=cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32),
        alpha=cv2.resize(
            (depths < FAR).astype(np.float32), (width, height), interpolation=cv2.INTER_AREA
        ),
        depth=depths[::_SUPERSAMPLING, ::_SUPERSAMPLING],
    )


def tube(start: np.ndarray, end: np.ndarray, radius: float, color: np.ndarray) -> Layer:
    """Return a round bar between two points (3,) m: canes, walkers, handrails."""
    sides = 8
    axis = end - start
    across = np.cross(axis, (1.0, 0, 0) if abs(axis[0]) < abs(axis[1]) else (0, 1.0, 0))
    across *= radius / np.linalg.norm(across)
    other = np.cross(axis / np.linalg.norm(axis), across)
    turn = np.linspace(0, 2 * np.pi, sides, endpoint=False)[:, None]
    ring = np.cos(turn) * across + np.sin(turn) * other
    # Short pieces, because the painter sorts whole quads by their mean depth.
    pieces = max(2, int(np.linalg.norm(axis) / 0.1))
    along = np.linspace(0, 1, pieces + 1)[:, None, None] * axis + start
    i, j = np.meshgrid(np.arange(pieces) * sides, np.arange(sides), indexing="ij")
    following = (j + 1) % sides
    quads = np.stack([i + j, i + following, i + sides + following, i + sides + j], axis=-1)
    quads = quads.reshape(-1, 4)
    return Layer((along + ring).reshape(-1, 3), quads, np.tile(color, (len(quads), 1)), open=True)


def _project(
    layer: Layer, camera: Camera, lamp: np.ndarray, ambient: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return pixels (N, 4, 2), depth (N,) m and shaded colour (N, 3) of a layer's visible quads."""
    pixels, depth = camera.project(layer.vertices)
    seen = (layer.vertices - camera.position) @ camera.rotation.T
    quads = layer.quads
    normal = normals(seen, quads)[quads].mean(axis=1)
    faces_camera = (normal * seen[quads].mean(axis=1)).sum(axis=1) < 0
    normal = np.where(faces_camera[:, None], normal, -normal)
    light = ambient + 1.15 * (1 - ambient) * np.clip(normal @ lamp, 0, 1)
    light *= 0.72 + 0.28 * np.abs(normal[:, 2])
    keep = faces_camera | layer.open
    color = np.clip(layer.colors * light[:, None], 1, 255)
    return pixels[quads][keep], depth[quads].mean(axis=1)[keep], color[keep]
