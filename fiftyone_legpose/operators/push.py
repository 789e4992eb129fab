"""The operator push."""

from pathlib import Path
from typing import Any

import fiftyone.operators.types as types
from fiftyone.operators.types import RiskLevel

from fiftyone_legpose.jobs import Outcome
from fiftyone_legpose.operators.forms import (
    cvat_login,
    cvat_missing,
    given_path,
    handover_folder,
    keypoints_choice,
    more,
    next_key,
    path_input,
    privacy_choice,
    stated,
    view_choice,
    way,
)
from fiftyone_legpose.operators.verb import Verb, refuse
from fiftyone_legpose.progress import Report

OPTIONS = (
    "label_field",
    "again",
    "as_tracks",
    "project",
    "assignee",
    "segment_size",
    "frames_per_task",
    "image_quality",
    "privacy",
    "crop_below",
)


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
        from fiftyone_legpose.review.runs import begun_keys
        from fiftyone_legpose.rounds.standing import read_standing

        selected, begun = read_standing(ctx.dataset).selected, begun_keys(ctx.dataset)
        proposed = begun[0] if begun else next_key(ctx.dataset)
        view = stated(ctx, "view")
        told = f"{selected} selected frames go out; the videos stay here."
        if begun:
            told = f"Round {proposed!r} was interrupted: push it again to complete it."
        elif view:
            told = f"The frames of the view {view!r} go out; the videos stay here."
        inputs.view("selected", types.Notice(label=told))
        key = inputs.str(
            "key",
            default=proposed,
            label="Name of this round",
            description="Seen in CVAT, so no patient's name",
        )
        name = ctx.params.get("key") or proposed
        ready = selected or view
        is_taken = name in ctx.dataset.list_annotation_runs() and name not in begun
        if is_taken and ready and not ctx.params.get("again"):
            key.invalid = True
            key.error_message = f"There is a round {name!r} already: choose another name"
        if not ready and not begun:
            refuse(inputs, "No frame is selected: run select first.")
        to_file = way(ctx, inputs, "Send to the CVAT server", "Write a file for CVAT") == "file"
        if to_file:
            path_input(
                inputs,
                "folder",
                label="Folder for the file",
                description=f"Empty: {handover_folder()}",
                choose_dir=True,
            )
        elif missing := cvat_missing(ctx):
            refuse(inputs, missing, name="cvat")
        privacy_choice(ctx, inputs, self.default("privacy"))
        if more(ctx, inputs):
            self._add_more(ctx, inputs, to_file=to_file)

    def _add_more(self, ctx: Any, inputs: types.Object, *, to_file: bool) -> None:
        inputs.float(
            "crop_below",
            min=0,
            max=0.99,
            default=self.default("crop_below"),
            label="Black at the top",
            description="Share of each still's height; rectangles in privacy_mask are black too",
        )
        view_choice(
            ctx, inputs, "view", label="Frames to send", none="The frames that select chose"
        )
        keypoints_choice(ctx, inputs, "label_field", label="Keypoints to draw")
        inputs.bool(
            "again",
            default=self.default("again"),
            label="Send frames again",
            description="Also those that are out or reviewed already",
        )
        inputs.bool(
            "as_tracks",
            default=self.default("as_tracks"),
            label="One track a person over consecutive frames",
        )
        if to_file:
            return
        inputs.str("project", label="CVAT project", description="Made where there is none")
        inputs.str("assignee", label="Reviewer", description="A CVAT user name")
        inputs.int("segment_size", min=1, label="Frames a job", description="Empty: one job a task")
        inputs.int(
            "frames_per_task", min=1, default=self.default("frames_per_task"), label="Frames a task"
        )
        inputs.int(
            "image_quality",
            min=1,
            max=100,
            default=self.default("image_quality"),
            label="Picture quality",
        )

    def call(self, ctx: Any, options: dict[str, Any], report: Report | None) -> Outcome:
        """Push."""
        from fiftyone_legpose.review.handover import handover_name
        from fiftyone_legpose.review.push import push

        given = {name: options[name] for name in OPTIONS if options.get(name) not in (None, "")}
        if options["way"] == "file":
            folder = Path(given_path(options, "folder") or handover_folder())
            given["backup"] = folder / f"{handover_name(ctx.dataset, options['key'])}.zip"
        else:
            given["login"] = cvat_login(ctx)
        view = options.get("view")
        frames = ctx.dataset.load_saved_view(view) if view else ctx.dataset
        summary = push(frames, options["key"], **given, progress=report)
        where = summary.backup or "CVAT"
        notes = [f"[Task in CVAT]({link})" for link in summary.links]
        notes += [
            f"[This task]({link}) was there already, from an earlier push of this name: what was "
            "drawn in it stays. For one with the predictions of now choose another name."
            for link in summary.taken_up
        ]
        notes += [
            f"[This task]({link}) is gone from CVAT. Send it once more with *Send frames again*."
            for link in summary.gone
        ]
        if summary.missing:
            notes.append(f"{summary.missing} frames of it are not in the dataset any more.")
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
                "of these the model was unsure of": summary.unsure,
            },
            notes,
        )
