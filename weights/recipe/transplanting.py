"""Real legs cut out of their pictures and put into other places, other clothes and other light.

Sixteen real people, most of them in one room, let a model learn the room. The outline comes from
GrabCut, which starts from the labelled skeleton; where it fails the picture is not used.
"""

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from cvat_bridge.pose_sets import Frame
from cvat_bridge.yolo_pose import read_yolo_pose
from fiftyone_legpose.pose import geometry
from weights.recipe.augmentation import degrade
from weights.recipe.clothing import draw_color
from weights.recipe.feeding import recolor
from weights.recipe.photographs import Photographs, pick, read_photographs
from weights.recipe.picture_folder import FEWEST_POINTS, Draw, Picture, write_pictures
from weights.recipe.rendering import Camera, look_at
from weights.recipe.scenery import draw_room, paper

_MADE: Final = ("comp_", "neg_")
"""How the names of pictures begin that show nobody, or people who were transplanted already."""

_LARGEST: Final = {"thigh": 0.2, "shank": 0.12, "foot": 0.08}
"""Half the width within which GrabCut may find a part of the body, in leg lengths."""

_BONE: Final = 0.3
"""Share of that width that certainly is body."""

_THINNEST: Final = {"thigh": 0.035, "shank": 0.018}
"""From the middle of a limb to the outline, in leg lengths; less is a stripe of a limb."""

_SMALLEST: Final = 0.35
"""Least share of the largest one's leg length: others are small, or little of them is seen."""

_SHARES: Final = {
    "second": 0.35,
    "trousers": 0.4,
    "shoes": 0.4,
    "woven": 0.25,
    "backlit": 0.2,
    "degrade": 0.5,
}
"""How often: somebody joins, clothes are painted, cloth is patterned, light comes from behind."""

_PARTS: Final = {
    "thigh": ((0, 2), (1, 3)),
    "shank": ((2, 4), (3, 5)),
    "foot": ((4, 6), (5, 7), (6, 8), (7, 9), (4, 8), (5, 9)),
}
_FEET: Final = ((4, 6, 8), (5, 7, 9))


@dataclass(frozen=True)
class Cutout:
    """A picture of somebody and what of it is body."""

    image: np.ndarray
    """(H, W, 3) BGR."""
    points: np.ndarray
    """(N, 10, 2) px."""
    visibility: np.ndarray
    """(N, 10)."""
    leg_lengths: np.ndarray
    """(N,) px."""
    outline: np.ndarray
    """(H, W) from 0, other things, to 1, body."""


Walks = tuple[tuple[Cutout, ...], ...]
"""Who was cut out, by walk, so that everybody is shown as often as the others."""


def transplant(
    real: str | Path,
    out: str | Path,
    pictures: int,
    *,
    backgrounds: str | Path,
    seed: int = 0,
    processes: int = 1,
) -> int:
    """Write pictures of real people in other places and their labels, as `synthesize` does.

    Parameters
    ----------
    real : path
        YOLO-pose folder with ``images/train`` and ``labels/train``.
    out : path
        What is there already is kept. Outlines are in ``out/outlines``: all black where GrabCut
        failed; who sees a bad one can blacken it and delete ``out/images``.
    pictures : int
        How many there are to be in all.
    backgrounds : path
        Folder that `photographs.read_photographs` takes.
    seed : int
    processes : int

    Returns
    -------
    int
        Number of pictures written by this call.

    Raises
    ------
    FileNotFoundError
        If there is no folder of backgrounds.
    FormatError
        If `real` is no YOLO-pose folder.
    ValueError
        If there are no pictures of people, one or an outline cannot be read, or nobody could be
        cut out.
    """
    read_photographs(backgrounds)
    sources = find_sources(Path(real))
    outlines = Path(out, "outlines")
    outlines.mkdir(parents=True, exist_ok=True)
    missing = [s for s in sources if not (outlines / f"{s.name}.png").exists()]
    with ProcessPoolExecutor(processes) as pool:
        for source, outline in zip(missing, pool.map(find_outline, missing), strict=True):
            part = outlines / f".{source.name}.part.png"
            cv2.imwrite(str(part), outline)
            part.replace(outlines / f"{source.name}.png")
    prepare = partial(_prepare, sources, outlines, backgrounds)
    return write_pictures(out, f"transplanted_{seed}", pictures, prepare, processes)


