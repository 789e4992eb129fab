"""Decode once, run the model, follow persons and write labels, while frames stream through."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any, TypeVar

import fiftyone as fo
import numpy as np

from fiftyone_legpose.dataset.frame_times import video_times
from fiftyone_legpose.dataset.frames import values
from fiftyone_legpose.dataset.pictures import write_sizes
from fiftyone_legpose.errors import UnreadableError
from fiftyone_legpose.prediction.close_look import needed_frames
from fiftyone_legpose.prediction.frames_to_predict import Batch
from fiftyone_legpose.prediction.inference import Inference
from fiftyone_legpose.prediction.label_writer import (
    LabelWriter,
    StoredLabels,
    exchanged_back,
    stored_labels,
)
from fiftyone_legpose.prediction.looking import Looked, Looker
from fiftyone_legpose.prediction.person_scale import Plan, probe_numbers
from fiftyone_legpose.prediction.raw_poses import Frame, PreparedFrame, RawPoses
from fiftyone_legpose.prediction.runtimes import PoseModel
from fiftyone_legpose.prediction.seen import Seen, SeenSoFar
from fiftyone_legpose.prediction.stored_runs import store_plan, stored_plan
from fiftyone_legpose.prediction.tracking import PersonTracker, Tracker
from fiftyone_legpose.progress import Report
from fiftyone_legpose.videos import decoding
from fiftyone_legpose.zoo.weights import Weights

T = TypeVar("T")

# Whole pictures wait here, of 6 MB (1080p) and more each.
_PICTURES_AHEAD = 4


@dataclass(frozen=True)
class LazyModel:
    """A model that is loaded when the first frame needs it: a second run needs none."""

    weights: Weights
    inference: Inference

    @cached_property
    def loaded(self) -> Looker:
        """Load it, once."""
        return Looker(PoseModel(self.weights, self.inference))


@dataclass(frozen=True)
class Work:
    """What all files of one call share."""

    target: Any
    """What is written to: all of the videos, or the very collection of images."""
    field: str
    key: str
    model: LazyModel
    tracker: Tracker | None
    repair_swaps: bool


@dataclass(frozen=True)
class Streamed:
    """What `stream` did; the attributes are those of `PredictSummary`."""

    backend: str
    frames: int
    persons: int
    mean_confidence: float | None
    seconds: float
    seconds_writing: float
    failures: list[dict[str, str]]
    seen: Seen


def stream(work: Work, batches: list[Batch], report: Report) -> Streamed:
    """Predict what is to be done, one file after the other, and write as it goes.

    Parameters
    ----------
    work
        What all files share.
    batches
        Of which only `Batch.todo` is predicted.
    report
        Told the frames that are done.
    """
    todo = sum(len(batch.todo) for batch in batches)
    backend = work.model.loaded.model.backend
    writer = LabelWriter(work.target, work.field, work.key)
    tally = _Tally(todo, report, backend)
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
    return Streamed(
        backend=backend,
        frames=tally.frames,
        persons=tally.persons,
        mean_confidence=tally.mean_confidence,
        seconds=tally.seconds,
        seconds_writing=writer.seconds,
        failures=failures,
        seen=tally.seen.seen(),
    )


def _reason(batch: Batch, error: UnreadableError) -> str:
    """Say why a video failed; a copy is named by a hash, which tells nobody anything."""
    path = batch.filepaths[0]
    if path != batch.source and not Path(path).exists():
        return "its playable copy is gone: load the video again, which makes it anew"
    return str(error)


def _predict_video(work: Work, batch: Batch, writer: LabelWriter, tally: "_Tally") -> None:
    try:
        _predict_frames(work, batch, writer, tally)
    except UnreadableError:
        _repair_swaps(work, batch, writer)  # what comes before the frame that cannot be decoded
        raise
    _repair_swaps(work, batch, writer)


def _predict_frames(work: Work, batch: Batch, writer: LabelWriter, tally: "_Tally") -> None:
    todo = set(batch.todo)
    plan = _plan(work, batch)
    tally.seen.begin_video(plan)
    found = _Found(_look_at_video(work, batch, plan))
    # Before what is stored is read: in px it is right only with the right size.
    _correct_size(work.target[batch.sample_id], found.first)
    done, taken = _known_tracks(work, batch, todo) if work.tracker else ({}, frozenset())
    tracker = PersonTracker(work.tracker, taken=taken) if work.tracker else None
    numbers = sorted(todo | done.keys())
    steps = _time_steps(work, batch, numbers) if tracker else {}
    for number in numbers:
        if number in todo:
            prediction = found.of(number)
            if prediction is None:
                continue
            frame, raw = prediction
            track_ids = None
            if tracker:
                track_ids = tracker.update(raw.boxes, raw.scores, steps=steps[number])
            writer.add(batch.ids[number], frame, raw, track_ids)
            tally.add(frame, raw, track_ids)
        elif tracker:
            # Done frames pass through the tracker too, so that ids go on across an interruption,
            # and from one view of the video to another.
            writer.retrack(done[number].frame_id, done[number], tracker, steps=steps[number])
    found.check()


class _Found:
    """What the model found, frame by frame, without those that cannot be decoded."""

    def __init__(self, predictions: Iterator[Looked]):
        self._predictions = predictions
        self._failure: UnreadableError | None = None
        number, self.first, raw = next(predictions)
        self._next: Looked | None = (number, self.first, raw)

    def of(self, number: int) -> tuple[PreparedFrame | Frame, RawPoses] | None:
        """Take the next frame if it is this one; None where this one could not be decoded."""
        if self._next is None or self._next[0] != number:
            return None
        _, frame, raw = self._next
        try:
            self._next = next(self._predictions, None)
        except UnreadableError as error:
            self._next, self._failure = None, error
        return frame, raw

    def check(self) -> None:
        """Raise what kept frames from being decoded."""
        if self._failure is not None:
            raise self._failure


def _time_steps(work: Work, batch: Batch, numbers: list[int]) -> dict[int, int]:
    """Tell how many usual steps of time each frame comes after the one before it."""
    known = video_times(work.target.select(batch.sample_id))
    times_s = np.array([known[number] for number in numbers])
    passed_s = np.diff(times_s, prepend=times_s[0])
    usual_s = float(np.median(passed_s[1:])) if len(numbers) > 1 else 0.0
    steps = np.round(passed_s / usual_s) if usual_s > 0 else np.ones(len(numbers))
    return dict(zip(numbers, np.maximum(steps, 1).astype(int).tolist(), strict=True))


def _look_at_video(work: Work, batch: Batch, plan: Plan | None) -> Iterator[Looked]:
    """Find the persons in the frames of a video that are to be predicted."""
    looker = work.model.loaded
    [path] = batch.filepaths
    if plan is None or not plan.close:
        prepare = looker.model.prepare
        frames = decoding.read_ahead(
            lambda: ((n, prepare(f)) for n, f in decoding.read_frames(path, batch.todo))
        )
        yield from _before_failure(frames, looker.look_once)
        return
    needed, todo = needed_frames(batch.numbers, batch.todo), set(batch.todo)
    pictures = decoding.read_ahead(lambda: decoding.read_frames(path, needed), _PICTURES_AHEAD)
    watch = partial(looker.watch, numbers=batch.numbers, plan=plan)
    for looked in _before_failure(pictures, watch):
        if looked[0] in todo:
            yield looked


def _plan(work: Work, batch: Batch) -> Plan | None:
    """Look at a few frames, or recall how the run has planned to look at the video."""
    if not work.model.inference.close_look:
        return None
    assert batch.sample_id is not None
    plan = stored_plan(work.target, work.key, batch.sample_id)
    if plan is None:
        count = work.target[batch.sample_id].metadata.total_frame_count
        few = decoding.read_some(batch.filepaths[0], probe_numbers(count))
        plan = work.model.loaded.plan(few)
        store_plan(work.target, work.key, batch.sample_id, plan)
    return plan


def _before_failure(
    frames: Iterator[T], look: Callable[[Iterator[T]], Iterator[Looked]]
) -> Iterator[Looked]:
    """Look at what was decoded before a failure, and raise it then."""
    failure: UnreadableError | None = None

    def guarded() -> Iterator[T]:
        nonlocal failure
        try:
            yield from frames
        except UnreadableError as error:
            failure = error

    yield from look(guarded())
    if failure is not None:
        raise failure


def _correct_size(sample: fo.Sample, frame: PreparedFrame | Frame) -> None:
    """Let a video's metadata say the size that its frames are decoded at.

    FiftyOne reads the size as it is stored, and a phone's video is turned when it is decoded. All
    that is in px, such as an export, comes from the metadata.
    """
    height, width = frame.shape
    metadata = sample.metadata
    if (metadata.frame_width, metadata.frame_height) != (width, height):
        metadata.frame_width, metadata.frame_height = width, height
        sample.save()


def _repair_swaps(work: Work, batch: Batch, writer: LabelWriter) -> None:
    if not work.repair_swaps:
        return
    writer.flush()
    for frame_id, labels in exchanged_back(work.target, work.field, work.key, batch.sample_id):
        writer.put(frame_id, labels)


def _known_tracks(
    work: Work, batch: Batch, todo: set[int]
) -> tuple[dict[int, StoredLabels], frozenset[int]]:
    """Give what this run has found on a video's other frames, and the ids that other runs use."""
    names = ("frame_number", f"{work.field}.made_by", f"{work.field}.keypoints.index")
    columns = values(work.target.select(batch.sample_id), *names)
    kept = [row for row in zip(*columns, strict=True) if row[0] not in todo]
    done = {}
    if any(made_by == work.key for _, made_by, _ in kept):
        stored = stored_labels(work.target, work.field, work.key, batch.sample_id)
        done = {number: labels for number, labels in stored.items() if number not in todo}
    theirs = [ids or [] for _, made_by, ids in kept if made_by != work.key]
    return done, frozenset(i for ids in theirs for i in ids if i is not None)


