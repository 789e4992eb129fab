"""load, frames, predict, app, export, deidentify: from videos to keypoints, and out again."""

from pathlib import Path
from typing import Annotated, Any

import typer

from fiftyone_legpose.commands.common import (
    CropBelow,
    DatasetName,
    Privacy,
    Trust,
    ViewName,
    WeightsName,
    open_collection,
    open_dataset,
    say,
)
from fiftyone_legpose.commands.options import inference_options, typed, verb_options
from fiftyone_legpose.prediction.inference import InferenceOptions

app = typer.Typer()

Subject = Annotated[
    str | None,
    typer.Option(
        help="Whom the files show: a name, a regular expression with a (group) on the file name "
        "or folder/file name, or a CSV file with the columns file and subject."
    ),
]


@app.command("load")
@verb_options("load", subject=Subject)
def load_command(
    sources: Annotated[list[str], typer.Argument(help="Videos, folders, globs or image folders.")],
    dataset: Annotated[str, typer.Option("--dataset", "-d", help="Dataset to load into.")],
    **options: Any,
) -> None:
    """Load videos, or a folder of images, into a dataset."""
    from fiftyone_legpose.videos.load import load, load_summary

    summary = load_summary(load(sources, dataset, **options))
    for item in summary.copied:
        say(f"copied   {item['path']}: {item['reason']}")
    for item in summary.skipped:
        say(f"skipped  {item['path']}: {item['reason']}", fg="yellow")
    for note in summary.notes:
        say(note, fg="yellow")
    say(f"{summary.added} added, {summary.known} known before, {len(summary.skipped)} skipped.")
    say(f"Dataset {dataset} is in the database at {summary.database}.")
    say(f"Next: legpose predict {dataset}")


@app.command("frames")
@verb_options(
    "extract_frames",
    fps=Annotated[float, typer.Option(help="Stills per second of video.")],
    dataset=Annotated[
        str | None, typer.Option("--dataset", "-d", help="Image dataset to load the stills into.")
    ],
    subject=Subject,
    privacy=Privacy,
    crop_below=CropBelow,
)
def frames_command(
    videos: Annotated[list[str], typer.Argument(help="Videos, folders or globs.")],
    out: Annotated[Path, typer.Option(help="Folder for the stills.")] = Path("frames"),
    **options: Any,
) -> None:
    """Write stills of videos, named <video>_<00001>.jpg."""
    from fiftyone_legpose.videos.stills import extract_frames

    stills = extract_frames(videos, out, **options)
    dataset = options["dataset"]
    say(f"{len(stills)} stills in {out}" + (f", loaded into {dataset}." if dataset else "."))


@app.command("predict")
@verb_options(
    "predict",
    weights=WeightsName,
    **inference_options(InferenceOptions),
    every=Annotated[int, typer.Option(help="Look at every n-th frame only.")],
    track=Annotated[
        bool | None, typer.Option(help="Give persons track ids; yes where nothing was predicted.")
    ],
    label_field=Annotated[str, typer.Option(help="Field to write.")],
    trust=Trust,
    overwrite=Annotated[bool, typer.Option("--overwrite", help="Redo what is done.")],
    repair_swaps=Annotated[
        bool | None,
        typer.Option(help="Exchange left and right back where motion says so."),
    ],
    save_video=Annotated[Path | None, typer.Option(help="Folder for annotated H.264 videos.")],
)
def predict_command(
    context: typer.Context, dataset: DatasetName, view: ViewName = None, **options: Any
) -> None:
    """Find the legs in every frame and save ten keypoints a person.

    Settings that are not typed are those that the dataset was predicted with.
    """
    from fiftyone_legpose.prediction.predict import describe, predict, warnings

    summary = predict(open_collection(dataset, view), **typed(context, options))
    for item in summary.failures:
        say(f"failed   {item['path']}: {item['reason']}", fg="yellow")
    for path in summary.videos_saved:
        say(f"saved    {path}")
    say(describe(summary))
    for warning in warnings(summary):
        say(warning, fg="yellow")
    say(f"Next: legpose select {dataset} --count 50, or look: legpose app {dataset}")
    if summary.failures and not summary.frames and not summary.skipped:
        raise typer.Exit(1)


