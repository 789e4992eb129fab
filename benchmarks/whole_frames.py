"""Small people in whole frames: one look of several sizes beside what `predict` does.

    python -m benchmarks.whole_frames

The woman of `weights.recipe.strangers` in frames that are cut at her waist alone, as wide as
they were filmed, beside the cuttings close around her legs; and the sample clip (whose people were
in training) in a larger picture, at several leg lengths.
"""

import json
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import cv2
import numpy as np
import typer

from benchmarks import SHARED
from fiftyone_legpose import legs
from fiftyone_legpose.pose.geometry import CORRECT_WITHIN, leg_length
from fiftyone_legpose.prediction.inference import Inference
from fiftyone_legpose.prediction.looking import Looker
from fiftyone_legpose.prediction.raw_poses import RawPoses
from fiftyone_legpose.prediction.runtimes import PoseModel
from fiftyone_legpose.zoo.weights import find_weights
from weights.recipe.shipping import WEIGHTS
from weights.recipe.strangers import cut_at_the_waist, fetch_clip, read_frames, teach

RESULTS = Path(__file__).parent / "results" / "whole_frames.json"
SAMPLE = Path(legs.__file__).parent / "assets" / "sample" / "legs_sample"
SIZES = (640, 1280)
LEG_LENGTHS_PX = (40, 60, 100, 200, 300, 450)
_PASTED_FRAMES = 49
_CANVAS = (1080, 1920)
_BELOW, _ABOVE = 0.25, 0.1
"""Leg lengths of room under the lowest and over the highest point."""


@dataclass(frozen=True)
class Clip:
    """Frames, and what is known of one person in some of them."""

    frames: dict[int, np.ndarray]
    points: dict[int, np.ndarray]
    """(10, 2) px; NaN where unknown."""

    def leg_px(self) -> float:
        """Median leg length in px."""
        points = np.stack(list(self.points.values()))
        return float(np.nanmedian(leg_length(points, np.isfinite(points).all(axis=-1))))


Answers = Mapping[int, RawPoses]


def main(
    weights: Annotated[Path, typer.Option(help="Weights to measure.")] = WEIGHTS,
    detector: Annotated[Path, typer.Option(help="Weights that find people, for the truth.")] = (
        SHARED / "data" / "yolov8n-pose-coco.pt"
    ),
    clip: Annotated[Path | None, typer.Option(help="The clip, if it is here already.")] = None,
    every: Annotated[int, typer.Option(help="Take every n-th labelled frame.")] = 1,
    backend: Annotated[str, typer.Option(help="Runtime.")] = "auto",
) -> None:
    asked = Inference(backend=backend)  # type: ignore[arg-type]
    looker = Looker(PoseModel(find_weights(weights, trust=True), asked))
    with tempfile.TemporaryDirectory() as folder:
        frames = read_frames(clip or fetch_clip(Path(folder)))
    wide, tight = woman(frames, detector, every)
    report: dict[str, object] = {
        "weights": find_weights(weights, trust=True).name,
        "wide clip": {
            "frame": list(wide.frames[min(wide.frames)].shape[1::-1]),
            "leg_px": round(wide.leg_px()),
            "cut close": measure(tight, lambda c: one_look(looker, c, None)),
            **{
                f"one look of {side} px": measure(wide, lambda c, s=side: one_look(looker, c, s))
                for side in (looker.model.side, *SIZES)
            },
            "predict": measure(wide, lambda c: watched(looker, c)),
        },
        "sample clip, by leg length in px": {
            leg_px: {
                "one look": measure(pasted, lambda c: one_look(looker, c, None)),
                "predict": measure(pasted, lambda c: watched(looker, c)),
            }
            for leg_px in LEG_LENGTHS_PX
            for pasted in [paste(leg_px, every)]
        },
    }
    RESULTS.write_text(json.dumps(report, indent=1) + "\n")
    typer.echo(json.dumps(report, indent=1))


