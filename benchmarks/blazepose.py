"""BlazePose beside ours on the same legs-only pictures.

    python -m benchmarks.blazepose --data ../shared/data

BlazePose ("full", Google's MediaPipe) is what a user would reach for first. The last MediaPipe
whose package holds the model itself is 0.10.21; it needs an older numpy than ours, so it is
installed into a virtual environment of its own on first use.
"""

import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from benchmarks import SHARED
from fiftyone_legpose import legs
from weights.recipe.card import (
    Predict,
    load_model,
    measure_sets,
    read_truth,
    to_tables,
    write_between_marks,
)
from weights.recipe.shipping import WEIGHTS

MEDIAPIPE = "mediapipe==0.10.21"
ENVIRONMENT = Path(tempfile.gettempdir()) / "legpose-blazepose"

# https://ai.google.dev/edge/mediapipe/solutions/vision/pose_landmarker#pose_landmarker_model
LANDMARKS = {
    "left_hip": 23,
    "right_hip": 24,
    "left_knee": 25,
    "right_knee": 26,
    "left_ankle": 27,
    "right_ankle": 28,
    "left_heel": 29,
    "right_heel": 30,
    "left_foot": 31,
    "right_foot": 32,
}

# Runs in the other environment: pictures in by .npz, points (N, 10, 3) in px out.
_WORKER = """
import sys
import numpy as np
from mediapipe.python.solutions import pose
source, target, *landmarks = sys.argv[1:]
pictures = np.load(source)
found = {}
# One picture at a time, as a still: the pictures are no video.
with pose.Pose(static_image_mode=True, model_complexity=1) as model:
    for name in pictures.files:
        picture = pictures[name]
        height, width = picture.shape[:2]
        result = model.process(np.ascontiguousarray(picture[:, :, ::-1])).pose_landmarks
        if result:
            of_legs = [result.landmark[int(i)] for i in landmarks]
            found[name] = [(p.x * width, p.y * height, p.visibility) for p in of_legs]
np.savez(target, **found)
"""


def main(
    data: Annotated[Path, typer.Option(help="Folder that holds legs/.")] = SHARED / "data",
    weights: Annotated[Path, typer.Option(help="Our weights.")] = WEIGHTS,
    imgsz: Annotated[int | None, typer.Option(help="Longer side of our input, px.")] = None,
    environment: Annotated[
        Path, typer.Option(help="Virtual environment for MediaPipe, made if it is not there.")
    ] = ENVIRONMENT,
    write: Annotated[bool, typer.Option(help="Put the tables into the model card.")] = False,
) -> None:
    truth = read_truth(data)
    poses = blazepose(truth.images, environment)
    answers = sum(len(points) > 0 for points, *_ in poses)
    results = {
        "BlazePose": measure_sets(truth, in_turn(poses)),
        "ours": measure_sets(truth, load_model(weights, imgsz)),
    }
    share, ours = (results[name]["all"]["pck@0.1/all/all"] for name in ("BlazePose", "ours"))
    tables = (
        f"BlazePose returns something on {answers} of {len(poses)} pictures. "
        f"Our PCK@0.1 is {ours / share if share else np.inf:.1f} times BlazePose's.\n\n"
        + to_tables(results)
    )
    typer.echo(tables)
    if write:
        write_between_marks(WEIGHTS.with_name("README.md"), "blazepose", tables)


Answer = tuple[np.ndarray, np.ndarray, np.ndarray]


def blazepose(images: Sequence[np.ndarray], environment: Path = ENVIRONMENT) -> list[Answer]:
    """Return points, visibility and score that BlazePose gives for each picture."""
    python = _python(environment)
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "pictures.npz"), Path(folder, "found.npz")
        np.savez(source, **{str(i): image for i, image in enumerate(images)})
        order = [str(LANDMARKS[name]) for name in legs.KEYPOINTS]
        subprocess.run([python, "-c", _WORKER, source, target, *order], check=True)
        found = np.load(target)
        nobody = np.empty((0, len(legs.KEYPOINTS), 3))
        points = [
            found[str(i)][None] if str(i) in found.files else nobody for i in range(len(images))
        ]
    # It names no score for a person: whatever it returns counts.
    return [(each[..., :2], each[..., 2], np.ones(len(each))) for each in points]


def in_turn(answers: list[Answer]) -> Predict:
    """Return a function that gives the answers in the order of the pictures."""
    following: Iterator[Answer] = iter(answers)
    return lambda image: next(following)


def _python(environment: Path) -> Path:
    python = environment / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    if not (environment / "ready").exists():
        venv.create(environment, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "-q", MEDIAPIPE], check=True)
        (environment / "ready").touch()
    return python


if __name__ == "__main__":
    typer.run(main)
