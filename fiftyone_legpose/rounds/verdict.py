"""What the evaluations of a dataset say of one version of the weights against another."""

from dataclasses import dataclass
from typing import Final, Literal

import fiftyone as fo

from fiftyone_legpose.evaluation.result import Evaluation, list_evaluations, load_evaluation
from fiftyone_legpose.zoo import registry

Outcome = Literal["better", "worse", "cannot be told"]

_OUTCOMES: Final[dict[str, Outcome]] = {"better": "better", "worse": "worse"}
_OPPOSITE: Final[dict[Outcome, Outcome]] = {"better": "worse", "worse": "better"}
_PREDICT: Final = "legpose/predict"
_WAYS: Final = ("flip_tested", "voted")


@dataclass(frozen=True)
class Verdict:
    """One version against another, by mean OKS over the corrected frames."""

    version: str
    other: str
    outcome: Outcome
    """Of the version; told only where the 95% interval of the difference leaves out zero."""
    frames: int
    """Corrected frames that both were measured on."""

    def __str__(self) -> str:
        """Say it in a sentence."""
        if self.outcome == "cannot be told":
            return (
                f"Whether {self.version} is better than {self.other} cannot be told from "
                f"{self.frames} frames."
            )
        return f"{self.version} is {self.outcome} than {self.other}, on {self.frames} frames."


def read_verdict(dataset: fo.Dataset, version: str) -> Verdict | None:
    """Find what the newest evaluation of a version and another one says of it.

    Parameters
    ----------
    dataset
        Image or video dataset.
    version
        Its name in the registry.

    Returns
    -------
    Verdict or None
        None where it was compared with no other version, or only with one that predicted in another
        way, such as with the flip test.
    """
    for key in reversed(list_evaluations(dataset)):
        # The run's description says of which fields; its results are a file of their own.
        made_by = _versions_of(dataset, dataset.get_run_info(key).config.fields)
        if version in made_by.values() and len(set(made_by.values())) > 1:
            verdict = _verdict(load_evaluation(dataset, key), made_by, version)
            if verdict is not None:
                return verdict
    return None


def predicted_by(dataset: fo.Dataset, field: str) -> str | None:
    """Give the version that the newest predictions of a field are of; None for other weights."""
    return _versions_of(dataset, {"": field}).get("")


def _versions_of(dataset: fo.Dataset, fields: dict[str, str]) -> dict[str, str]:
    """Give the versions that predictions were made by, by their names in an evaluation."""
    versions = {version.sha256: version.name for version in registry.list_versions()}
    runs = [dataset.get_run_info(key) for key in dataset.list_runs(method=_PREDICT)]
    made_by = {
        run.config.label_field: versions.get(run.config.weights_sha256)
        for run in sorted(runs, key=lambda run: run.timestamp)
    }
    return {name: found for name, field in fields.items() if (found := made_by.get(field))}


def _verdict(evaluation: Evaluation, made_by: dict[str, str], version: str) -> Verdict | None:
    baseline, *others = evaluation.names
    for name in others:
        pair = (made_by.get(baseline), made_by.get(name))
        made = [evaluation.settings.get(way, ()) for way in _WAYS]
        alike = all((baseline in names) == (name in names) for names in made)
        if version not in pair or None in pair or pair[0] == pair[1] or not alike:
            continue
        outcome = _OUTCOMES.get(evaluation.changes[name]["oks"].verdict, "cannot be told")
        other = str(pair[0] if version == pair[1] else pair[1])
        if version == pair[0]:
            outcome = _OPPOSITE.get(outcome, outcome)
        return Verdict(version, other, outcome, evaluation.counts["frames"])
    return None
