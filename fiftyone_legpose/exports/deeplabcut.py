"""DeepLabCut's CSV of what it finds of one animal, which movement and Lightning Pose read too.

Three header lines: ``scorer`` (the same word over all columns), ``bodyparts`` (each keypoint over
three columns) and ``coords`` (``x``, ``y``, ``likelihood``); then one line for each frame that
begins with its index, from 0. Source: DeepLabCut's documentation, "Output files of analyze_videos".

Points are in px of the picture, from its upper left corner; a missing point is empty. The
likelihood is the confidence of the prediction, 1 where a person corrected the point and 0 where it
was filled.
"""

import csv
from pathlib import Path
from typing import Final

import numpy as np

from fiftyone_legpose import legs
from fiftyone_legpose.exports.people import Person

SCORER: Final = "legpose"


def write_dlc(person: Person, path: Path) -> int:
    """Write one person's points; returns the number of frames."""
    columns = [(name, axis) for name in legs.KEYPOINTS for axis in ("x", "y", "likelihood")]
    values = np.concatenate([person.points, person.confidence[..., None]], axis=-1)
    values[np.isnan(person.points).any(axis=-1)] = np.nan
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["scorer", *[SCORER] * len(columns)])
        writer.writerow(["bodyparts", *(name for name, _ in columns)])
        writer.writerow(["coords", *(axis for _, axis in columns)])
        for frame, row in zip(person.frame.tolist(), values.reshape(len(values), -1), strict=True):
            cells = ["" if np.isnan(value) else f"{value:.4f}" for value in row]
            writer.writerow([frame - 1, *cells])
    return len(values)
