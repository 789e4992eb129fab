"""What a training did, and the custom run on the dataset that tells of it."""

import re
from dataclasses import dataclass
from typing import Any

import fiftyone as fo

from fiftyone_legpose.evaluation.result import Evaluation
from fiftyone_legpose.zoo.registry import Version

_METHOD = "legpose/train"


@dataclass(frozen=True)
class TrainSummary:
    """What one call of `train` did."""

    version: Version
    run_key: str
    """Key of the custom run on the dataset."""
    trained: bool
    """False where the version was there already, of the same base, labels and settings."""
    train_frames: int
    val_frames: int
    empty_frames: int
    """Frames confirmed to show nobody, on either side."""
    resumed_epoch: int = 0
    """Epochs that an earlier, interrupted call had finished."""
    shared: tuple[str, ...] = ()
    """Subjects and videos on both sides, or in validation though the weights that this training
    started from were trained on them: where there are any, the metrics flatter."""
    taken: str | None = None
    """What of the base was taken over, where that is not all of it."""
    promoted: bool | None = None
    """Whether the version became the default; None where that was not asked for."""
    comparison: Evaluation | None = None
    """Evaluation of the old default and the version, where this call judged them."""


def run_key_of(version: str) -> str:
    """Name the custom run on the dataset that tells of a version's training."""
    return "train_" + re.sub(r"\W", "_", version)


def stored_run(dataset: fo.Dataset, version: Version) -> Any:
    """Read what an earlier call noted of a version; None where there was none."""
    key = run_key_of(version.name)
    if not dataset.has_run(key):
        return None
    config = dataset.get_run_info(key).config
    return config if config.weights_sha256 == version.sha256 else None


def register_run(dataset: fo.Dataset, summary: TrainSummary) -> None:
    """Note the training on the dataset."""
    key, version = summary.run_key, summary.version
    before = stored_run(dataset, version)
    evaluation = summary.comparison.key if summary.comparison else before and before.evaluation
    if before and (before.promoted, before.evaluation) == (summary.promoted, evaluation):
        return
    if dataset.has_run(key):
        dataset.delete_run(key)
    config = dataset.init_run(
        method=_METHOD,
        version=version.name,
        weights_sha256=version.sha256,
        parent=version.parent,
        created=version.created,
        train_frames=summary.train_frames,
        val_frames=summary.val_frames,
        shared=list(summary.shared),
        labels_sha256=version.labels_sha256,
        settings=dict(version.settings),
        metrics=dict(version.metrics),
        libraries=dict(version.libraries),
        promoted=summary.promoted,
        evaluation=evaluation,
    )
    dataset.register_run(key, config)
