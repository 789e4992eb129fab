"""evaluate: how good predictions are, joint by joint, and whether new weights beat old ones."""

import hashlib
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Unpack

import fiftyone as fo
import numpy as np
from fiftyone import ViewField

from fiftyone_legpose import legs
from fiftyone_legpose.dataset import fields
from fiftyone_legpose.dataset.checks import check_legs, check_whole
from fiftyone_legpose.dataset.fields import VIDEO, error_field
from fiftyone_legpose.dataset.frames import source_dataset
from fiftyone_legpose.dataset.groups import sample_groups
from fiftyone_legpose.dataset.pose_table import PoseTable, read_poses
from fiftyone_legpose.dataset.writing_lock import waits_its_turn
from fiftyone_legpose.errors import DatasetError
from fiftyone_legpose.evaluation import metrics
from fiftyone_legpose.evaluation.comparison import Comparison, compare
from fiftyone_legpose.evaluation.intervals import estimate
from fiftyone_legpose.evaluation.result import (
    Evaluation,
    list_evaluations,
    load_evaluation,
    store_evaluation,
)
from fiftyone_legpose.pose.geometry import CORRECT_WITHIN
from fiftyone_legpose.prediction.inference import (
    SWITCHES,
    Inference,
    NetworkOptions,
    takes_inference,
    words,
)
from fiftyone_legpose.progress import Report, reporting
from fiftyone_legpose.zoo import registry
from fiftyone_legpose.zoo.weights import Weights, find_weights

__all__ = ["Evaluation", "error_field", "evaluate", "list_evaluations", "load_evaluation"]

_LOWEST_CONF = 0.01
"""Box confidence from which predictions count for AP, which asks for the whole curve."""


@takes_inference
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
    asked_of_each = replace(Inference(**inference), conf=_LOWEST_CONF)
    with reporting("evaluate", progress) as tell:
        view = _labelled_frames(dataset_or_view, gt_field)
        asked = [find_weights(w, trust=trust) for w in _as_list(weights or [])]
        stored = [] if asked and pred_field is None else _as_list(pred_field or fields.PREDICTIONS)
        trained = _trained_frames(view, asked, stored)
        left_out: list[str] = []
        if not trained_on:
            view, left_out = _without(view, trained)
        predicted: dict[str, str] = {}
        if asked:
            predicted |= _predict(view, asked, asked_of_each, tell)
        predicted |= {name: name for name in stored}
        tell(0, 4, "reading")
        material = _read(view, gt_field, predicted, group_by)
        tell(1, 4, "comparing")
        compared = {
            name: compare(
                material.true_persons,
                material.persons(name),
                leg=material.leg,
                min_score=min_score,
                sigmas=sigmas,
            )
            for name in predicted
        }
        tell(2, 4, "drawing intervals")
        estimates, changes = estimate(compared, material.group, resamples, seed)
        for name in predicted:
            # The library's own AP; the weighted one behind the interval agrees to rounding.
            exact = metrics.coco_average_precision(
                material.true_persons, material.persons(name), sigmas=sigmas
            )
            for measure, value in exact.items():
                if np.isfinite(value):
                    estimates[name][measure] = replace(estimates[name][measure], value=value)
        settings = {
            "gt_field": gt_field,
            "group_by": material.grouped_by,
            "min_score": min_score,
            "sigmas": [float(s) for s in sigmas],
            "resamples": resamples,
            "seed": seed,
            "imgsz": asked_of_each.imgsz if asked else None,
            "trained_on": trained_on,
        }
        for switch in sorted(SWITCHES):
            if names := _made_with(switch, view, predicted):
                settings[words(switch).evaluated] = names
        result = Evaluation(
            key=_key(material, settings),
            date=datetime.now(UTC).isoformat(timespec="seconds"),
            fields=predicted,
            settings=settings,
            counts={
                **material.counts,
                "frames_trained_on": len(left_out),
                "frames_of_known_subjects": _of_known_subjects(view, material, trained),
            },
            estimates=estimates,
            changes=changes,
            calibration={name: _calibration(c) for name, c in compared.items()},
        )
        tell(3, 4, "writing")
        errors = {name: frame_errors(c, len(material.group)) for name, c in compared.items()}
        _write_errors(source_dataset(view), material, predicted, errors)
        store_evaluation(view, result)
        if report is not None:
            from fiftyone_legpose.evaluation.report import worst_frames, write_report

            pictures = worst_frames(
                material.truth, material.tables, material.used, errors, worst, min_score
            )
            write_report(result, report, pictures)
        tell(4, 4, f"{result.counts['frames']} frames")
    return result


