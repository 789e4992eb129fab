"""The operator select."""

from typing import Any

import fiftyone.operators.types as types

from fiftyone_legpose.jobs import Outcome
from fiftyone_legpose.operators.forms import (
    checkpoint_input,
    given_path,
    keypoints_choice,
    more,
    weights_choice,
)
from fiftyone_legpose.operators.verb import Verb
from fiftyone_legpose.progress import Report

OPTIONS = (
    "count",
    "strategy",
    "per",
    "min_gap_s",
    "easy_share",
    "tag",
    "seed",
    "field",
    "disagreement",
    "weights",
    "trust",
)

STRATEGIES = {
    "review": "What looks wrong most, and in different poses",
    "uncertain": "Lowest keypoint confidence",
    "jump": "Keypoints that leave their path",
    "uniform": "Evenly in time",
    "random": "By chance",
}


class Select(Verb):
    """Choose the frames that a person should correct."""

    verb = "select"
    title = "Select frames"
    description = "Choose the frames that deserve a person's minutes"
    submit = "Select"
    icon = "checklist"
    paths = ("checkpoint",)

    def form(self, ctx: Any, inputs: types.Object) -> None:
        """Add how many and by what."""
        inputs.int("count", min=1, default=20, label="Frames", description="How many to choose")
        choices = types.RadioGroup()
        for name, words in STRATEGIES.items():
            choices.add_choice(name, label=f"{name}: {words}")
        inputs.enum(
            "strategy",
            choices.values(),
            default=self.default("strategy"),
            view=choices,
            label="Strategy",
        )
        if not more(ctx, inputs):
            return
        inputs.enum(
            "per",
            ["dataset", "video"],
            default=self.default("per"),
            label="Count per",
            description="Whether the number is for all videos together or for each",
        )
        inputs.float(
            "min_gap_s",
            min=0.0,
            default=self.default("min_gap_s"),
            label="Seconds between two frames",
        )
        inputs.float(
            "easy_share",
            min=0.0,
            max=1.0,
            default=self.default("easy_share"),
            label="Share drawn at random",
            description="Easy frames too, so that an evaluation says something about all frames",
        )
        inputs.bool(
            "disagreement",
            default=self.default("disagreement"),
            label="Also compare with the mirrored picture",
            description="Finds what confidence does not tell; runs the model a second time",
        )
        if ctx.params.get("disagreement"):
            weights_choice(inputs, label="Weights to compare with")
            checkpoint_input(inputs, "A .pt file, instead of the weights above")
        keypoints_choice(ctx, inputs, "field", label="Predictions")
        inputs.str("tag", label="Tag", description="Put on the chosen frames; may stay empty")
        inputs.int("seed", default=self.default("seed"), label="Seed of every random draw")

    def call(self, ctx: Any, options: dict[str, Any], report: Report | None) -> Outcome:
        """Select."""
        from fiftyone_legpose.dataset.frames import frame_ids, sample_values
        from fiftyone_legpose.selection.select import select

        given = {name: options[name] for name in OPTIONS if options.get(name) not in (None, "")}
        if checkpoint := given_path(options, "checkpoint"):
            given["weights"] = checkpoint
        chosen = select(ctx.target_view(), **given, progress=report)
        video = chosen.media_type == "video"
        frames = len(frame_ids(chosen))
        return Outcome(
            f"{frames} frames selected.",
            {
                "Frames selected": frames,
                "Videos" if video else "Images": len(sample_values(chosen, "id")[0]),
            },
            ["Next: **Push** them to CVAT, or into a file for CVAT."],
        )
