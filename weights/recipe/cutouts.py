"""Outlines of real people: OpenCV's GrabCut, which starts from the labelled skeleton.

Where it fails, as far as the thickness of limbs tells, the picture is not used.
"""

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from cvat_bridge.pose_sets import Frame
from cvat_bridge.yolo_pose import read_yolo_pose
from fiftyone_legpose.pose import geometry

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

_PARTS: Final = {
    "thigh": ((0, 2), (1, 3)),
    "shank": ((2, 4), (3, 5)),
    "foot": ((4, 6), (5, 7), (6, 8), (7, 9), (4, 8), (5, 9)),
}


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


@dataclass(frozen=True)
class Source:
    """Where somebody is cut out of."""

    frame: Frame
    outline: Path
    """A picture: 255 where there is body."""

    def load(self) -> Cutout:
        """Read both pictures."""
        outline = _decode(str(self.outline), cv2.IMREAD_GRAYSCALE)
        soft = cv2.GaussianBlur(outline.astype(np.float32) / 255, (0, 0), 1.0)
        # The outline's own pixels hold some of what was behind.
        return Cutout(*_read(self.frame), np.clip((soft - 0.3) / 0.5, 0, 1))


Walks = Sequence[Sequence[Sequence[Source]]]
"""Who can be cut out, by folder and walk: every folder is shown as often as the others, and so is
every walk of a folder."""


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


def find_outlines(frames: Sequence[Frame], folder: Path, pool: Executor) -> list[Source]:
    """Find the outlines that are not in a folder yet, and return where everything is."""
    folder.mkdir(parents=True, exist_ok=True)
    sources = [Source(frame, folder / f"{frame.name}.png") for frame in frames]
    missing = [source for source in sources if not source.outline.exists()]
    outlines = pool.map(find_outline, [source.frame for source in missing], chunksize=4)
    for source, outline in zip(missing, outlines, strict=True):
        part = folder / f".{source.frame.name}.part.png"
        cv2.imwrite(str(part), outline)
        part.replace(source.outline)
    return sources


def group_walks(folders: Sequence[Sequence[Source]]) -> Walks:
    """Return who could be cut out, by folder and walk.

    Raises
    ------
    ValueError
        If nobody could be cut out of a folder, or an outline is no picture.
    """
    grouped: list[list[list[Source]]] = []
    for sources in folders:
        walks: dict[str, list[Source]] = {}
        for source in sources:
            if _decode(str(source.outline), cv2.IMREAD_GRAYSCALE).any():
                walks.setdefault(_walk(source.frame.name), []).append(source)
        if not walks:
            raise ValueError(
                f"nobody could be cut out of the pictures: look at {sources[0].outline.parent}"
            )
        grouped.append([*walks.values()])
    return grouped


def _walk(name: str) -> str:
    """Return what a picture's name says of whose walk it shows, the name itself if nothing.

    Frames of a walk are named by it, the frame and a number: intel_p2_0567_0.
    """
    walk, *numbers = name.rsplit("_", 2)
    return walk if len(numbers) == 2 and all(n.isdigit() for n in numbers) else name


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
                    draw_line(possible, person[a], person[b], width)
                    draw_line(certain, person[a], person[b], _BONE * width)
        if seen[0] and seen[1]:
            draw_line(certain, person[0], person[1], 0.1 * leg)
        for hip, knee in _PARTS["thigh"]:
            # Up to the picture's border: the trunk, or the thigh where the hip is cut off.
            lowest = hip if seen[hip] else knee
            if seen[lowest]:
                draw_line(possible, person[lowest], (person[lowest][0], 0), 0.45 * leg)
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


def draw_source(walks: Walks, rng: np.random.Generator) -> Source:
    """Return somebody, of a folder and a walk of it that are drawn first."""
    folder = walks[int(rng.integers(len(walks)))]
    walk = folder[int(rng.integers(len(folder)))]
    return walk[int(rng.integers(len(walk)))]


def draw_line(
    area: np.ndarray,
    start: Sequence[float] | np.ndarray,
    end: Sequence[float] | np.ndarray,
    width: float,
    value: float = 255,
) -> None:
    """Draw a line of a width in px, at least one."""
    ends = [(int(x), int(y)) for x, y in (start, end)]
    cv2.line(area, ends[0], ends[1], value, to_px(width))


def to_px(width: float) -> int:
    """Round a width for OpenCV, which draws nothing thinner than a pixel."""
    return max(1, round(width))