def frame_errors(compared: Comparison, frames: int) -> np.ndarray:
    """Give one number a frame to sort by, worst high.

    Parameters
    ----------
    compared
        From `comparison.compare`.
    frames
        F.

    Returns
    -------
    np.ndarray
        Shape (F,): mean over the persons of their mean error in leg lengths, at most 1. A person
        missed and one who is not there count 1.
    """
    capped = np.minimum(compared.error / compared.leg[:, None], 1)
    total = np.bincount(compared.frame, np.nanmean(capped, axis=1), frames)
    total += np.bincount(compared.spare_frame, minlength=frames)
    persons = np.bincount(compared.frame, minlength=frames)
    return total / np.maximum(persons + np.bincount(compared.spare_frame, minlength=frames), 1)


@dataclass(frozen=True)
class _Material:
    """The labels and the predictions on the frames that have both."""

    truth: PoseTable
    tables: Mapping[str, PoseTable]
    used: np.ndarray
    """(frames of the view,): labelled, and looked at by every prediction."""
    group: np.ndarray
    """(F,): the group of each frame used."""
    grouped_by: str

    @property
    def true_persons(self) -> metrics.Persons:
        return self._persons(self.truth)

    @property
    def leg(self) -> np.ndarray:
        return self.truth.leg[self.used[self.truth.pose_frame]]

    @property
    def counts(self) -> dict[str, int]:
        return {
            "frames": int(self.used.sum()),
            "frames_not_predicted": int((self.truth.looked_at & ~self.used).sum()),
            "persons": len(self.leg),
            "groups": len(np.unique(self.group)),
        }

    def persons(self, name: str) -> metrics.Persons:
        return self._persons(self.tables[name])

    def _persons(self, table: PoseTable) -> metrics.Persons:
        rows = self.used[table.pose_frame]
        place = np.cumsum(self.used) - 1
        return metrics.Persons(
            frame=place[table.pose_frame[rows]],
            points=table.points[rows],
            visibility=table.visibility[rows],
            confidence=table.confidence[rows],
            score=table.score[rows],
        )


def _labelled_frames(view: Any, gt_field: str) -> Any:
    check_whole(view)
    video = view.media_type == "video"
    if view.get_field(f"frames.{gt_field}" if video else gt_field) is None:
        raise DatasetError(
            f"the dataset has no labels in field {gt_field!r}; pull corrections first"
        )
    looked_at = ViewField(gt_field) != None  # noqa: E711 - a FiftyOne expression
    labelled = view.match_frames(looked_at) if video else view.match(looked_at)
    if not len(labelled):
        raise DatasetError(
            f"no frame has labels in field {gt_field!r}: correct some frames and pull them, or "
            "import labels"
        )
    return labelled


def _trained_frames(
    view: Any, weights: Sequence[Weights], stored: Sequence[str]
) -> set[tuple[str, int]]:
    """Name the frames, by sample and number, that weights or their ancestors were trained on."""
    digests = {found.sha256 for found in weights}
    digests |= {run.weights_sha256 for field in stored for run in _runs(view, field)}
    return {
        (frame["sample"], frame["frame"])
        for version in registry.lineage(*digests)
        for frame in version.frames.get("train", ())
    }


def _made_with(option: str, view: Any, predicted: Mapping[str, str]) -> list[str]:
    """Name the predictions of which some, at least, were made with an option of `predict`."""
    return [
        name
        for name, field in predicted.items()
        if any(getattr(run, option, False) for run in _runs(view, field))
    ]


def _runs(view: Any, field: str) -> list[Any]:
    """Read the settings of the runs of `predict` that a field's predictions are of."""
    dataset = source_dataset(view)
    path = f"{'frames.' if view.media_type == 'video' else ''}{field}.made_by"
    keys = view.distinct(path) if view.get_field(path) is not None else []
    return [dataset.get_run_info(key).config for key in keys if dataset.has_run(key)]


def _without(view: Any, trained: Collection[tuple[str, int]]) -> tuple[Any, list[str]]:
    """Leave frames out of a view; also their ids."""
    if view.media_type == "video":
        samples, ids, numbers = view.values(["id", "frames.id", "frames.frame_number"])
        places = [
            (frame_id, (sample, number))
            for sample, of_sample, at in zip(samples, ids, numbers, strict=True)
            for frame_id, number in zip(of_sample, at, strict=True)
        ]
    else:
        places = [(sample, (sample, 1)) for sample in view.values("id")]
    known = [frame_id for frame_id, place in places if place in trained]
    if len(known) == len(places):
        raise DatasetError(
            f"the weights were trained on all {len(known)} labelled frames, which would flatter "
            "them; correct frames of other videos, or say trained_on=True (--trained-on) and do "
            "not trust the figures"
        )
    if not known:
        return view, known
    video = view.media_type == "video"
    return (view.exclude_frames(known) if video else view.exclude(known)), known


