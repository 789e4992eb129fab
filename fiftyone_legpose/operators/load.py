"""The operator load."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import fiftyone.operators.types as types

from fiftyone_legpose.jobs import Outcome
from fiftyone_legpose.operators.forms import (
    dataset_input,
    given_dataset,
    given_path,
    path_input,
)
from fiftyone_legpose.operators.verb import Verb, refuse
from fiftyone_legpose.progress import Report


class Load(Verb):
    """Load videos, or a folder of images."""

    verb = "load"
    title = "Load videos"
    description = "Load a folder of videos, one video, or a folder of images"
    submit = "Load"
    icon = "video_library"
    paths = ("sources",)
    on_view = False
    needs_predictions = False

    def form(self, ctx: Any, inputs: types.Object) -> None:
        """Add where from, where to, and whom."""
        path_input(
            inputs,
            "sources",
            label="Folder or video",
            description="On the machine that runs FiftyOne; a pattern such as *.mp4 works too",
            choose_dir=True,
        )
        dataset_input(ctx, inputs, "A new name makes a new dataset")
        inputs.str(
            "subject",
            label="Subject",
            description=(
                "Whom the files show; training keeps one subject on one side. A name, a pattern "
                r"on the file name or folder/file name such as (P\d+), or a CSV file with the "
                "columns file and subject"
            ),
        )
        if not given_path(ctx.params, "sources"):
            refuse(inputs, "Say which folder or video to load.")

    def call(self, ctx: Any, options: dict[str, Any], report: Report | None) -> Outcome:
        """Load."""
        from fiftyone_legpose.videos.load import load, load_summary

        source = given_path(options, "sources") or ""
        dataset = load(
            source, given_dataset(options), subject=options.get("subject") or None, progress=report
        )
        summary = load_summary(dataset)
        notes = _in_short("Copied", summary.copied) + _in_short("Skipped", summary.skipped)
        notes += summary.notes
        notes.append("Next: **Predict** the leg keypoints.")
        return Outcome(
            f"Loaded into {dataset.name}: {summary.added} new, {summary.known} known before.",
            {
                "Added": summary.added,
                "Known before": summary.known,
                "Copied, because the App cannot play them": len(summary.copied),
                "Skipped": len(summary.skipped),
            },
            notes,
            dataset=dataset.name,
        )


def _in_short(what: str, files: Sequence[Mapping[str, str]]) -> list[str]:
    """Tell of files in one line for each reason, though there may be hundreds of them."""
    by_reason: dict[str, list[str]] = {}
    for file in files:
        by_reason.setdefault(file["reason"], []).append(Path(file["path"]).name)
    return [
        f"{what}: {names[0]}{f' and {len(names) - 1} more' if names[1:] else ''}: {reason}"
        for reason, names in by_reason.items()
    ]
