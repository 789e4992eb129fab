"""Bend a body into a posture and say where its ten keypoints are."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from fiftyone_legpose import legs
from weights.recipe.mesh import PARTS, SIDES, Mesh
from weights.recipe.posture import Posture

_SOLE_HEIGHT_M: Final = 0.035
"""How far above the ground the skin of the big toe's tip lies at most."""


@dataclass(frozen=True)
class PosedBody:
    """One body in one posture; apply `move` to anything that clothes it."""

    rest: np.ndarray
    """(V, 3) m, upright."""
    transforms: np.ndarray
    """(`PARTS`, 4, 4) from rest to posture."""
    keypoints: np.ndarray
    """(10, 3) m in the order of `legs.KEYPOINTS`."""
    ground: float
    """Height (y, m) of the lowest point of the skin."""

    def move(self, mesh: Mesh, vertices: np.ndarray) -> np.ndarray:
        """Return rest vertices (V, 3) in the posture, by linear blend skinning."""
        blended = np.einsum("vp,pij->vij", mesh.weights, self.transforms[:, :3])
        return np.einsum("vij,vj->vi", blended[:, :, :3], vertices) + blended[:, :, 3]


def pose_body(mesh: Mesh, rest: np.ndarray, posture: Posture) -> PosedBody:
    """Bend a body (V, 3) m; returns it with its keypoints."""
    hips = np.stack([mesh.joint(rest, f"upperleg01.{side}____head") for side in SIDES])
    transforms = {"root": _about(rotation_x(posture.trunk_lean), hips.mean(axis=0))}
    joints: dict[str, np.ndarray] = {}
    for i, side in enumerate(SIDES):
        outward = 1 if side == "L" else -1
        names = ("upperleg01", "lowerleg01", "foot", "toe1-1")
        hip, knee, ankle, toe = (mesh.joint(rest, f"{name}.{side}____head") for name in names)
        rest_abduction = outward * np.arctan2(ankle[0] - hip[0], hip[1] - ankle[1])
        thigh = _about(
            rotation_z(outward * (posture.hip_abduction[i] - rest_abduction))
            @ rotation_y(outward * posture.toe_out[i] / 2)
            @ rotation_x(-posture.hip_flexion[i]),
            hip,
        )
        shank = thigh @ _about(rotation_x(posture.knee_flexion[i]), knee)
        foot = shank @ _about(
            rotation_y(outward * posture.toe_out[i] / 2)
            @ rotation_x(-posture.ankle_dorsiflexion[i]),
            ankle,
        )
        toes = foot @ _about(rotation_x(-posture.toe_extension[i]), toe)
        transforms |= {
            f"thigh.{side}": thigh,
            f"shank.{side}": shank,
            f"foot.{side}": foot,
            f"toes.{side}": toes,
        }
        name = "left" if side == "L" else "right"
        joints |= {
            f"{name}_hip": _apply(thigh, hip),
            f"{name}_knee": _apply(shank, knee),
            f"{name}_ankle": _apply(foot, ankle),
        }
    body = PosedBody(rest, np.stack([transforms[part] for part in PARTS]), np.empty(0), 0.0)
    moved = body.move(mesh, rest)
    for i, side in enumerate(SIDES):
        heel, tip = _heel_and_tip(mesh, rest, side)
        name = ("left", "right")[i]
        joints |= {f"{name}_heel": moved[heel], f"{name}_foot": moved[tip]}
    keypoints = np.stack([joints[name] for name in legs.KEYPOINTS])
    return PosedBody(rest, body.transforms, keypoints, moved[np.unique(mesh.body), 1].min())


def rotation_x(angle: float) -> np.ndarray:
    """Return the rotation (3, 3) about x by an angle in rad."""
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[1, 0, 0], [0, c, -s], [0, s, c]])


def rotation_y(angle: float) -> np.ndarray:
    """Return the rotation (3, 3) about y by an angle in rad."""
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])


def rotation_z(angle: float) -> np.ndarray:
    """Return the rotation (3, 3) about z by an angle in rad."""
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])


def _about(rotation: np.ndarray, center: np.ndarray) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, :3] = rotation
    matrix[:3, 3] = center - rotation @ center
    return matrix


def _apply(transform: np.ndarray, point: np.ndarray) -> np.ndarray:
    return transform[:3, :3] @ point + transform[:3, 3]


def _heel_and_tip(mesh: Mesh, rest: np.ndarray, side: str) -> tuple[int, int]:
    """Return the vertices at the back of the heel and at the tip of the big toe."""
    share = sum(mesh.weights[:, PARTS.index(f"{part}.{side}")] for part in ("foot", "toes"))
    on_skin = np.zeros(len(rest), bool)
    on_skin[mesh.body] = True
    foot = np.flatnonzero((share > 0.6) & on_skin)
    height = rest[foot, 1] - rest[foot, 1].min()
    heel = foot[np.argmin(rest[foot, 2] + 0.6 * height)]
    low = foot[height < _SOLE_HEIGHT_M]
    return int(heel), int(low[np.argmax(rest[low, 2])])