def _of_known_subjects(view: Any, material: _Material, trained: Collection[tuple[str, int]]) -> int:
    """Count the frames used of subjects and videos that weights were trained on."""
    dataset = source_dataset(view)
    group_of = dict(zip(dataset.values("id"), sample_groups(dataset)[0], strict=True))
    known = {group_of[sample] for sample, _ in trained if sample in group_of}
    table = material.truth
    used = table.frame_sample[material.used].tolist()
    return sum(group_of[table.sample_ids[i]] in known for i in used)


def _predict(
    view: Any, weights: Sequence[Weights], inference: Inference, tell: Report
) -> dict[str, str]:
    """Predict the labelled frames with each of some weights; the fields by name."""
    from fiftyone_legpose.prediction.predict import predict

    out: dict[str, str] = {}
    for found in weights:
        field = f"eval_{re.sub(r'[^0-9A-Za-z]+', '_', found.name)}_{found.sha256[:8]}"
        field += "".join(f"_{switch}" for switch in inference.on)
        name = found.name if found.name not in out else f"{found.name} {found.sha256[:8]}"
        summary = predict(
            view,
            weights=found,
            label_field=field,
            track=False,
            progress=tell,
            **asdict(inference),
        )
        if summary.failures:
            first = summary.failures[0]
            raise DatasetError(
                f"{len(summary.failures)} files cannot be read, the first is {first['path']}: "
                f"{first['reason']}; evaluate a view without them"
            )
        out[name] = field
    return out


def _as_list(value: Any) -> list[Any]:
    return [value] if isinstance(value, str | Path) else list(value)


def _read(view: Any, gt_field: str, predicted: dict[str, str], group_by: str | None) -> _Material:
    truth = read_poses(view, gt_field)
    tables = {name: read_poses(view, field) for name, field in predicted.items()}
    for name, table in {gt_field: truth, **tables}.items():
        check_legs(table.points, name)
    used = truth.looked_at.copy()
    for name, table in tables.items():
        if not (truth.looked_at & table.looked_at).any():
            raise DatasetError(f"no labelled frame was predicted in {name!r}; run predict first")
        used &= table.looked_at
    if not used.any():
        raise DatasetError(f"no labelled frame was predicted in all of {', '.join(tables)}")
    samples, grouped_by = _groups(view, truth, group_by)
    group = np.unique(samples[truth.frame_sample[used]], return_inverse=True)[1]
    return _Material(truth, tables, used, group, grouped_by)


def _groups(view: Any, truth: PoseTable, group_by: str | None) -> tuple[np.ndarray, str]:
    """Give the group of each sample (S,), and what it is called."""
    if group_by is None:
        # Stills of one walk are as alike as frames of one video, and training parts them as such.
        return np.unique(sample_groups(view)[1], return_inverse=True)[1], VIDEO
    if not view.has_sample_field(group_by):
        raise DatasetError(f"there is no sample field {group_by!r} to group by")
    values = view.values(group_by)
    # A sample without a value stands for itself.
    keys = [
        f"={value}" if value is not None else sample
        for value, sample in zip(values, truth.sample_ids, strict=True)
    ]
    return np.unique(keys, return_inverse=True)[1], group_by


def _key(material: _Material, settings: Mapping[str, Any]) -> str:
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


def _write_errors(
    dataset: fo.Dataset,
    material: _Material,
    predicted: Mapping[str, str],
    errors: Mapping[str, np.ndarray],
) -> None:
    video = dataset.media_type == "video"
    add, prefix = (dataset.add_frame_field, "frames.") if video else (dataset.add_sample_field, "")
    clear = dataset.clear_frame_field if video else dataset.clear_sample_field
    ids = [material.truth.frame_ids[i] for i in np.flatnonzero(material.used)]
    for name, field in predicted.items():
        target = error_field(field)
        add(target, fo.FloatField)
        clear(target)  # what an earlier evaluation said of other frames is no part of this one
        values = dict(zip(ids, errors[name].tolist(), strict=True))
        dataset.set_values(prefix + target, values, key_field=f"{prefix}id", expand_schema=False)
        if not video:
            continue
        summary = f"{target}_of_video"
        if dataset.has_sample_field(summary):
            dataset.update_summary_field(summary)
        else:
            dataset.create_summary_field(prefix + target, field_name=summary)
