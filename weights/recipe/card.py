"""The model card's numbers: ``python -m weights.recipe.card --data FOLDER [--write]``."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import numpy as np
import typer

from fiftyone_legpose import legs
from fiftyone_legpose.evaluation.metrics import Persons
from weights.recipe.blazepose import blazepose
from weights.recipe.measuring import (
    DEFAULT,
    SETTINGS,
    Sets,
    Truth,
    join,
    load_coco,
    load_model,
    measure_by,
    predict_all,
    read_truth,
    to_persons,
    without_feet,
)
from weights.recipe.shipping import WEIGHTS
from weights.recipe.strangers import prepare_strangers

_PEOPLE: Final = ("ccp", "street", "web", "cross", "open", "gym", "graz")
_LEGS: Final = ("p2s", "intel")
_OUTDOORS: Final = ("woman", "man")


def _of(*sources: str) -> Any:
    return lambda name: name.startswith(sources)


VALIDATION: Final[Sets] = {
    "people/val": _of(*_PEOPLE),
    "legs/val": _of(*_LEGS),
    "strangers outdoors": _of(*_OUTDOORS),
}

KINDS: Final[Sets] = {
    **VALIDATION,
    "street fashion": _of("ccp"),
    "pedestrians": _of("street"),
    "other streets, crossings, events": _of("web", "cross", "open", "graz"),
    "gym, bare legs": _of("gym"),
    "laboratory, another camera": _of("p2s"),
    "street, another man": _of("intel"),
    "outdoors from the side, a woman": _of("woman"),
    "outdoors against the light, a man": _of("man"),
}
"""Kinds of footage; the first three are all that there is, the rest are parts of them."""

_COLUMNS: Final = {
    "found": "found",
    "PCK@0.05": "pck@0.05/all/all",
    "PCK@0.1": "pck@0.1/all/all",
    "OKS-AP50": "ap50",
    "sides exchanged": "swapped/all",
    "AUC": "auc/visible",
    "nobody there": "spare",
}
"""What a table says of a kind of footage, and its key in `measuring.measure`."""


def main(
    data: Annotated[Path, typer.Option(help="Folder that holds people/ and legs/.")],
    coco: Annotated[
        Path | None, typer.Option(help="COCO pose weights; of the data folder.")
    ] = None,
    strangers: Annotated[Path, typer.Option(help="Their pictures; made once.")] = Path("strangers"),
    weights: Annotated[Path, typer.Option(help="Weights to measure.")] = WEIGHTS,
    imgsz: Annotated[int | None, typer.Option(help="Longer side of the input, px.")] = None,
    write: Annotated[bool, typer.Option(help="Put the tables into the card.")] = False,
) -> None:
    """Measure weights and others' on pictures that no training saw, and print the card's tables."""
    from fiftyone_legpose.zoo.weights import open_yolo, trained_imgsz

    coco = coco or data / "yolov8n-pose-coco.pt"
    prepare_strangers(strangers, coco)
    truth = join([read_truth(data / "people"), read_truth(data / "legs"), read_truth(strangers)])
    ours = {
        name: predict_all(truth, load_model(weights, imgsz, **setting))
        for name, setting in SETTINGS.items()
    }
    side = imgsz or trained_imgsz(open_yolo(weights))
    others = {
        f"COCO's weights, {px} px": predict_all(truth, load_coco(coco, px)) for px in (side, 640)
    }
    others["BlazePose"] = to_persons(blazepose(truth.images))
    tables = {
        "kinds": kinds_table(truth, ours[DEFAULT]),
        "settings": settings_table(truth, ours),
        "others": others_table(truth, {"ours": ours[DEFAULT], **others}),
        "points": points_table(truth, ours[DEFAULT]),
    }
    for name, table in tables.items():
        typer.echo(f"{table}\n")
        if write:
            write_between_marks(WEIGHTS.with_name("README.md"), name, table)


def kinds_table(truth: Truth, predicted: Persons) -> str:
    """Format what one prediction reached, a row per kind of footage, as Markdown."""
    results = measure_by(truth, predicted, KINDS)
    head = ["", "pictures / persons", *_COLUMNS]
    return _markdown(
        head,
        {
            name: [f"{got['pictures']} / {got['persons']}", *_cells(got)]
            for name, got in results.items()
        },
    )


def settings_table(truth: Truth, predicted: Mapping[str, Persons]) -> str:
    """Format what more care brings on each of `VALIDATION`."""
    results = {name: measure_by(truth, one, VALIDATION) for name, one in predicted.items()}
    rows = {
        f"{kind}: {setting}": _cells(got[kind])
        for kind in next(iter(results.values()))
        for setting, got in results.items()
    }
    return _markdown(["", *_COLUMNS], rows)


def others_table(truth: Truth, predicted: Mapping[str, Persons]) -> str:
    """Format found and PCK@0.1 of several models on hips, knees and ankles alone."""
    six = without_feet(truth)
    results = {name: measure_by(six, one, KINDS) for name, one in predicted.items()}
    rows = {
        kind: [
            f"{got[kind]['found']:.2f} / {got[kind]['pck@0.1/all/all']:.2f}"
            for got in results.values()
        ]
        for kind in next(iter(results.values()))
    }
    return _markdown(["found / PCK@0.1", *results], rows)


def points_table(truth: Truth, predicted: Persons) -> str:
    """Format PCK@0.1 by keypoint, and what confidence says of the kinds of points."""
    results = measure_by(truth, predicted, VALIDATION)
    rows = {
        f"PCK@0.1: {name}": [f"{got[f'pck@0.1/all/{name}']:.3f}" for got in results.values()]
        for name in legs.KEYPOINTS
    }
    for kind in ("visible", "occluded"):
        rows[f"PCK@0.1: {kind} points"] = [
            f"{got[f'pck@0.1/{kind}/all']:.3f}" for got in results.values()
        ]
    for kind in ("visible", "occluded", "cut off"):
        rows[f"mean confidence / share under {legs.OCCLUDED_BELOW}: {kind} points"] = [
            f"{got[f'confidence/{kind}']:.2f} / {got[f'unsure/{kind}']:.2f}"
            for got in results.values()
        ]
    return _markdown(["", *results], rows)


def write_between_marks(path: Path, mark: str, text: str) -> None:
    """Replace what stands between ``<!-- mark -->`` and ``<!-- /mark -->`` in a file."""
    pattern = re.compile(rf"(<!-- {mark} -->\n).*?(<!-- /{mark} -->)", re.DOTALL)
    before = path.read_text(encoding="utf-8")
    if not pattern.search(before):
        raise ValueError(f"{path} has no <!-- {mark} --> ... <!-- /{mark} --> to write between")
    after = pattern.sub(lambda found: f"{found[1]}\n{text}\n\n{found[2]}", before)
    path.write_text(after, encoding="utf-8")


def _cells(numbers: Mapping[str, float]) -> list[str]:
    return ["" if np.isnan(numbers[key]) else f"{numbers[key]:.3f}" for key in _COLUMNS.values()]


def _markdown(head: Sequence[str], rows: Mapping[str, Sequence[str]]) -> str:
    lines = [
        head,
        ["---", *["---:"] * (len(head) - 1)],
        *([name, *row] for name, row in rows.items()),
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    typer.run(main)
