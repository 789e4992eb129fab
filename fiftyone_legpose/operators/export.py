"""The operator export."""

from pathlib import Path
from typing import Any

import fiftyone.operators.types as types

from fiftyone_legpose.jobs import Outcome
from fiftyone_legpose.operators.forms import handover_folder, keypoints_choice
from fiftyone_legpose.operators.verb import Verb
from fiftyone_legpose.progress import Report

ENDINGS = {"csv": "csv", "parquet": "parquet", "coco": "json"}


class Export(Verb):
    """Write trajectories for gait analysis."""

    verb = "export"
    title = "Export trajectories"
    description = "One row a frame, person and keypoint, as CSV or Parquet"
    submit = "Export"
    icon = "table_view"
    place = types.Places.SAMPLES_GRID_SECONDARY_ACTIONS
    can_delegate = True

    def form(self, ctx: Any, inputs: types.Object) -> None:
        """Add the file."""
        kind = ENDINGS[ctx.params.get("format") or "csv"]
        inputs.enum(
            "format",
            list(ENDINGS),
            default="csv",
            label="Format",
            view=types.RadioGroup(
                choices=[
                    types.Choice("csv", label="CSV: opens in any spreadsheet"),
                    types.Choice("parquet", label="Parquet: small and fast, for Python and R"),
                    types.Choice("coco", label="COCO keypoints (JSON), for other pose tools"),
                ]
            ),
        )
        path = inputs.str(
            "path",
            default=str(handover_folder() / f"{ctx.dataset_name}.{kind}"),
            label="File",
            description="On the machine that runs FiftyOne; replaced where it is there",
        )
        ending = Path(ctx.params.get("path") or "").suffix.lower()
        if ending.removeprefix(".") in ENDINGS.values() and ending != f".{kind}":
            path.invalid = True
            path.error_message = f"Let the name end in .{kind}, or take the other format"
        keypoints_choice(ctx, inputs, "field", label="Predictions")
        keypoints_choice(
            ctx, inputs, "gt_field", label="Corrections", default=self.default("gt_field")
        )

    def call(self, ctx: Any, options: dict[str, Any], report: Report | None) -> Outcome:
        """Export."""
        from fiftyone_legpose.exports.trajectories import export

        summary = export(
            ctx.target_view(),
            Path(options["path"]).expanduser(),
            format=options["format"],
            field=options["field"],
            gt_field=options["gt_field"],
            progress=report,
        )
        return Outcome(
            f"Written to {summary.path}.",
            {
                "Rows": summary.rows,
                "Frames with somebody": summary.frames,
                "Frames that a person has looked at": summary.corrected_frames,
            },
        )
