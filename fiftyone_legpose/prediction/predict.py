"""predict: decode once, run the model, track, and write keypoints into the dataset, streaming."""

import hashlib
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from itertools import chain, islice
from pathlib import Path
from typing import Any, Unpack, get_args

import fiftyone as fo
import numpy as np

from fiftyone_legpose.dataset import fields, keypoint_labels
from fiftyone_legpose.dataset.fields import SOURCE
from fiftyone_legpose.dataset.frames import source_dataset, without_clips
from fiftyone_legpose.dataset.writing_lock import waits_its_turn
from fiftyone_legpose.errors import DatasetError, UnreadableError
from fiftyone_legpose.prediction.annotated_video import write_annotated_videos
from fiftyone_legpose.prediction.inference import Inference, InferenceOptions, takes_inference
from fiftyone_legpose.prediction.label_writer import (
    LabelWriter,
    StoredLabels,
    exchanged_back,
    stored_labels,
)
from fiftyone_legpose.prediction.raw_poses import PreparedFrame, RawPoses
from fiftyone_legpose.prediction.runtimes import PoseModel, check_backend
from fiftyone_legpose.prediction.tracking import PersonTracker, Tracker
from fiftyone_legpose.progress import Report, reporting
from fiftyone_legpose.videos import decoding
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


@takes_inference
@waits_its_turn("dataset_or_view")
def predict(
    dataset_or_view: Any,
    *,
    weights: str | Path | Weights | None = None,
    every: int = 1,
    track: bool | Tracker = True,
    label_field: str = fields.PREDICTIONS,
    trust: bool = False,
    overwrite: bool = False,
    repair_swaps: bool = False,
    save_video: str | Path | None = None,
    progress: Report | bool | None = None,
    **inference: Unpack[InferenceOptions],
) -> PredictSummary:
    """Find the legs in every frame of videos, or in pictures, and save them to the dataset.

    Frames that the same weights and settings have predicted are skipped. Interrupted, it keeps
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
        Whether persons get track ids in videos, or by which of ultralytics' trackers.
    label_field
        Bare name of the field for the keypoints; boxes go into ``<label_field>_boxes``.
    trust
        Load weights of unknown origin, which can run code.
    overwrite
        Predict again what is done.
    repair_swaps
        Exchange left and right back on frames of a track where the motion says that the model
        mixed them up (`swaps.find_swaps`); such keypoints carry ``sides_exchanged``.
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
    WeightsError
        See `find_weights`.
    TypeError
        There is no such option.
    """
    asked = Inference(**inference)
    tracker = _check_settings(dataset_or_view, asked, every, track, label_field)
    check_backend(asked.backend)
    if repair_swaps and tracker is None:
        raise DatasetError("repair_swaps looks at tracks: leave track on.")
    found = weights if isinstance(weights, Weights) else find_weights(weights, trust=trust)
    dataset = source_dataset(dataset_or_view)
    view = without_clips(dataset_or_view)
    settings = _settings(asked, tracker, repair_swaps=repair_swaps)
    key = _run_key(label_field, found, settings)
    keypoint_labels.declare(dataset, label_field, boxes=True)
    video = view.media_type == "video"
    if video:
        _ensure_frames(dataset)
    work = _Work(
        view=view,
        target=dataset if video else view,
        field=label_field,
        key=key,
        model=_LazyModel(found, asked),
        tracker=tracker if video else None,
        repair_swaps=repair_swaps and video,
    )
    batches = _video_batches(work, every, overwrite) if video else [_image_batch(work, overwrite)]
    summary = PredictSummary(run_key=key, weights=found.name, backend=None)
    todo = sum(len(batch.todo) for batch in batches)
    summary = replace(summary, skipped=sum(len(b.numbers) for b in batches) - todo)
    if todo:
        _register(dataset, key, found, settings, label_field)
        with reporting("predict", progress) as report:
            report(0, todo, "loading the model")
            summary = _run(work, batches, summary, todo, report)
    if save_video is not None and video:
        saved = write_annotated_videos(
            dataset_or_view, save_video, label_field=label_field, progress=progress
        )
        summary = replace(summary, videos_saved=[str(path) for path in saved])
    return summary


@dataclass(frozen=True)
class _LazyModel:
    """A model that is loaded when the first frame needs it: a second run needs none."""

    weights: Weights
    inference: Inference

    @cached_property
    def loaded(self) -> PoseModel:
        return PoseModel(self.weights, self.inference)


