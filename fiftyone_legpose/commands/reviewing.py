"""select, push, status, pull, import_labels: a person's corrections, by way of CVAT."""

from pathlib import Path
from typing import Annotated, Any

import typer

from fiftyone_legpose.commands.common import (
    CropBelow,
    DatasetName,
    Organization,
    Privacy,
    Trust,
    Url,
    ViewName,
    WeightsName,
    choose_mode,
    open_collection,
    open_dataset,
    say,
    say_facts,
)
from fiftyone_legpose.commands.options import verb_options

app = typer.Typer()

Key = Annotated[str, typer.Argument(help="Name of the round; seen in CVAT.")]
OneKey = Annotated[str | None, typer.Argument(help="Name of the round; by default all or the one.")]


@app.command("select")
@verb_options(
    "select",
    strategy=Annotated[str, typer.Option(help="review, uncertain, jump, uniform or random.")],
    per=Annotated[str, typer.Option(help="Count for the whole dataset, or each video.")],
    min_gap_s=Annotated[float, typer.Option(help="Seconds between two chosen frames.")],
    easy_share=Annotated[float, typer.Option(help="Share drawn at random from all frames.")],
    tag=Annotated[str | None, typer.Option(help="Tag for the chosen frames' reviews.")],
    seed=Annotated[int, typer.Option(help="Of the random draws.")],
    field=Annotated[str, typer.Option(help="The predictions.")],
    disagreement=Annotated[
        bool, typer.Option("--disagreement", help="Also predict mirrored frames and compare.")
    ],
    weights=WeightsName,
    trust=Trust,
)
def select_command(
    dataset: DatasetName,
    count: Annotated[int, typer.Option(help="Frames to choose.")],
    view: ViewName = None,
    **options: Any,
) -> None:
    """Choose the frames that a person should correct."""
    from fiftyone_legpose.dataset.frames import frame_ids
    from fiftyone_legpose.selection.select import select

    view_of_chosen = select(open_collection(dataset, view), count=count, **options)
    chosen = len(frame_ids(view_of_chosen))
    say(f"{chosen} frames selected by {options['strategy']!r}.")
    say(f"Next: legpose push {dataset} round1, or to a file: --backup round1.zip")


@app.command("push")
@verb_options(
    "push",
    label_field=Annotated[str, typer.Option(help="Keypoints to draw.")],
    url=Url,
    organization=Organization,
    project=Annotated[str | None, typer.Option(help="CVAT project, made where needed.")],
    assignee=Annotated[str | None, typer.Option(help="CVAT user name of the reviewer.")],
    segment_size=Annotated[int | None, typer.Option(help="Frames of one job.")],
    frames_per_task=Annotated[int, typer.Option(help="More frames make more tasks.")],
    image_quality=Annotated[int, typer.Option(help="1 to 100, as CVAT shows them.")],
    as_tracks=Annotated[
        bool, typer.Option("--as-tracks", help="Consecutive frames as one track a person.")
    ],
    backup=Annotated[
        Path | None, typer.Option(help="Write a CVAT task backup to this file, use no server.")
    ],
    again=Annotated[
        bool, typer.Option("--again", help="Send frames that are out or reviewed already.")
    ],
    privacy=Privacy,
    crop_below=CropBelow,
)
def push_command(dataset: DatasetName, key: Key, view: ViewName = None, **options: Any) -> None:
    """Send the selected frames to CVAT as skeletons the model has already drawn."""
    from fiftyone_legpose.privacy.stills import PrivacyError
    from fiftyone_legpose.review.push import push

    frames = open_collection(dataset, view)
    try:
        summary = push(frames, key, **options)
    except PrivacyError as refusal:
        summary = push(frames, key, **{**options, "privacy": choose_mode(refusal)})
    done = "out" if summary.sent else "were out before"
    say(
        f"{summary.frames} frames {done} as {summary.key!r}: {summary.persons} persons, "
        f"{summary.points} points, the model was unsure of {summary.unsure} of them."
    )
    if summary.missing:
        say(f"{summary.missing} frames of it are not in the dataset any more.")
    if summary.organization:
        say(f"In CVAT's organisation {summary.organization!r}.")
    for link in summary.links:
        say(link)
    for link in summary.taken_up:
        say(
            f"{link} was there already, from an earlier push of this name: what was drawn in it "
            "stays. For a task with the predictions of now choose another name.",
            fg="yellow",
        )
    for link in summary.gone:
        say(f"gone: {link}", fg="yellow")
    if summary.gone:
        say(f"To send these frames once more: legpose push {dataset} {key} --again")
    if summary.backup:
        say(f"In CVAT: Tasks, +, Create from backup, {summary.backup}")
        say(f"Next, when the task is exported: legpose pull {dataset} {key} --export EXPORT.zip")
    else:
        say(f"Next: legpose status {dataset}, and when jobs are completed: legpose pull {dataset}")


