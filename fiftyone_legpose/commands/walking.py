"""smooth, gait: from keypoints to how somebody walks."""

from pathlib import Path
from typing import Annotated, Any

import typer

from fiftyone_legpose.commands.common import DatasetName, ViewName, open_collection, say, say_facts
from fiftyone_legpose.commands.options import verb_options

app = typer.Typer()


@app.command("smooth")
@verb_options(
    "smooth",
    field=Annotated[str, typer.Option(help="The predictions.")],
    gt_field=Annotated[str, typer.Option(help="The corrections.")],
    label_field=Annotated[str, typer.Option(help="Field to write.")],
    cutoff_hz=Annotated[
        float | None,
        typer.Option(help="Cut-off of the filter in Hz; by default found for each point."),
    ],
    lowest_cutoff_hz=Annotated[float, typer.Option(help="Lowest cut-off that is found.")],
    highest_cutoff_hz=Annotated[float, typer.Option(help="Highest cut-off that is found.")],
    max_gap_s=Annotated[float, typer.Option(help="Longest gap in s that is filled.")],
    reach_s=Annotated[
        float, typer.Option(help="Seconds over which a correction fades out beside its frame.")
    ],
    repair_sides=Annotated[
        bool, typer.Option(help="Exchange left and right back where the motion says so.")
    ],
)
def smooth_command(dataset: DatasetName, view: ViewName = None, **options: Any) -> None:
    """Make one clean path of each person's points over time, through all corrections."""
    from fiftyone_legpose.trajectories.smooth import smooth

    summary = smooth(open_collection(dataset, view), **options)
    say(
        f"{summary.people} people in {summary.videos} videos, clean paths in "
        f"{options['label_field']}."
    )
    say_facts(
        {f"points {name}": count for name, count in summary.points.items()}
        | {
            "times left and right exchanged back": summary.sides_exchanged,
            "videos without anybody": summary.empty,
        }
    )
    say(f"Next: legpose gait {dataset}")


@app.command("gait")
@verb_options(
    "gait",
    field=Annotated[str, typer.Option(help="The clean paths.")],
    method=Annotated[str | None, typer.Option(help="zeni or heights; by default by the view.")],
    leg_length_m=Annotated[
        float | None, typer.Option(help="Hip by knee to ankle, measured on the person, for metres.")
    ],
    thigh_m=Annotated[float | None, typer.Option(help="Or hip to knee.")],
    shank_m=Annotated[float | None, typer.Option(help="Or knee to ankle.")],
    foot_m=Annotated[float | None, typer.Option(help="Or heel to the tip of the shoe.")],
    subjects=Annotated[
        Path | None,
        typer.Option(help="CSV with the column subject and any of the four, for many people."),
    ],
    belt_speed_m_s=Annotated[
        float | None, typer.Option(help="Speed of the treadmill's belt, for metres.")
    ],
)
def gait_command(dataset: DatasetName, view: ViewName = None, **options: Any) -> None:
    """Find walking bouts, gait events, strides and their parameters."""
    from fiftyone_legpose.gait_analysis.gait import gait

    summary = gait(open_collection(dataset, view), **options)
    for path, warnings in summary.warnings.items():
        for warning in warnings:
            say(f"{Path(path).name}: {warning}", fg="yellow")
    say(f"{summary.strides} strides in {summary.bouts} bouts of {summary.videos} videos.")
    cadence = summary.cadence_spm
    say_facts(
        {
            "steps per minute": None if cadence is None else round(cadence, 1),
            "events set by a person": summary.edited_events,
            "videos without walking": summary.without_walking,
        }
    )
    say(f"Next: legpose export {dataset} {dataset}.strides.csv")
