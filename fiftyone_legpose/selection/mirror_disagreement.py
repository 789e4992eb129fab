"""Disagreement of a model with itself: what it finds in the mirrored frame, and how far off."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from fiftyone_legpose import legs
from fiftyone_legpose.dataset.frames import source_dataset, values
from fiftyone_legpose.dataset.pose_table import PoseTable
from fiftyone_legpose.errors import DatasetError, UnreadableError
from fiftyone_legpose.prediction.flip_test import CANDIDATE_SHARE
from fiftyone_legpose.prediction.inference import SWITCHES, Inference
from fiftyone_legpose.prediction.looking import Looker
from fiftyone_legpose.prediction.raw_poses import RawPoses
from fiftyone_legpose.prediction.runtimes import PoseModel
from fiftyone_legpose.progress import Report
from fiftyone_legpose.videos import decoding
from fiftyone_legpose.zoo.weights import Weights, find_weights

_HARMLESS, _CERTAIN = 0.05, 0.25
"""Leg lengths between the two predictions of a point: labels vary by the first."""


def mirror_signal(
    view: Any,
    table: PoseTable,
    frames: np.ndarray,
    field: str,
    *,
    weights: str | Path | None,
    trust: bool = False,
    report: Report,
) -> np.ndarray:
    """Predict frames mirrored and compare with what was predicted.

    Parameters
    ----------
    view
        The collection of the table.
    table
        Predictions.
    frames
        Shape (F,) of bool: the frames to predict again.
    field
        The field of the predictions, whose run tells their weights.
    weights
        Weights; by default those in use.
    trust
        Whether a checkpoint of unknown origin, which can run code, may be loaded.
    report
        Called with the frames done.

    Returns
    -------
    np.ndarray
        Shape (F, K): strengths from 0 to 1; 1 for all points of a person who is not found again.

    Raises
    ------
    DatasetError
        The predictions were made by other weights, or it is not known any more by which, or a
        file cannot be decoded.
    WeightsError
        The weights are missing, unknown or no checkpoint.
    """
    found, asked, flip_tested = _same_run(view, field, weights, trust)
    looker = Looker(PoseModel(found, asked))
    strength = np.zeros((len(frames), len(legs.KEYPOINTS)))
    total = int(frames.sum())
    for done, (frame, picture) in enumerate(_pictures(table, frames), 1):
        poses = np.flatnonzero(table.pose_frame == frame)
        [raw] = looker.look([np.ascontiguousarray(picture[:, ::-1])])
        off = _distances(table.points[poses], _mirrored(raw, picture.shape[1]))
        if flip_tested:
            # A mean lies between what both pictures say, or it is what one of them says: from one
            # by way of it to the other is as far as they are apart.
            [raw] = looker.look([picture])
            off = off + _distances(table.points[poses], raw.points)
        off = np.clip((off / table.leg[poses, None] - _HARMLESS) / (_CERTAIN - _HARMLESS), 0, 1)
        strength[frame] = off.max(axis=0, initial=0)
        report(done, total, "mirrored frames")
    return strength


def _same_run(
    view: Any, field: str, weights: str | Path | None, trust: bool
) -> tuple[Weights, Inference, bool]:
    """Find the weights that predictions were made with, what to ask, and if by the flip test.

    Of several runs the lowest `conf` counts: at a higher one, a person who was found with less
    confidence would not be found again, however good the points are. With the flip test somebody
    needs less of it in one picture. A switch that was on in one of the runs is on.
    """
    found = find_weights(weights, trust=trust)
    dataset = source_dataset(view)
    runs: list[Inference] = []
    [makers] = values(view, f"{field}.made_by")
    for key in sorted(set(makers) - {None}):
        if not dataset.has_run(key):
            raise DatasetError(
                f"predictions in {field!r} were made by the run {key!r}, which was deleted: their "
                "weights are not known; predict again (overwrite)"
            )
        config = dataset.get_run_info(key).config
        if config.weights_sha256 != found.sha256:
            raise DatasetError(
                f"the predictions in {field!r} were made by {config.weights}, not by {found.name}; "
                "name their weights, or predict again"
            )
        runs.append(Inference.of_run(config))
    if not runs:
        return found, Inference(), False
    switches: dict[str, Any] = {name: any(getattr(run, name) for run in runs) for name in SWITCHES}
    asked = replace(runs[-1], conf=min(run.conf for run in runs), **switches)
    if asked.flip_test:
        # Each of the two pictures is asked on its own here.
        return found, replace(asked, conf=asked.conf * CANDIDATE_SHARE, flip_test=False), True
    return found, asked, False


def _pictures(table: PoseTable, frames: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    for sample in np.unique(table.frame_sample[frames]):
        own = np.flatnonzero(frames & (table.frame_sample == sample)).tolist()
        path = table.filepaths[sample]
        try:
            if np.isnan(table.frame_rates[sample]):
                yield own[0], decoding.read_picture(path)
                continue
            frame_at = dict(zip(table.frame_number[own].tolist(), own, strict=True))
            for number, picture in decoding.read_frames(path, list(frame_at)):
                yield frame_at[number], picture
        except UnreadableError as error:
            raise DatasetError(f"{path} cannot be decoded: {error}; leave it out") from error


def _mirrored(raw: RawPoses, width: int) -> np.ndarray:
    """Turn points (N, K, 2) found in a mirrored picture back."""
    points = raw.points[:, list(legs.FLIP_INDEX)].astype(float)
    points[..., 0] = width - points[..., 0]
    return points


def _distances(points: np.ndarray, again: np.ndarray) -> np.ndarray:
    """Distances (N, K) in px from each pose to the closest one found again; infinite if none."""
    off = np.linalg.norm(points[:, None] - again[None], axis=-1)
    rows, columns = linear_sum_assignment(np.nan_to_num(off, nan=1e6).mean(axis=-1))
    out = np.full(points.shape[:2], np.inf)
    out[rows] = off[rows, columns]
    return np.nan_to_num(out, nan=0.0, posinf=np.inf)
