"""BlazePose, Google's pose model for whole people: what many reach for first, and a teacher.

The last MediaPipe whose package holds the model itself is 0.10.21; it needs an older numpy than
ours, so it is installed into a virtual environment of its own on first use.
"""

import subprocess
import sys
import tempfile
import venv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fiftyone_legpose import legs
from weights.recipe.measuring import Answer

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


def blazepose(images: Sequence[np.ndarray], environment: Path = ENVIRONMENT) -> list[Answer]:
    """Return points, visibility and score that BlazePose gives for each picture."""
    python = _python(environment)
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "pictures.npz"), Path(folder, "found.npz")
        pictures: dict[str, Any] = {str(i): image for i, image in enumerate(images)}
        np.savez(source, **pictures)
        order = [str(LANDMARKS[name]) for name in legs.KEYPOINTS]
        subprocess.run([python, "-c", _WORKER, source, target, *order], check=True)
        found = np.load(target)
        nobody = np.empty((0, len(legs.KEYPOINTS), 3))
        points = [
            found[str(i)][None] if str(i) in found.files else nobody for i in range(len(images))
        ]
    # It names no score for a person: whatever it returns counts.
    return [(each[..., :2], each[..., 2], np.ones(len(each))) for each in points]


def _python(environment: Path) -> Path:
    python = environment / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    if not (environment / "ready").exists():
        venv.create(environment, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "-q", MEDIAPIPE], check=True)
        (environment / "ready").touch()
    return python
