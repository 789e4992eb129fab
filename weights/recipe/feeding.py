"""Training pictures as a model of legs needs them: views cut as clinics cut them, in any colour.

Colours change so far that neither clothes nor a room tell which way somebody faces: with a dozen
real people that is what a model would learn instead of the shape of feet. Ultralytics' own pipeline
with its pictures in memory is as fast (0.55 ms a picture at 192 px on one core; 0.67 ms here, with
the faults of clinic pictures).
"""

import os
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, WeightedRandomSampler

from cvat_bridge.pose_sets import Frame
from cvat_bridge.yolo_pose import read_yolo_pose
from fiftyone_legpose import legs
from fiftyone_legpose.legs import BOX_MARGIN
from weights.recipe.augmentation import degrade, hide
from weights.recipe.picture_folder import FEWEST_POINTS

_KEPT: Final = 1.4
"""Longer side at which pictures are kept, as a share of the view's; finer ones cost memory."""

_GREY: Final = (114, 114, 114)
"""What Ultralytics fills the rest of its input with."""

_ZOOM: Final = (np.log(0.75), np.log(2.0))
"""Logarithm of the scale, from the lowest to the highest; 0 is a picture that fills the view."""

_STRETCH: Final = 0.1
_SLANT: Final = 0.08
"""Standard deviations of the logarithm of how much wider than high a view is made, and of how far
it leans: other builds and other cameras than the few that real people were filmed with."""

_SHARES: Final = {"four": 0.12, "hue": 0.35, "channels": 0.15, "gray": 0.08, "hide": 0.12}
"""How often: four pictures in one, any hue, exchanged colour channels, no colour, a thing in front.
"""

_DEGRADED_SHARE: Final = 0.4


@dataclass(frozen=True)
class Labelled:
    """A picture and the points of everybody in it."""

    image: np.ndarray
    """(H, W, 3) uint8 BGR."""
    points: np.ndarray
    """(N, 10, 2) px."""
    visibility: np.ndarray
    """(N, 10)."""


