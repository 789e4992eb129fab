"""The operator train."""

import re
from datetime import UTC, datetime
from typing import Any

import fiftyone.operators.types as types
from fiftyone.operators.types import RiskLevel

from fiftyone_legpose.jobs import Outcome
from fiftyone_legpose.operators.forms import (
    checkpoint_input,
    given_path,
    is_labelled,
    keypoints_choice,
    more,
    weights_choice,
)
from fiftyone_legpose.operators.verb import Verb, refuse
from fiftyone_legpose.progress import Report
from fiftyone_legpose.zoo.registry import is_name

OPTIONS = (
    "name",
    "base",
    "epochs",
    "imgsz",
    "optimizer",
    "val",
    "gt_field",
    "box_margin",
    "validate",
    "device",
    "threads",
    "seed",
    "allow_shared_subjects",
    "promote",
    "compare",
    "trust",
)

RESUME = {
    "": "Go on with a training that was interrupted, where it is the same",
    "yes": "Demand to go on",
    "no": "Start anew",
}


class Train(Verb):
    """Train new weights on the corrected frames."""

    verb = "train"
    title = "Train weights"
    description = "Fine-tune the model on the corrected frames; the result is a new version"
    submit = "Train"
    paths = ("checkpoint",)
    icon = "model_training"
    risk = RiskLevel.MEDIUM
    place = types.Places.SAMPLES_GRID_SECONDARY_ACTIONS
    can_delegate = True

    def is_long(self, ctx: Any) -> bool:
        """Say yes: training takes minutes at the least."""
        return True

    def form(self, ctx: Any, inputs: types.Object) -> None:
        """Add the new version's name and what to start from."""
        from fiftyone_legpose.rounds.standing import read_standing

        reviewed = read_standing(ctx.dataset).reviewed
        if not reviewed and not is_labelled(ctx):
            refuse(inputs, "No frame is corrected yet: select, push, pull first.")
        name = inputs.str(
            "name",
            default=f"{datetime.now(UTC):%Y-%m-%d}",
            label="Name of the new version",
            description="Letters, digits, dots and dashes",
        )
        if not is_name(ctx.params.get("name") or "a"):
            name.invalid = True
            name.error_message = "Give up to 64 letters, digits, dots and dashes"
        weights_choice(inputs, "base", label="Start from")
        inputs.int(
            "epochs",
            min=1,
            default=self.default("epochs"),
            label="Epochs",
            description="Without a GPU 200 take hours, 20 give a first idea",
        )
        inputs.bool(
            "promote", default=self.default("promote"), label="Use the new version if it is better"
        )
        inputs.bool(
            "compare",
            default=self.default("compare"),
            label="Compare the new version with the one in use",
        )
        inputs.bool(
            "allow_shared_subjects",
            default=self.default("allow_shared_subjects"),
            label="Accept one subject on both sides",
            description="With a single video there is no other way, but the score then flatters",
        )
        if more(ctx, inputs):
            self._add_more(ctx, inputs)

    def _add_more(self, ctx: Any, inputs: types.Object) -> None:
        from fiftyone_legpose.training.arguments import OPTIMIZERS

        inputs.int(
            "imgsz",
            min=32,
            label="Size of the model's input (px)",
            description="Empty is the size that the weights to start from were trained at",
        )
        inputs.enum(
            "optimizer", list(OPTIMIZERS), default=self.default("optimizer"), label="Optimizer"
        )
        batch = inputs.str(
            "batch",
            default=self.default("batch"),
            label="Pictures a step",
            description="auto is 16 a device; -1 takes as many as a GPU holds",
        )
        if not _is_batch(ctx.params.get("batch")):
            batch.invalid = True
            batch.error_message = "Give a number of pictures, -1 or auto"
        inputs.float(
            "val",
            min=0.01,
            max=0.99,
            default=self.default("val"),
            label="Share to validate with",
            description="Of subjects and videos that come new; others stay on their side",
        )
        inputs.bool(
            "validate",
            default=self.default("validate"),
            label="Validate after every epoch and keep the best one",
            description="Else only at the end, and the last epoch is kept",
        )
        keypoints_choice(
            ctx, inputs, "gt_field", label="Corrections", default=self.default("gt_field")
        )
        inputs.float(
            "box_margin",
            min=0.0,
            default=self.default("box_margin"),
            label="Space around the keypoints in a person's box, as a share of its size",
        )
        inputs.str(
            "device",
            default=self.default("device"),
            label="Device",
            description="auto, cpu, 0, or 0,1",
        )
        inputs.int("threads", min=1, label="CPU threads", description="Empty is one a core")
        inputs.int("seed", default=self.default("seed"), label="Seed")
        answers = types.RadioGroup()
        for name, words in RESUME.items():
            answers.add_choice(name, label=words)
        inputs.enum("resume", answers.values(), default="", view=answers, label="Interrupted")
        checkpoint_input(inputs, "A .pt file, to start from instead of the weights above")

    def call(self, ctx: Any, options: dict[str, Any], report: Report | None) -> Outcome:
        """Train."""
        from fiftyone_legpose.training.train import train

        given = {name: options[name] for name in OPTIONS if options.get(name) is not None}
        given["base"] = given_path(options, "checkpoint") or given["base"]
        batch = options.get("batch", "auto")
        summary = train(
            ctx.target_view(),
            **given,
            batch="auto" if batch == "auto" else int(batch),
            resume={"yes": True, "no": False}.get(options.get("resume", "")),
            progress=report,
        )
        facts: dict[str, Any] = {
            "Frames to train": summary.train_frames,
            "Frames to validate": summary.val_frames,
            "of these without anybody": summary.empty_frames,
        }
        score = summary.version.metrics.get("mAP50-95(P)")
        if isinstance(score, float):
            facts["Agreement with the corrections, 0 to 1 (pose mAP50-95)"] = f"{score:.2f}"
        notes = []
        if summary.shared:
            notes.append(f"{len(summary.shared)} subjects are no strangers: the score flatters.")
        if summary.promoted is not None:
            notes.append(
                "It is in use now." if summary.promoted else "The old version stays in use."
            )
        notes.append("Next: **Evaluate** it against the version in use.")
        done = "trained" if summary.trained else "there already"
        return Outcome(f"Version {summary.version.name} is {done}.", facts, notes)


def _is_batch(given: str | None) -> bool:
    return given in (None, "auto") or re.fullmatch(r"-1|[1-9]\d*", given) is not None
