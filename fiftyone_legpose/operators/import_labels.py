"""The operator import_labels."""

from typing import Any

import fiftyone.operators.types as types
from fiftyone.operators.types import RiskLevel

from fiftyone_legpose.operators.forms import cvat_login, given_path, path_input
from fiftyone_legpose.operators.running import Outcome
from fiftyone_legpose.operators.verb import Verb, refuse
from fiftyone_legpose.progress import Report

ORDERS = {
    "": "As the label's names say",
    "left_first": "Left first: left hip, right hip, left knee, ...",
    "right_first": "Right first: right hip, left hip, right knee, ...",
}


class ImportLabels(Verb):
    """Import skeletons that were labelled elsewhere."""

    verb = "import_labels"
    title = "Import labels"
    description = "Bring in skeletons labelled elsewhere: a CVAT export, a task or a project"
    submit = "Import"
    icon = "upload_file"
    paths = ("source",)
    risk = RiskLevel.HIGH
    place = types.Places.SAMPLES_GRID_SECONDARY_ACTIONS
    can_delegate = True
    on_view = False

    def form(self, ctx: Any, inputs: types.Object) -> None:
        """Add the source and the order of its keypoints."""
        path_input(
            inputs,
            "source",
            label="Export, task or project",
            description=(
                'A zip or folder "Ultralytics YOLO Pose 1.0", a task backup, or task:12, project:3'
            ),
        )
        choices = types.RadioGroup()
        for name, words in ORDERS.items():
            choices.add_choice(name, label=words)
        inputs.enum(
            "keypoint_order",
            choices.values(),
            default="",
            view=choices,
            label="Order of the keypoints",
            description="Exports do not hold names, so there the order must be said",
        )
        inputs.bool("overwrite", default=False, label="Replace labels that are there")
        inputs.bool("unfinished", default=False, label="Also from jobs that are not completed")
        if not given_path(ctx.params, "source"):
            refuse(inputs, "Say what to import.")

    def call(self, ctx: Any, options: dict[str, Any], report: Report | None) -> Outcome:
        """Import."""
        from fiftyone_legpose.label_import import import_labels

        summary = import_labels(
            ctx.dataset,
            given_path(options, "source") or "",
            keypoint_order=options["keypoint_order"] or None,
            overwrite=options["overwrite"],
            unfinished=options["unfinished"],
            **cvat_login(ctx),
            progress=report,
        )
        notes = [f"No frame belongs to {name}" for name in summary.unmatched[:10]]
        return Outcome(
            f"{summary.written} frames written, with {summary.persons} persons.",
            {
                "Frames written": summary.written,
                "Frames that had these labels": summary.unchanged,
                "Frames that keep other labels": summary.kept,
                "Frames with a reviewer, left alone": summary.out,
                "Frames confirmed to show nobody": summary.empty,
                "Frames nobody has looked at": summary.not_looked_at,
                "Pictures without a frame": len(summary.unmatched),
            },
            notes,
        )
