"""Does repairing exchanged sides by motion help? On video with truth, with and without.

Two strangers outdoors, every frame (see `weights.recipe.strangers`), and three clips whose pictures
training has seen.

    python -m benchmarks.swap_repair --clip demo.mp4 --detector yolov8n-pose.pt
"""

import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
import typer

from benchmarks import SHARED
from fiftyone_legpose import legs
from fiftyone_legpose.evaluation.metrics import swaps
from fiftyone_legpose.pose.geometry import FOUND_FROM, areas, leg_length, oks
from fiftyone_legpose.pose.side_swaps import find_swaps
from weights.recipe.measuring import MIN_SCORE, SETTINGS, Predict, load_model
from weights.recipe.shipping import WEIGHTS
from weights.recipe.strangers import fetch_clip, read_frames, teach

ABOVE, BESIDE, BELOW = 0.15, 0.5, 0.2
"""Leg lengths between a stranger's outermost points and the cut."""


@dataclass(frozen=True)
class Walk:
    """One person in consecutive frames: what is true and what was predicted, in px."""

    true: np.ndarray
    """(T, 10, 2), NaN where nothing is known."""
    predicted: np.ndarray
    """(T, 10, 2), NaN where nobody was found."""


def main(
    weights: Annotated[Path, typer.Option(help="Weights to measure.")] = WEIGHTS,
    detector: Annotated[Path, typer.Option(help="Weights that find people.")] = SHARED
    / "data"
    / "yolov8n-pose-coco.pt",
    clip: Annotated[Path | None, typer.Option(help="Sports2D's clip, if it is here.")] = None,
    setting: Annotated[str, typer.Option(help=f"One of {', '.join(SETTINGS)}.")] = "bare",
) -> None:
    model = load_model(weights, **SETTINGS[setting])
    with tempfile.TemporaryDirectory() as folder:
        walks = dict(_strangers(clip or fetch_clip(Path(folder)), detector, model))
    walks |= dict(_samples(SHARED / "data" / "samples", model))
    typer.echo("| walk | frames found | pairs exchanged | after repair | frames repaired |")
    typer.echo("| --- | ---: | ---: | ---: | ---: |")
    # Of a bystander whose legs are never in the picture whole there is nothing to measure.
    told = {name: walk for name, walk in walks.items() if np.isfinite(_leg(walk)).any()}
    for name, walk in told.items():
        typer.echo(f"| {name} | {' | '.join(_measure(walk))} |")


def _leg(walk: Walk) -> np.ndarray:
    return leg_length(walk.true, np.where(np.isnan(walk.true[..., 0]), 0, 2))


def _measure(walk: Walk) -> list[str]:
    visibility = np.where(np.isnan(walk.true[..., 0]), 0, 2)
    leg = _leg(walk)
    usual = float(np.nanmedian(leg))
    found = ~np.isnan(walk.predicted[:, 0, 0])
    exchanged = find_swaps(walk.predicted, usual)
    repaired = np.where(
        exchanged[:, None, None], walk.predicted[:, list(legs.FLIP_INDEX)], walk.predicted
    )
    legs_px = np.where(np.isnan(leg), usual, leg)
    shares = [
        np.nanmean(swaps(walk.true, visibility, points, legs_px))
        for points in (walk.predicted, repaired)
    ]
    return [
        f"{found.sum()} of {len(found)}",
        *(f"{share:.3f}" for share in shares),
        str(int(exchanged.sum())),
    ]


def _strangers(clip: Path, detector: Path, model: Predict) -> Iterator[tuple[str, Walk]]:
    frames = read_frames(clip)
    for who, teaching in teach(frames, detector).items():
        numbers = sorted(teaching.points)
        true = np.stack([teaching.points[number] for number in numbers])
        pictures = (_cut(frames[n], points) for n, points in zip(numbers, true, strict=True))
        yield who, Walk(true, _predict(pictures, true, model))


def _cut(frame: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cut at the waist; also where the cut's corner was."""
    leg = leg_length(points[None], np.full((1, len(points)), 2))[0]
    low, high = (
        points.min(axis=0) - leg * BESIDE,
        points.max(axis=0) + leg * np.array([BESIDE, BELOW]),
    )
    low[1] = points[:2, 1].min() - ABOVE * leg
    (x1, y1), (x2, y2) = np.clip([low, high], 0, frame.shape[1::-1]).astype(int)
    return frame[y1:y2, x1:x2], np.array([x1, y1])


def _samples(folder: Path, model: Predict) -> Iterator[tuple[str, Walk]]:
    for description in sorted(folder.glob("*.json")):
        truth = json.loads(description.read_text())
        video = cv2.VideoCapture(str(folder / truth["video"]))
        images = [video.read()[1] for _ in truth["frames"]]
        people: dict[int, dict[int, np.ndarray]] = {}
        for number, frame in enumerate(truth["frames"]):
            for person in frame["persons"]:
                keypoints = np.array(person["keypoints"], float)
                known = keypoints[:, 2:] > 0
                points = np.where(known, keypoints[:, :2], np.nan)
                people.setdefault(person["id"], {})[number] = points
        for identity, by_frame in people.items():
            true = np.stack([*by_frame.values()])
            pictures = ((images[number], np.zeros(2)) for number in by_frame)
            yield f"{description.stem} {identity}", Walk(true, _predict(pictures, true, model))


def _predict(
    pictures: Iterator[tuple[np.ndarray, np.ndarray]], true: np.ndarray, model: Predict
) -> np.ndarray:
    """Return whoever is most like the true person in each picture, sides either way."""
    chosen = np.full_like(true, np.nan)
    for row, ((image, corner), points) in enumerate(zip(pictures, true, strict=True)):
        predicted, _, score = model(image)
        predicted = predicted[score >= MIN_SCORE] + corner
        visibility = np.where(np.isnan(points[:, 0]), 0, 2)[None]
        area = areas(np.nan_to_num(points)[None], visibility)
        either = [
            oks(points[None], visibility, area, predicted[:, order])[0]
            for order in (list(range(len(points))), list(legs.FLIP_INDEX))
        ]
        alike = np.maximum(*either)
        if len(alike) and alike.max() >= FOUND_FROM:
            chosen[row] = predicted[alike.argmax()]
    return chosen


if __name__ == "__main__":
    typer.run(main)
