"""The operator import_labels."""

from typing import Any

import fiftyone.operators.types as types
from fiftyone.operators.types import RiskLevel

from fiftyone_legpose.jobs import Outcome
from fiftyone_legpose.operators.forms import (
    cvat_login,
    dataset_input,
    given_dataset,
    given_path,
    more,
    path_input,
)
from fiftyone_legpose.operators.verb import Verb, refuse
from fiftyone_legpose.progress import Report

ORDERS = {
    "": "As the label's names say",
    "left_first": "Left first: left hip, right hip, left knee, ...",
    "right_first": "Right first: right hip, left hip, right knee, ...",
}

CONFIRM_EMPTY = {
    "auto": "Only where a job marked completed says that somebody looked",
    "yes": "Yes, all of them",
    "no": "No, none of them",
}


class ImportLabels(Verb):
    """Import skeletons that were labelled elsewhere."""

    verb = "import_labels"
    title = "Import labels"
    description = "Bring in skeletons labelled elsewhere: a CVAT export, a task or a project"
    submit = "Import"
    icon = "upload_file"
    paths = ("source", "media_dir")
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
                'A zip or folder "Ultralytics YOLO Pose 1.0", a task backup, COCO keypoints, a '
                "file of Label Studio, DeepLabCut or SLEAP, or task:12, project:3"
            ),
        )
        dataset_input(ctx, inputs, "A new name makes a dataset of the pictures in the export")
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
        inputs.bool(
            "overwrite", default=self.default("overwrite"), label="Replace labels that are there"
        )
        inputs.bool(
            "unfinished",
            default=self.default("unfinished"),
            label="Also from jobs that are not completed",
        )
        if not given_path(ctx.params, "source"):
            refuse(inputs, "Say what to import.")
        if more(ctx, inputs):
            self._add_more(ctx, inputs)

    def _add_more(self, ctx: Any, inputs: types.Object) -> None:
        inputs.str("label", label="Skeleton", description="Its name, where the source has several")
        fps = inputs.float(
            "fps",
            label="Stills per second of video",
            description="That were extracted to be labelled; empty: every frame, up to 30",
        )
        given = ctx.params.get("fps")
        if given is not None and given <= 0:
            fps.invalid = True
            fps.error_message = "Give a number above 0, or leave it empty"
        answers = types.RadioGroup()
        for name, words in CONFIRM_EMPTY.items():
            answers.add_choice(name, label=words)
        inputs.enum(
            "confirm_empty",
            answers.values(),
            default="auto",
            view=answers,
            label="Take frames without labels as confirmed to show nobody",
        )
        path_input(
            inputs,
            "media_dir",
            label="Folder for the pictures of a new dataset",
            description="Empty: a folder below FiftyOne's",
            choose_dir=True,
        )

    def call(self, ctx: Any, options: dict[str, Any], report: Report | None) -> Outcome:
        """Import."""
        from fiftyone_legpose.review.labels_import import import_labels

        name = given_dataset(options)
        elsewhere = name != ctx.dataset_name
        summary = import_labels(
            name if elsewhere else ctx.dataset,
            given_path(options, "source") or "",
            keypoint_order=options["keypoint_order"] or None,
            overwrite=options["overwrite"],
            unfinished=options["unfinished"],
            label=options.get("label") or None,
            fps=options.get("fps"),
            confirm_empty={"yes": True, "no": False}.get(options.get("confirm_empty", "auto")),
            media_dir=given_path(options, "media_dir"),
            login=cvat_login(ctx),
            progress=report,
        )
        notes = [f"No frame belongs to {name}" for name in summary.unmatched[:10]]
        if summary.absent:
            notes.append(f"Not labelled: {', '.join(summary.absent)}. They stay without a place.")
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
            dataset=name if elsewhere else None,
        )
