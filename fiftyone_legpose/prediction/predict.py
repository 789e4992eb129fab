"""predict: decode once, run the model, track, and write keypoints into the dataset, streaming."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Unpack, get_args

import fiftyone as fo

from fiftyone_legpose.dataset import fields, keypoint_labels
from fiftyone_legpose.dataset.by_name import takes_name
from fiftyone_legpose.dataset.checks import check_no_groups
from fiftyone_legpose.dataset.frames import source_dataset, without_clips
from fiftyone_legpose.dataset.writing_lock import waits_its_turn
from fiftyone_legpose.errors import DatasetError
from fiftyone_legpose.prediction.annotated_video import write_annotated_videos
from fiftyone_legpose.prediction.frames_to_predict import (
    ensure_frames,
    image_batch,
    video_batches,
)
from fiftyone_legpose.prediction.inference import InferenceOptions, takes_inference
from fiftyone_legpose.prediction.kept_settings import Settings, settings_of, settle
from fiftyone_legpose.prediction.runtimes import check_backend
from fiftyone_legpose.prediction.seen import Seen
from fiftyone_legpose.prediction.stored_runs import register_run, run_key, run_settings
from fiftyone_legpose.prediction.streaming import LazyModel, Work, stream
from fiftyone_legpose.prediction.tracking import Tracker
from fiftyone_legpose.progress import Report, reporting
from fiftyone_legpose.zoo.devices import find_device
from fiftyone_legpose.zoo.weights import Weights, find_weights


@dataclass(frozen=True)
class PredictSummary:
    """What one call of `predict` did."""

    run_key: str
    """Key of the custom run on the dataset that holds weights and settings."""
    weights: str
    backend: str | None
    """Runtime that was used; None where nothing was left to do."""
    frames: int = 0
    """Frames predicted by this call."""
    skipped: int = 0
    """Frames that the same weights and settings had predicted before."""
    persons: int = 0
    mean_confidence: float | None = None
    """Mean keypoint confidence over this call's persons, where the weights give one."""
    seconds: float = 0.0
    """Wall time from the first frame to the last write, without loading the model."""
    seconds_writing: float = 0.0
    failures: list[dict[str, str]] = field(default_factory=list)
    """``path`` and ``reason`` of each file that failed; the others went on."""
    videos_saved: list[str] = field(default_factory=list)
    kept: dict[str, Any] = field(default_factory=dict)
    """Settings that the call did not name, and that are those the field was predicted with."""
    seen: Seen | None = None
    """How many people, how large and how followed; None where nothing was left to do."""


@takes_inference
@takes_name("dataset_or_view")
@waits_its_turn("dataset_or_view")
def predict(
    dataset_or_view: Any,
    *,
    weights: str | Path | Weights | None = None,
    every: int = 1,
    track: bool | Tracker | None = None,
    label_field: str = fields.PREDICTIONS,
    trust: bool = False,
    overwrite: bool = False,
    repair_swaps: bool | None = None,
    save_video: str | Path | None = None,
    progress: Report | bool | None = None,
    **inference: Unpack[InferenceOptions],
) -> PredictSummary:
    """Find the legs in every frame of videos, or in pictures, and save them to the dataset.

    Frames that the same weights and settings have predicted are skipped. Settings that a call does
    not name are those that most frames of the field were predicted with (`kept_settings`): a call
    with fewer of them would put worse points in the place of better ones. Interrupted, it keeps
    what is finished and goes on from there when called again. A track id is one person in a whole
    video: views of it that are predicted in several calls get the ids of a single one, which can
    give those of an earlier call other numbers.

    Parameters
    ----------
    dataset_or_view
        Video or image collection; of a view only its own frames are decoded.
    weights
        As `fiftyone_legpose.zoo.weights.find_weights` takes them; None is the default version.
    every
        Look at every n-th frame only; the others stay None, which means not looked at.
    track
        Whether persons get track ids in videos, or by which of ultralytics' trackers; where nothing
        was predicted yet, they do.
    label_field
        Bare name of the field for the keypoints; boxes go into ``<label_field>_boxes``.
    trust
        Load weights of unknown origin, which can run code.
    overwrite
        Predict again what is done.
    repair_swaps
        Exchange left and right back on frames of a track where the motion says that the model
        mixed them up (`swaps.find_swaps`); such keypoints carry ``sides_exchanged``. Where nothing
        was predicted yet, it does not.
    save_video
        Folder for annotated H.264 videos.
    progress
        See `fiftyone_legpose.progress.reporting`.
    **inference
        What the network is asked and on what it runs: the attributes of `inference.Inference`, for
        example ``flip_test=True``.

    Returns
    -------
    PredictSummary

    Raises
    ------
    DatasetError
        The collection or a setting is not what predict needs.
    DeviceError
        There is no such device.
    WeightsError
        See `find_weights`.
    TypeError
        There is no such option.
    """
    _check_target(dataset_or_view, label_field)
    dataset = source_dataset(dataset_or_view)
    view = without_clips(dataset_or_view)
    asked, kept = settle(settings_of(view, label_field), inference, track, repair_swaps)
    _check_settings(asked, every)
    found = weights if isinstance(weights, Weights) else find_weights(weights, trust=trust)
    settings = run_settings(asked.inference, asked.track, repair_swaps=asked.repair_swaps)
    key = run_key(label_field, found, settings)
    keypoint_labels.declare(dataset, label_field, boxes=True)
    video = view.media_type == "video"
    if save_video is not None and not video:
        raise DatasetError("save_video draws into videos, and these are pictures: leave it out.")
    if video:
        ensure_frames(dataset)
        batches = video_batches(view, label_field, key, every=every, overwrite=overwrite)
    else:
        batches = [image_batch(view, label_field, key, overwrite=overwrite)]
    todo = sum(len(batch.todo) for batch in batches)
    done_before = sum(len(batch.numbers) for batch in batches) - todo
    summary = PredictSummary(key, found.name, backend=None, skipped=done_before, kept=kept)
    if todo:
        register_run(dataset, key, found, settings, label_field)
        work = Work(
            target=dataset if video else view,
            field=label_field,
            key=key,
            model=LazyModel(found, asked.inference),
            tracker=asked.track if video else None,
            repair_swaps=asked.repair_swaps and video,
        )
        with reporting("predict", progress) as report:
            report(0, todo, "loading the model")
            summary = replace(summary, **vars(stream(work, batches, report)))
    if save_video is not None:
        saved = write_annotated_videos(
            dataset_or_view, save_video, label_field=label_field, progress=progress
        )
        summary = replace(summary, videos_saved=[str(path) for path in saved])
    return summary


