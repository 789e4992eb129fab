"""The model card's numbers: ``python -m weights.recipe.card --data FOLDER [--write]``."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import cv2
import numpy as np
import typer

from cvat_bridge.yolo_pose import read_yolo_pose
from fiftyone_legpose import legs
from fiftyone_legpose.evaluation.comparison import Comparison, compare, summarize
from fiftyone_legpose.evaluation.metrics import Persons, auc
from fiftyone_legpose.pose.geometry import CORRECT_WITHIN, leg_length
from weights.recipe.shipping import WEIGHTS

MIN_SCORE: Final = 0.25
"""Box confidence from which a person counts, `predict`'s default."""

Sets = Mapping[str, Callable[[str], bool]]

_SETS: Final[Sets] = {
    "camera 3, same take": lambda name: name.startswith("p2s"),
    "another man": lambda name: name.startswith("intel"),
    "all": lambda name: True,
}

_AREA_SHARE: Final = 0.53
"""Area of a person as a share of the label's box, as Ultralytics' validation takes it."""

_MARGINS: Final = (("low", 0, -0.11), ("high", 0, 0.11), ("high", 1, 0.05))
"""Margins of the labels' boxes (left, right, below) in leg lengths; see the data's README."""


@dataclass(frozen=True)
class Truth:
    """Pictures and who is in them."""

    names: tuple[str, ...]
    images: tuple[np.ndarray, ...]
    """(H, W, 3) BGR each."""
    persons: Persons
    leg: np.ndarray
    """(G,) px."""
    area: np.ndarray
    """(G,) px²."""


Predict = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray, np.ndarray]]
"""From a picture (H, W, 3) BGR to points (N, 10, 2) px, confidence (N, 10) and score (N,)."""


def main(
    data: Annotated[Path, typer.Option(help="Folder that holds legs/.")],
    weights: Annotated[Path, typer.Option(help="Weights to measure.")] = WEIGHTS,
    imgsz: Annotated[int | None, typer.Option(help="Longer side of the input, px.")] = None,
    write: Annotated[bool, typer.Option(help="Put the tables into the card.")] = False,
) -> None:
    """Measure weights on the validation pictures and print the card's tables."""
    truth = read_truth(data)
    tables = to_tables(
        {name: measure_sets(truth, model) for name, model in load_each(weights, imgsz).items()}
    )
    typer.echo(tables)
    if write:
        write_between_marks(WEIGHTS.with_name("README.md"), "results", tables)


