"""The result of an evaluation: numbers with intervals, as text, JSON and a stored run."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import fiftyone as fo

from fiftyone_legpose.errors import DatasetError
from fiftyone_legpose.evaluation.intervals import Change, Estimate
from fiftyone_legpose.files import write_whole
from fiftyone_legpose.prediction.inference import OPTIONS, SWITCHES, words

METHOD = "legpose-evaluate"
"""What the custom runs of evaluations say in ``config.method``."""

HEADLINES: Mapping[str, str] = {
    "ap50_95": "OKS-mAP 50-95",
    "ap50": "OKS-AP 50",
    "oks": "mean OKS",
    "pck@0.05/all/all": "PCK@0.05",
    "pck@0.1/all/all": "PCK@0.1",
    "pck@0.2/all/all": "PCK@0.2",
    "median_px/all/all": "median error, px",
    "p95_px/all/all": "95th percentile of error, px",
    "median_leg/all/all": "median error, leg lengths",
    "p95_leg/all/all": "95th percentile of error, leg lengths",
    "found": "persons found",
    "missed": "persons missed",
    "spare": "persons who are not there, a frame",
    "swapped/all": "left and right swapped",
    "calibration": "calibration error of confidence",
}
"""The measures that sum an evaluation up, and what people call them."""


@dataclass(frozen=True)
class Evaluation:
    """What `evaluate` found; the first prediction is the baseline."""

    key: str
    """Of the custom run that holds it: the same frames and predictions give the same key."""
    date: str
    """ISO 8601, UTC."""
    fields: dict[str, str]
    """Field of each prediction, by its name."""
    settings: dict[str, Any]
    counts: dict[str, int]
    """``frames``, ``persons``, ``groups``; labelled frames ``frames_not_predicted``, and left out
    as ``frames_trained_on``; of the frames used, ``frames_of_known_subjects`` are of subjects and
    videos that one of the weights was trained on."""
    estimates: dict[str, dict[str, Estimate]]
    """By prediction and measure; the measures are those of `comparison.summarize`."""
    changes: dict[str, dict[str, Change]]
    """By prediction but the first, and measure: what changed from the first."""
    calibration: dict[str, dict[str, list[float | None]]]
    """By prediction: the bins of `metrics.calibration`."""

    @property
    def names(self) -> list[str]:
        """The predictions, the baseline first."""
        return list(self.fields)

    def cautions(self) -> list[str]:
        """Say in sentences what flatters some of what is compared, and what was not alike."""
        out, known = (
            self.counts.get(name, 0) for name in ("frames_trained_on", "frames_of_known_subjects")
        )
        told = []
        if out:
            told.append(f"{out} labelled frames are left out: weights were trained on them.")
        if known:
            told.append(
                f"{known} of the frames show subjects or videos that weights were trained on, "
                "which flatters those."
            )
        for name in sorted(SWITCHES):
            switch, usual = words(name), OPTIONS[name].default
            way, made = switch.way, self.settings.get(switch.evaluated, [])
            others = [each for each in self.names if each not in made]
            if made and others:
                told.append(
                    f"{', '.join(made)}: predicted with {way}; {', '.join(others)}: without. "
                    f"A part of the difference is due to {way}."
                )
            elif made and not usual:
                told.append(f"All predictions were made with {way}.")
        return told

    def better(self, name: str, measure: str = "oks") -> bool | None:
        """Tell whether a prediction beats the baseline; None where no interval is known."""
        verdict = self.changes[name][measure].verdict
        return None if verdict == "unknown" else verdict == "better"

    def changed_joints(self, name: str, measure: str = "median_px") -> dict[str, Change]:
        """Give the joints whose error is clearly other than the baseline's, the most first."""
        start = f"{measure}/all/"
        clear = {
            key.removeprefix(start): change
            for key, change in self.changes[name].items()
            if key.startswith(start)
            and not key.endswith("/all")
            and change.verdict in ("better", "worse")
        }
        return dict(sorted(clear.items(), key=lambda item: -abs(item[1].difference or 0)))

    def summary(self) -> str:
        """Write the headline numbers as lines of text."""
        lines = [
            f"{self.counts['persons']} persons in {self.counts['frames']} frames, intervals over "
            f"{self.counts['groups']} groups by {self.settings['group_by']}",
            *self.cautions(),
        ]
        for name in self.names:
            lines.append(f"{name}:")
            for measure, title in HEADLINES.items():
                line = f"  {title}: {show(self.estimates[name][measure])}"
                if name in self.changes:
                    line += f", {self.changes[name][measure].verdict}"
                lines.append(line)
            for joint, change in self.changed_joints(name).items() if name in self.changes else ():
                lines.append(
                    f"  {joint}: median error {change.difference:+.2f} px "
                    f"[{change.low:+.2f}, {change.high:+.2f}], {change.verdict}"
                )
        return "\n".join(lines)

    def to_json(self, path: str | Path | None = None) -> str:
        """Give everything as JSON, and write it to a file where a path is given."""
        text = json.dumps(asdict(self), indent=2)
        if path is not None:
            with write_whole(Path(path).expanduser()) as part:
                part.write_text(text + "\n", encoding="utf-8")
        return text


def show(estimate: Estimate) -> str:
    """Write a value and its interval as text."""
    if estimate.value is None:
        return "nothing to measure"
    if estimate.low is None:
        return f"{estimate.value:.3f}"
    return f"{estimate.value:.3f} [{estimate.low:.3f}, {estimate.high:.3f}]"


def store_evaluation(view: Any, evaluation: Evaluation) -> None:
    """Store an evaluation as a custom run on the dataset of a view."""
    content = asdict(evaluation)
    config = view.init_run(
        method=METHOD,
        date=evaluation.date,
        fields=evaluation.fields,
        settings=evaluation.settings,
        counts=evaluation.counts,
    )
    view.register_run(evaluation.key, config, overwrite=True)
    results = view.init_run_results(evaluation.key, evaluation=content)
    view.save_run_results(evaluation.key, results, overwrite=True)


def list_evaluations(dataset: fo.Dataset) -> list[str]:
    """List the keys of the evaluations of a dataset, the oldest first."""
    keys = dataset.list_runs(method=METHOD)
    return sorted(keys, key=lambda key: dataset.get_run_info(key).timestamp)


def load_evaluation(dataset: fo.Dataset, key: str) -> Evaluation:
    """Load a stored evaluation.

    Raises
    ------
    DatasetError
        The dataset has no such evaluation.
    """
    keys = list_evaluations(dataset)
    if key not in keys:
        known = ", ".join(keys) or "it has none"
        raise DatasetError(f"dataset {dataset.name!r} has no evaluation {key!r} ({known})")
    content = dataset.load_run_results(key, cache=False, load_view=False).evaluation
    return Evaluation(
        **{
            **content,
            "estimates": {
                name: {k: Estimate(**v) for k, v in measures.items()}
                for name, measures in content["estimates"].items()
            },
            "changes": {
                name: {k: Change(**v) for k, v in measures.items()}
                for name, measures in content["changes"].items()
            },
        }
    )
