"""Leg keypoints from videos that show only a person's legs, in FiftyOne.

Every verb is one function: load, predict, select, push, status, pull, import_labels, train,
evaluate, export, loop. Importing this package loads none of the heavy libraries behind them.
"""

from importlib import import_module
from typing import Any

from fiftyone_legpose.cvat.announce import announce_backend
from fiftyone_legpose.zoo import announce

HOMES = {
    "load": "videos.load",
    "extract_frames": "videos.stills",
    "predict": "prediction.predict",
    "select": "selection.select",
    "push": "review.push",
    "status": "review.status",
    "pull": "review.pull",
    "import_labels": "review.labels_import",
    "train": "training.train",
    "evaluate": "evaluation.evaluate",
    "export": "exports.trajectories",
    "loop": "rounds.loop",
    "loop_state": "rounds.standing",
}
"""The module of each public function, below this package."""

__all__ = sorted(HOMES)


def __getattr__(name: str) -> Any:
    if name in HOMES:
        return getattr(import_module(f"fiftyone_legpose.{HOMES[name]}"), name)
    raise AttributeError(f"module 'fiftyone_legpose' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), *HOMES]


announce()
announce_backend()