@app.command("status")
@verb_options("status", key=OneKey, url=Url, organization=Organization)
def status_command(dataset: DatasetName, **options: Any) -> None:
    """Tell where each round stands in CVAT."""
    from fiftyone_legpose.review.status import count_selected, status

    opened = open_dataset(dataset)
    found = status(opened, **options)
    if not found and (selected := count_selected(opened)):
        say(f"Nothing was pushed yet, {selected} frames are selected.")
        say(f"Next: legpose push {dataset} round1, or to a file: --backup round1.zip")
    elif not found:
        say(f"Nothing was pushed yet. Next: legpose select {dataset} --count 50")
    for run in found:
        states = ", ".join(f"{n} {state}" for state, n in run.by_state.items() if n)
        say(f"{run.key}: {run.frames} frames: {states}")
        for job in run.jobs:
            say(f"  job {job.id}: {job.state}, {job.assignee or 'nobody'}  {job.url}")
        for task in run.gone:
            say(f"  gone: {task}", fg="yellow")
        if run.gone:
            say(f"  to send its frames once more: legpose push {dataset} {run.key} --again")
        if run.begun:
            say(f"  interrupted; go on with: legpose push {dataset} {run.key}", fg="yellow")
        elif run.to_pull:
            say(f"  next: legpose pull {dataset} {run.key}")


@app.command("pull")
@verb_options(
    "pull",
    key=OneKey,
    url=Url,
    organization=Organization,
    export=Annotated[
        Path | None,
        typer.Option(help="Read CVAT's export 'Ultralytics YOLO Pose 1.0', or a task backup."),
    ],
)
def pull_command(dataset: DatasetName, **options: Any) -> None:
    """Fetch corrections of completed jobs into ground_truth."""
    from fiftyone_legpose.review.pull import pull

    summary = pull(open_dataset(dataset), **options)
    moved = summary.corrections
    say(
        f"{summary.key}: {summary.written} of {summary.frames} frames written, "
        f"{summary.unchanged} known before, {summary.waiting} still out, {summary.empty} empty."
    )
    say_facts(
        {
            "persons changed": moved.changed,
            "added": moved.added,
            "deleted": moved.deleted,
            "untouched": moved.untouched,
        }
    )
    if moved.mean_px is not None:
        say(f"Points moved by {moved.mean_px:.1f} px on average, {moved.max_px:.1f} px at most.")
    if summary.file:
        say(f"All frames of {summary.file} counted as completed.")
    if summary.deleted_frames:
        say(f"{summary.deleted_frames} frames were deleted in CVAT and stay out.")
    if summary.elsewhere:
        say(f"{summary.elsewhere} frames went out again in a later round, which alone writes them.")
    if summary.imported:
        say(f"{summary.imported} frames keep the labels that were imported since.")
    if summary.missing:
        say(f"{summary.missing} frames are not in the dataset any more.")
    for task in summary.gone:
        say(f"gone: {task}", fg="yellow")
    say(f"Next: legpose train {dataset} --name round1")


def _order(text: str) -> str | tuple[str, ...]:
    return tuple(text.split(",")) if "," in text else text


@app.command("import_labels")
@app.command("import-labels", hidden=True)
@verb_options(
    "import_labels",
    keypoint_order=Annotated[
        Any,
        typer.Option(
            parser=_order,
            metavar="ORDER",
            help="left_first, right_first, or all names with commas; else the label's.",
        ),
    ],
    label=Annotated[str | None, typer.Option(help="Name of the skeleton label.")],
    fps=Annotated[
        float | None,
        typer.Option(help="Stills per second of video; needed for videos faster than 30 fps."),
    ],
    confirm_empty=Annotated[
        bool | None, typer.Option(help="Take frames without labels as confirmed empty.")
    ],
    unfinished=Annotated[
        bool, typer.Option("--unfinished", help="Also from jobs that are not completed.")
    ],
    overwrite=Annotated[bool, typer.Option("--overwrite", help="Replace other labels.")],
    media_dir=Annotated[Path | None, typer.Option(help="Where the pictures of a new dataset go.")],
    url=Url,
    organization=Organization,
)
def import_labels_command(
    dataset: DatasetName,
    source: Annotated[str, typer.Argument(help="An export zip, task:12, project:3, or a link.")],
    **options: Any,
) -> None:
    """Attach skeletons labelled elsewhere, or make an image dataset of them."""
    from fiftyone_legpose.review.labels_import import import_labels

    summary = import_labels(dataset, source, **options)
    say(
        f"{summary.written} frames of {summary.dataset} written with {summary.persons} persons, "
        f"{summary.empty} confirmed empty."
    )
    if summary.absent:
        say(f"Not labelled there, and left without a place: {', '.join(summary.absent)}.")
    say_facts(
        {
            "frames had the same labels": summary.unchanged,
            "frames kept other labels (--overwrite replaces them)": summary.kept,
            "frames are out for review": summary.out,
            "frames without labels left alone (--confirm-empty)": summary.not_looked_at,
            "frames in unfinished jobs": summary.unfinished,
            "pictures belong to no frame": len(summary.unmatched),
        }
    )
