"""People from head to foot, drawn from the recipe's mesh: its pictures end at the waist."""

from pathlib import Path
from typing import Final

import cv2
import numpy as np

from weights.recipe.clothing import Layer, dress
from weights.recipe.mesh import _read_obj, _read_weights, draw_shape, load_mesh
from weights.recipe.posture import draw_posture
from weights.recipe.rendering import Camera, look_at, render
from weights.recipe.skinning import PosedBody, pose_body

_SKIN_BGR: Final = np.array([(90, 125, 190), (125, 160, 215), (140, 175, 225), (45, 60, 95)])
_HAIR_BGR: Final = np.array([(20, 25, 30), (35, 55, 85), (90, 140, 180), (150, 150, 155)])
_IRIS_M: Final = 0.006
_HEAD_HEIGHT_M: Final = 0.23


class DrawnPeople:
    """Draws people who face the camera within 50 degrees, heads of a chosen height.

    Parameters
    ----------
    mesh
        Folder of MakeHuman's mesh, see `weights.recipe.mesh.load_mesh`.
    backgrounds
        Folder of pictures of rooms and streets without anybody.
    """

    def __init__(self, mesh: Path, backgrounds: Path):
        self.mesh = load_mesh(mesh)
        self._backgrounds = [cv2.imread(str(path)) for path in sorted(backgrounds.glob("*.png"))]
        _, quads, groups = _read_obj(mesh / "base.obj")
        _, _, head = _read_weights(mesh / "default_weights.mhw", len(self.mesh.vertices))
        eyes = np.isin(groups, ["helper-l-eye", "helper-r-eye"])
        lashes = np.array(["eyelashes" in group for group in groups])
        self._head = quads[(groups == "body") & (head[quads].max(axis=1) >= 0.1)]
        self._eyes, self._lashes = quads[eyes], quads[lashes]

    def draw(
        self, head_px: int, rng: np.random.Generator
    ) -> tuple[np.ndarray, tuple[float, float]]:
        """Draw somebody in a picture without anybody.

        Returns the picture, and the middle of the face in px.
        """
        room = self._backgrounds[rng.integers(len(self._backgrounds))]
        if head_px > 60:
            room = cv2.resize(room, None, fx=2, fy=2)
        body = pose_body(self.mesh, draw_shape(self.mesh, rng), draw_posture(rng))
        layers = [*dress(self.mesh, body, rng), *self._draw_head(body, rng)]
        size = room.shape[:2]
        camera, face = self._frame(body, head_px, (size[1], size[0]), rng)
        drawn = render(layers, camera, size, rng)
        alpha = drawn.alpha[..., None]
        picture = room * (1 - alpha) + drawn.color * alpha
        return np.clip(picture, 0, 255).astype(np.uint8), (float(face[0]), float(face[1]))

    def _draw_head(self, body: PosedBody, rng: np.random.Generator) -> list[Layer]:
        vertices = body.move(self.mesh, body.rest)
        skin = _SKIN_BGR[rng.integers(len(_SKIN_BGR))]
        hair = _HAIR_BGR[rng.integers(len(_HAIR_BGR))]
        eyes = body.rest[self._eyes].mean(axis=1)
        pupils = [self.mesh.joint(body.rest, f"eye.{side}____tail") for side in "LR"]
        near = np.min([np.linalg.norm(eyes - pupil, axis=1) for pupil in pupils], axis=0)
        white = np.where((near < _IRIS_M)[:, None], (30, 30, 35), (235, 235, 235))
        lips = self.mesh.joint(body.rest, "oris05____tail")
        at = body.rest[self._head].mean(axis=1)
        is_lip = np.linalg.norm((at - lips) * (0.6, 1.6, 1), axis=1) < 0.02
        eye = np.mean([self.mesh.joint(body.rest, f"eye.{side}____head") for side in "LR"], axis=0)
        behind = (at[:, 2] < eye[2] - 0.07) & (at[:, 1] > lips[1])
        is_hair = (at[:, 1] > eye[1] + 0.05) | behind
        is_brow = (np.abs(at[:, 1] - eye[1] - 0.022) < 0.006) & (at[:, 2] > eye[2])
        colors = np.where(is_lip[:, None], skin * (0.7, 0.65, 0.95), skin)
        colors = np.where((is_hair | is_brow)[:, None], hair, colors)
        return [
            Layer(vertices, self._head, colors),
            Layer(vertices, self._eyes, white),
            Layer(vertices, self._lashes, np.tile((20.0, 20, 25), (len(self._lashes), 1))),
        ]

    def _frame(
        self, body: PosedBody, head_px: int, size: tuple[int, int], rng: np.random.Generator
    ) -> tuple[Camera, np.ndarray]:
        """Put the face somewhere in the upper half of the picture, so that legs may be in it."""
        eyes = [self.mesh.joint(body.rest, f"eye.{side}____head") for side in "LR"]
        moved = self.mesh.weights[self.mesh.joints["head____head"]].mean(axis=0)
        root = np.einsum("p,pij->ij", moved, body.transforms)
        face = root[:3, :3] @ np.mean(eyes, axis=0) + root[:3, 3]
        distance = rng.uniform(2, 6)
        position, rotation = look_at(
            face, distance, elevation=rng.uniform(0, 0.3), azimuth=rng.uniform(-0.87, 0.87), roll=0
        )
        place = np.array([rng.uniform(0.2, 0.8), rng.uniform(0.1, 0.5)]) * size
        place = np.maximum(place, head_px * 0.7)
        return Camera(position, rotation, head_px * distance / _HEAD_HEIGHT_M, place), place
