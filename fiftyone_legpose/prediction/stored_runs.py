"""The custom runs that say what predictions were made with, and by whose keys frames are done."""

import hashlib
import json
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import fiftyone as fo

from fiftyone_legpose.dataset.frames import source_dataset, values
from fiftyone_legpose.prediction.inference import Inference
from fiftyone_legpose.prediction.person_scale import Plan
from fiftyone_legpose.prediction.tracking import Tracker
from fiftyone_legpose.zoo.weights import Weights


def run_settings(
    asked: Inference, tracker: Tracker | None, *, repair_swaps: bool
) -> dict[str, Any]:
    """List all that changes what a run finds, but for the weights.

    The names, their order, and that a switch is listed only where it is on, are part of the keys
    that datasets hold: with others, frames that are done would be predicted again.
    """
    switches = [*asked.on, *(["repair_swaps"] if repair_swaps else [])]
    where = {"conf": asked.conf, "imgsz": asked.imgsz, "track": tracker}
    return where | dict.fromkeys(switches, True)


def run_key(label_field: str, weights: Weights, settings: dict[str, Any]) -> str:
    """Name the run by all that changes its result, so that equal calls share one."""
    text = json.dumps({"weights": weights.sha256, "first": weights.right_first, **settings})
    return f"predict_{label_field}_{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def register_run(
    dataset: fo.Dataset, key: str, weights: Weights, settings: dict[str, Any], label_field: str
) -> None:
    """Note on the dataset what its predictions of a run were made with, unless it is noted."""
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


def stored_plan(dataset: fo.Dataset, key: str, sample_id: str) -> Plan | None:
    """Read how a run looks at a video; None where it has not looked at it yet."""
    looks = getattr(dataset.get_run_info(key).config, "looks", None) or {}
    return Plan(**looks[sample_id]) if sample_id in looks else None


def store_plan(dataset: fo.Dataset, key: str, sample_id: str, plan: Plan) -> None:
    """Note how a run looks at a video: it goes on so when it was interrupted."""
    config = dataset.get_run_info(key).config
    config.looks = {**(getattr(config, "looks", None) or {}), sample_id: asdict(plan)}
    dataset.update_run_config(key, config)


def runs_of(view: Any, field: str) -> list[Any]:
    """Read the configurations of the runs that a field's predictions are of.

    Parameters
    ----------
    view
        Frames of other views do not count.
    field
        Bare name of the field.

    Returns
    -------
    list of fiftyone.core.runs.RunConfig
        Without those of runs that were deleted.
    """
    dataset = source_dataset(view)
    [makers] = values(view, f"{field}.made_by")
    keys = sorted(set(makers) - {None})
    return [dataset.get_run_info(key).config for key in keys if dataset.has_run(key)]