class Views(Dataset):  # type: ignore[type-arg]
    """Random views of labelled pictures, as Ultralytics' losses take them.

    Parameters
    ----------
    pictures : sequence of Labelled
    imgsz : int
        Side of the square views, px.
    """

    def __init__(self, pictures: Sequence[Labelled], imgsz: int) -> None:
        self.imgsz = imgsz
        self.pictures = pictures

    def __len__(self) -> int:
        """Count the pictures; each is the first of one view an epoch."""
        return len(self.pictures)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Draw a view."""
        # Torch seeds `random` in each worker, so that a training can be repeated on as many cores.
        rng = np.random.default_rng(random.getrandbits(64))
        view = self._draw(index, rng)
        boxes, keypoints = to_targets(view)
        count = len(boxes)
        channels_first = np.ascontiguousarray(view.image[..., ::-1].transpose(2, 0, 1))
        return {
            "img": torch.from_numpy(channels_first),
            "cls": torch.zeros(count, 1),
            "bboxes": torch.from_numpy(boxes),
            "keypoints": torch.from_numpy(keypoints),
            "batch_idx": torch.zeros(count),
        }

    def _draw(self, index: int, rng: np.random.Generator) -> Labelled:
        if rng.random() < _SHARES["four"]:
            others = rng.integers(len(self.pictures), size=3).tolist()
            half = self.imgsz // 2
            view = put_together(
                [draw_view(self.pictures[i], half, rng) for i in (index, *others)], half
            )
        else:
            view = draw_view(self.pictures[index], self.imgsz, rng)
        image, visibility = recolor(view.image, rng), view.visibility
        if len(view.points) and rng.random() < _SHARES["hide"]:
            visibility = hide(image, view.points, visibility, rng)
        if rng.random() < _DEGRADED_SHARE:
            image = degrade(image, rng)
        return Labelled(image, view.points, visibility)


class Feed(DataLoader):  # type: ignore[type-arg]
    """Batches of views.

    Parameters
    ----------
    views : Views
    weights : sequence of float
        How often each picture is shown, compared with the others.
    count : int
        Views in all.
    batch : int
    generator : torch.Generator
        What is shown follows from its state.
    """

    def __init__(
        self,
        views: Views,
        weights: Sequence[float],
        count: int,
        batch: int,
        generator: torch.Generator,
    ):
        from ultralytics.data.dataset import YOLODataset

        super().__init__(
            views,
            batch_size=batch,
            sampler=WeightedRandomSampler(weights, count, generator=generator),
            num_workers=min(16, max(1, (os.cpu_count() or 1) - 2)),
            pin_memory=torch.cuda.is_available(),
            collate_fn=YOLODataset.collate_fn,
            worker_init_fn=_leave_cores,
            generator=generator,
        )


def read_labelled(folder: Path, imgsz: int) -> list[Labelled]:
    """Read the training pictures of a YOLO-pose folder, no finer than views of `imgsz` px need."""
    frames = read_yolo_pose(folder, subset="train").frames.values()
    return [shrink(_read(folder, frame), imgsz) for frame in frames]


def shrink(picture: Labelled, imgsz: int) -> Labelled:
    """Return a picture no finer than views of `imgsz` px need: it stays in memory."""
    height, width = picture.image.shape[:2]
    scale = _KEPT * imgsz / max(height, width)
    if scale >= 1:
        return picture
    image = cv2.resize(picture.image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    exact = np.array(image.shape[1::-1]) / (width, height)
    return Labelled(np.asarray(image), picture.points * exact, picture.visibility)


def draw_view(picture: Labelled, side: int, rng: np.random.Generator) -> Labelled:
    """Return a square view: scaled, turned, mirrored and cut at random.

    Parameters
    ----------
    picture : Labelled
    side : int
        px.
    rng : numpy.random.Generator

    Returns
    -------
    Labelled
        Visibility is 0 where a point is outside; who has too few points left is left out.
    """
    height, width = picture.image.shape[:2]
    scale = side / max(height, width) * np.exp(rng.uniform(*_ZOOM))
    stretch, slant = np.exp(rng.normal(0, _STRETCH)), rng.normal(0, _SLANT)
    turn = rng.normal(0, 0.08)
    mirrored = rng.random() < 0.5
    cos, sin = np.cos(turn), np.sin(turn)
    shape = np.array([[stretch, slant], [0, 1 / stretch]])
    matrix = scale * np.array([[cos, -sin], [sin, cos]]) @ shape
    if mirrored:
        matrix = matrix @ np.diag([-1, 1])
    # Inside where it is smaller than the view, without an edge where it is larger.
    extent = np.abs(matrix) @ (width, height)
    room = np.abs(side - extent) / 2 + 0.04 * side
    center = side / 2 + rng.uniform(-room, room)
    shift = center - matrix @ (width / 2, height / 2)
    image = _warp(picture.image, matrix, shift, side)
    points = picture.points @ matrix.T + shift
    visibility = picture.visibility
    if mirrored:
        points, visibility = points[:, list(legs.FLIP_INDEX)], visibility[:, list(legs.FLIP_INDEX)]
    inside = ((points >= 0) & (points < side)).all(axis=-1)
    visibility = np.where(inside, visibility, 0)
    kept = (visibility > 0).sum(axis=1) >= FEWEST_POINTS
    return Labelled(image, points[kept], visibility[kept])


def _warp(image: np.ndarray, matrix: np.ndarray, shift: np.ndarray, side: int) -> np.ndarray:
    """Return the square view of a picture to which `matrix` and `shift` bring its points."""
    if abs(np.linalg.det(matrix)) < 0.25:
        # A warp takes four pixels of the picture for one; what is finer becomes noise.
        height, width = image.shape[:2]
        image = cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        matrix = matrix @ np.diag([width / image.shape[1], height / image.shape[0]])
    # Points count from the picture's edge, OpenCV from the middle of its first pixel.
    from_middle = shift + matrix.sum(axis=1) / 2 - 0.5
    return np.asarray(
        cv2.warpAffine(
            image,
            np.column_stack([matrix, from_middle]),
            (side, side),
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=_GREY,
        )
    )


def put_together(views: Sequence[Labelled], side: int) -> Labelled:
    """Return four square views as one: people who are small, and several of them."""
    top, bottom = (np.hstack([a.image, b.image]) for a, b in (views[:2], views[2:]))
    corners = np.array([(0, 0), (side, 0), (0, side), (side, side)])
    return Labelled(
        np.vstack([top, bottom]),
        np.concatenate([v.points + corner for v, corner in zip(views, corners, strict=True)]),
        np.concatenate([v.visibility for v in views]),
    )


def recolor(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return a picture (H, W, 3) uint8 BGR in other colours."""
    hue, saturation, value = cv2.split(cv2.cvtColor(image, cv2.COLOR_BGR2HSV))
    turn = rng.integers(180) if rng.random() < _SHARES["hue"] else rng.integers(-6, 7)
    levels = np.arange(256)
    gains = rng.uniform(0.4, 1.6), rng.uniform(0.6, 1.4)
    tables = [np.clip(levels * gain, 0, 255).astype(np.uint8) for gain in gains]
    hue = cv2.LUT(hue, ((levels + turn) % 180).astype(np.uint8))
    saturation, value = cv2.LUT(saturation, tables[0]), cv2.LUT(value, tables[1])
    if rng.random() < _SHARES["gray"]:
        saturation[:] = 0
    result = np.asarray(cv2.cvtColor(cv2.merge([hue, saturation, value]), cv2.COLOR_HSV2BGR))
    if rng.random() < _SHARES["channels"]:
        result = np.ascontiguousarray(result[..., rng.permutation(3)])
    return result


def to_targets(view: Labelled) -> tuple[np.ndarray, np.ndarray]:
    """Return boxes (N, 4) x, y, w, h and keypoints (N, 10, 3), float32, as shares of the view.

    Boxes go around the points by the rule of `training_data.write_training_data`.
    """
    side = view.image.shape[0]
    known = (view.visibility > 0)[..., None]
    low = np.where(known, view.points, np.inf).min(axis=1, initial=side)
    high = np.where(known, view.points, -np.inf).max(axis=1, initial=0)
    margin = BOX_MARGIN * (high - low).max(axis=1, keepdims=True, initial=0)
    low, high = np.clip(low - margin, 0, side), np.clip(high + margin, 0, side)
    boxes = np.concatenate([(low + high) / 2, high - low], axis=1) / side
    points = np.where(known, view.points / side, 0)
    keypoints = np.concatenate([points, view.visibility[..., None]], axis=-1)
    return boxes.astype(np.float32), keypoints.astype(np.float32)


def _leave_cores(worker: int) -> None:
    """Keep OpenCV to one thread: the cores belong to the network and to the other workers."""
    cv2.setNumThreads(0)


def _read(folder: Path, frame: Frame) -> Labelled:
    path = folder / str(frame.image)
    image = cv2.imread(str(path))
    if image is None:
        raise FileNotFoundError(f"{path} is no picture: mend or delete it")
    shape = (len(frame.poses), len(legs.KEYPOINTS))
    points = np.nan_to_num(np.reshape([pose.points for pose in frame.poses], (*shape, 2)))
    visibility = np.reshape([pose.visibility for pose in frame.poses], shape).astype(int)
    return Labelled(np.asarray(image), points, visibility)
