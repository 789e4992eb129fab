"""What the commands share: options that mean the same everywhere, and opening a dataset."""

import sys
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from fiftyone_legpose.dataset.by_name import open_dataset
from fiftyone_legpose.privacy.modes import MODE_WORDS

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
Device = Annotated[str, typer.Option(help="auto, cpu, mps, 0 or 0,1.")]
Url = Annotated[
    str | None,
    typer.Option(
        help="Address of the CVAT server; by default FIFTYONE_CVAT_URL. The account comes from "
        "FIFTYONE_CVAT_TOKEN, or _USERNAME and _PASSWORD."
    ),
]
Organization = Annotated[
    str | None, typer.Option(help="Organisation in CVAT; by default FIFTYONE_CVAT_ORGANIZATION.")
]


_MODES = "; ".join(f"{mode}: {words}" for mode, words in MODE_WORDS.items())
Privacy = Annotated[str, typer.Option(help=f"What stills may show. {_MODES}.")]
CropBelow = Annotated[
    float, typer.Option(help="Share of the picture's height, from its top, that is black.")
]


def choose_mode(refusal: Exception) -> str:
    """Tell what was refused and ask what to do; without a terminal nobody can be asked.

    Raises
    ------
    PrivacyError
        Nothing is to be sent.
    """
    if not _is_terminal():
        raise refusal
    say(str(refusal), fg="yellow")
    for mode, words in MODE_WORDS.items():
        say(f"  {mode}: {words}")
    answer: str = typer.prompt(f"What now ({', '.join(MODE_WORDS)})?", default="refuse")
    if answer == "refuse":
        raise refusal
    return answer


def say(text: str, **style: Any) -> None:
    """Print a line, in colour where the terminal has them."""
    typer.secho(text, **style)


def say_facts(facts: Mapping[str, Any]) -> None:
    """Print numbers with their names in one line, or no line where all of them are 0 or None."""
    if told := ", ".join(f"{value} {name}" for name, value in facts.items() if value):
        say(told)


def open_collection(name: str, view: str | None) -> Any:
    """Load a dataset, or one of its saved views.

    Raises
    ------
    DatasetError
        There is no such dataset or view.
    """
    from fiftyone_legpose.errors import DatasetError

    dataset = open_dataset(name)
    if view is None:
        return dataset
    if view not in dataset.list_saved_views():
        saved = ", ".join(dataset.list_saved_views()) or "none"
        raise DatasetError(f"Dataset {name!r} has no saved view {view!r} (there are: {saved}).")
    return dataset.load_saved_view(view)


def _is_terminal() -> bool:
    return sys.stdin.isatty()
