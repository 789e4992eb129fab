"""The operator pull."""

from typing import Any

import fiftyone.operators.types as types
from fiftyone.operators.types import RiskLevel

from fiftyone_legpose.jobs import Outcome
from fiftyone_legpose.operators.forms import (
    cvat_login,
    cvat_missing,
    given_path,
    path_input,
    way,
)
from fiftyone_legpose.operators.verb import Verb, refuse
from fiftyone_legpose.progress import Report


class Pull(Verb):
    """Fetch the corrections of completed jobs."""

    verb = "pull"
    title = "Pull corrections"
    description = "Fetch what reviewers corrected, from CVAT or from a file that CVAT exported"
    submit = "Pull"
    icon = "cloud_download"
    paths = ("export",)
    risk = RiskLevel.HIGH
    can_delegate = True
    on_view = False

    def form(self, ctx: Any, inputs: types.Object) -> None:
        """Add the round and the way."""
        from fiftyone_legpose.review.runs import open_first

        keys = open_first(ctx.dataset)
        if not keys:
            refuse(inputs, "Nothing was pushed yet: select frames, then push.")
            return
        choices = types.Dropdown()
        for key in keys:
            choices.add_choice(key, label=key)
        inputs.enum("key", choices.values(), default=keys[0], view=choices, label="Round")
        if way(ctx, inputs, "From the CVAT server", "From a file") == "file":
            path_input(
                inputs,
                "export",
                label="File that CVAT exported",
                description=(
                    'Of the task: Export task dataset, format "Ultralytics YOLO Pose 1.0". All of '
                    "its frames count as completed"
                ),
            )
            if not given_path(ctx.params, "export"):
                refuse(inputs, "Say which file to read.")
            return
        missing = cvat_missing(ctx)
        if missing:
            refuse(inputs, missing, name="cvat")

    def call(self, ctx: Any, options: dict[str, Any], report: Report | None) -> Outcome:
        """Pull."""
        from fiftyone_legpose.review.pull import pull

        source: dict[str, Any] = {"login": cvat_login(ctx)}
        if options["way"] == "file":
            source = {"export": given_path(options, "export")}
        summary = pull(ctx.dataset, options["key"], **source, progress=report)
        changes = summary.corrections
        facts: dict[str, Any] = {
            "Frames written": summary.written,
            "Frames that were back before": summary.unchanged,
            "Frames confirmed to show nobody": summary.empty,
            "Frames still with the reviewer": summary.waiting,
            "Frames deleted in CVAT, still out": summary.deleted_frames,
            "Frames that went out again in a later round": summary.elsewhere,
            "Frames that keep labels imported since": summary.imported,
            "Frames that are not in the dataset any more": summary.missing,
            "Persons corrected": changes.changed,
            "Persons added": changes.added,
            "Persons deleted": changes.deleted,
            "Persons left as they were": changes.untouched,
        }
        if changes.mean_px is not None:
            facts["Points moved, mean"] = f"{changes.mean_px:.1f} px"
            facts["Points moved, farthest"] = f"{changes.max_px:.1f} px"
        notes = [f"{link} is gone" for link in summary.gone]
        if summary.file:
            notes.append(f"All frames of {summary.file} counted as completed.")
        notes.append("Next: **Evaluate** the model on the corrected frames, or **Train** on them.")
        return Outcome(f"{summary.written} of {summary.frames} frames written.", facts, notes)
