"""The predictions that are compared: how weights make theirs, and with which switches."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from fiftyone_legpose.errors import DatasetError
from fiftyone_legpose.prediction.inference import SWITCHES, Inference, words
from fiftyone_legpose.prediction.predict import predict
from fiftyone_legpose.prediction.stored_runs import runs_of
from fiftyone_legpose.progress import Report
from fiftyone_legpose.zoo.weights import Weights

_LOWEST_CONF = 0.01
"""Box confidence from which predictions count for AP, which asks for the whole curve."""


def predict_with(
    view: Any, weights: Sequence[Weights], inference: Inference, tell: Report
) -> dict[str, str]:
    """Predict the frames of a view with each of some weights, into fields of their own.

    Parameters
    ----------
    view
        The frames; what the same weights were asked before stays.
    weights
        Each predicts every frame by itself, without tracks.
    inference
        What they are asked; `Inference.conf` is replaced by one so low that AP sees its whole
        curve.
    tell
        Called with progress.

    Returns
    -------
    dict
        Field by name of the weights.

    Raises
    ------
    DatasetError
        A file cannot be read.
    """
    inference = replace(inference, conf=_LOWEST_CONF)
    out: dict[str, str] = {}
    for found in weights:
        field = f"eval_{re.sub(r'[^0-9A-Za-z]+', '_', found.name)}_{found.sha256[:8]}"
        field += "".join(f"_{switch}" for switch in inference.on)
        name = found.name if found.name not in out else f"{found.name} {found.sha256[:8]}"
        summary = predict(
            view,
            weights=found,
            label_field=field,
            track=False,
            progress=tell,
            **asdict(inference),
        )
        if summary.failures:
            first = summary.failures[0]
            raise DatasetError(
                f"{len(summary.failures)} files cannot be read, the first is {first['path']}: "
                f"{first['reason']}; evaluate a view without them"
            )
        out[name] = field
    return out


def made_with(view: Any, predicted: Mapping[str, str]) -> dict[str, list[str]]:
    """Name the predictions of which some, at least, were made with a switch of `predict`.

    Parameters
    ----------
    view
        The frames that count.
    predicted
        Field of each prediction, by its name.

    Returns
    -------
    dict
        Names of predictions by `Words.evaluated` of each switch that one of them was made with.
    """
    runs = {name: runs_of(view, field) for name, field in predicted.items()}
    found = {
        words(switch).evaluated: [
            name
            for name, of_name in runs.items()
            if any(getattr(r, switch, False) for r in of_name)
        ]
        for switch in sorted(SWITCHES)
    }
    return {setting: names for setting, names in found.items() if names}
