"""loop: predict, select, push, and, when the person is done, pull, train, evaluate, again.

The loop is no process that has to stay alive. Where each round stands follows from what the
dataset and the registry of weights hold anyway; a call does whatever can be done now and returns.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from time import sleep
from typing import Any, Literal

import fiftyone as fo
import numpy as np

from fiftyone_legpose import fields, review_state
from fiftyone_legpose.annotation_backend import is_begun
from fiftyone_legpose.choosing import Strategy
from fiftyone_legpose.errors import DatasetError
from fiftyone_legpose.prediction import predict
from fiftyone_legpose.progress import Report
from fiftyone_legpose.review import pull, push
from fiftyone_legpose.selection import select
from fiftyone_legpose.training import run_key_of
from fiftyone_legpose.training import train as train_verb
from fiftyone_legpose.zoo import registry
from fiftyone_legpose.zoo.checkpoints import NAME

Stage = Literal["push", "review", "train", "done"]

_KEY = "loop_round{}"
_KEY_PATTERN = re.compile(r"loop_round(\d+)")


@dataclass(frozen=True)
class Round:
    """One round of a loop.

    Attributes
    ----------
    number
        From 1.
    key
        Of its annotation run on the dataset.
    stage
        What comes next: frames go out (push), a person reviews them, training, or nothing.
    out, corrected, empty
        Frames that are with the reviewer, that came back corrected, and that came back as showing
        nobody.
    version
        Name of the weights trained after the round, where there are any.
    """

    number: int
    key: str
    stage: Stage
    out: int
    corrected: int
    empty: int
    version: str | None


@dataclass(frozen=True)
class LoopState:
    """Where a loop stands.

    Attributes
    ----------
    rounds
        Those that have begun, in order.
    weights
        Name of the version that is the default now.
    next_step
        In words: whom or what the loop waits for.
    """

    rounds: tuple[Round, ...]
    weights: str
    next_step: str


def loop(
    dataset: fo.Dataset,
    *,
    rounds: int,
    count: int,
    strategy: Strategy = "review",
    project: str | None = None,
    handover: str | Path | None = None,
    as_tracks: bool = False,
    train: bool = True,
    min_new: int | None = None,
    promote: bool = True,
    epochs: int = 200,
    imgsz: int | None = None,
    allow_shared_subjects: bool = False,
    prediction: Mapping[str, Any] | None = None,
    training: Mapping[str, Any] | None = None,
    watch: bool = False,
    poll_s: float = 60.0,
    progress: Report | bool | None = None,
) -> LoopState:
    """Do what can be done now of a loop of rounds, and tell what it waits for.

    A round is predict, select and push; then a person corrects the frames in CVAT. Called again,
    it pulls what is finished, trains when enough is new, compares the new weights with the old
    ones, and begins the next round. Killed anywhere, the next call goes on.

    Parameters
    ----------
    dataset
        Video or image dataset.
    rounds
        How many there are to be in all.
    count
        Frames a round.
    strategy
        Of `select`.
    project
        CVAT project to push to.
    handover
        Folder to exchange files through instead of CVAT's interface. A round's frames are written
        to ``<key>.zip``, a backup that CVAT makes a task of; what CVAT exports of that task is to
        be put beside it as ``<key>-export.zip``.
    as_tracks
        Push persons as tracks.
    train
        Whether to train after a round; otherwise the next one begins with the same weights.
    min_new
        Reviewed frames after which a round is trained on, though others are still out; by default
        all of the round's.
    promote
        Whether new weights become the default if they beat it; the next round uses the default.
    epochs
        Of each training.
    imgsz
        Longer side in px of the model's input in each training; by default the size that the
        weights in use were trained at, which is also what they predict at.
    allow_shared_subjects
        See `train`.
    prediction
        Options of `predict`, for example ``{"imgsz": 480}``.
    training
        Further options of `train`, for example ``{"lr0": 0.0005}``.
    watch
        Stay and look again every `poll_s` seconds until all rounds are done.
    poll_s
        Seconds between looks.
    progress
        See `fiftyone_legpose.progress.reporting`.

    Returns
    -------
    LoopState

    Raises
    ------
    LegposeError, CvatError
        What the verbs raise; nothing that was done is lost.
    """
    if rounds < 1 or count < 1:
        raise DatasetError(f"A loop needs rounds and frames, not rounds={rounds}, count={count}.")
    folder = None if handover is None else Path(handover)
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    while True:
        for begun in loop_state(dataset).rounds:
            if begun.out and begun.stage != "push":
                _pull(dataset, begun.key, folder, progress)
        state = loop_state(dataset, rounds=rounds, train=train, min_new=min_new)
        current = state.rounds[-1]
        if current.stage == "train":
            options = {
                "base": NAME,
                "promote": promote,
                "epochs": epochs,
                "imgsz": imgsz,
                "allow_shared_subjects": allow_shared_subjects,
                **(training or {}),
            }
            name = _version_name(dataset, current.number)
            train_verb(dataset, name=name, progress=progress, **options)
        elif current.stage == "push":
            # A push that was interrupted goes on with the frames that it had.
            if not is_begun(dataset, current.key):
                predict(dataset, progress=progress, **(prediction or {}))
                chosen = select(dataset, count=count, strategy=strategy, progress=progress)
                if not len(chosen):
                    return replace(state, next_step="no frame is left to choose: load more videos")
            push(
                dataset,
                current.key,
                project=project,
                as_tracks=as_tracks,
                backup=None if folder is None else folder / f"{current.key}.zip",
                progress=progress,
            )
        elif current.stage == "done" or not watch:
            return state
        else:
            sleep(poll_s)


def loop_state(
    dataset: fo.Dataset,
    *,
    rounds: int | None = None,
    train: bool = True,
    min_new: int | None = None,
) -> LoopState:
    """Tell where each round of a loop stands.

    Parameters
    ----------
    dataset
        The loop's dataset.
    rounds, train, min_new
        As `loop` is called; without `rounds` only those that have begun are told.

    Returns
    -------
    LoopState
    """
    reviews = review_state.read(dataset)
    begun = _begun(dataset, reviews)
    found = [_round(dataset, reviews, number, train, min_new) for number in range(1, begun + 1)]
    if rounds is not None and begun < rounds and (not found or found[-1].stage == "done"):
        found.append(Round(begun + 1, _KEY.format(begun + 1), "push", 0, 0, 0, None))
    return LoopState(tuple(found), registry.current_version(), _next_step(found, rounds))


def _begun(dataset: fo.Dataset, reviews: review_state.Reviews) -> int:
    """Count the rounds that have begun: with an annotation run, or frames that were pushed."""
    names = {*dataset.list_annotation_runs(), *(key for key in reviews.key if key is not None)}
    numbers = [int(match[1]) for name in names if (match := _KEY_PATTERN.fullmatch(name))]
    return max(numbers, default=0)


def _round(
    dataset: fo.Dataset,
    reviews: review_state.Reviews,
    number: int,
    train: bool,
    min_new: int | None,
) -> Round:
    key, name = _KEY.format(number), _version_name(dataset, number)
    states = reviews.state[reviews.key == key]
    out, corrected, empty = (
        int(np.sum(states == state)) for state in (fields.OUT, fields.CORRECTED, fields.EMPTY)
    )
    trained = registry.has_version(name) and dataset.has_run(run_key_of(name))
    enough = out == 0 if min_new is None else corrected + empty >= min_new or out == 0
    stage: Stage = "review"
    if is_begun(dataset, key):
        stage = "push"
    elif trained or (enough and not train):
        stage = "done"
    elif enough:
        stage = "train"
    return Round(number, key, stage, out, corrected, empty, name if trained else None)


def _next_step(rounds: list[Round], wanted: int | None) -> str:
    if not rounds:
        return "nothing has begun: call loop"
    last = rounds[-1]
    settled = last.corrected + last.empty
    if last.stage == "push":
        return f"round {last.number} is to be predicted, selected and pushed: call loop"
    if last.stage == "review":
        return (
            f"round {last.number} ({last.key}) is with the reviewer: {settled} of "
            f"{settled + last.out} frames are back"
        )
    if last.stage == "train":
        return f"round {last.number} is reviewed and not trained on: call loop"
    if wanted is not None and last.number >= wanted:
        return f"all {wanted} rounds are done"
    return f"round {last.number} is done"


def _pull(
    dataset: fo.Dataset, key: str, folder: Path | None, progress: Report | bool | None
) -> None:
    if folder is None:
        pull(dataset, key, progress=progress)
    elif (export := folder / f"{key}-export.zip").is_file():
        pull(dataset, key, export=export, progress=progress)


def _version_name(dataset: fo.Dataset, number: int) -> str:
    slug = re.sub(r"[^A-Za-z0-9]+", "-", dataset.name).strip("-") or "dataset"
    return f"{slug[:40]}-round{number}"
