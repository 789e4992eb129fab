"""Dress a posed body: trousers, shorts, skirts, coats, socks, shoes, or nothing of these."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from weights.recipe.mesh import PARTS, Mesh, normals, smooth
from weights.recipe.skinning import PosedBody, rotation_x, rotation_z

TROUSERS: Final = {"long": 0.46, "shorts": 0.22, "leggings": 0.18, "briefs": 0.06, "dress": 0.08}
"""How often each kind is worn."""

_PATTERNS: Final = (0.55, 0.1, 0.08, 0.12, 0.15)
"""How often cloth is plain, striped, checked, blotched, fading."""

_SKIN_BGR: Final = np.array(
    [(60, 85, 130), (90, 125, 190), (125, 160, 215), (140, 175, 225), (45, 60, 95), (170, 190, 230)]
)


@dataclass(frozen=True)
class Layer:
    """One surface to draw."""

    vertices: np.ndarray
    """(V, 3) m, in the posture."""
    quads: np.ndarray
    """(N, 4)."""
    colors: np.ndarray
    """(N, 3) BGR, 0 to 255."""
    open: bool = False
    """Seen from both sides: cloth that hangs free."""


@dataclass(frozen=True)
class _Heights:
    """Heights (m) at rest that garments are cut by."""

    hip: float
    knee: float
    ankle: float
    sole: float

    @property
    def thigh(self) -> float:
        return self.hip - self.knee


def draw_color(rng: np.random.Generator) -> np.ndarray:
    """Return a colour (3,) BGR as clothes and rooms have it: often dark, denim, pale or beige."""
    grey = np.ones(3)
    match rng.choice(["dark", "denim", "pale", "beige", "any"], p=[0.3, 0.2, 0.15, 0.15, 0.2]):
        case "dark":
            return grey * rng.uniform(12, 70) * rng.uniform(0.8, 1.25, 3)
        case "denim":
            return rng.uniform((90, 60, 40), (150, 105, 85))
        case "pale":
            return grey * rng.uniform(150, 230) * (0.92, 1, 1.02)
        case "beige":
            return rng.uniform((60, 100, 120), (140, 170, 200))
    return rng.uniform(15, 235, 3)


def dress(mesh: Mesh, body: PosedBody, rng: np.random.Generator) -> list[Layer]:
    """Return the layers to draw, skin first."""
    rest = body.rest
    at = _Heights(
        hip=mesh.joint(rest, "upperleg01.L____head")[1],
        knee=mesh.joint(rest, "lowerleg01.L____head")[1],
        ankle=mesh.joint(rest, "foot.L____head")[1],
        sole=rest[np.unique(mesh.body), 1].min(),
    )
    heights = rest[mesh.body][:, :, 1]
    skin = _SKIN_BGR[rng.integers(len(_SKIN_BGR))] * rng.uniform(0.8, 1.15)
    kind = rng.choice(list(TROUSERS), p=list(TROUSERS.values()))

    garments = [
        _trousers(mesh, body, heights, at, str(kind), rng),
        _top(mesh, body, heights, at, skin, rng),
    ]
    if kind == "dress" or rng.random() < 0.06:
        garments.append((np.zeros(len(heights), bool), _skirt(mesh, body, at, rng)))
    if rng.random() < 0.7:
        garments += _footwear(mesh, body, heights, at, rng)
    covered = np.any([mask for mask, _ in garments], axis=0)
    bare = Layer(body.move(mesh, rest), mesh.body[~covered], _plain(skin, int((~covered).sum())))
    layers = [bare, *(layer for _, layer in garments)]
    if rng.random() < 0.5:
        sleeve = skin if rng.random() < 0.6 else draw_color(rng)
        layers.append(_hanging_arms(mesh, body, sleeve, rng))
    return layers


Garment = tuple[np.ndarray, Layer]
"""Which quads of the skin a layer hides (B,), and the layer."""


def _trousers(
    mesh: Mesh,
    body: PosedBody,
    heights: np.ndarray,
    at: _Heights,
    kind: str,
    rng: np.random.Generator,
) -> Garment:
    hem = {
        "long": at.ankle + rng.uniform(-0.03, 0.1),
        "leggings": at.ankle + rng.uniform(-0.02, 0.2),
        "shorts": at.knee + at.thigh * rng.uniform(-0.25, 0.75),
        "briefs": at.hip - 0.12 * at.thigh,
        "dress": at.knee + at.thigh * rng.uniform(0, 0.6),
    }[kind]
    tight = kind in ("leggings", "briefs", "dress")
    loose = 0.004 if tight else rng.uniform(0.008, 0.035)
    waist = at.hip + at.thigh * rng.uniform(0.24, 0.48)
    # Loose legs flare towards the hem.
    widen = np.interp(body.rest[:, 1], [hem, at.hip], [rng.uniform(0.8, 2.2), 0.7])
    mask = (heights.min(axis=1) > hem) & (heights.max(axis=1) < waist)
    layer = _cloth(
        mesh, body, mask, loose * (1 if tight else widen), draw_color(rng), rng,
        wrinkles=0.1 if tight else 1, rounds=6 if kind == "long" else 3,
    )  # fmt: skip
    if not tight and rng.random() < 0.2:
        _add_side_stripe(mesh, body, layer, draw_color(rng))
    return mask, layer


def _add_side_stripe(mesh: Mesh, body: PosedBody, trousers: Layer, color: np.ndarray) -> None:
    centers = body.rest[trousers.quads].mean(axis=1)
    outward = np.abs(normals(body.rest, trousers.quads)[trousers.quads].mean(axis=1)[:, 0])
    in_line = np.abs(centers[:, 2] - mesh.joint(body.rest, "upperleg01.L____head")[2]) < 0.03
    trousers.colors[in_line & (outward > 0.85)] = color


def _top(
    mesh: Mesh,
    body: PosedBody,
    heights: np.ndarray,
    at: _Heights,
    skin: np.ndarray,
    rng: np.random.Generator,
) -> Garment:
    hem = at.hip + at.thigh * rng.uniform(-0.25, 0.55)
    mask = heights.min(axis=1) > hem
    color = draw_color(rng) if rng.random() < 0.85 else skin
    return mask, _cloth(mesh, body, mask, rng.uniform(0.012, 0.035), color, rng, rounds=4)


def _skirt(mesh: Mesh, body: PosedBody, at: _Heights, rng: np.random.Generator) -> Layer:
    """Hang a skirt or the lower part of an open coat, down to between thigh and shin."""
    hem = at.hip - at.thigh * rng.uniform(0.4, 1.9)
    quads = mesh.skirt[body.rest[mesh.skirt][:, :, 1].min(axis=1) > hem]
    out = normals(body.rest, quads)
    folds = rng.uniform(0, 0.03) + _ripples(body.rest, 20, rng) * 0.008
    vertices = body.move(mesh, body.rest + out * folds[:, None])
    return Layer(vertices, quads, _plain(draw_color(rng), len(quads)), open=True)


def _footwear(
    mesh: Mesh, body: PosedBody, heights: np.ndarray, at: _Heights, rng: np.random.Generator
) -> list[Garment]:
    part = mesh.weights[mesh.body].mean(axis=1)
    in_foot = sum(part[:, i] for i, name in enumerate(PARTS) if name[:4] in ("foot", "toes"))
    in_shank = sum(part[:, i] for i, name in enumerate(PARTS) if name.startswith("shank"))
    garments: list[Garment] = []
    if rng.random() < 0.6:
        top = at.ankle + rng.uniform(0.04, 0.25)
        sock = (in_foot + in_shank > 0.5) & (heights.max(axis=1) < top)
        layer = _cloth(mesh, body, sock, 0.004, draw_color(rng), rng, wrinkles=0.1, rounds=2)
        garments.append((sock, layer))
    if rng.random() < 0.9:
        shoe = (in_foot > 0.35) & (heights.max(axis=1) < at.ankle + rng.uniform(0.01, 0.07))
        thick = rng.uniform(0.005, 0.012)
        layer = _cloth(mesh, body, shoe, thick, draw_color(rng), rng, wrinkles=0.15, rounds=9)
        sole = heights[shoe].mean(axis=1) < at.sole + rng.uniform(0.012, 0.03)
        layer.colors[sole] = draw_color(rng)
        garments.append((shoe, layer))
    return garments


def _hanging_arms(
    mesh: Mesh, body: PosedBody, color: np.ndarray, rng: np.random.Generator
) -> Layer:
    """Turn the arms of the rest pose down, so that hands hang beside the hips."""
    vertices = body.rest.copy()
    for side, sign in (("L", 1), ("R", -1)):
        shoulder = mesh.joint(vertices, f"upperarm01.{side}____head")
        down = mesh.joint(vertices, f"wrist.{side}____head") - shoulder
        spread = np.arctan2(sign * down[0], -down[1])
        turn = rotation_x(rng.uniform(-0.5, 0.5)) @ rotation_z(
            -sign * (spread - rng.uniform(0.1, 0.3))
        )
        arm = (mesh.arm > 0.3) & (np.sign(body.rest[:, 0]) == sign)
        vertices[arm] = (vertices[arm] - shoulder) @ turn.T + shoulder
    return Layer(body.move(mesh, vertices), mesh.hands, _plain(color, len(mesh.hands)))


def _cloth(
    mesh: Mesh,
    body: PosedBody,
    mask: np.ndarray,
    thickness: float | np.ndarray,
    color: np.ndarray,
    rng: np.random.Generator,
    *,
    wrinkles: float = 1.0,
    rounds: int = 3,
) -> Layer:
    """Lay cloth of some thickness (m) over the masked quads (B,) of the skin."""
    quads = mesh.body[mask]
    surface = smooth(body.rest, quads, rounds)
    uneven = 1 + 0.35 * wrinkles * _ripples(body.rest, 14, rng)
    offset = thickness * uneven + 0.004 * wrinkles * _ripples(body.rest, 40, rng)
    surface += normals(surface, quads) * np.maximum(offset, 0.004)[:, None]
    return Layer(body.move(mesh, surface), quads, _pattern(color, body.rest[quads], rng))


def _pattern(color: np.ndarray, corners: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return colours (N, 3) of quads (N, 4, 3) m at rest: plain, striped, checked or blotched."""
    colors = _plain(color, len(corners))
    kind = rng.choice(["plain", "stripes", "checks", "blotches", "fading"], p=_PATTERNS)
    if kind == "plain":
        return colors
    centers = corners.mean(axis=1)
    if kind == "fading":  # worn knees, dirt, light that falls on one side
        share = np.clip(0.5 + 0.4 * _ripples(centers, 6, rng), 0, 1)
    elif kind == "blotches":
        share = (_ripples(centers, rng.uniform(10, 40), rng) > rng.uniform(-0.5, 0.8)).astype(float)
    else:
        wave = centers * rng.uniform(20, 80)
        share = (np.sin(wave[:, 0] if rng.random() < 0.3 else wave[:, 1]) > 0.3).astype(float)
        if kind == "checks":
            share = (share + (np.sin(wave[:, 2]) > 0.3)) / 2
    other = draw_color(rng) if rng.random() < 0.5 else color * rng.uniform(0.4, 1.6)
    return np.asarray(np.clip(colors + share[:, None] * (other - colors), 0, 255))


def _ripples(points: np.ndarray, per_metre: float, rng: np.random.Generator) -> np.ndarray:
    """Return smooth noise (V,) of about unit size: a few waves in random directions."""
    waves = rng.normal(0, per_metre, (4, 3))
    return np.sin(points @ waves.T + rng.uniform(0, 2 * np.pi, 4)).sum(axis=1) / 2


def _plain(color: np.ndarray, count: int) -> np.ndarray:
    return np.tile(np.asarray(color, float), (count, 1))
