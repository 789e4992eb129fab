"""Measure weights, ours or others', on labelled pictures of legs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np

from cvat_bridge.yolo_pose import read_yolo_pose
from fiftyone_legpose import legs
from fiftyone_legpose.evaluation.comparison import Comparison, compare, summarize
from fiftyone_legpose.evaluation.metrics import Persons, auc
from fiftyone_legpose.pose.geometry import CORRECT_WITHIN, leg_length

MIN_SCORE: Final = 0.25
"""Box confidence from which a person counts, `predict`'s default."""

Sets = Mapping[str, Callable[[str], bool]]
"""Kinds of footage; each tells by a picture's name what belongs to it."""

SETTINGS: Final[Mapping[str, Mapping[str, bool]]] = {
    "bare": {},
    "voting": {"voting": True},
    "voting and flip test": {"voting": True, "flip_test": True},
}
"""What `load_model` takes, from the least care to the most."""

DEFAULT: Final = "voting and flip test"
"""Of `SETTINGS`, what the card speaks of where it names none."""

COCO: Final = (11, 12, 13, 14, 15, 16)
"""Hips, knees and ankles among COCO's 17 keypoints, in the order of `legs.KEYPOINTS`."""

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


Answer = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Points (N, 10, 2) px, confidence (N, 10) and score (N,) of everybody in a picture."""

Predict = Callable[[np.ndarray], Answer]
"""From a picture (H, W, 3) BGR."""


def read_truth(folder: Path, subset: str = "val") -> Truth:
    """Read the labelled pictures of a YOLO-pose folder.

    Leg lengths come from the labels' boxes, whose margins are a fixed share of them, because most
    pictures that cut a leg off are crops of different scale, so that a track has no one length.
    """
    dataset = read_yolo_pose(folder, subset=subset)
    frames = sorted(dataset.frames.values(), key=lambda frame: frame.name)
    images, persons = [], []
    for i, frame in enumerate(frames):
        images.append(_read_picture(folder / str(frame.image)))
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


def join(truths: Sequence[Truth]) -> Truth:
    """Return the pictures of several folders as those of one."""
    before = np.cumsum([0, *(len(truth.names) for truth in truths)])
    moved = [
        replace(truth.persons, frame=truth.persons.frame + first)
        for truth, first in zip(truths, before, strict=False)
    ]
    fields = ("frame", "points", "visibility", "confidence", "score")
    return Truth(
        names=sum((truth.names for truth in truths), ()),
        images=sum((truth.images for truth in truths), ()),
        persons=Persons(*(np.concatenate([getattr(p, name) for p in moved]) for name in fields)),
        leg=np.concatenate([truth.leg for truth in truths]),
        area=np.concatenate([truth.area for truth in truths]),
    )


def without_feet(truth: Truth) -> Truth:
    """Return the same pictures with hips, knees and ankles alone; who shows none is left out."""
    kept = np.arange(len(legs.KEYPOINTS)) < len(COCO)
    visibility = np.where(kept, truth.persons.visibility, 0)
    points = np.where((visibility > 0)[..., None], truth.persons.points, np.nan)
    shown = visibility.any(axis=1)
    persons = Persons(
        truth.persons.frame[shown],
        points[shown],
        visibility[shown],
        truth.persons.confidence[shown],
        truth.persons.score[shown],
    )
    return replace(truth, persons=persons, leg=truth.leg[shown], area=truth.area[shown])


def load_coco(weights: Path, imgsz: int) -> Predict:
    """Return a function that runs Ultralytics' COCO pose weights; heel and foot are the ankle."""
    from ultralytics import YOLO

    model = YOLO(weights)
    order = [*COCO, *COCO[4:], *COCO[4:]]

    def predict(image: np.ndarray) -> Answer:
        (found,) = model.predict(image, imgsz=imgsz, conf=0.01, verbose=False)
        points = found.keypoints.data.numpy().reshape(-1, 17, 3)[:, order]
        return points[..., :2], points[..., 2], found.boxes.conf.numpy()

    return predict


def load_model(
    weights: Path, imgsz: int | None = None, *, voting: bool = False, flip_test: bool = False
) -> Predict:
    """Return a function that looks once at one picture, without tracking or repair.

    `imgsz` is the longer side of the input in px; None is the size they were trained at.
    """
    from fiftyone_legpose.prediction.inference import Inference
    from fiftyone_legpose.prediction.runtimes import PoseModel
    from fiftyone_legpose.zoo.weights import find_weights

    found = find_weights(weights, trust=True)
    asked = Inference(
        backend="torch",
        imgsz=imgsz,
        conf=0.01,
        close_look=False,
        voting=voting,
        flip_test=flip_test,
    )
    model = PoseModel(found, asked)

    def predict(image: np.ndarray) -> Answer:
        (raw,) = model.infer([model.prepare(image)])
        assert raw.confidence is not None
        return raw.points, raw.confidence, raw.scores

    return predict


def measure_by(truth: Truth, predicted: Persons, sets: Sets) -> dict[str, dict[str, Any]]:
    """Measure each set of pictures; one of which there are none is left out."""
    chosen = {name: [belongs(n) for n in truth.names] for name, belongs in sets.items()}
    return {
        name: measure(*_select(truth, predicted, pictures))
        for name, pictures in chosen.items()
        if any(pictures)
    }


def predict_all(truth: Truth, predict: Predict) -> Persons:
    """Return everybody that was predicted in the pictures."""
    return to_persons([predict(image) for image in truth.images])


def to_persons(answers: Sequence[Answer]) -> Persons:
    """Return everybody in one answer per picture."""
    points, confidence, score = (np.concatenate(parts) for parts in zip(*answers, strict=True))
    number = np.repeat(np.arange(len(answers)), [len(scores) for *_, scores in answers])
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


def _read_picture(path: Path) -> np.ndarray:
    picture = cv2.imread(str(path))
    if picture is None:
        raise FileNotFoundError(f"{path} is no picture: mend or delete it")
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


def points_of_the_found(
    comparison: Comparison, predicted: Persons
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return confidence, visibility and whether within a tenth of a leg length, (N, 10) each.

    Of everybody who was matched; a point that is cut off is within nothing.
    """
    matched = comparison.match >= 0
    confidence = predicted.confidence[comparison.match[matched]]
    near = (comparison.error[matched] / comparison.leg[matched, None]) <= CORRECT_WITHIN
    return confidence, comparison.visibility[matched], near


def _confidence_numbers(comparison: Comparison, predicted: Persons) -> dict[str, float]:
    confidence, visibility, near = points_of_the_found(comparison, predicted)
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
