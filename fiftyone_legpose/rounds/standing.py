"""Where a dataset stands: its frames, what comes next, and the rounds of a loop.

Panel, forms, status and loop only word what is told here. Frames are counted in the database, so
that long datasets open fast.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import fiftyone as fo
import numpy as np

from fiftyone_legpose.cvat.results import is_begun
from fiftyone_legpose.dataset import fields, frame_review
from fiftyone_legpose.dataset.by_name import takes_name
from fiftyone_legpose.dataset.frames import dataset_id, is_video, raw
from fiftyone_legpose.evaluation.result import METHOD as EVALUATION_METHOD
from fiftyone_legpose.rounds.verdict import Verdict, predicted_by, read_verdict
from fiftyone_legpose.training.stored_run import run_key_of
from fiftyone_legpose.training.trainer_run import begun_trainings
from fiftyone_legpose.zoo import registry
from fiftyone_legpose.zoo.registry import Version


@dataclass(frozen=True)
class Standing:
    """Where a dataset stands between load and evaluate."""

    media: str
    """``video`` or ``image``."""
    samples: int
    frames: int
    """Frames of the videos, or images."""
    predicted: int
    selected: int
    out: int
    corrected: int
    empty: int
    """Frames that a person confirmed to show nobody."""
    weights: str
    """The version in use."""
    predicted_by: str | None = None
    """The version whose predictions are the newest; None where they are of no version."""
    newest: str | None = None
    """The version that was trained on this dataset last."""
    unlearned: int = 0
    """Frames that a person has looked at and no version was trained or validated with."""
    evaluations: int = 0
    verdict: Verdict | None = None
    """Of the newest version against another."""

    @property
    def reviewed(self) -> int:
        """Frames that a person has looked at."""
        return self.corrected + self.empty


def read_standing(dataset: fo.Dataset) -> Standing:
    """Count where the frames of a dataset stand.

    Parameters
    ----------
    dataset
        Image or video dataset, also one that is empty or was never predicted.

    Returns
    -------
    Standing
    """
    # One pass over the bare documents: 180,000 frames take 0.8 s, dataset.aggregate 2.8 s.
    collection = raw(dataset)
    rows = list(collection.aggregate(_COUNTS)) if collection is not None else []
    states: Mapping[str | None, int] = {row["_id"]: row["frames"] for row in rows}
    trained = _trained(dataset)
    newest = trained[-1].name if trained else None
    return Standing(
        media="video" if is_video(dataset) else "image",
        samples=len(dataset),
        frames=sum(states.values()),
        predicted=sum(row["predicted"] for row in rows),
        selected=states.get(fields.SELECTED, 0),
        out=states.get(fields.OUT, 0),
        corrected=states.get(fields.CORRECTED, 0),
        empty=states.get(fields.EMPTY, 0),
        weights=registry.current_version(),
        predicted_by=predicted_by(dataset, fields.PREDICTIONS),
        newest=newest,
        unlearned=_count_unlearned(dataset, trained),
        evaluations=len(dataset.list_runs(method=EVALUATION_METHOD)),
        verdict=None if newest is None else read_verdict(dataset, newest),
    )


def versions_to_compare(dataset: fo.Dataset) -> set[str]:
    """Name the version trained last and the one in use, where no evaluation compares them yet."""
    trained, current = _trained(dataset), registry.current_version()
    if not trained or trained[-1].name == current or read_verdict(dataset, trained[-1].name):
        return set()
    return {trained[-1].name, current}


def _trained(dataset: fo.Dataset) -> list[Version]:
    return [version for version in registry.list_versions() if version.dataset == dataset.name]


def _count_unlearned(dataset: fo.Dataset, trained: list[Version]) -> int:
    sample, number = ("_sample_id", "frame_number") if is_video(dataset) else ("_id", None)
    collection = raw(dataset)
    if collection is None:
        return 0
    reviewed = collection.find(
        {f"{fields.REVIEW}.state": {"$in": [fields.CORRECTED, fields.EMPTY]}},
        {sample: 1, **({number: 1} if number else {})},
    )
    learned = {
        (frame["sample"], frame["frame"])
        for version in trained
        for frames in version.frames.values()
        for frame in frames
    }
    seen = {(str(one[sample]), one[number] if number else 1) for one in reviewed}
    return len(seen - learned)


_COUNTS: list[dict[str, Any]] = [
    {
        "$group": {
            "_id": f"${fields.REVIEW}.state",
            "frames": {"$sum": 1},
            "predicted": {"$sum": {"$cond": [{"$gt": [f"${fields.PREDICTIONS}", None]}, 1, 0]}},
        }
    }
]


@dataclass(frozen=True)
class Step:
    """What comes next."""

    verb: str
    """Of `fiftyone_legpose`; ``use`` makes `version` the one in use."""
    label: str
    """Of the button."""
    reason: str
    version: str | None = None


def next_step(seen: Standing) -> Step:
    """Tell what comes next in the loop.

    What is under way comes first; then what was corrected is learned from; then the new version is
    compared with the one in use, and used where it is better; then the next frames are chosen.
    """
    if not seen.samples:
        return Step("load", "Load videos", "The dataset is empty.")
    if not seen.predicted:
        return Step("predict", "Predict leg keypoints", "No frame has keypoints yet.")
    if seen.out:
        return Step(
            "pull",
            "Pull corrections",
            f"{seen.out} frames are with the reviewer. Pull them when they are done.",
        )
    if seen.selected:
        return Step(
            "push", "Push to CVAT", f"{seen.selected} frames are selected and wait to be sent."
        )
    if seen.reviewed and not seen.evaluations and seen.newest is None:
        return Step(
            "evaluate",
            "Evaluate",
            f"{seen.reviewed} frames are corrected. See how good the model is on them.",
        )
    if seen.unlearned:
        return Step(
            "train",
            "Train weights",
            f"{seen.unlearned} corrected frames are there that no weights have learned from.",
        )
    return _step_of_versions(seen) or Step(
        "select", "Select frames", "Choose the frames that a person should correct next."
    )


def _step_of_versions(seen: Standing) -> Step | None:
    """Tell what comes next with the newest version, if anything does."""
    new = seen.newest
    if new is None:
        return None
    if new != seen.weights and seen.verdict is None:
        return Step(
            "evaluate", "Evaluate", f"See whether {new} is better than {seen.weights}, now in use."
        )
    if new != seen.weights and seen.verdict is not None and seen.verdict.outcome == "better":
        return Step("use", f"Use {new}", f"{seen.verdict} Use it from now on.", new)
    if new == seen.weights and seen.predicted_by not in (None, new):
        return Step(
            "predict",
            "Predict leg keypoints",
            f"{new} is in use, and the keypoints are of {seen.predicted_by}: predict again.",
        )
    return None


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
    notes
        What `loop` came across and a person should know, such as frames that were deleted in CVAT;
        logged as well.
    """

    rounds: tuple[Round, ...]
    weights: str
    next_step: str
    notes: tuple[str, ...] = ()