def _check_target(view: Any, label_field: str) -> None:
    if not isinstance(view, fo.core.collections.SampleCollection):
        raise DatasetError(f"predict needs a FiftyOne dataset or view, not {view!r}.")
    check_no_groups(view)
    if view.media_type not in ("video", "image") or not len(view):
        what = f"holds {view.media_type}" if len(view) else "is empty"
        raise DatasetError(f"This collection {what}: load videos or images first.")
    if not fields.is_field_name(label_field) or label_field == fields.GROUND_TRUTH:
        raise DatasetError(
            f"label_field {label_field!r} cannot hold predictions: give a name of letters, "
            f"digits and underscores, other than {fields.GROUND_TRUTH!r}, which holds corrections."
        )


def _check_settings(asked: Settings, every: int) -> None:
    conf, imgsz = asked.inference.conf, asked.inference.imgsz
    if not 0 <= conf <= 1:
        raise DatasetError(f"conf must lie between 0 and 1, not {conf}.")
    if imgsz is not None and (imgsz < 32 or imgsz % 32):
        raise DatasetError(f"imgsz must be a multiple of 32 px, not {imgsz}.")
    if not isinstance(every, int) or every < 1:
        raise DatasetError(f"every must be a whole number of 1 or more, not {every}.")
    if asked.track is not None and asked.track not in get_args(Tracker):
        raise DatasetError(f"track must be True, False or one of {', '.join(get_args(Tracker))}.")
    check_backend(asked.inference.backend)
    find_device(asked.inference.device)
    if asked.repair_swaps and asked.track is None:
        raise DatasetError("repair_swaps looks at tracks: leave track on.")


def describe(summary: PredictSummary) -> str:
    """Say in one line what `predict` did and saw."""
    settings = ", ".join(f"{name} {_shown(value)}" for name, value in summary.kept.items())
    kept = f" Settings as before: {settings}." if settings else ""
    if not summary.frames and not summary.failures:
        done = f"{summary.skipped} frames were predicted before with these weights."
        return f"Nothing to do: {done}{kept}"
    rate = summary.frames / summary.seconds if summary.seconds else 0.0
    parts = [
        f"{summary.frames} frames, {summary.persons} persons",
        f"{rate:.1f} frames/s with {summary.backend}, weights {summary.weights}",
    ]
    if summary.skipped:
        parts.append(f"{summary.skipped} frames were done before")
    if summary.failures:
        parts.append(f"{len(summary.failures)} files failed")
    told = "; ".join(parts) + "."
    if summary.seen and summary.frames:
        told += f" {summary.seen.describe()}"
    return told + kept


def _shown(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return "on" if value else "off"
    return str(value)


def warnings(summary: PredictSummary) -> list[str]:
    """Say what kept `predict` from placing points well, and what helps."""
    return summary.seen.warnings() if summary.seen and summary.frames else []