def find_sources(real: Path) -> list[Frame]:
    """Return the training pictures of a YOLO-pose folder that show people in their own place."""
    frames = read_yolo_pose(real, subset="train").frames.values()
    sources = [f for f in frames if f.poses and not f.name.startswith(_MADE)]
    if not sources:
        raise ValueError(f"{real} holds no pictures of people in images/train")
    return [
        replace(f, image=str(real / str(f.image))) for f in sorted(sources, key=lambda f: f.name)
    ]


def find_outline(source: Frame) -> np.ndarray:
    """Return (H, W) uint8, 255 where GrabCut sees labelled people; all 0 if it failed."""
    image, points, visibility, leg_lengths = _read(source)
    outline = _grab(image, points, visibility, leg_lengths)
    if not _is_whole(outline, points, visibility, leg_lengths):
        return np.zeros_like(outline)
    return cv2.morphologyEx(255 * outline, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))


def draw_transplant(walks: Walks, photographs: Photographs, rng: np.random.Generator) -> Picture:
    """Return a picture of what one or two cutouts show, somewhere else; as large as the first."""
    first = _draw_source(walks, rng)
    size = first.outline.shape
    people = [_dress(first, photographs, rng)]
    if rng.random() < _SHARES["second"]:
        second = _beside(_draw_source(walks, rng), first, rng)
        if second is not None:
            people.insert(int(rng.integers(2)), _dress(second, photographs, rng))
    image = _draw_place(size, photographs, rng)
    if rng.random() < _SHARES["backlit"]:
        dark = rng.uniform(0.12, 0.5)
        people = [replace(person, image=person.image * dark) for person in people]
        image = image * rng.uniform(1, 1.8)
    for person in people:
        image = _cast_shadow(image, person, rng)
    points, visibility = people[0].points[:0], people[0].visibility[:0]
    for person in people:
        image = image + person.outline[..., None] * (person.image - image)
        # What a later person covers of an earlier one is hidden, not gone.
        x, y = np.clip(points, 0, np.array(size[::-1]) - 1).astype(int).transpose(2, 0, 1)
        covered = (person.outline[y, x] > 0.5) & (visibility == 2)
        visibility = np.concatenate([np.where(covered, 1, visibility), person.visibility])
        points = np.concatenate([points, person.points])
    image = np.clip(image, 0, 255).astype(np.uint8)
    if rng.random() < _SHARES["degrade"]:
        image = degrade(image, rng)
    leg_lengths = np.concatenate([person.leg_lengths for person in people])
    return Picture(image, points, visibility, leg_lengths)


def _prepare(sources: Sequence[Frame], outlines: Path, backgrounds: str | Path) -> Draw:
    walks: dict[str, list[Cutout]] = {}
    for source in sources:
        outline = _decode(str(outlines / f"{source.name}.png"), cv2.IMREAD_GRAYSCALE)
        if not outline.any():
            continue
        soft = cv2.GaussianBlur(outline.astype(np.float32) / 255, (0, 0), 1.0)
        # The outline's own pixels hold some of what was behind.
        cutout = Cutout(*_read(source), np.clip((soft - 0.3) / 0.5, 0, 1))
        # Names end with the frame and a number: intel_p2_0567_0.
        walks.setdefault(source.name.rsplit("_", 2)[0], []).append(cutout)
    if not walks:
        raise ValueError(f"nobody could be cut out of the pictures: look at {outlines}")
    photographs, cutouts = read_photographs(backgrounds), tuple(map(tuple, walks.values()))
    return lambda rng: draw_transplant(cutouts, photographs, rng)


