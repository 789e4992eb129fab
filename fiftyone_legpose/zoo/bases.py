"""What training starts from: weights of legs, weights of other keypoints, or nothing."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fiftyone_legpose import legs
from fiftyone_legpose.errors import WeightsError
from fiftyone_legpose.zoo.checkpoints import NAME, check_checkpoint
from fiftyone_legpose.zoo.registry import family_folder
from fiftyone_legpose.zoo.ultralytics import import_ultralytics
from fiftyone_legpose.zoo.weights import find_weights, keypoint_shape, open_yolo

_OFFICIAL = re.compile(r"yolo(v8|11|26)[nsmlx](-pose)?\.pt")
_ARCHITECTURE = re.compile(r"yolo(v8|11|26)[nsmlx]-pose\.yaml")
_KEYPOINT_SHAPE = (len(legs.KEYPOINTS), 3)


@dataclass(frozen=True)
class Base:
    """What training starts from.

    Attributes
    ----------
    name
        For people and for the registry: a version's name, a file's, or an architecture's.
    path
        The checkpoint; None to start from scratch.
    sha256
        Of the checkpoint; of nothing, empty.
    right_first
        Whether each pair of its keypoints begins with the right side.
    """

    name: str
    path: Path | None
    sha256: str
    right_first: bool = False


def find_base(spec: str | Path, *, trust: bool = False) -> Base:
    """Find what training starts from, without opening it.

    Parameters
    ----------
    spec
        One of ultralytics' pose models or detectors, as ``yolov8n-pose.pt`` or ``yolov8n.pt``
        (fetched once, if it is not there); an architecture, as ``yolov8n-pose.yaml``, to start
        from scratch; or what `find_weights` takes.
    trust
        As for `find_weights`.

    Returns
    -------
    Base

    Raises
    ------
    WeightsError
        If it is not there and cannot be fetched, or is unknown and not trusted.
    """
    text = str(spec)
    if _ARCHITECTURE.fullmatch(text):
        return Base(text, None, "")
    if text.endswith((".yaml", ".yml")):
        raise WeightsError(
            f"{text} is no pose model that ultralytics knows; try yolov8n-pose.yaml."
        )
    if _OFFICIAL.fullmatch(text) and not Path(text).exists():
        path = _fetch(text)
        return Base(text, path, check_checkpoint(path))
    weights = find_weights(spec, trust=trust)
    return Base(weights.name, weights.path, weights.sha256, weights.right_first)


def load_base(base: Base) -> tuple[Any, str | None]:
    """Load what training starts from.

    Parameters
    ----------
    base
        From `find_base`.

    Returns
    -------
    yolo : ultralytics.YOLO
        Ready to train; of right-first weights the keypoints are in the order of `legs.KEYPOINTS`.
    taken : str or None
        What of the base is not taken over, in words; None where all of it is.

    Raises
    ------
    WeightsError
        If it cannot be loaded or is neither a pose model nor a detector.
    """
    if base.path is None:
        return import_ultralytics().YOLO(base.name), "nothing: training starts from scratch"
    yolo = open_yolo(base.path)
    shape = keypoint_shape(yolo)
    if shape == _KEYPOINT_SHAPE:
        if base.right_first:
            _reorder_keypoints(yolo.model, legs.RIGHT_FIRST)
        return yolo, None
    if shape is None:
        yolo = _detector_as_pose(base, yolo)
        has = "finds boxes only"
    else:
        has = f"has {shape[0]} keypoints of {shape[1]} values"
    kept, total = _matching_tensors(yolo.model)
    return yolo, (
        f"{kept} of {total} tensors: {base.name} {has}, "
        f"the legs have {_KEYPOINT_SHAPE[0]} of {_KEYPOINT_SHAPE[1]}"
    )


def knows_legs(base: Base) -> bool:
    """Tell whether a base has the ten keypoints, so that training refines what it knows."""
    return base.path is not None and keypoint_shape(open_yolo(base.path)) == _KEYPOINT_SHAPE


def _fetch(name: str) -> Path:
    import_ultralytics()
    from ultralytics.utils.downloads import attempt_download_asset

    target = family_folder() / "bases" / name
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        found = Path(attempt_download_asset(target))
    except (ConnectionError, OSError, MemoryError) as error:
        raise WeightsError(
            f"{name} is not here and cannot be fetched ({error}). Without a network put the file "
            f"at {target}, or start from the shipped weights (base={NAME!r}) or from scratch "
            f"(base={name.replace('.pt', '.yaml')!r})."
        ) from None
    return found


def _detector_as_pose(base: Base, yolo: Any) -> Any:
    """Give the pose model of the same architecture, with a detector's tensors where they fit."""
    # A detector's checkpoint does not name its architecture; ultralytics' files do.
    architecture = f"{base.name.removesuffix('.pt')}-pose.yaml"
    if yolo.task != "detect" or not _ARCHITECTURE.fullmatch(architecture):
        raise WeightsError(
            f"{base.name} is a {yolo.task} model: give a pose model as base, or a detector of "
            "ultralytics under its own name (yolov8n.pt)."
        )
    return import_ultralytics().YOLO(architecture).load(str(base.path))


def _matching_tensors(model: Any) -> tuple[int, int]:
    """Count the tensors that ultralytics takes over into a model of the legs, and all of it."""
    from ultralytics.nn.tasks import PoseModel
    from ultralytics.utils.torch_utils import intersect_dicts

    fresh = PoseModel(model.yaml, nc=1, data_kpt_shape=_KEYPOINT_SHAPE, verbose=False).state_dict()
    return len(intersect_dicts(model.state_dict(), fresh)), len(fresh)


def _reorder_keypoints(model: Any, order: Sequence[int]) -> None:
    """Put keypoint `order[i]` of a model's output into place i, by its last layers' channels."""
    import torch

    head = model.model[-1]
    # Where a family can do without NMS, its head has all of its layers twice.
    for name in ("cv4", "one2one_cv4"):
        last = getattr(head, f"{name}_kpts", None)
        if last is None:
            last = [branch[-1] for branch in getattr(head, name, None) or ()]
        # Of YOLO26 alone: how unsure it is of x and y, which its loss takes.
        sigmas = getattr(head, f"{name}_sigma", None) or ()
        for layers, values in ((last, _KEYPOINT_SHAPE[1]), (sigmas, 2)):
            channels = [k * values + v for k in order for v in range(values)]
            with torch.no_grad():
                for layer in layers:
                    layer.weight.copy_(layer.weight[channels].clone())
                    layer.bias.copy_(layer.bias[channels].clone())
