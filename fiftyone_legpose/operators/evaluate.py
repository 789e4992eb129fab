"""The operator evaluate."""

from typing import Any

import fiftyone.operators.types as types

from fiftyone_legpose.dataset import fields
from fiftyone_legpose.jobs import Outcome
from fiftyone_legpose.operators.forms import (
    checkpoint_input,
    given_path,
    inference_inputs,
    is_labelled,
    keypoints_choice,
    more,
    path_input,
    version_label,
)
from fiftyone_legpose.operators.verb import Verb, refuse
from fiftyone_legpose.prediction.inference import NetworkOptions, option_names
from fiftyone_legpose.progress import Report

_SWITCH = "weights_"

TAKEN = (
    *option_names(NetworkOptions),
    "min_score",
    "gt_field",
    "trained_on",
    "group_by",
    "trust",
)


class Evaluate(Verb):
    """Measure predictions, or versions of the weights, on the corrected frames."""

    verb = "evaluate"
    title = "Evaluate"
    description = "How good the model is on the corrected frames, joint by joint, old against new"
    submit = "Evaluate"
    icon = "insights"
    paths = ("report", "checkpoint")
    can_delegate = True

    def is_long(self, ctx: Any) -> bool:
        """Tell whether weights are to predict; stored predictions are compared in seconds."""
        switched = (on is True and name.startswith(_SWITCH) for name, on in ctx.params.items())
        return any(switched) or bool(given_path(ctx.params, "checkpoint"))

    def form(self, ctx: Any, inputs: types.Object) -> None:
        """Add what to compare."""
        from fiftyone_legpose.rounds.standing import versions_to_compare

        if not is_labelled(ctx):
            refuse(inputs, "No frame is corrected yet: select, push, pull first.")
        compared = versions_to_compare(ctx.dataset)
        inputs.bool(
            "stored",
            default=not compared,
            label="The stored predictions",
            description="What the reviewers corrected",
        )
        _versions(inputs, compared)
        if not more(ctx, inputs):
            return
        inputs.float(
            "min_score",
            min=0.0,
            max=1.0,
            default=self.default("min_score"),
            label="Lowest confidence of a person that counts",
        )
        keypoints_choice(ctx, inputs, "pred_field", label="Field of the stored predictions")
        keypoints_choice(
            ctx, inputs, "gt_field", label="Corrections", default=self.default("gt_field")
        )
        inputs.bool(
            "trained_on",
            default=self.default("trained_on"),
            label="Also use frames that weights were trained on",
            description="They flatter the weights that know them",
        )
        checkpoint_input(inputs, "A .pt file, to compare besides the weights above")
        whose = "Of weights that predict. "
        inference_inputs(ctx, inputs, option_names(NetworkOptions), whose=whose)
        inputs.str("group_by", label="Draw together", description="A field, for example subject")
        path_input(
            inputs,
            "report",
            label="Folder for an HTML report",
            description="Plots and the worst frames as pictures; empty for none",
            choose_dir=True,
        )

    def call(self, ctx: Any, options: dict[str, Any], report: Report | None) -> Outcome:
        """Evaluate."""
        from fiftyone_legpose.evaluation.evaluate import evaluate
        from fiftyone_legpose.evaluation.plain_words import WORDS, tell
        from fiftyone_legpose.zoo import registry

        versions = [version.name for version in registry.list_versions()]
        chosen = [name for name in versions if options.get(_switch(name))]
        chosen += [path] if (path := given_path(options, "checkpoint")) else []
        stored = options.get("pred_field") or fields.PREDICTIONS
        folder = given_path(options, "report")
        filled = (k for k in TAKEN if options.get(k) not in (None, ""))
        given = {name: options[name] for name in filled}
        result = evaluate(
            ctx.target_view(),
            weights=chosen or None,
            pred_field=stored if options["stored"] or not chosen else None,
            **given,
            report=folder,
            progress=report,
        )
        facts = {
            f"{WORDS[measure].plain}, {name}": tell(measure, result.estimates[name][measure])
            for measure in ("oks", "pck@0.1/all/all", "median_px/all/all", "found")
            for name in result.names
        }
        notes = [*result.cautions(), *([f"Report: {folder}/report.html"] if folder else [])]
        notes.append("The panel **Leg pose** shows the joints, the curves and the worst frames.")
        return Outcome(
            f"{result.counts['persons']} persons in {result.counts['frames']} frames compared.",
            facts,
            notes,
        )


def _versions(inputs: types.Object, compared: set[str]) -> None:
    from fiftyone_legpose.zoo import registry

    current = registry.current_version()
    for version in registry.list_versions():
        inputs.bool(
            _switch(version.name),
            default=version.name in compared,
            label=f"Weights {version_label(version, current)}",
        )


def _switch(version: str) -> str:
    # By code, so that a.b and a-b do not share one.
    return _SWITCH + "".join(c if c.isalnum() else f"_{ord(c):x}_" for c in version)
