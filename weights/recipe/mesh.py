"""The MakeHuman base mesh: load it, and give it the shape of one person of many.

The mesh, its rig and its shape targets are CC0. Coordinates are metres: x to the person's left,
y up, z forward.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

SIDES: Final = ("L", "R")

PARTS: Final = (
    "root",
    *(f"{part}.{s}" for s in SIDES for part in ("thigh", "shank", "foot", "toes")),
)
"""The rigid parts that move: everything above the hips is `root`."""

_BONES_OF_PART: Final = {
    "thigh": ("upperleg01", "upperleg02"),
    "shank": ("lowerleg01", "lowerleg02"),
    "foot": ("foot",),
}
_ARM_BONES: Final = ("arm", "wrist", "finger", "metacarpal", "clavicle", "shoulder")
_HEAD_BONES: Final = (
    "neck", "head", "jaw", "eye", "tongue", "oris", "levator", "temporalis", "risorius",
    "orbicularis", "special",
)  # fmt: skip

_METRES_PER_UNIT: Final = 0.1
_METRES_PER_TARGET_UNIT: Final = 1e-4
"""The npz holds target offsets as int16 thousandths of the mesh's decimetres."""

_TARGET_FILES: Final = ("targets.npz", "targets_small.npz")


@dataclass(frozen=True)
class Mesh:
    """The base mesh and what is needed to reshape, pose and dress it."""

    vertices: np.ndarray
    """(V, 3) m."""
    quads: np.ndarray
    """(F, 4) vertex indices."""
    body: np.ndarray
    """(B, 4) quads of the skin without arms and head."""
    hands: np.ndarray
    """(H, 4) quads of the arms."""
    skirt: np.ndarray
    """(S, 4) quads of MakeHuman's helper for skirts and coats."""
    weights: np.ndarray
    """(V, `PARTS`) share that each part has in a vertex's motion; rows sum to 1."""
    arm: np.ndarray
    """(V,) share that the arms' bones have in a vertex."""
    joints: dict[str, np.ndarray]
    """Vertex indices whose mean is the joint."""
    targets: Mapping[str, np.ndarray]
    """Shape targets: ``NAME.index`` (N,) and ``NAME.vector`` (N, 3)."""

    def joint(self, vertices: np.ndarray, name: str) -> np.ndarray:
        """Return where a joint of the rig is (m) in a reshaped body."""
        return vertices[self.joints[name]].mean(axis=0)


def load_mesh(folder: str | Path) -> Mesh:
    """Load ``base.obj``, ``default.mhskel``, ``default_weights.mhw`` and the targets' npz.

    Parameters
    ----------
    folder : path
        Where MakeHuman's files lie. ``targets.npz`` is the one of PyPI's ``makehuman``
        (``makehuman/data/targets.npz`` in the wheel); ``targets_small.npz`` holds fewer.

    Raises
    ------
    FileNotFoundError
        If a file is missing, with its name and where to get it.
    """
    folder = Path(folder)
    obj, rig, skinning = (
        _existing(folder, name) for name in ("base.obj", "default.mhskel", "default_weights.mhw")
    )
    targets = _existing(folder, *_TARGET_FILES)
    vertices, quads, groups = _read_obj(obj)
    weights, arm, head = _read_weights(skinning, len(vertices))
    is_body = groups == "body"
    legs_and_trunk = is_body & (arm[quads].max(axis=1) < 0.3) & (head[quads].max(axis=1) < 0.1)
    return Mesh(
        vertices=vertices,
        quads=quads,
        body=quads[legs_and_trunk],
        hands=quads[is_body & (arm[quads].min(axis=1) > 0.3)],
        skirt=quads[groups == "helper-skirt"],
        weights=weights,
        arm=arm,
        joints={k: np.array(v) for k, v in json.loads(rig.read_text())["joints"].items()},
        targets={name: array for name, array in np.load(targets).items() if "macrodetails" in name},
    )