@dataclass(frozen=True)
class _Work:
    """What all files of one call share."""

    view: Any
    target: Any
    """What is written to: all of the videos, or the very collection of images."""
    field: str
    key: str
    model: _LazyModel
    tracker: Tracker | None
    repair_swaps: bool


@dataclass(frozen=True)
class _Batch:
    """The frames of one video, or all pictures of a collection."""

    filepaths: list[str]
    """One of a video, or one a picture."""
    source: str
    """The video that `filepaths` may hold a playable copy of."""
    sample_id: str | None
    numbers: list[int]
    """Frame numbers asked for, from 1 and rising; of pictures their position."""
    ids: dict[int, str]
    """Frame id, or sample id of a picture, by number."""
    todo: list[int]


def _check_settings(
    view: Any,
    asked: Inference,
    every: int,
    track: bool | str,
    label_field: str,
) -> Tracker | None:
    if not isinstance(view, fo.core.collections.SampleCollection):
        raise DatasetError(f"predict needs a FiftyOne dataset or view, not {view!r}.")
    if view.media_type not in ("video", "image") or not len(view):
        what = f"holds {view.media_type}" if len(view) else "is empty"
        raise DatasetError(f"This collection {what}: load videos or images first.")
    if not 0 <= asked.conf <= 1:
        raise DatasetError(f"conf must lie between 0 and 1, not {asked.conf}.")
    if asked.imgsz is not None and (asked.imgsz < 32 or asked.imgsz % 32):
        raise DatasetError(f"imgsz must be a multiple of 32 px, not {asked.imgsz}.")
    if every < 1:
        raise DatasetError(f"every must be 1 or more, not {every}.")
    if label_field.startswith("frames.") or label_field == fields.GROUND_TRUTH:
        raise DatasetError(
            f"label_field {label_field!r} cannot hold predictions: give a bare field name other "
            f"than {fields.GROUND_TRUTH!r}, which holds corrections."
        )
    if track in get_args(Tracker):
        return track  # type: ignore[return-value]
    if isinstance(track, str):
        raise DatasetError(f"track must be True, False or one of {', '.join(get_args(Tracker))}.")
    return "bytetrack" if track else None


def _settings(asked: Inference, tracker: Tracker | None, *, repair_swaps: bool) -> dict[str, Any]:
    """List all that changes what a run finds, but for the weights.

    The names, their order, and that a switch is listed only where it is on, are part of the keys
    that datasets hold: with others, frames that are done would be predicted again.
    """
    switches = [*asked.on, *(["repair_swaps"] if repair_swaps else [])]
    where = {"conf": asked.conf, "imgsz": asked.imgsz, "track": tracker}
    return where | dict.fromkeys(switches, True)


def _run_key(label_field: str, weights: Weights, settings: dict[str, Any]) -> str:
    """Name the run by all that changes its result, so that equal calls share one."""
    text = json.dumps({"weights": weights.sha256, "first": weights.right_first, **settings})
    return f"predict_{label_field}_{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def _ensure_frames(dataset: fo.Dataset) -> None:
    """Give every frame a document, also in datasets that `load` did not make."""
    if None in dataset.values("metadata.total_frame_count"):
        dataset.compute_metadata(progress=False)
    expected = sum(count or 0 for count in dataset.values("metadata.total_frame_count"))
    if dataset.count("frames") < expected:
        dataset.ensure_frames()


def _video_batches(work: _Work, every: int, overwrite: bool) -> list[_Batch]:
    batches = []
    rows = work.view.values(
        ["id", "filepath", "frames.frame_number", "frames.id", f"frames.{work.field}.made_by"]
    )
    has_sources = work.view.has_sample_field(SOURCE)
    sources = work.view.values(SOURCE) if has_sources else [None] * len(rows[0])
    for source, sample_id, filepath, numbers, ids, made_by in zip(sources, *rows, strict=True):
        chosen = [
            (number, frame_id, not overwrite and maker == work.key)
            for number, frame_id, maker in zip(numbers, ids, made_by, strict=True)
            if (number - 1) % every == 0
        ]
        batches.append(
            _Batch(
                filepaths=[filepath],
                source=source or filepath,
                sample_id=sample_id,
                numbers=[number for number, _, _ in chosen],
                ids={number: frame_id for number, frame_id, _ in chosen},
                todo=[number for number, _, done in chosen if not done],
            )
        )
    return batches


