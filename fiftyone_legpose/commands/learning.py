"""train, evaluate, loop and the versions of the weights."""

import inspect
from pathlib import Path
from typing import Annotated, Any

import typer

from fiftyone_legpose.commands.common import (
    DatasetName,
    Device,
    Trust,
    ViewName,
    open_collection,
    open_dataset,
    say,
)
from fiftyone_legpose.commands.options import inference_options, typed, verb_options
from fiftyone_legpose.prediction.inference import NetworkOptions, SwitchOptions
from fiftyone_legpose.zoo import version_files

app = typer.Typer()
weights_app = typer.Typer(help="Versions of the model's weights.", no_args_is_help=True)
app.add_typer(weights_app, name="weights")

VersionName = Annotated[str, typer.Argument(help="A version's name.")]
SharedSubjects = Annotated[
    bool, typer.Option("--allow-shared-subjects", help="Accept a subject on both sides.")
]


def _pictures(text: str) -> int | str:
    if text == "auto":
        return text
    try:
        return int(text)
    except ValueError:
        raise typer.BadParameter(f"--batch {text}: give a number of pictures, or auto.") from None


def _share_or_tag(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


@app.command("train", context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
@verb_options(
    "train",
    base=Annotated[
        str | None,
        typer.Option(
            help="A version's name, a checkpoint, yolov8n-pose.pt or yolov8n-pose.yaml; by default "
            "the version in use."
        ),
    ],
    epochs=Annotated[int, typer.Option(help="Passes over the training frames.")],
    imgsz=Annotated[
        int | None,
        typer.Option(help="Longer side of the model's input in px; by default that of the base."),
    ],
    optimizer=Annotated[str, typer.Option(help="As ultralytics names them.")],
    batch=Annotated[
        Any, typer.Option(parser=_pictures, metavar="NUMBER|auto", help="Pictures a step, or auto.")
    ],
    val=Annotated[
        Any,
        typer.Option(
            parser=_share_or_tag,
            metavar="SHARE|TAG",
            help="Share of frames to validate with, or the tag of their samples. Subjects and "
            "videos that an earlier version had stay on their side.",
        ),
    ],
    allow_shared_subjects=SharedSubjects,
    gt_field=Annotated[str, typer.Option(help="The corrections.")],
    box_margin=Annotated[
        float,
        typer.Option(help="Space around the keypoints in a person's box, as a share of its size."),
    ],
    validate=Annotated[
        bool,
        typer.Option(help="Look at the validation frames after every epoch and keep the best one."),
    ],
    device=Device,
    threads=Annotated[int | None, typer.Option(help="Of the CPU; by default one a core.", min=1)],
    seed=Annotated[int, typer.Option(help="Of the split of what comes new, and of training.")],
    trust=Trust,
    resume=Annotated[
        bool | None, typer.Option(help="Demand to go on, or to start anew; by default it goes on.")
    ],
    promote=Annotated[
        bool, typer.Option("--promote", help="Make it the default if it beats the present one.")
    ],
    compare=Annotated[
        bool, typer.Option("--compare", help="Evaluate it and the default on validation frames.")
    ],
    verbose=Annotated[bool, typer.Option("--verbose", help="Show ultralytics' own output.")],
)
def train_command(
    context: typer.Context,
    dataset: DatasetName,
    name: Annotated[str, typer.Option(help="Name of the new version.")],
    view: ViewName = None,
    **options: Any,
) -> None:
    """Fine-tune the model on corrected frames; other --key value go to ultralytics."""
    from fiftyone_legpose.training.train import train
    from fiftyone_legpose.zoo.registry import current_version

    further = _pass_through(context.args)
    summary = train(open_collection(dataset, view), name=name, **options, **further)
    what = "trained" if summary.trained else "was trained before"
    say(
        f"Version {summary.version.name} {what}: {summary.train_frames} frames to learn from, "
        f"{summary.val_frames} to validate, {summary.empty_frames} of them empty."
    )
    if summary.taken:
        say(summary.taken)
    if summary.shared:
        say(
            f"Not strangers in validation: {', '.join(summary.shared)}; the metrics flatter the "
            "new weights.",
            fg="yellow",
        )
    if summary.comparison is not None:
        say(summary.comparison.summary())
    if summary.promoted is not None:
        say("It is the default now." if summary.promoted else "It is not better: not promoted.")
    else:
        say(f"Next: legpose evaluate {dataset} --weights {current_version()} --weights {name}")


@app.command("evaluate")
@verb_options(
    "evaluate",
    weights=Annotated[
        list[str] | None, typer.Option(help="Versions or checkpoints, the baseline first.")
    ],
    pred_field=Annotated[
        list[str] | None, typer.Option(help="Fields of stored predictions, instead of weights.")
    ],
    gt_field=Annotated[str, typer.Option(help="The corrections.")],
    group_by=Annotated[
        str | None, typer.Option(help="Sample field for the intervals; by default each video.")
    ],
    min_score=Annotated[
        float, typer.Option(help="Lowest box confidence of a predicted person that counts.")
    ],
    **inference_options(NetworkOptions, whose="For weights: "),
    trust=Trust,
    trained_on=Annotated[
        bool, typer.Option("--trained-on", help="Also use frames that weights were trained on.")
    ],
    report=Annotated[Path | None, typer.Option(help="Folder for an HTML report.")],
)
def evaluate_command(
    dataset: DatasetName,
    view: ViewName = None,
    json: Annotated[Path | None, typer.Option(help="File for all numbers.")] = None,
    **options: Any,
) -> None:
    """Compare predictions or weights with the corrections, joint by joint."""
    from fiftyone_legpose.evaluation.evaluate import evaluate

    result = evaluate(open_collection(dataset, view), **options)
    say(result.summary())
    if json is not None:
        result.to_json(json)
        say(f"All numbers: {json}")
    if (report := options["report"]) is not None:
        say(f"Report: {report / 'report.html'}")


@app.command("loop")
@verb_options(
    "loop",
    strategy=Annotated[str, typer.Option(help="review, uncertain, jump, uniform or random.")],
    project=Annotated[str | None, typer.Option(help="CVAT project.")],
    handover=Annotated[
        Path | None, typer.Option(help="Folder to exchange files through, instead of a server.")
    ],
    as_tracks=Annotated[bool, typer.Option("--as-tracks", help="Push tracks.")],
    train=Annotated[bool, typer.Option(help="Train after each round.")],
    min_new=Annotated[
        int | None, typer.Option(help="Reviewed frames that are enough to train on.", min=1)
    ],
    promote=Annotated[bool, typer.Option(help="Use new weights that are better.")],
    epochs=Annotated[int, typer.Option(help="Of each training.")],
    imgsz=Annotated[
        int | None,
        typer.Option(help="Of each training, in px; by default that of the weights in use."),
    ],
    **inference_options(SwitchOptions, whose="For predict: "),
    allow_shared_subjects=SharedSubjects,
    watch=Annotated[bool, typer.Option("--watch", help="Stay and look again.")],
    poll_s=Annotated[float, typer.Option(help="Seconds between looks.")],
)
def loop_command(
    context: typer.Context,
    dataset: DatasetName,
    rounds: Annotated[int, typer.Option(help="Rounds in all.")],
    count: Annotated[int, typer.Option(help="Frames a round.")],
    **options: Any,
) -> None:
    """Do what can be done now, and say what the loop waits for."""
    from fiftyone_legpose.rounds.loop import loop

    state = loop(open_dataset(dataset), rounds=rounds, count=count, **typed(context, options))
    for one in state.rounds:
        version = f", weights {one.version}" if one.version else ""
        say(
            f"round {one.number} ({one.key}): {one.out} out, {one.corrected} corrected, "
            f"{one.empty} empty{version}"
        )
    say(f"In use: {state.weights}. Next: {state.next_step}")


@weights_app.command("list")
def weights_list_command() -> None:
    """List the versions; the one in use is marked with a star."""
    from fiftyone_legpose.zoo import registry

    current = registry.current_version()
    for version in registry.list_versions():
        say(f"{'*' if version.name == current else ' '} {_line(version)}")


@weights_app.command("show")
def weights_show_command(name: VersionName) -> None:
    """Show all that is known of a version."""
    from dataclasses import asdict

    from rich.pretty import pprint

    from fiftyone_legpose.zoo import registry

    pprint(asdict(registry.get_version(name)), expand_all=True, max_length=20)


@weights_app.command("use")
def weights_use_command(name: VersionName) -> None:
    """Make a version the default for predict."""
    from fiftyone_legpose.zoo import registry

    say(f"In use: {_line(registry.use_version(name))}")


@weights_app.command("rm")
def weights_rm_command(name: VersionName) -> None:
    """Remove a version."""
    from fiftyone_legpose.zoo import registry

    registry.remove_version(name)
    say(f"Removed {name}.")


@weights_app.command("export")
def weights_export_command(
    name: VersionName, target: Annotated[Path, typer.Argument(help="File to write.")]
) -> None:
    """Write a version into one file, to give to somebody else."""
    say(f"Written to {version_files.export_version(name, target)}.")


@weights_app.command("import")
def weights_import_command(
    source: Annotated[Path, typer.Argument(help="An exported version or a checkpoint.")],
    name: Annotated[str | None, typer.Option(help="Name of the version.")] = None,
    right_first: Annotated[
        bool,
        typer.Option("--right-first", help="Its keypoints begin with the right side."),
    ] = False,
    trust: Trust = False,
) -> None:
    """Add a version from a file."""
    sides = True if right_first else None  # an export says it itself
    version = version_files.import_version(source, name, right_first=sides, trust=trust)
    say(f"Added {_line(version)}")


def _line(version: Any) -> str:
    """Say in a line which weights a version is."""
    parts = [version.name, f"sha256 {version.sha256[:12]}", version.created or "shipped"]
    if version.parent:
        parts.append(f"from {version.parent}")
    return ", ".join(parts)


def _pass_through(words: list[str]) -> dict[str, Any]:
    """Read ultralytics' own arguments, as ``--lr0 0.001`` or, in its own way, ``lr0=0.001``."""
    found: dict[str, Any] = {}
    rest = iter(words)
    for word in rest:
        key, given, value = word.partition("=")
        name = key.lstrip("-").replace("-", "_")
        text = value if given else next(rest, None)
        if text is None or not name.isidentifier():
            raise typer.BadParameter(f"{word!r}: give further arguments as --name value.")
        if name in inspect.signature(train_command).parameters:
            raise typer.BadParameter(f"{word!r}: this is an option of train itself, --{name}.")
        found[name] = _value(text)
    return found


def _value(text: str) -> Any:
    """Read a value as YAML, but 1e-4 as the number that it is to everybody else."""
    import yaml

    value = yaml.safe_load(text)
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value