def _predict_images(
    work: Work, batch: Batch, writer: LabelWriter, tally: "_Tally"
) -> list[dict[str, str]]:
    looker = work.model.loaded
    failures: list[dict[str, str]] = []

    def read() -> Iterator[tuple[int, np.ndarray]]:
        for number in batch.todo:
            path = batch.filepaths[number]
            try:
                yield number, decoding.read_picture(path)
            except UnreadableError as error:
                failures.append({"path": path, "reason": str(error)})

    ids, widths = work.target.values(["id", "metadata.width"])
    told = dict(zip(ids, widths, strict=True))
    sizes: dict[str, tuple[int, int]] = {}
    for number, frame, raw in looker.look_at_each(decoding.read_ahead(read, _PICTURES_AHEAD)):
        sample_id, (height, width) = batch.ids[number], frame.shape
        if told[sample_id] not in (None, width):
            sizes[sample_id] = (width, height)
        writer.add(sample_id, frame, raw, None)
        tally.add(frame, raw, None)
    # What FiftyOne, or a load of before, takes for the size of a picture that lies on its side.
    write_sizes(work.target, sizes)
    return failures


class _Tally:
    """Counts for the summary and for the progress bar."""

    def __init__(self, todo: int, report: Report, backend: str):
        self._todo = todo
        self._report = report
        self._backend = backend
        self._started = time.perf_counter()
        self._confidence: list[float] = []
        self.seen = SeenSoFar()
        self.frames = 0
        self.persons = 0

    def add(
        self, frame: PreparedFrame | Frame, raw: RawPoses, track_ids: np.ndarray | None
    ) -> None:
        self.seen.add(raw, frame.shape, track_ids)
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