def read_truth(data: Path, subset: str = "val") -> Truth:
    """Read the labelled pictures of ``data/legs``.

    Leg lengths come from the labels' boxes, whose margins are a fixed share of them, because most
    pictures that cut a leg off are crops of different scale, so that a track has no one length.
    """
    dataset = read_yolo_pose(data / "legs", subset=subset)
    frames = sorted(dataset.frames.values(), key=lambda frame: frame.name)
    images, persons = [], []
    for i, frame in enumerate(frames):
        images.append(_read_picture(data / "legs" / str(frame.image)))
        size = np.array(images[-1].shape[1::-1])
        assert frame.boxes is not None
        for pose, box in zip(frame.poses, frame.boxes, strict=True):
            points = np.where(pose.visibility[:, None] > 0, pose.points, np.nan)
            persons.append((i, points, pose.visibility, _leg_length(points, box, size), box))
    number, points, visibility, leg, boxes = (np.array(v) for v in zip(*persons, strict=True))
    area = _AREA_SHARE * (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    unknown = np.full(visibility.shape, np.nan)
    return Truth(
        names=tuple(frame.name for frame in frames),
        images=tuple(images),
        persons=Persons(number, points, visibility, unknown, unknown[:, 0]),
        leg=leg,
        area=area,
    )


def load_each(weights: Path, imgsz: int | None = None) -> dict[str, Predict]:
    """Return weights with less and more care, by the heads of the card's tables."""
    return {
        "bare": load_model(weights, imgsz),
        "voting": load_model(weights, imgsz, voting=True),
        "flip test too": load_model(weights, imgsz, voting=True, flip_test=True),
    }


def load_model(
    weights: Path, imgsz: int | None = None, *, voting: bool = False, flip_test: bool = False
) -> Predict:
    """Return a function that runs weights on one picture, without tracking or repair.

    `imgsz` is the longer side of the input in px; None is the size they were trained at.
    """
    from fiftyone_legpose.prediction.inference import Inference
    from fiftyone_legpose.prediction.runtimes import PoseModel
    from fiftyone_legpose.zoo.weights import find_weights

    found = find_weights(weights, trust=True)
    asked = Inference(backend="torch", imgsz=imgsz, conf=0.01, voting=voting, flip_test=flip_test)
    model = PoseModel(found, asked)

    def predict(image: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        (raw,) = model.infer([model.prepare(image)])
        assert raw.confidence is not None
        return raw.points, raw.confidence, raw.scores

    return predict


def measure_sets(truth: Truth, predict: Predict) -> dict[str, dict[str, Any]]:
    """Predict every picture once and measure each of the card's sets of pictures."""
    return measure_by(truth, predict, _SETS)


def measure_by(truth: Truth, predict: Predict, sets: Sets) -> dict[str, dict[str, Any]]:
    """Predict every picture once and measure each set, which tells by name what belongs to it."""
    predicted = predict_all(truth, predict)
    return {
        name: measure(*_select(truth, predicted, [belongs(n) for n in truth.names]))
        for name, belongs in sets.items()
    }


def predict_all(truth: Truth, predict: Predict) -> Persons:
    """Return everybody that was predicted in the pictures."""
    results = [predict(image) for image in truth.images]
    points, confidence, score = (np.concatenate(parts) for parts in zip(*results, strict=True))
    number = np.repeat(np.arange(len(results)), [len(scores) for *_, scores in results])
    return Persons(number, points, np.full(points.shape[:2], 2), confidence, score)


def measure(truth: Truth, predicted: Persons) -> dict[str, Any]:
    """Return the card's numbers for one set of pictures.

    Returns
    -------
    dict
        What `comparison.summarize` says, each value a float, and ``pictures``, ``persons``,
        ``auc/visible`` and ``auc/occluded`` (area under the ROC curve of keypoint confidence for
        "within a tenth of a leg length"), ``confidence/<visible, occluded, cut off>`` (mean) and
        ``unsure/<the same>`` (share under `legs.OCCLUDED_BELOW`), of the persons matched.
    """
    comparison = compare(
        truth.persons, predicted, leg=truth.leg, area=truth.area, min_score=MIN_SCORE
    )
    everything = summarize(comparison, np.zeros(len(truth.names), int))
    numbers: dict[str, Any] = {key: float(value[0]) for key, value in everything.items()}
    numbers |= {"pictures": len(truth.names), "persons": len(comparison.frame)}
    return numbers | _confidence_numbers(comparison, predicted)


def to_tables(results: Mapping[str, Mapping[str, Mapping[str, float]]]) -> str:
    """Format what models reached on sets of pictures, ``results[model][set]``, as Markdown."""
    columns = [(model, name) for model, sets in results.items() for name in sets]
    several = len(results) > 1
    heads = [f"{model}: {name}" if several else name for model, name in columns]
    values = [results[model][name] for model, name in columns]
    rows = {
        "pictures / persons": [f"{v['pictures']} / {v['persons']}" for v in values],
        "persons found (OKS >= 0.5)": _row(values, "found"),
        "PCK@0.05": _row(values, "pck@0.05/all/all"),
        "PCK@0.1": _row(values, "pck@0.1/all/all"),
        "PCK@0.2": _row(values, "pck@0.2/all/all"),
        "PCK@0.1, visible points": _row(values, "pck@0.1/visible/all"),
        "PCK@0.1, occluded points": _row(values, "pck@0.1/occluded/all"),
        "OKS-AP50": _row(values, "ap50"),
        "OKS-AP50-95": _row(values, "ap50_95"),
        "left/right pairs swapped": _row(values, "swapped/all"),
        "people who are not there, a picture": _row(values, "spare"),
        "AUC of confidence, visible points": _row(values, "auc/visible"),
        "AUC of confidence, occluded points": _row(values, "auc/occluded"),
    }
    joints = {name: _row(values, f"pck@0.1/all/{name}") for name in legs.KEYPOINTS}
    sure = {
        f"{kind}: mean confidence / share under {legs.OCCLUDED_BELOW}": [
            f"{v[f'confidence/{kind}']:.2f} / {v[f'unsure/{kind}']:.2f}" for v in values
        ]
        for kind in ("visible", "occluded", "cut off")
    }
    return "\n\n".join(
        _markdown([title, *heads], body)
        for title, body in (("", rows), ("PCK@0.1 of", joints), ("points that are", sure))
    )


def write_between_marks(path: Path, mark: str, text: str) -> None:
    """Replace what stands between ``<!-- mark -->`` and ``<!-- /mark -->`` in a file."""
    pattern = re.compile(rf"(<!-- {mark} -->\n).*?(<!-- /{mark} -->)", re.DOTALL)
    before = path.read_text(encoding="utf-8")
    if not pattern.search(before):
        raise ValueError(f"{path} has no <!-- {mark} --> ... <!-- /{mark} --> to write between")
    after = pattern.sub(lambda found: f"{found[1]}\n{text}\n\n{found[2]}", before)
    path.write_text(after, encoding="utf-8")


def _read_picture(path: Path) -> np.ndarray:
    picture = cv2.imread(str(path))
    if picture is None:
        raise FileNotFoundError(f"{path} is no picture; --data names the folder that holds legs/")
    return picture


def _leg_length(points: np.ndarray, box: np.ndarray, size: np.ndarray) -> float:
    ends = {"low": np.nanmin(points, axis=0), "high": np.nanmax(points, axis=0)}
    lengths = []
    for end, axis, share in _MARGINS:
        edge = box[axis if end == "low" else axis + 2]
        if 0.5 < edge < size[axis] - 1.5:  # the picture's border has not cut the margin
            lengths.append((edge - ends[end][axis]) / share)
    if lengths:
        return float(np.median(lengths))
    known = np.isfinite(points).all(axis=1).astype(int)[None]
    return float(leg_length(points[None], known)[0])


def _select(truth: Truth, predicted: Persons, chosen: Sequence[bool]) -> tuple[Truth, Persons]:
    """Keep some pictures, numbered anew."""
    kept = np.array(chosen)
    number = np.cumsum(kept) - 1

    def keep(persons: Persons) -> tuple[Persons, np.ndarray]:
        rows = kept[persons.frame]
        arrays = (persons.points, persons.visibility, persons.confidence, persons.score)
        return Persons(number[persons.frame[rows]], *(array[rows] for array in arrays)), rows

    persons, rows = keep(truth.persons)
    names = tuple(name for name, is_kept in zip(truth.names, chosen, strict=True) if is_kept)
    images = tuple(image for image, is_kept in zip(truth.images, chosen, strict=True) if is_kept)
    return Truth(names, images, persons, truth.leg[rows], truth.area[rows]), keep(predicted)[0]


def _confidence_numbers(comparison: Comparison, predicted: Persons) -> dict[str, float]:
    matched = comparison.match >= 0
    confidence = predicted.confidence[comparison.match[matched]]
    visibility = comparison.visibility[matched]
    near = (comparison.error[matched] / comparison.leg[matched, None]) <= CORRECT_WITHIN
    numbers = {}
    for kind, value in (("cut off", 0), ("occluded", 1), ("visible", 2)):
        of_kind = confidence[visibility == value]
        known = of_kind[~np.isnan(of_kind)]
        if value:
            numbers[f"auc/{kind}"] = auc(of_kind, near[visibility == value])
        numbers[f"confidence/{kind}"] = float(known.mean()) if len(known) else np.nan
        unsure = known < legs.OCCLUDED_BELOW
        numbers[f"unsure/{kind}"] = float(unsure.mean()) if len(known) else np.nan
    return numbers


def _row(values: Sequence[Mapping[str, float]], key: str) -> list[str]:
    return [f"{value[key]:.3f}" for value in values]


def _markdown(head: Sequence[str], rows: Mapping[str, Sequence[str]]) -> str:
    lines = [
        head,
        ["---", *["---:"] * (len(head) - 1)],
        *([name, *row] for name, row in rows.items()),
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    typer.run(main)
