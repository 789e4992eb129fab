"""The operator predict."""

from typing import Any

import fiftyone.operators.types as types

from fiftyone_legpose.dataset import fields
from fiftyone_legpose.jobs import Outcome
from fiftyone_legpose.operators.forms import (
    checkpoint_input,
    given_path,
    inference_inputs,
    more,
    path_input,
    stated,
    weights_choice,
)
from fiftyone_legpose.operators.verb import Verb, refuse
from fiftyone_legpose.prediction.inference import OPTIONS, SWITCHES
from fiftyone_legpose.prediction.kept_settings import settings_of
from fiftyone_legpose.progress import Report

TAKEN = (
    *OPTIONS,
    "weights",
    "every",
    "track",
    "repair_swaps",
    "label_field",
    "overwrite",
    "trust",
)


class Predict(Verb):
    """Find ten leg keypoints in every frame."""

    verb = "predict"
    title = "Predict leg keypoints"
    description = "Find hip, knee, ankle, heel and foot of every person, frame by frame"
    submit = "Predict"
    icon = "directions_walk"
    paths = ("checkpoint", "save_video")
    can_delegate = True
    needs_predictions = False

    def form(self, ctx: Any, inputs: types.Object) -> None:
        """Add weights and, on demand, everything else."""
        if not len(ctx.target_view()):
            refuse(inputs, "There is nothing to look at: load videos or pictures first.")
        weights_choice(inputs)
        before = settings_of(ctx.dataset, stated(ctx, "label_field") or fields.PREDICTIONS)
        inference_inputs(ctx, inputs, SWITCHES, proposed=before.inference)
        if not more(ctx, inputs):
            return
        others = [name for name in OPTIONS if name not in SWITCHES]
        inference_inputs(ctx, inputs, others, proposed=before.inference)
        inputs.int("every", min=1, default=self.default("every"), label="Look at every n-th frame")
        inputs.bool(
            "track",
            default=before.track is not None,
            label="Follow persons from frame to frame",
        )
        repair = inputs.bool(
            "repair_swaps",
            default=before.repair_swaps,
            label="Exchange left and right back where the motion says so",
            description="Where the model has mixed up the legs for some frames of a track",
        )
        if ctx.params.get("repair_swaps") and not ctx.params.get("track", True):
            repair.invalid = True
            repair.error_message = "This looks at tracks: follow persons from frame to frame"
        inputs.str("label_field", default=self.default("label_field"), label="Field to write")
        inputs.bool(
            "overwrite", default=self.default("overwrite"), label="Predict again what is done"
        )
        path_input(
            inputs,
            "save_video",
            label="Folder for annotated videos",
            description="H.264, with the keypoints drawn in; empty for none",
            choose_dir=True,
        )
        checkpoint_input(inputs, "A .pt file, instead of the weights above")

    def call(self, ctx: Any, options: dict[str, Any], report: Report | None) -> Outcome:
        """Predict."""
        from fiftyone_legpose.prediction.predict import describe, predict, warnings

        given = {name: options[name] for name in TAKEN if name in options}
        given["weights"] = given_path(options, "checkpoint") or given.get("weights")
        summary = predict(
            ctx.target_view(),
            **given,
            save_video=given_path(options, "save_video"),
            progress=report,
        )
        facts = {
            "Frames predicted": summary.frames,
            "Frames done before": summary.skipped,
            "Persons, counted anew in each frame": summary.persons,
            "Weights": summary.weights,
        }
        if summary.mean_confidence is not None:
            facts["Mean keypoint confidence"] = f"{summary.mean_confidence:.2f}"
        notes = warnings(summary)
        notes += [f"Failed: {item['path']}: {item['reason']}" for item in summary.failures]
        notes += [f"Annotated video: {path}" for path in summary.videos_saved]
        notes.append("Next: **Select** the frames that a person should correct.")
        return Outcome(describe(summary), facts, notes)
