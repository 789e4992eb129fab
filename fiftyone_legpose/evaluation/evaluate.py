"""evaluate: how good predictions are, joint by joint, and whether new weights beat old ones."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Unpack

import numpy as np

from fiftyone_legpose import legs
from fiftyone_legpose.dataset import fields
from fiftyone_legpose.dataset.by_name import takes_name
from fiftyone_legpose.dataset.fields import error_field
from fiftyone_legpose.dataset.frames import source_dataset
from fiftyone_legpose.dataset.writing_lock import waits_its_turn
from fiftyone_legpose.evaluation import metrics
from fiftyone_legpose.evaluation.comparison import Comparison, compare
from fiftyone_legpose.evaluation.frame_errors import frame_errors, write_frame_errors
from fiftyone_legpose.evaluation.intervals import Change, Estimate, estimate
from fiftyone_legpose.evaluation.material import Material, labelled_frames, read_material
from fiftyone_legpose.evaluation.predictions import made_with, predict_with
from fiftyone_legpose.evaluation.result import (
    Evaluation,
    list_evaluations,
    load_evaluation,
    store_evaluation,
)
from fiftyone_legpose.evaluation.trained_frames import (
    count_trained,
    trained_frames,
    without_trained,
)
from fiftyone_legpose.pose.geometry import CORRECT_WITHIN
from fiftyone_legpose.prediction.inference import Inference, NetworkOptions, takes_inference
from fiftyone_legpose.privacy.masks import read_masks
from fiftyone_legpose.progress import Report, reporting
from fiftyone_legpose.zoo.weights import find_weights

__all__ = ["Evaluation", "error_field", "evaluate", "list_evaluations", "load_evaluation"]


@takes_inference
@takes_name("dataset_or_view")
@waits_its_turn("dataset_or_view")
def evaluate(
    dataset_or_view: Any,
    *,
    weights: str | Path | Sequence[str | Path] | None = None,
    pred_field: str | Sequence[str] | None = None,
    gt_field: str = fields.GROUND_TRUTH,
    group_by: str | None = None,
    min_score: float = 0.25,
    sigmas: Sequence[float] = legs.SIGMAS,
    resamples: int = 1000,
    seed: int = 51,
    trust: bool = False,
    trained_on: bool = False,
    report: str | Path | None = None,
    worst: int = 12,
    progress: Report | bool | None = None,
    **inference: Unpack[NetworkOptions],
) -> Evaluation:
    """Compare predictions, or weights, with what people labelled, on the same frames.

    Only frames that a person has looked at count; one that was confirmed to be empty counts for
    predicted persons who are not there. Frames that one of the weights was trained on would flatter
    it and are left out. The first prediction is what the others are compared with.

    Parameters
    ----------
    dataset_or_view
        Videos or images with ground truth.
    weights
        Names or paths of weights (see `zoo.weights.find_weights`). Each predicts every labelled
        frame by itself, without tracks, into a field ``eval_<name>_<sha256>``, which stays.
    pred_field
        Fields of stored predictions; `fields.PREDICTIONS` where neither is given.
    gt_field
        The labels.
    group_by
        Sample field whose values are drawn together for the intervals, for example ``subject``.
        By default each video; that of images as `splits.sample_groups` tells it.
    min_score
        Predicted persons of a lower box confidence count for AP alone.
    sigmas
        OKS constant of each keypoint.
    resamples
        Bootstrap draws of the groups, for the 95% intervals.
    seed
        Of the draws.
    trust
        Load weights of unknown origin, which can run code.
    trained_on
        Use all labelled frames, also those that a version of the registry, or one that it came
        from, was trained on. Of stored predictions only those of `predict` say whose they are.
    report
        Folder for ``report.html``: plots and the worst frames as pictures.
    worst
        How many frames those are.
    progress
        See `fiftyone_legpose.progress.reporting`.
    **inference
        For `weights`, as for `predict`: attributes of `prediction.inference.Inference`.

    Returns
    -------
    Evaluation
        Also stored as a custom run of the dataset under `Evaluation.key`. Each prediction gets a
        frame field (`error_field`) that the App can sort by, and for videos a summary of it.

    Raises
    ------
    DatasetError
        Nothing is labelled, or no labelled frame was predicted, or all were trained on.
    TypeError
        There is no such option.

    Notes
    -----
    `weights` are asked as the options of `predict` say. The names of switches that are on, such as
    ``_flip_test``, are added to the names of their fields. Frames that they have predicted before
    stay, on whatever runtime that was.

    Error is in px and in leg lengths (hip to knee to ankle, the longer side, of the true pose). A
    person is found from OKS 0.5. The area for OKS is 0.53 of the box around the labelled points.
    """
    with reporting("evaluate", progress) as tell:
        view = labelled_frames(dataset_or_view, gt_field)
        found = [find_weights(w, trust=trust) for w in _as_list(weights or [])]
        stored = [] if found and pred_field is None else _as_list(pred_field or fields.PREDICTIONS)
        trained = trained_frames(view, found, stored)
        view, left_out = (view, []) if trained_on else without_trained(view, trained)
        asked = Inference(**inference)
        predicted = predict_with(view, found, asked, tell) | {name: name for name in stored}
        tell(0, 4, "reading")
        material = read_material(view, gt_field, predicted, group_by)
        settings = {
            "gt_field": gt_field,
            "group_by": material.grouped_by,
            "min_score": min_score,
            "sigmas": [float(s) for s in sigmas],
            "resamples": resamples,
            "seed": seed,
            "imgsz": asked.imgsz if found else None,
            "trained_on": trained_on,
            **made_with(view, predicted),
        }
        tell(1, 4, "comparing")
        compared = _compare(material, min_score, sigmas)
        tell(2, 4, "drawing intervals")
        estimates, changes = _estimate(material, compared, sigmas, resamples, seed)
        result = Evaluation(
            key=_key(material, settings),
            date=datetime.now(UTC).isoformat(timespec="seconds"),
            fields=predicted,
            settings=settings,
            counts={**material.counts, **count_trained(view, material, trained, left_out)},
            estimates=estimates,
            changes=changes,
            calibration={name: _calibration(c) for name, c in compared.items()},
        )
        tell(3, 4, "writing")
        errors = _store(view, material, compared, result)
        if report is not None:
            _report(view, result, material, errors, report, worst)
        tell(4, 4, f"{result.counts['frames']} frames")
    return result


def _as_list(value: Any) -> list[Any]:
    return [value] if isinstance(value, str | Path) else list(value)


def _compare(
    material: Material, min_score: float, sigmas: Sequence[float]
) -> dict[str, Comparison]:
    return {
        name: compare(
            material.true_persons,
            material.persons(name),
            leg=material.leg,
            min_score=min_score,
            sigmas=sigmas,
        )
        for name in material.tables
    }


def _estimate(
    material: Material,
    compared: Mapping[str, Comparison],
    sigmas: Sequence[float],
    resamples: int,
    seed: int,
) -> tuple[dict[str, dict[str, Estimate]], dict[str, dict[str, Change]]]:
    estimates, changes = estimate(compared, material.group, resamples, seed)
    for name in compared:
        # The library's own AP; the weighted one behind the interval agrees to rounding.
        exact = metrics.coco_average_precision(
            material.true_persons, material.persons(name), sigmas=sigmas
        )
        for measure, value in exact.items():
            if np.isfinite(value):
                estimates[name][measure] = replace(estimates[name][measure], value=value)
    return estimates, changes


def _key(material: Material, settings: Mapping[str, Any]) -> str:
    digest = hashlib.sha256(repr(settings).encode())
    for name, table in {"": material.truth, **material.tables}.items():
        digest.update(name.encode())
        for array in (table.pose_frame, table.points, table.visibility, table.score):
            digest.update(np.ascontiguousarray(array).tobytes())
    digest.update("".join(material.truth.frame_ids).encode())
    return f"evaluate_{digest.hexdigest()[:12]}"


def _calibration(compared: Comparison) -> dict[str, list[float | None]]:
    right = compared.error <= CORRECT_WITHIN * compared.leg[:, None]
    bins = metrics.calibration(compared.confidence, right)
    return {
        name: [float(v) if np.isfinite(v) else None for v in values]
        for name, values in bins.items()
    }


def _store(
    view: Any, material: Material, compared: Mapping[str, Comparison], result: Evaluation
) -> dict[str, np.ndarray]:
    """Store the result, and with the frames how far off each prediction is on them."""
    errors = {name: frame_errors(c, len(material.group)) for name, c in compared.items()}
    write_frame_errors(source_dataset(view), material, result.fields, errors)
    store_evaluation(view, result)
    return errors


def _report(
    view: Any,
    result: Evaluation,
    material: Material,
    errors: Mapping[str, np.ndarray],
    folder: str | Path,
    worst: int,
) -> None:
    from fiftyone_legpose.evaluation.report import log_report, worst_frames, write_report

    min_score, masks = result.settings["min_score"], read_masks(source_dataset(view))
    pictures = worst_frames(
        material.truth, material.tables, material.used, errors, worst, min_score, masks
    )
    log_report(view, write_report(result, folder, pictures), len(pictures))
