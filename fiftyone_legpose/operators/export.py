"""The operator export."""

from pathlib import Path
from typing import Any

import fiftyone.operators.types as types

from fiftyone_legpose.jobs import Outcome
from fiftyone_legpose.operators.forms import handover_folder, keypoints_choice
from fiftyone_legpose.operators.verb import Verb
from fiftyone_legpose.progress import Report

FORMATS = {
    "csv": "CSV: opens in any spreadsheet",
    "parquet": "Parquet: small and fast, for Python and R",
    "coco": "COCO keypoints (JSON), for other pose tools",
    "wide": "Wide CSV: clean paths, one row for each frame and person",
    "events": "Gait events: contacts and toe-offs, as CSV",
    "strides": "Strides: one row each, as CSV",
    "parameters": "Gait parameters: means and variability, as CSV",
    "cycles": "Angles over the gait cycle, as CSV",
    "dlc": "DeepLabCut's CSV, which movement and Lightning Pose read too",
    "trc": "TRC: markers, for OpenSim and Pose2Sim",
    "mot": "MOT: joint angles, for OpenSim",
    "c3d": "C3D: markers with gait events, for Visual3D and Mokka",
}


class Export(Verb):
    """Write trajectories, gait tables and motion files."""

    verb = "export"
    title = "Export trajectories"
    description = "Keypoints over time, what gait found, or motion files for other programs"
    submit = "Export"
    icon = "table_view"
    place = types.Places.SAMPLES_GRID_SECONDARY_ACTIONS
    can_delegate = True

    def form(self, ctx: Any, inputs: types.Object) -> None:
        """Add the file."""
        kind = ctx.params.get("format") or "csv"
        choices = types.RadioGroup()
        for name, label in FORMATS.items():
            choices.add_choice(name, label=label)
        inputs.enum("format", choices.values(), default="csv", label="Format", view=choices)
        path = inputs.str(
            "path",
            default=str(handover_folder() / f"{ctx.dataset_name}{_ending(kind)}"),
            label="File",
            description="On the machine that runs FiftyOne; replaced where it is there",
        )
        given = ctx.params.get("path")
        if given and not given.lower().endswith(_ending(kind)):
            path.invalid = True
            path.error_message = f"Let the name end in {_ending(kind)}, or take the other format"
        keypoints_choice(ctx, inputs, "field", label="Predictions")
        keypoints_choice(
            ctx, inputs, "gt_field", label="Corrections", default=self.default("gt_field")
        )
        if ctx.dataset.media_type == "video":
            keypoints_choice(
                ctx,
                inputs,
                "smooth_field",
                label="Clean paths",
                default=self.default("smooth_field"),
            )

    def call(self, ctx: Any, options: dict[str, Any], report: Report | None) -> Outcome:
        """Export."""
        from fiftyone_legpose.exports.export import export

        summary = export(
            ctx.target_view(),
            Path(options["path"]).expanduser(),
            format=options["format"],
            field=options["field"],
            gt_field=options["gt_field"],
            smooth_field=options.get("smooth_field") or self.default("smooth_field"),
            progress=report,
        )
        facts = {"Rows": summary.rows}
        if summary.frames:
            facts["Frames with somebody"] = summary.frames
            facts["Frames that a person has looked at"] = summary.corrected_frames
        more = [str(file) for file in summary.files[1:]]
        return Outcome(f"Written to {summary.path}.", facts, more)


def _ending(kind: str) -> str:
    from fiftyone_legpose.exports.export import ENDINGS

    return next(ending for ending, name in ENDINGS.items() if name == kind)