@app.command("app")
def app_command(
    dataset: Annotated[
        str | None, typer.Argument(help="Dataset to open; by default the one opened last.")
    ] = None,
    port: Annotated[int, typer.Option(help="Port of the App.")] = 5151,
    remote: Annotated[
        bool, typer.Option("--remote", help="Only serve; open no browser on this machine.")
    ] = False,
) -> None:
    """Open the FiftyOne App with the plugin's buttons; Ctrl-C ends it."""
    import fiftyone as fo

    from fiftyone_legpose.plugin_install import install
    from fiftyone_legpose.videos.load import last_opened

    install()
    opened = open_dataset(dataset) if dataset else last_opened()
    say(f"Opening dataset {opened.name}.")
    session = fo.launch_app(opened, port=port, remote=remote)
    try:
        session.wait(-1)
    except KeyboardInterrupt:
        say("Closed.")


@app.command("export")
@verb_options(
    "export",
    format=Annotated[
        str | None,
        typer.Option(
            help="csv, parquet, coco, wide, events, strides, parameters, cycles, dlc, trc, mot or "
            "c3d; by default by the file's name."
        ),
    ],
    field=Annotated[str, typer.Option(help="The predictions.")],
    gt_field=Annotated[str, typer.Option(help="The corrections.")],
    smooth_field=Annotated[str, typer.Option(help="The clean paths.")],
)
def export_command(
    dataset: DatasetName,
    path: Annotated[Path, typer.Argument(help="File to write; its ending is the format.")],
    view: ViewName = None,
    **options: Any,
) -> None:
    """Write trajectories, gait tables or motion files, by the file's ending.

    .csv, .parquet: one row for each frame, person and keypoint. .wide.csv: one row for each frame
    and person. .json: COCO keypoints. .events.csv, .strides.csv, .parameters.csv, .cycles.csv: what
    gait found. .dlc.csv, .trc, .mot, .c3d: one person's motion each.
    """
    from fiftyone_legpose.exports.export import export

    summary = export(open_collection(dataset, view), path, **options)
    if not summary.frames:
        for file in summary.files:
            say(f"written  {file}")
        say(f"{summary.rows} rows.")
        return
    say(
        f"{summary.rows} rows in {summary.path}: {summary.frames} frames with somebody on them, "
        f"{summary.corrected_frames} frames looked at by a person."
    )


@app.command("deidentify")
@verb_options(
    "deidentify",
    margin=Annotated[float, typer.Option(help="Seen above the higher hip, in leg lengths.")],
    min_score=Annotated[
        float, typer.Option(help="Lowest confidence of a person whose waist counts.")
    ],
    weights=WeightsName,
    imgsz=Annotated[int, typer.Option(help="Longer side of the model's input in px.")],
    trust=Trust,
)
def deidentify_command(
    videos: Annotated[list[str], typer.Argument(help="Full-body videos, folders or globs.")],
    folder: Annotated[Path, typer.Argument(help="Where the legs-only copies go.")],
    **options: Any,
) -> None:
    """Write legs-only copies of full-body videos: cut at the waist, no sound, no metadata."""
    from fiftyone_legpose.exports.deidentify import deidentify

    summary = deidentify(videos, folder, **options)
    for copy in summary.copies:
        say(
            f"{copy.file}: {copy.frames} frames, {copy.frames_black} of them black, "
            f"{copy.faces_hidden} faces hidden below the cut."
        )
    for item in summary.skipped:
        say(f"skipped  {item['path']}: {item['reason']}", fg="yellow")
    say(f"Look through the contact sheets in {folder} before you hand anything out.")
