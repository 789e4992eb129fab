"""The operator push."""

from pathlib import Path
from typing import Any

import fiftyone.operators.types as types
from fiftyone.operators.types import RiskLevel

from fiftyone_legpose.operators.forms import (
    cvat_login,
    cvat_missing,
    given_path,
    handover_folder,
    more,
    next_key,
    path_input,
    way,
)
from fiftyone_legpose.operators.running import Outcome
from fiftyone_legpose.operators.verb import Verb, refuse
from fiftyone_legpose.progress import Report

OPTIONS = ("project", "assignee", "segment_size", "frames_per_task", "image_quality", "as_tracks")


class Push(Verb):
    """Send the selected frames to CVAT, with the model's keypoints drawn on them."""

    verb = "push"
    title = "Push to CVAT"
    description = "Send the selected frames to CVAT, or into a file for CVAT, keypoints drawn in"
    submit = "Push"
    icon = "cloud_upload"
    paths = ("folder",)
    risk = RiskLevel.HIGH
    can_delegate = True
    on_view = False

    def form(self, ctx: Any, inputs: types.Object) -> None:
        """Add the run's name and the way."""
        from fiftyone_legpose.panels.glance import glance
        from fiftyone_legpose.review_out import begun_keys

        selected, begun = glance(ctx.dataset).selected, begun_keys(ctx.dataset)
        proposed = begun[0] if begun else next_key(ctx.dataset)
        told = f"{selected} selected frames go out; the videos stay here."
        if begun:
            told = f"Round {proposed!r} was interrupted: push it again to complete it."
        inputs.view("selected", types.Notice(label=told))
        key = inputs.str(
            "key",
            default=proposed,
            label="Name of this round",
            description="Seen in CVAT, so no patient's name",
        )
        name = ctx.params.get("key") or proposed
        if name in ctx.dataset.list_annotation_runs() and name not in begun and selected:
            key.invalid = True
            key.error_message = f"There is a round {name!r} already: choose another name"
        if not selected and not begun:
            refuse(inputs, "No frame is selected: run select first.")
        if way(ctx, inputs, "Send to the CVAT server", "Write a file for CVAT") == "file":
            path_input(
                inputs,
                "folder",
                label="Folder for the file",
                description=f"Empty: {handover_folder()}",
                choose_dir=True,
            )
            return
        missing = cvat_missing(ctx)
        if missing:
            refuse(inputs, missing, name="cvat")
        if not more(ctx, inputs):
            return
        inputs.str("project", label="CVAT project", description="Made where there is none")
        inputs.str("assignee", label="Reviewer", description="A CVAT user name")
        inputs.int("segment_size", min=1, label="Frames a job", description="Empty: one job a task")
        inputs.int("image_quality", min=1, max=100, default=95, label="Picture quality")
        inputs.bool("as_tracks", default=False, label="One track a person over consecutive frames")

    def call(self, ctx: Any, options: dict[str, Any], report: Report | None) -> Outcome:
        """Push."""
        from fiftyone_legpose.review import push

        given = {name: options[name] for name in OPTIONS if options.get(name) not in (None, "")}
        if options["way"] == "file":
            folder = Path(given_path(options, "folder") or handover_folder()).expanduser()
            given["backup"] = folder / f"{options['key']}.zip"
        else:
            given |= cvat_login(ctx)
        summary = push(ctx.dataset, options["key"], **given, progress=report)
        where = summary.backup or "CVAT"
        notes = [f"[Task in CVAT]({link})" for link in summary.links]
        if summary.backup:
            notes.append(
                "In CVAT: **Tasks, +, Create from backup**. When it is corrected: **Export task "
                'dataset**, format "Ultralytics YOLO Pose 1.0", then **Pull** that file here.'
            )
        else:
            notes.append("When the jobs are marked completed in CVAT: **Pull**.")
        return Outcome(
            f"{summary.frames} frames are in {where}.",
            {
                "Round": summary.key,
                "Frames": summary.frames,
                "Persons drawn": summary.persons,
                "Points drawn": summary.points,
                "of these marked as occluded": summary.occluded,
            },
            notes,
        )