def _image_batch(work: _Work, overwrite: bool) -> _Batch:
    ids, filepaths, made_by = work.view.values(["id", "filepath", f"{work.field}.made_by"])
    return _Batch(
        filepaths=filepaths,
        source=filepaths[0],
        sample_id=None,
        numbers=list(range(len(ids))),
        ids=dict(enumerate(ids)),
        todo=[i for i, maker in enumerate(made_by) if overwrite or maker != work.key],
    )


def _run(
    work: _Work, batches: list[_Batch], summary: PredictSummary, todo: int, report: Report
) -> PredictSummary:
    model = work.model.loaded
    writer = LabelWriter(work.target, work.field, work.key)
    tally = _Tally(todo, report, model.backend)
    failures = []
    for batch in batches:
        if not batch.todo:
            continue
        try:
            if batch.sample_id is None:
                failures += _predict_images(work, batch, writer, tally)
            else:
                _predict_video(work, batch, writer, tally)
        except UnreadableError as error:
            failures.append({"path": batch.source, "reason": _reason(batch, error)})
        finally:
            writer.flush()
    return replace(
        summary,
        backend=model.backend,
        frames=tally.frames,
        persons=tally.persons,
        mean_confidence=tally.mean_confidence,
        seconds=tally.seconds,
        seconds_writing=writer.seconds,
        failures=failures,
    )


def _reason(batch: _Batch, error: UnreadableError) -> str:
    """Say why a video failed; a copy is named by a hash, which tells nobody anything."""
    path = batch.filepaths[0]
    if path != batch.source and not Path(path).exists():
        return "its playable copy is gone: load the video again, which makes it anew"
    return str(error)


def _predict_video(work: _Work, batch: _Batch, writer: LabelWriter, tally: "_Tally") -> None:
    try:
        _predict_frames(work, batch, writer, tally)
    except UnreadableError:
        _repair_swaps(work, batch, writer)  # what comes before the frame that cannot be decoded
        raise
    _repair_swaps(work, batch, writer)


def _predict_frames(work: _Work, batch: _Batch, writer: LabelWriter, tally: "_Tally") -> None:
    model = work.model.loaded
    [path] = batch.filepaths
    todo = set(batch.todo)
    frames = decoding.read_ahead(
        lambda: ((n, model.prepare(f)) for n, f in decoding.read_frames(path, batch.todo))
    )
    predictions = _infer(model, frames)
    first = next(predictions)
    # Before what is stored is read: in px it is right only with the right size.
    _correct_size(work.target[batch.sample_id], first[1])
    predictions = chain([first], predictions)
    done, taken = _known_tracks(work, batch, todo) if work.tracker else ({}, frozenset())
    tracker = PersonTracker(work.tracker, taken=taken) if work.tracker else None
    for number in sorted(todo | done.keys()):
        if number in todo:
            _, frame, raw = next(predictions)
            track_ids = tracker.update(raw.boxes, raw.scores) if tracker else None
            writer.add(batch.ids[number], frame, raw, track_ids)
            tally.add(raw)
        elif tracker:
            # Done frames pass through the tracker too, so that ids go on across an interruption,
            # and from one view of the video to another.
            writer.retrack(done[number].frame_id, done[number], tracker)


def _correct_size(sample: fo.Sample, frame: PreparedFrame) -> None:
    """Let a video's metadata say the size that its frames are decoded at.

    FiftyOne reads the size as it is stored, and a phone's video is turned when it is decoded. All
    that is in px, such as an export, comes from the metadata.
    """
    height, width = frame.shape
    metadata = sample.metadata
    if (metadata.frame_width, metadata.frame_height) != (width, height):
        metadata.frame_width, metadata.frame_height = width, height
        sample.save()


def _repair_swaps(work: _Work, batch: _Batch, writer: LabelWriter) -> None:
    if not work.repair_swaps:
        return
    writer.flush()
    for frame_id, labels in exchanged_back(work.target, work.field, work.key, batch.sample_id):
        writer.put(frame_id, labels)


