"""Leg keypoints from videos that show only a person's legs, in FiftyOne.

Every verb is one function: load, predict, select, push, status, pull, import_labels, train,
evaluate, smooth, gait, export, deidentify, loop. Importing this package loads none of the heavy
libraries behind them.
"""

from importlib import import_module, metadata
from typing import TYPE_CHECKING, Any

from fiftyone_legpose import former_places
from fiftyone_legpose.cvat.announce import announce_backend
from fiftyone_legpose.zoo import announce

if TYPE_CHECKING:  # for editors and type checkers; at run time names are found when they are asked
    from fiftyone_legpose.cvat.login import Login
    from fiftyone_legpose.errors import (
        DatasetError,
        LegposeError,
        MissingToolError,
        NothingLoadedError,
        TrainingError,
        WeightsError,
    )
    from fiftyone_legpose.evaluation.evaluate import evaluate
    from fiftyone_legpose.evaluation.result import Evaluation
    from fiftyone_legpose.exports.deidentify import DeidentifySummary, deidentify
    from fiftyone_legpose.exports.export import ExportSummary, export
    from fiftyone_legpose.gait_analysis.gait import GaitSummary, gait
    from fiftyone_legpose.prediction.predict import PredictSummary, predict
    from fiftyone_legpose.privacy.stills import PrivacyError
    from fiftyone_legpose.review.labels_import import ImportSummary, import_labels
    from fiftyone_legpose.review.pull import pull
    from fiftyone_legpose.review.pull_summary import PullSummary
    from fiftyone_legpose.review.push import PushSummary, push
    from fiftyone_legpose.review.status import RunStatus, status
    from fiftyone_legpose.rounds.loop import loop
    from fiftyone_legpose.rounds.standing import LoopState, loop_state
    from fiftyone_legpose.selection.select import select
    from fiftyone_legpose.training.train import TrainSummary, train
    from fiftyone_legpose.trajectories.smooth import SmoothSummary, smooth
    from fiftyone_legpose.videos.load import LoadSummary, load
    from fiftyone_legpose.videos.stills import extract_frames

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
    "smooth": "trajectories.smooth",
    "gait": "gait_analysis.gait",
    "export": "exports.export",
    "deidentify": "exports.deidentify",
    "loop": "rounds.loop",
    "loop_state": "rounds.standing",
}
"""The module of each public function, below this package."""

_CLASSES = {
    "Login": "cvat.login",
    "DatasetError": "errors",
    "LegposeError": "errors",
    "MissingToolError": "errors",
    "NothingLoadedError": "errors",
    "TrainingError": "errors",
    "WeightsError": "errors",
    "Evaluation": "evaluation.result",
    "DeidentifySummary": "exports.deidentify",
    "ExportSummary": "exports.export",
    "GaitSummary": "gait_analysis.gait",
    "ImportSummary": "review.labels_import",
    "LoadSummary": "videos.load",
    "LoopState": "rounds.standing",
    "PredictSummary": "prediction.predict",
    "PrivacyError": "privacy.stills",
    "PullSummary": "review.pull_summary",
    "PushSummary": "review.push",
    "RunStatus": "review.status",
    "SmoothSummary": "trajectories.smooth",
    "TrainSummary": "training.train",
}
"""The module of each public class: what verbs return, and what they raise."""

__all__ = [
    "DatasetError",
    "DeidentifySummary",
    "Evaluation",
    "ExportSummary",
    "GaitSummary",
    "ImportSummary",
    "LegposeError",
    "LoadSummary",
    "Login",
    "LoopState",
    "MissingToolError",
    "NothingLoadedError",
    "PredictSummary",
    "PrivacyError",
    "PullSummary",
    "PushSummary",
    "RunStatus",
    "SmoothSummary",
    "TrainSummary",
    "TrainingError",
    "WeightsError",
    "deidentify",
    "evaluate",
    "export",
    "extract_frames",
    "gait",
    "import_labels",
    "load",
    "loop",
    "loop_state",
    "predict",
    "pull",
    "push",
    "select",
    "smooth",
    "status",
    "train",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return metadata.version("fiftyone-legpose")
    home = HOMES.get(name) or _CLASSES.get(name)
    if home is None:
        raise AttributeError(f"module 'fiftyone_legpose' has no attribute {name!r}")
    return getattr(import_module(f"fiftyone_legpose.{home}"), name)


def __dir__() -> list[str]:
    return [*globals(), "__version__", *__all__]


announce()
announce_backend()
former_places.install()
