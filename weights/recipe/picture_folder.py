"""Folders of pictures that are made, not taken, with their labels: YOLO-pose."""

from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import yaml

from cvat_bridge.poses import Pose
from cvat_bridge.yolo_lines import format_for_training
from fiftyone_legpose import legs

FEWEST_POINTS: Final = 3
"""Somebody with fewer points in the picture is not labelled: nobody could say who that is."""

_BOX_MARGINS: Final = {"sides": 0.11, "above hips": 0.10, "above cut": 0.25, "below": 0.05}
"""From the points to the box, in leg lengths: the rule of the real pictures' labels."""

_IMAGES: Final = "images/train"
_LABELS: Final = "labels/train"

_CONFIG: Final = {
    "path": ".",
    "train": _IMAGES,
    "kpt_shape": [len(legs.KEYPOINTS), 3],
    "flip_idx": list(legs.FLIP_INDEX),
    "names": {0: "legs"},
    "kpt_names": {0: list(legs.KEYPOINTS)},
}


@dataclass(frozen=True)
class Picture:
    """A picture and who is in it."""

    image: np.ndarray
    """(H, W, 3) uint8 BGR."""
    points: np.ndarray
    """(N, 10, 2) px."""
    visibility: np.ndarray
    """(N, 10)."""
    leg_lengths: np.ndarray
    """(N,) px."""


Draw = Callable[[np.random.Generator], Picture]


def write_pictures(
    out: str | Path, prefix: str, pictures: int, prepare: Callable[[], Draw], processes: int = 1
) -> int:
    """Write pictures and labels into ``out/images/train`` and ``out/labels/train``.

    Parameters
    ----------
    out : path
        Pictures that are there already are kept: an interrupted call goes on where it stopped.
    prefix : str
        How names begin, up to and with the seed: ``synthetic_0`` for ``synthetic_0_000000.jpg``.
    pictures : int
        How many there are to be in all.
    prepare : callable
        Loads in each process what drawing needs, and returns what draws a picture.
    processes : int

    Returns
    -------
    int
        Number of pictures written by this call.
    """
    begin_folder(out)
    names = (f"{prefix}_{i:06d}" for i in range(pictures))
    missing = [name for name in names if not Path(out, _IMAGES, f"{name}.jpg").exists()]
    write = partial(_write, prepare, Path(out))
    if processes == 1:
        return write(missing)
    with ProcessPoolExecutor(processes) as pool:
        return sum(pool.map(write, (missing[i::processes] for i in range(processes))))


def begin_folder(out: str | Path) -> None:
    """Make a YOLO-pose folder of training pictures, unless it is there."""
    for kind in (_IMAGES, _LABELS):
        Path(out, kind).mkdir(parents=True, exist_ok=True)
    Path(out, "data.yaml").write_text(yaml.safe_dump(_CONFIG, sort_keys=False))


def write_picture(out: Path, name: str, picture: Picture) -> None:
    """Write one picture and its label into a folder; where the picture is, its label is."""
    (out / _LABELS / f"{name}.txt").write_text(to_lines(picture))
    part = out / _IMAGES / f".{name}.part.jpg"
    cv2.imwrite(str(part), picture.image, [cv2.IMWRITE_JPEG_QUALITY, 88])
    part.replace(out / _IMAGES / f"{name}.jpg")


def to_lines(picture: Picture) -> str:
    """Return the picture's YOLO-pose label file."""
    size = picture.image.shape[1::-1]
    lines = []
    for points, visibility, leg in zip(
        picture.points, picture.visibility, picture.leg_lengths, strict=True
    ):
        pose = Pose(np.where(visibility[:, None] > 0, points, np.nan), visibility)
        box = _box(points[visibility > 0], bool(visibility[:2].any()), leg)
        line, _ = format_for_training(0, pose, size, box=box)
        lines.append(line or "")
    return "".join(lines)


def _write(prepare: Callable[[], Draw], out: Path, names: Sequence[str]) -> int:
    draw = prepare()
    for name in names:
        seed, index = (int(part) for part in name.split("_")[-2:])
        write_picture(out, name, draw(np.random.default_rng([seed, index])))
    return len(names)


def _box(points: np.ndarray, hips_seen: bool, leg_length: float) -> np.ndarray:
    above = _BOX_MARGINS["above hips" if hips_seen else "above cut"]
    (x1, y1), (x2, y2) = points.min(axis=0), points.max(axis=0)
    sides = _BOX_MARGINS["sides"]
    margins = np.array([-sides, -above, sides, _BOX_MARGINS["below"]]) * leg_length
    return np.array([x1, y1, x2, y2]) + margins