def _known_tracks(
    work: _Work, batch: _Batch, todo: set[int]
) -> tuple[dict[int, StoredLabels], frozenset[int]]:
    """Give what this run has found on a video's other frames, and the ids that other runs use."""
    names = ("frame_number", f"{work.field}.made_by", f"{work.field}.keypoints.index")
    columns = work.target.select(batch.sample_id).values([f"frames.{name}" for name in names])
    kept = [
        row for row in zip(*(column[0] for column in columns), strict=True) if row[0] not in todo
    ]
    done = {}
    if any(made_by == work.key for _, made_by, _ in kept):
        stored = stored_labels(work.target, work.field, work.key, batch.sample_id)
        done = {number: labels for number, labels in stored.items() if number not in todo}
    theirs = [ids or [] for _, made_by, ids in kept if made_by != work.key]
    return done, frozenset(i for ids in theirs for i in ids if i is not None)


def _predict_images(
    work: _Work, batch: _Batch, writer: LabelWriter, tally: "_Tally"
) -> list[dict[str, str]]:
    model = work.model.loaded
    failures: list[dict[str, str]] = []

    def prepared() -> Iterator[tuple[int, PreparedFrame]]:
        for number in batch.todo:
            path = batch.filepaths[number]
            try:
                yield number, model.prepare(decoding.read_picture(path))
            except UnreadableError as error:
                failures.append({"path": path, "reason": str(error)})

    for number, frame, raw in _infer(model, decoding.read_ahead(prepared)):
        writer.add(batch.ids[number], frame, raw, None)
        tally.add(raw)
    return failures


def _infer(
    model: PoseModel, frames: Iterator[tuple[int, PreparedFrame]]
) -> Iterator[tuple[int, PreparedFrame, RawPoses]]:
    """Run the model batch by batch; frames decoded before a failure are still predicted."""
    failure: UnreadableError | None = None

    def guarded() -> Iterator[tuple[int, PreparedFrame]]:
        nonlocal failure
        try:
            yield from frames
        except UnreadableError as error:
            failure = error

    source = guarded()
    pending: tuple[list[tuple[int, PreparedFrame]], Callable[[], list[RawPoses]]] | None = None
    while True:
        chunk = list(islice(source, model.batch))
        begun = (chunk, model.begin([frame for _, frame in chunk])) if chunk else None
        if pending is not None:
            for (number, frame), raw in zip(pending[0], pending[1](), strict=True):
                yield number, frame, raw
        pending = begun
        if pending is None:
            break
    if failure is not None:
        raise failure


class _Tally:
    """Counts for the summary and for the progress bar."""

    def __init__(self, todo: int, report: Report, backend: str):
        self._todo = todo
        self._report = report
        self._backend = backend
        self._started = time.perf_counter()
        self._confidence: list[float] = []
        self.frames = 0
        self.persons = 0

    def add(self, raw: RawPoses) -> None:
        self.frames += 1
        self.persons += len(raw.boxes)
        if raw.confidence is not None:
            self._confidence += raw.confidence.mean(axis=1).tolist()
        rate = self.frames / self.seconds
        self._report(self.frames, self._todo, f"{rate:.1f} frames/s ({self._backend})")

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self._started

    @property
    def mean_confidence(self) -> float | None:
        return float(np.mean(self._confidence)) if self._confidence else None


def _register(
    dataset: fo.Dataset, key: str, weights: Weights, settings: dict[str, Any], label_field: str
) -> None:
    if dataset.has_run(key):
        return
    import ultralytics

    config = dataset.init_run(
        method="legpose/predict",
        weights=weights.name,
        weights_sha256=weights.sha256,
        right_first=weights.right_first,
        label_field=label_field,
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        versions={"fiftyone": fo.__version__, "ultralytics": ultralytics.__version__},
        **settings,
    )
    dataset.register_run(key, config)


def describe(summary: PredictSummary) -> str:
    """Say in one line what `predict` did."""
    if not summary.frames and not summary.failures:
        return f"Nothing to do: {summary.skipped} frames were predicted before with these weights."
    rate = summary.frames / summary.seconds if summary.seconds else 0.0
    parts = [
        f"{summary.frames} frames, {summary.persons} persons",
        f"{rate:.1f} frames/s with {summary.backend}, weights {summary.weights}",
    ]
    if summary.skipped:
        parts.append(f"{summary.skipped} frames were done before")
    if summary.failures:
        parts.append(f"{len(summary.failures)} files failed")
    return "; ".join(parts) + "."
