"""The operator gait."""

from pathlib import Path
from typing import Any

import fiftyone.operators.types as types

from fiftyone_legpose.dataset import fields
from fiftyone_legpose.operators.forms import given_path, keypoints_choice, more, path_input
from fiftyone_legpose.operators.running import Outcome
from fiftyone_legpose.operators.verb import Verb, refuse
from fiftyone_legpose.progress import Report

SEGMENTS = {
    "leg_length_m": (
        "Leg length in metres",
        "From the greater trochanter by the knee to the ankle",
    ),
    "thigh_m": ("Thigh in metres", "From the greater trochanter to the knee"),
    "shank_m": ("Shank in metres", "From the knee to the outer malleolus"),
    "foot_m": ("Foot in metres", "From the heel to the tip of the shoe"),
}


class Gait(Verb):
    """Find gait events and parameters."""

    verb = "gait"
    title = "Analyse the gait"
    description = "Walking bouts, contacts and toe-offs, strides, parameters and joint angles"
    submit = "Analyse"
    icon = "insights"
    place = types.Places.SAMPLES_GRID_SECONDARY_ACTIONS
    can_delegate = True
    paths = ("subjects",)

    def form(self, ctx: Any, inputs: types.Object) -> None:
        """Add what was measured on the person and, behind a switch, the rest."""
        if ctx.dataset.media_type != "video":
            refuse(inputs, "These are images: somebody walks in videos only.")
        elif ctx.dataset.get_field(f"frames.{fields.SMOOTH}") is None:
            refuse(inputs, "There are no clean paths yet: press Smooth the paths first.")
        name = "leg_length_m"
        inputs.float(name, label=SEGMENTS[name][0], description=f"{SEGMENTS[name][1]}; for metres")
        path_input(
            inputs,
            "subjects",
            label="Or a table of subjects",
            description="CSV with the column subject and leg_length_m, thigh_m, shank_m or foot_m",
        )
        inputs.float("belt_speed_m_s", label="Or the treadmill's speed in metres per second")
        if not more(ctx, inputs):
            return
        for name in ("thigh_m", "shank_m", "foot_m"):
            inputs.float(name, label=SEGMENTS[name][0], description=SEGMENTS[name][1])
        choices = types.RadioGroup()
        choices.add_choice("", label="by the view")
        choices.add_choice("zeni", label="zeni: heel and toes against the pelvis, from aside")
        choices.add_choice("heights", label="heights: heel and toes up and down, from before")
        inputs.enum("method", choices.values(), default="", view=choices, label="Events")
        keypoints_choice(ctx, inputs, "field", label="Clean paths", default=self.default("field"))

    def call(self, ctx: Any, options: dict[str, Any], report: Report | None) -> Outcome:
        """Analyse."""
        from fiftyone_legpose.gait_analysis.gait import gait

        names = (*SEGMENTS, "belt_speed_m_s", "method", "field")
        given = {name: options[name] for name in names if options.get(name) not in (None, "")}
        summary = gait(
            ctx.target_view(), **given, subjects=given_path(options, "subjects"), progress=report
        )
        cadence = summary.cadence_spm
        return Outcome(
            f"{summary.strides} strides in {summary.bouts} walking bouts.",
            {
                "Steps per minute": "not known" if cadence is None else f"{cadence:.1f}",
                "Videos in which somebody walks": summary.videos,
                "Videos without walking": summary.without_walking,
                "Events set by a person": summary.edited_events,
            },
            [
                *(
                    f"{Path(path).name}: {warning}"
                    for path, warnings in summary.warnings.items()
                    for warning in warnings
                ),
                "Open a video: stance and swing are on its timeline, where you can edit them.",
            ],
        )