def draw_shape(mesh: Mesh, rng: np.random.Generator) -> np.ndarray:
    """Return the vertices (V, 3) m of somebody: any sex, age, build and origin."""
    sex = rng.choice(["male", "female"])
    age = rng.choice(["young", "old", "child"], p=[0.6, 0.3, 0.1])
    origin = rng.choice(["caucasian", "african", "asian"])
    blend = rng.random()
    vertices = mesh.vertices + _offsets(mesh, f"{origin}-{sex}-{age}")
    for share in (blend, 1 - blend):
        muscle, weight = rng.choice(["min", "average", "max"], size=2)
        build = f"universal-{sex}-{age}-{muscle}muscle-{weight}weight"
        vertices = vertices + share * _offsets(mesh, build)
    return vertices


def normals(vertices: np.ndarray, quads: np.ndarray) -> np.ndarray:
    """Return unit normals (V, 3); zero where no quad touches a vertex."""
    a, b, c, d = (vertices[quads[:, i]] for i in range(4))
    of_quads = np.cross(c - a, d - b)
    total = np.zeros_like(vertices)
    for corner in range(4):
        np.add.at(total, quads[:, corner], of_quads)
    return total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-9)


def smooth(vertices: np.ndarray, quads: np.ndarray, rounds: int) -> np.ndarray:
    """Return vertices (V, 3) with those of some quads moved to their neighbours' mean."""
    edges = np.concatenate([quads[:, [i, (i + 1) % 4]] for i in range(4)])
    edges = np.concatenate([edges, edges[:, ::-1]])
    degree = np.bincount(edges[:, 0], minlength=len(vertices))
    moved = degree > 0
    result = vertices.copy()
    for _ in range(rounds):
        for axis in range(3):
            total = np.bincount(edges[:, 0], result[edges[:, 1], axis], len(vertices))
            result[moved, axis] = total[moved] / degree[moved]
    return result


def _existing(folder: Path, *names: str) -> Path:
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise FileNotFoundError(
        f"{folder} has no {' or '.join(names)}; weights/recipe/README.md says where to get it"
    )


def _read_obj(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    vertices: list[list[float]] = []
    quads: list[list[int]] = []
    groups: list[str] = []
    group = ""
    for line in path.read_text().splitlines():
        kind, *values = line.split() or [""]
        if kind == "v":
            vertices.append([float(value) for value in values[:3]])
        elif kind == "g":
            group = values[0]
        elif kind == "f":
            corners = [int(value.split("/")[0]) - 1 for value in values]
            quads.append([*corners, corners[-1]][:4])
            groups.append(group)
    return np.array(vertices) * _METRES_PER_UNIT, np.array(quads), np.array(groups)


def _read_weights(path: Path, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sum the rig's bones into `PARTS`; return also the arms' and the head's share."""
    weights = np.zeros((size, len(PARTS)))
    arm, head = np.zeros(size), np.zeros(size)
    bones: dict[str, Any] = json.loads(path.read_text())["weights"]
    for bone, pairs in bones.items():
        index, share = np.array(pairs).T
        index = index.astype(int)
        part = _part(bone)
        weights[index, PARTS.index(part)] += share
        if part == "root":
            arm[index] += share * any(name in bone for name in _ARM_BONES)
            head[index] += share * any(name in bone for name in _HEAD_BONES)
    total = weights.sum(axis=1, keepdims=True)
    weights /= np.maximum(total, 1e-6)
    weights[total[:, 0] < 0.5, 0] = 1  # helpers that no bone moves stay with the trunk
    return weights, arm, head


def _part(bone: str) -> str:
    name, _, side = bone.rpartition(".")
    if bone.startswith("toe"):
        return f"toes.{side}"
    for part, bones in _BONES_OF_PART.items():
        if name in bones:
            return f"{part}.{side}"
    return "root"


def _offsets(mesh: Mesh, name: str) -> np.ndarray:
    offsets = np.zeros_like(mesh.vertices)
    key = f"targets/macrodetails/{name}"
    offsets[mesh.targets[f"{key}.index"]] = (
        mesh.targets[f"{key}.vector"].astype(float) * _METRES_PER_TARGET_UNIT
    )
    return offsets