def woman(frames: list[np.ndarray], detector: Path, every: int) -> tuple[Clip, Clip]:
    """Cut whole frames at the woman's waist; and the pictures close around her legs."""
    teaching = teach(frames, detector)["woman"]
    points: dict[int, np.ndarray] = {}
    close = Clip({}, {})
    for number, picture in cut_at_the_waist(frames, teaching, np.random.default_rng(0)):
        if number % (3 * every):
            continue
        unknown = picture.visibility[0] == 0
        points[number] = np.where(unknown[:, None], np.nan, teaching.points[number])
        close.frames[number] = picture.image
        close.points[number] = np.where(unknown[:, None], np.nan, picture.points[0])
    known = np.stack(list(points.values()))
    leg = float(np.nanmedian(leg_length(known, np.isfinite(known).all(axis=-1))))
    top = max(int(np.nanmin(known[..., 1]) - _ABOVE * leg), 0)
    bottom = int(np.nanmax(known[..., 1]) + _BELOW * leg)
    cut = {n: frames[n][top:bottom] for n in range(min(points), max(points) + 1)}
    return Clip(cut, {n: p - (0, top) for n, p in points.items()}), close


def paste(leg_px: int, every: int) -> Clip:
    """Put the sample clip into a larger picture, so that legs are this long."""
    labels = json.loads(SAMPLE.with_suffix(".json").read_text())["frames"][:_PASTED_FRAMES]
    frames = read_frames(SAMPLE.with_suffix(".mp4"))[:_PASTED_FRAMES]
    whole = Clip(dict(enumerate(frames)), {n: _walker(frame) for n, frame in enumerate(labels)})
    scale = leg_px / whole.leg_px()
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    pictures = {}
    for number, frame in whole.frames.items():
        scaled = cv2.resize(frame, None, fx=scale, fy=scale, interpolation=how)
        height, width = scaled.shape[:2]
        canvas = np.full((*_CANVAS, 3), frame.mean(axis=(0, 1)), np.uint8)
        top, left = (
            (room - size) // 2 for room, size in zip(_CANVAS, (height, width), strict=True)
        )
        canvas[top : top + height, left : left + width] = scaled
        pictures[number] = canvas
    chosen = {n: p for n, p in whole.points.items() if n % (4 * every) == 0}
    return Clip(pictures, {n: p * scale + (left, top) for n, p in chosen.items()})


def _walker(frame: dict[str, Any]) -> np.ndarray:
    """Read the points (10, 2) of the man who walks."""
    [person] = [person for person in frame["persons"] if person["id"] == 1]
    points = np.array(person["keypoints"], float)
    return np.where(points[:, 2:] > 0, points[:, :2], np.nan)


def measure(clip: Clip, look: Callable[[Clip], Answers]) -> dict[str, float]:
    """Measure the person closest to the truth; whoever is missed has all points wrong."""
    answers = look(clip)
    right, exchanged, missed, known = 0, 0, 0, 0
    for number, truth in clip.points.items():
        found = answers[number].points
        known += int(np.isfinite(truth).all(axis=1).sum())
        if not len(found):
            missed += 1
            continue
        pose = found[np.nanmean(np.linalg.norm(found - truth, axis=-1), axis=1).argmin()]
        off = np.linalg.norm(pose - truth, axis=1) / clip.leg_px()
        other = np.linalg.norm(pose[list(legs.FLIP_INDEX)] - truth, axis=1) / clip.leg_px()
        right += int((off <= CORRECT_WITHIN).sum())
        exchanged += int(np.nanmean(other) < np.nanmean(off))
    return {
        "frames": len(clip.points),
        "missed": missed,
        "pck@0.1": round(right / known, 3),
        "sides exchanged": exchanged,
    }


def one_look(looker: Looker, clip: Clip, side: int | None) -> Answers:
    """Look once at the frames whose truth is known."""
    model = looker.model
    frames = ((n, model.prepare(clip.frames[n], side)) for n in clip.points)
    return {n: raw for n, _, raw in looker.look_once(frames)}


def watched(looker: Looker, clip: Clip) -> Answers:
    """Look as `predict` does."""
    numbers = sorted(clip.frames)
    few = [clip.frames[n] for n in numbers[len(numbers) // 8 :: len(numbers) // 4]]
    plan = looker.plan(few)
    if not plan.close:
        return one_look(looker, clip, None)
    return {n: raw for n, _, raw in looker.watch(clip.frames.items(), numbers, plan)}


if __name__ == "__main__":
    typer.run(main)
