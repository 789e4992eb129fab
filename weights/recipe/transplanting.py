"""Real legs cut out of their pictures and put into other places, other clothes and other light.

People who were all filmed in one room, or photographed in one street, let a model learn the place.
"""

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from weights.recipe.augmentation import degrade
from weights.recipe.clothing import draw_color
from weights.recipe.cutouts import (
    Cutout,
    Source,
    Walks,
    draw_line,
    draw_source,
    find_outlines,
    find_sources,
    group_walks,
    to_px,
)
from weights.recipe.feeding import recolor
from weights.recipe.photographs import Photographs, pick, read_photographs
from weights.recipe.picture_folder import FEWEST_POINTS, Draw, Picture, write_pictures
from weights.recipe.rendering import Camera, look_at
from weights.recipe.scenery import draw_room, paper

_SHARES: Final = {
    "second": 0.35,
    "trousers": 0.4,
    "shoes": 0.4,
    "woven": 0.25,
    "backlit": 0.2,
    "degrade": 0.5,
}
"""How often: somebody joins, clothes are painted, cloth is patterned, light comes from behind."""

_FEET: Final = ((4, 6, 8), (5, 7, 9))


def transplant(
    real: Sequence[str | Path],
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
    real : sequence of path
        YOLO-pose folders with ``images/train`` and ``labels/train``, whose names differ. All are
        shown equally often, however many pictures they hold.
    out : path
        What is there already is kept. Outlines are in ``out/outlines/<folder>``: all black where
        GrabCut failed; who sees a bad one can blacken it and delete ``out/images``.
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
        If one of `real` is no YOLO-pose folder.
    ValueError
        If one holds no pictures of people, a picture or an outline cannot be read, or nobody could
        be cut out of a folder.
    """
    read_photographs(backgrounds)
    frames = {Path(folder).name: find_sources(Path(folder)) for folder in real}
    if len(frames) < len(real):
        raise ValueError(f"two of {', '.join(map(str, real))} have the same name: rename one")
    outlines = Path(out, "outlines")
    with ProcessPoolExecutor(processes) as pool:
        sources = [find_outlines(found, outlines / name, pool) for name, found in frames.items()]
    prepare = partial(_prepare, sources, backgrounds)
    return write_pictures(out, f"transplanted_{seed}", pictures, prepare, processes)


def draw_transplant(walks: Walks, photographs: Photographs, rng: np.random.Generator) -> Picture:
    """Return a picture of what one or two cutouts show, somewhere else; as large as the first."""
    first = draw_source(walks, rng).load()
    size = first.outline.shape
    people = [_dress(first, photographs, rng)]
    if rng.random() < _SHARES["second"]:
        second = _beside(draw_source(walks, rng).load(), first, rng)
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


def _prepare(sources: Sequence[Sequence[Source]], backgrounds: str | Path) -> Draw:
    walks, photographs = group_walks(sources), read_photographs(backgrounds)
    return lambda rng: draw_transplant(walks, photographs, rng)


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
                draw_line(area, person[hip] - (0, 0.12 * leg), person[hip], 0.4 * leg)
                draw_line(area, person[hip], person[knee], 0.34 * leg)
            if seen[knee] and seen[ankle]:
                hem = person[knee] + down * 0.92 * (person[ankle] - person[knee])
                draw_line(area, person[knee], hem, 0.22 * leg)
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
                cv2.polylines(area, [hull], isClosed=True, color=255, thickness=to_px(0.09 * leg))
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
                draw_line(shadow, person[heel], person[toe], 0.15 * leg, 1.0)
    soft = cv2.GaussianBlur(shadow, (0, 0), max(1.0, 0.05 * float(cutout.leg_lengths.max())))
    return image * (1 - rng.uniform(0, 0.6) * soft)[..., None]