def _read(source: Frame) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return a picture, and points, visibility and leg lengths of those who can be cut out."""
    image = _decode(str(source.image), cv2.IMREAD_COLOR)
    points = np.nan_to_num([pose.points for pose in source.poses])
    visibility = np.stack([pose.visibility for pose in source.poses])
    leg_lengths = _leg_lengths(points, visibility)
    kept = leg_lengths >= _SMALLEST * leg_lengths.max()
    return image, points[kept], visibility[kept], leg_lengths[kept]


def _decode(path: str, mode: int) -> np.ndarray:
    picture = cv2.imread(path, mode)
    if picture is None:
        raise ValueError(f"{path} is no picture: mend or delete it and call again")
    return np.asarray(picture)


def _leg_lengths(points: np.ndarray, visibility: np.ndarray) -> np.ndarray:
    """Return leg lengths (N,), or where no leg is whole how far the points span: that or more."""
    lengths = geometry.leg_length(points, visibility)
    known = np.where((visibility > 0)[..., None], points, np.nan)
    spans = np.nanmax(known, axis=1) - np.nanmin(known, axis=1)
    return np.where(np.isfinite(lengths), lengths, spans.max(axis=1))


def _grab(
    image: np.ndarray, points: np.ndarray, visibility: np.ndarray, leg_lengths: np.ndarray
) -> np.ndarray:
    """Return 1 where GrabCut sees body, from what lies around the bones."""
    possible, certain = (np.zeros(image.shape[:2], np.uint8) for _ in range(2))
    for person, seen, leg in zip(points, visibility > 0, leg_lengths, strict=True):
        for part, limbs in _PARTS.items():
            width = 2 * _LARGEST[part] * leg
            for a, b in limbs:
                if seen[a] and seen[b]:
                    _line(possible, person[a], person[b], width)
                    _line(certain, person[a], person[b], _BONE * width)
        if seen[0] and seen[1]:
            _line(certain, person[0], person[1], 0.1 * leg)
        for hip, knee in _PARTS["thigh"]:
            # Up to the picture's border: the trunk, or the thigh where the hip is cut off.
            lowest = hip if seen[hip] else knee
            if seen[lowest]:
                _line(possible, person[lowest], (person[lowest][0], 0), 0.45 * leg)
    state = np.where(possible > 0, cv2.GC_PR_FGD, cv2.GC_BGD).astype(np.uint8)
    state[certain > 0] = cv2.GC_FGD
    models = np.zeros((1, 65)), np.zeros((1, 65))
    # GrabCut begins at random: the outline would depend on what was cut out before.
    cv2.setRNGSeed(0)
    cv2.grabCut(image, state, None, *models, 5, cv2.GC_INIT_WITH_MASK)
    return np.isin(state, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.uint8)


def _is_whole(
    outline: np.ndarray, points: np.ndarray, visibility: np.ndarray, leg_lengths: np.ndarray
) -> bool:
    """Tell whether every limb in the picture is as thick as limbs are at least."""
    inside = cv2.distanceTransform(outline, cv2.DIST_L2, 5)
    size = np.array(outline.shape[::-1]) - 1
    for person, seen, leg in zip(points, visibility > 0, leg_lengths, strict=True):
        for part, least in _THINNEST.items():
            for a, b in _PARTS[part]:
                x, y = np.minimum((person[a] + person[b]) / 2, size).astype(int)
                if seen[a] and seen[b] and inside[y, x] < least * leg:
                    return False
    return True


def _draw_source(walks: Walks, rng: np.random.Generator) -> Cutout:
    walk = walks[int(rng.integers(len(walks)))]
    return walk[int(rng.integers(len(walk)))]


def _draw_place(
    size: tuple[int, int], photographs: Photographs, rng: np.random.Generator
) -> np.ndarray:
    position, rotation = look_at(
        np.array([0, 0.6, 0]),
        rng.uniform(1.5, 5),
        elevation=rng.uniform(0, 0.5),
        azimuth=rng.uniform(0, 2 * np.pi),
        roll=rng.normal(0, 0.05),
    )
    focal = size[0] * rng.uniform(1, 4)
    camera = Camera(position, rotation, focal, np.array([size[1] / 2, size[0] / 2]))
    return draw_room(camera, 0.0, size, photographs, rng)


def _dress(cutout: Cutout, photographs: Photographs, rng: np.random.Generator) -> Cutout:
    """Return somebody in other colours, perhaps in other trousers and shoes."""
    image: np.ndarray = recolor(cutout.image, rng).astype(np.float32)
    grey = cv2.cvtColor(cutout.image, cv2.COLOR_BGR2GRAY).astype(np.float32)
    leg = float(cutout.leg_lengths.max())
    shading = (grey + 12) / (cv2.GaussianBlur(grey, (0, 0), max(1.0, 0.12 * leg)) + 12)
    if rng.random() < _SHARES["trousers"]:
        _paint(image, _trousers(cutout, rng), draw_color(rng) * shading[..., None])
    if rng.random() < _SHARES["shoes"]:
        _paint(image, _shoes(cutout), draw_color(rng) * shading[..., None])
    if photographs.textures and rng.random() < _SHARES["woven"]:
        texture = paper(pick(photographs.textures, rng), cutout.outline.shape, rng)
        image *= 1 + rng.uniform(0.2, 0.8) * (texture - 1)
    return replace(cutout, image=image)


def _trousers(cutout: Cutout, rng: np.random.Generator) -> np.ndarray:
    area = np.zeros(cutout.outline.shape, np.uint8)
    down = 1.0 if rng.random() < 0.6 else rng.uniform(0.0, 0.7)
    for person, seen, leg in zip(
        cutout.points, cutout.visibility > 0, cutout.leg_lengths, strict=True
    ):
        for hip, knee, ankle in ((0, 2, 4), (1, 3, 5)):
            if seen[hip] and seen[knee]:
                _line(area, person[hip] - (0, 0.12 * leg), person[hip], 0.4 * leg)
                _line(area, person[hip], person[knee], 0.34 * leg)
            if seen[knee] and seen[ankle]:
                hem = person[knee] + down * 0.92 * (person[ankle] - person[knee])
                _line(area, person[knee], hem, 0.22 * leg)
    return area


def _shoes(cutout: Cutout) -> np.ndarray:
    area = np.zeros(cutout.outline.shape, np.uint8)
    for person, seen, leg in zip(
        cutout.points, cutout.visibility > 0, cutout.leg_lengths, strict=True
    ):
        for ankle, heel, toe in _FEET:
            if seen[[ankle, heel, toe]].all():
                instep = 0.5 * person[ankle] + 0.25 * (person[heel] + person[toe])
                hull = np.stack([instep, person[heel], person[toe]]).astype(np.int32)
                cv2.fillConvexPoly(area, hull, 255)
                cv2.polylines(area, [hull], isClosed=True, color=255, thickness=_px(0.09 * leg))
    return area


def _paint(image: np.ndarray, area: np.ndarray, color: np.ndarray) -> None:
    share = cv2.GaussianBlur(area.astype(np.float32) / 255, (0, 0), 1.0)[..., None]
    image += share * (np.clip(color, 0, 255) - image)


def _beside(cutout: Cutout, other: Cutout, rng: np.random.Generator) -> Cutout | None:
    """Return somebody moved into another one's picture, or None if a border would show.

    Who is cut off at the top of her own picture is cut off at the top of this one.
    """
    height, width = other.outline.shape
    outline = cutout.outline
    scale = other.leg_lengths.max() * np.exp(rng.normal(0, 0.25)) / cutout.leg_lengths.max()
    columns = np.flatnonzero(outline.max(axis=0) > 0.5)
    rows = np.flatnonzero(outline.max(axis=1) > 0.5)
    if columns[0] == 0 or columns[-1] == outline.shape[1] - 1:
        return None
    down = -scale * (rows[0] + rng.uniform(0, 0.15) * cutout.leg_lengths.max())
    if rows[-1] == outline.shape[0] - 1 and scale * outline.shape[0] + down < height:
        return None
    across = rng.uniform(0, width) - scale * columns.mean()
    # Points count from the picture's edge, OpenCV from the middle of its first pixel.
    middle = (scale - 1) / 2
    matrix = np.array([[scale, 0, across + middle], [0, scale, down + middle]])
    points = cutout.points * scale + (across, down)
    inside = ((points >= 0) & (points < (width, height))).all(axis=-1)
    visibility = np.where(inside, cutout.visibility, 0)
    if ((visibility > 0).sum(axis=1) < FEWEST_POINTS).any():
        return None
    image, moved = (
        cv2.warpAffine(source, matrix, (width, height)) for source in (cutout.image, outline)
    )
    return Cutout(image, points, visibility, cutout.leg_lengths * scale, moved)


def _cast_shadow(image: np.ndarray, cutout: Cutout, rng: np.random.Generator) -> np.ndarray:
    shadow = np.zeros(image.shape[:2], np.float32)
    for person, seen, leg in zip(
        cutout.points, cutout.visibility > 0, cutout.leg_lengths, strict=True
    ):
        for _, heel, toe in _FEET:
            if seen[heel] and seen[toe]:
                _line(shadow, person[heel], person[toe], 0.15 * leg, 1.0)
    soft = cv2.GaussianBlur(shadow, (0, 0), max(1.0, 0.05 * float(cutout.leg_lengths.max())))
    return image * (1 - rng.uniform(0, 0.6) * soft)[..., None]


def _line(
    area: np.ndarray,
    start: Sequence[float] | np.ndarray,
    end: Sequence[float] | np.ndarray,
    width: float,
    value: float = 255,
) -> None:
    ends = [(int(x), int(y)) for x, y in (start, end)]
    cv2.line(area, ends[0], ends[1], value, _px(width))


def _px(width: float) -> int:
    return max(1, round(width))
