"""The state of the loop at a glance, counted in the database so that long datasets open fast."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import fiftyone as fo

from fiftyone_legpose.dataset import fields
from fiftyone_legpose.evaluation.result import METHOD as EVALUATION_METHOD
from fiftyone_legpose.zoo import registry


@dataclass(frozen=True)
class Glance:
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
    trained: int
    """Versions that were trained on this dataset."""
    evaluations: int

    @property
    def reviewed(self) -> int:
        """Frames that a person has looked at."""
        return self.corrected + self.empty


def glance(dataset: fo.Dataset) -> Glance:
    """Count where the frames of a dataset stand.

    Parameters
    ----------
    dataset
        Image or video dataset, also one that is empty or was never predicted.

    Returns
    -------
    Glance
    """
    video = dataset.media_type == "video"
    # One pass over the bare documents: 180,000 frames take 0.8 s, dataset.aggregate 2.8 s.
    collection = dataset._frame_collection if video else dataset._sample_collection
    rows = list(collection.aggregate(_COUNTS)) if collection is not None else []
    states: Mapping[str | None, int] = {row["_id"]: row["frames"] for row in rows}
    runs = dataset.list_runs(method=EVALUATION_METHOD)
    versions = registry.list_versions()
    return Glance(
        media="video" if video else "image",
        samples=len(dataset),
        frames=sum(states.values()),
        predicted=sum(row["predicted"] for row in rows),
        selected=states.get(fields.SELECTED, 0),
        out=states.get(fields.OUT, 0),
        corrected=states.get(fields.CORRECTED, 0),
        empty=states.get(fields.EMPTY, 0),
        weights=registry.current_version(),
        trained=sum(version.dataset == dataset.name for version in versions),
        evaluations=len(runs),
    )


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
    label: str
    """Of the button."""
    reason: str


def next_step(seen: Glance) -> Step:
    """Tell what comes next in the loop."""
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
    if seen.reviewed and not seen.evaluations:
        return Step(
            "evaluate",
            "Evaluate",
            f"{seen.reviewed} frames are corrected. See how good the model is on them.",
        )
    if seen.reviewed and seen.trained < seen.evaluations:
        return Step(
            "train", "Train weights", f"{seen.reviewed} corrected frames are there to learn from."
        )
    return Step("select", "Select frames", "Choose the frames that a person should correct next.")