@takes_name("dataset")
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
    reviews = frame_review.read(dataset)
    begun = _begun(dataset, reviews)
    found = [_round(dataset, reviews, number, train, min_new) for number in range(1, begun + 1)]
    if rounds is not None and begun < rounds and (not found or found[-1].stage == "done"):
        found.append(Round(begun + 1, _KEY.format(begun + 1), "push", 0, 0, 0, None))
    return LoopState(tuple(found), registry.current_version(), _next_step(found, rounds))


def _begun(dataset: fo.Dataset, reviews: frame_review.Reviews) -> int:
    """Count the rounds that have begun: with an annotation run, or frames that were pushed."""
    names = {*dataset.list_annotation_runs(), *(key for key in reviews.key if key is not None)}
    numbers = [int(match[1]) for name in names if (match := _KEY_PATTERN.fullmatch(name))]
    return max(numbers, default=0)


def _round(
    dataset: fo.Dataset,
    reviews: frame_review.Reviews,
    number: int,
    train: bool,
    min_new: int | None,
) -> Round:
    key, name = _KEY.format(number), version_name(dataset, number)
    states = reviews.state[reviews.key == key]
    out, corrected, empty = (
        int(np.sum(states == state)) for state in (fields.OUT, fields.CORRECTED, fields.EMPTY)
    )
    trained = registry.has_version(name) and dataset.has_run(run_key_of(name))
    enough = out == 0 if min_new is None else corrected + empty >= min_new or out == 0
    stage: Stage = "review"
    if is_begun(dataset, key):
        stage = "push"
    elif trained or (enough and not (train and corrected + empty)):
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


def version_name(dataset: fo.Dataset, number: int) -> str:
    """Name the weights of a round, as they are named already where they are there or begun."""
    # The id tells datasets apart whose names are alike, or that were deleted and made anew. It
    # stays when a dataset is renamed, and weights that were trained before keep their old name.
    ending = f"-{dataset_id(dataset)[-6:]}-round{number}"
    for known in (*(version.name for version in registry.list_versions()), *begun_trainings()):
        if known.endswith(ending):
            return known
    slug = re.sub(r"[^A-Za-z0-9]+", "-", dataset.name).strip("-") or "dataset"
    return slug[:40] + ending
