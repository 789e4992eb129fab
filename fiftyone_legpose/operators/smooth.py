"""The operator smooth."""

from typing import Any

import fiftyone.operators.types as types

from fiftyone_legpose.dataset import fields
from fiftyone_legpose.operators.forms import keypoints_choice, more
from fiftyone_legpose.operators.running import Outcome
from fiftyone_legpose.operators.verb import Verb, refuse
from fiftyone_legpose.progress import Report

NUMBERS = {
    "lowest_cutoff_hz": ("Lowest cut-off in Hz", "Of the filter, which is found for each point"),
    "highest_cutoff_hz": ("Highest cut-off in Hz", "Of the filter, which is found for each point"),
    "max_gap_s": ("Longest gap in seconds", "Points that were not found for longer stay missing"),
    "reach_s": ("Reach of a correction in seconds", "It fades out before and after its frame"),
}


class Smooth(Verb):
    """Make clean paths of the points over time."""

    verb = "smooth"
    title = "Smooth the paths"
    description = "One clean path of each person's points over time, through all corrections"
    submit = "Smooth"
    icon = "timeline"
    place = types.Places.SAMPLES_GRID_SECONDARY_ACTIONS
    can_delegate = True

    def form(self, ctx: Any, inputs: types.Object) -> None:
        """Add the fields and, behind a switch, the settings."""
        if ctx.dataset.media_type != "video":
            refuse(inputs, "These are images: points have a path over time in videos only.")
        keypoints_choice(ctx, inputs, "field", label="Predictions")
        keypoints_choice(
            ctx, inputs, "gt_field", label="Corrections", default=self.default("gt_field")
        )
        if not more(ctx, inputs):
            return
        inputs.float(
            "cutoff_hz",
            label="Cut-off in Hz",
            description="One for all points; empty: found for each point",
        )
        for name, (label, description) in NUMBERS.items():
            inputs.float(name, default=self.default(name), label=label, description=description)
        inputs.str("label_field", default=self.default("label_field"), label="Field to write")
        inputs.bool(
            "repair_sides",
            default=self.default("repair_sides"),
            label="Exchange left and right back where the motion says so",
        )

    def call(self, ctx: Any, options: dict[str, Any], report: Report | None) -> Outcome:
        """Smooth."""
        from fiftyone_legpose.trajectories.smooth import smooth

        names = ("field", "gt_field", "label_field", "cutoff_hz", *NUMBERS, "repair_sides")
        given = {name: options[name] for name in names if options.get(name) is not None}
        summary = smooth(ctx.target_view(), **given, progress=report)
        return Outcome(
            f"{summary.people} people in {summary.videos} videos have clean paths.",
            {f"Points {name}": count for name, count in summary.points.items()}
            | {
                "Left and right exchanged back": summary.sides_exchanged,
                "Videos without anybody": summary.empty,
            },
            [f"Look at them in the field **{fields.SMOOTH}**."],
        )
