"""The operator deidentify."""

from typing import Any

import fiftyone.operators.types as types

from fiftyone_legpose.operators.forms import given_path, path_input, weights_choice
from fiftyone_legpose.operators.running import Outcome
from fiftyone_legpose.operators.verb import Verb, refuse
from fiftyone_legpose.progress import Report


class Deidentify(Verb):
    """Write legs-only copies of full-body videos, to hand out."""

    verb = "deidentify"
    title = "De-identify videos"
    description = "Legs-only copies of full-body videos: cut at the waist, no sound, no metadata"
    submit = "Write copies"
    icon = "content_cut"
    paths = ("videos", "folder")
    place = types.Places.SAMPLES_GRID_SECONDARY_ACTIONS
    can_delegate = True
    on_view = False

    def form(self, ctx: Any, inputs: types.Object) -> None:
        """Add where from, where to, and how."""
        path_input(
            inputs,
            "videos",
            label="Folder or video",
            description="On the machine that runs FiftyOne; the originals stay as they are",
            choose_dir=True,
        )
        path_input(
            inputs,
            "folder",
            label="Folder for the copies",
            description="With a contact sheet for each, to look through before you hand it out",
            choose_dir=True,
        )
        inputs.float(
            "margin",
            min=0,
            max=1,
            default=self.default("margin"),
            label="Seen above the hips (leg lengths)",
        )
        inputs.float(
            "min_score",
            min=0,
            max=1,
            default=self.default("min_score"),
            label="Lowest confidence of a person whose waist counts",
        )
        inputs.int("imgsz", default=self.default("imgsz"), label="Size of the model's input (px)")
        weights_choice(inputs)
        if not (given_path(ctx.params, "videos") and given_path(ctx.params, "folder")):
            refuse(inputs, "Say which videos, and where the copies go.")

    def call(self, ctx: Any, options: dict[str, Any], report: Report | None) -> Outcome:
        """De-identify."""
        from fiftyone_legpose.exports.deidentify import deidentify

        summary = deidentify(
            given_path(options, "videos") or "",
            given_path(options, "folder") or "",
            margin=options["margin"],
            min_score=options["min_score"],
            weights=options["weights"],
            imgsz=options["imgsz"],
            progress=report,
        )
        notes = [f"Skipped: {item['path']}: {item['reason']}" for item in summary.skipped]
        notes.append("Look through the contact sheets before you hand anything out.")
        return Outcome(
            f"{len(summary.copies)} legs-only copies are in {summary.log.parent}.",
            {
                "Frames": sum(copy.frames for copy in summary.copies),
                "of these black altogether": sum(copy.frames_black for copy in summary.copies),
                "Faces hidden below the cut": sum(copy.faces_hidden for copy in summary.copies),
            },
            notes,
        )
