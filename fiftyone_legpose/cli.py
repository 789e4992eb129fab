"""The command line: `legpose <verb>`; each command reads its options and calls the verb."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from fiftyone_legpose import fields
from fiftyone_legpose.errors import LegposeError

app = typer.Typer(
    help="Leg keypoints from videos that show only a person's legs: load, predict, select, push "
    "to CVAT, pull corrections, train, evaluate, and again.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
weights_app = typer.Typer(help="Versions of the model's weights.", no_args_is_help=True)
plugin_app = typer.Typer(help="The plugin in the FiftyOne App.", no_args_is_help=True)
app.add_typer(weights_app, name="weights")
app.add_typer(plugin_app, name="plugin")

DatasetName = Annotated[str, typer.Argument(help="Name of a FiftyOne dataset.")]
ViewName = Annotated[
    str | None, typer.Option("--view", help="A saved view of the dataset, instead of all of it.")
]
WeightsName = Annotated[
    str | None,
    typer.Option(help="A version's name or the path of a checkpoint; by default the one in use."),
]
Trust = Annotated[
    bool, typer.Option("--trust", help="Load a checkpoint of unknown origin, which can run code.")
]
Subject = Annotated[
    str | None,
    typer.Option(
        help="Whom the files show: a name, a regular expression with a (group) on the file name, "
        "or a CSV file with the columns file and subject."
    ),
]
LabelField = Annotated[str, typer.Option(help="Field of the predicted keypoints.")]


def main() -> None:
    """Run the command line; errors that a user can mend become one message and exit status 1."""
    from cvat_bridge.errors import CvatError

    try:
        app()
    except (LegposeError, CvatError) as error:
        typer.secho(f"Error: {error}", err=True, fg="red")
        sys.exit(1)
    except KeyboardInterrupt:
        typer.secho(
            "Interrupted. What is finished is kept; the same command goes on from there.",
            err=True,
        )
        sys.exit(130)


@app.command("load")
def load_command(
    sources: Annotated[list[str], typer.Argument(help="Videos, folders, globs or image folders.")],
    dataset: Annotated[str, typer.Option("--dataset", "-d", help="Dataset to load into.")],
    subject: Subject = None,
) -> None:
    """Load videos, or a folder of images, into a dataset."""
    from fiftyone_legpose.videos import load, load_summary

    summary = load_summary(load(sources, dataset, subject=subject))
    for item in summary.copied:
        _say(f"copied   {item['path']}: {item['reason']}")
    for item in summary.skipped:
        _say(f"skipped  {item['path']}: {item['reason']}", fg="yellow")
    _say(f"{summary.added} added, {summary.known} known before, {len(summary.skipped)} skipped.")
    _say(f"Next: legpose predict {dataset}")


@app.command("frames")
def frames_command(
    videos: Annotated[list[str], typer.Argument(help="Videos, folders or globs.")],
    fps: Annotated[float, typer.Option(help="Stills per second of video.")] = 30.0,
    out: Annotated[Path, typer.Option(help="Folder for the stills.")] = Path("frames"),
    dataset: Annotated[
        str | None, typer.Option("--dataset", "-d", help="Image dataset to load the stills into.")
    ] = None,
    subject: Subject = None,
) -> None:
    """Write stills of videos, named <video>_<00001>.jpg."""
    from fiftyone_legpose.videos import extract_frames

    stills = extract_frames(videos, out, fps=fps, dataset=dataset, subject=subject)
    _say(f"{len(stills)} stills in {out}" + (f", loaded into {dataset}." if dataset else "."))


@app.command("predict")
def predict_command(
    dataset: DatasetName,
    view: ViewName = None,
    weights: WeightsName = None,
    backend: Annotated[str, typer.Option(help="auto, torch, openvino, onnx or tensorrt.")] = "auto",
    conf: Annotated[float, typer.Option(help="Lowest box confidence of a person.")] = 0.25,
    imgsz: Annotated[
        int | None, typer.Option(help="Longer side of the model's input in px; as trained.")
    ] = None,
    every: Annotated[int, typer.Option(help="Look at every n-th frame only.")] = 1,
    track: Annotated[bool, typer.Option(help="Give persons track ids.")] = True,
    label_field: LabelField = fields.PREDICTIONS,
    device: Annotated[str, typer.Option(help="auto, cpu, mps, 0, ...")] = "auto",
    trust: Trust = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Redo what is done.")] = False,
    save_video: Annotated[
        Path | None, typer.Option(help="Folder for annotated H.264 videos.")
    ] = None,
) -> None:
    """Find the legs in every frame and save ten keypoints a person."""
    from fiftyone_legpose.prediction import describe, predict

    summary = predict(
        _collection(dataset, view),
        weights=weights,
        backend=backend,  # type: ignore[arg-type]
        conf=conf,
        imgsz=imgsz,
        every=every,
        track=track,
        label_field=label_field,
        device=device,
        trust=trust,
        overwrite=overwrite,
        save_video=save_video,
    )
    for item in summary.failures:
        _say(f"failed   {item['path']}: {item['reason']}", fg="yellow")
    for path in summary.videos_saved:
        _say(f"saved    {path}")
    _say(describe(summary))
    _say(f"Next: legpose select {dataset}, or look: legpose app {dataset}")
    if summary.failures and not summary.frames and not summary.skipped:
        raise typer.Exit(1)


@app.command("app")
def app_command(
    dataset: Annotated[str | None, typer.Argument(help="Dataset to open.")] = None,
    port: Annotated[int, typer.Option(help="Port of the App.")] = 5151,
    remote: Annotated[
        bool, typer.Option("--remote", help="Only serve; open no browser on this machine.")
    ] = False,
) -> None:
    """Open the FiftyOne App."""
    import fiftyone as fo

    opened = _dataset(dataset) if dataset else None
    session = fo.launch_app(opened, port=port, remote=remote)
    session.wait(-1)


@app.command("demo")
def demo_command(
    open_app: Annotated[
        bool,
        typer.Option("--app/--no-app", help="Open the App at the end where there is a screen."),
    ] = True,
    out: Annotated[Path, typer.Option(help="Folder for the hand-over file and video.")] = Path(
        "demo"
    ),
) -> None:
    """Go once around the loop with the sample clip."""
    from fiftyone_legpose.demo import run_demo

    run_demo(out, open_app=open_app)


@app.command("doctor")
def doctor_command() -> None:
    """Check what is installed and say how to mend what is missing."""
    from fiftyone_legpose.doctor import examine

    findings = examine()
    for finding in findings:
        mark, color = {True: ("ok  ", "green"), False: ("FAIL", "red"), None: ("-   ", "yellow")}[
            finding.good
        ]
        typer.secho(mark, fg=color, nl=False)
        _say(f" {finding.name}: {finding.detail}")
        if finding.remedy:
            _say(f"       {finding.remedy}")
    if any(finding.good is False for finding in findings):
        raise typer.Exit(1)


@weights_app.command("list")
def weights_list_command() -> None:
    """List the versions; the one in use is marked with a star."""
    from fiftyone_legpose.zoo import registry

    current = registry.current_version()
    for version in registry.list_versions():
        _say(f"{'*' if version.name == current else ' '} {registry.describe(version)}")


@weights_app.command("show")
def weights_show_command(name: Annotated[str, typer.Argument(help="A version's name.")]) -> None:
    """Show all that is known of a version."""
    from dataclasses import asdict

    from rich import print as rich_print

    from fiftyone_legpose.zoo import registry

    rich_print(asdict(registry.get_version(name)))


@weights_app.command("use")
def weights_use_command(name: Annotated[str, typer.Argument(help="A version's name.")]) -> None:
    """Make a version the default for predict."""
    from fiftyone_legpose.zoo import registry

    _say(f"In use: {registry.describe(registry.use_version(name))}")


@weights_app.command("rm")
def weights_rm_command(name: Annotated[str, typer.Argument(help="A version's name.")]) -> None:
    """Remove a version."""
    from fiftyone_legpose.zoo import registry

    registry.remove_version(name)
    _say(f"Removed {name}.")


@weights_app.command("export")
def weights_export_command(
    name: Annotated[str, typer.Argument(help="A version's name.")],
    target: Annotated[Path, typer.Argument(help="File to write.")],
) -> None:
    """Write a version into one file, to give to somebody else."""
    from fiftyone_legpose.zoo import registry

    _say(f"Written to {registry.export_version(name, target)}.")


@weights_app.command("import")
def weights_import_command(
    source: Annotated[Path, typer.Argument(help="An exported version or a checkpoint.")],
    name: Annotated[str | None, typer.Option(help="Name of the version.")] = None,
    trust: Trust = False,
) -> None:
    """Add a version from a file."""
    from fiftyone_legpose.zoo import registry

    _say(f"Added {registry.describe(registry.import_version(source, name, trust=trust))}")


@plugin_app.command("install")
def plugin_install_command() -> None:
    """Link this package into FiftyOne's plugins folder, so that the App has its buttons."""
    from fiftyone_legpose.plugin_install import install

    _say(f"Installed at {install()}. Restart the App, or reload its page.")


def _say(text: str, **style: Any) -> None:
    typer.secho(text, **style)


def _dataset(name: str) -> Any:
    import fiftyone as fo

    from fiftyone_legpose.errors import DatasetError

    if not fo.dataset_exists(name):
        known = ", ".join(fo.list_datasets()) or "none yet"
        raise DatasetError(
            f"There is no dataset {name!r} (there are: {known}). "
            f"Make it with: legpose load VIDEOS --dataset {name}"
        )
    return fo.load_dataset(name)


def _collection(name: str, view: str | None) -> Any:
    from fiftyone_legpose.errors import DatasetError

    dataset = _dataset(name)
    if view is None:
        return dataset
    if view not in dataset.list_saved_views():
        saved: Sequence[str] = dataset.list_saved_views()
        raise DatasetError(
            f"Dataset {name!r} has no saved view {view!r} (there are: {', '.join(saved) or 'none'})."
        )
    return dataset.load_saved_view(view)
