"""The arguments of a training: checked, and what stands in for those that were not said."""

import difflib
from collections.abc import Mapping
from typing import Any, Literal

from fiftyone_legpose.errors import TrainingError
from fiftyone_legpose.zoo.bases import Base, knows_legs
from fiftyone_legpose.zoo.ultralytics import import_ultralytics
from fiftyone_legpose.zoo.weights import open_yolo, trained_imgsz

OPTIMIZERS = ("AdamW", "auto", "SGD", "MuSGD", "Adam", "Adamax", "NAdam", "RAdam", "RMSprop")
"""Those of ultralytics, which lists them only in the error that comes after all preparation."""

_BATCH_A_DEVICE = 16
_ADAMW = {"lr0": 0.002, "momentum": 0.9, "warmup_bias_lr": 0.0}
"""What ultralytics' ``optimizer="auto"`` sets for AdamW and one class. Its general defaults are
made for SGD: a bias learning rate of 0.1 in the warm-up throws away what the base knew."""

_REFINING = {**_ADAMW, "lr0": 0.0001}
"""For a base that knows the ten keypoints. Measured on the shipped weights with 24 frames, 15
epochs at 320 px: PCK@0.1 on other pictures went from 0.26 to 0.07 with an lr0 of 0.002, to 0.20
with 0.0005, and to 0.24 with 0.0001, whose AP50 rose from 0.09 to 0.10."""

_OWN_ARGUMENTS = frozenset(
    {"data", "model", "mode", "task", "project", "name", "exist_ok", "resume", "save", "save_dir"}
)
_SMALLEST_IMGSZ = 32  # the network's largest stride
_SIZE_FROM_SCRATCH = 640


def check_arguments(
    own: Mapping[str, Any],
    others: Mapping[str, Any],
    box_margin: float,
    threads: int | None,
) -> dict[str, Any]:
    """Refuse what ultralytics would stumble over only when all is prepared.

    Parameters
    ----------
    own
        The arguments of ultralytics that `train` has itself.
    others
        Those that were named besides; they win.
    box_margin, threads
        See `train`.

    Returns
    -------
    dict
        Both together.

    Raises
    ------
    TrainingError
        An argument is unknown, set by `train`, or out of its range.
    """
    _check_names(others)
    arguments = {**own, **others}
    _check_values(arguments, box_margin, threads)
    return arguments


def _check_names(arguments: Mapping[str, Any]) -> None:
    import_ultralytics()
    from ultralytics.cfg import DEFAULT_CFG_DICT

    for name in arguments:
        if name in _OWN_ARGUMENTS:
            raise TrainingError(f"train sets ultralytics' argument {name!r} itself: leave it out.")
        if name not in DEFAULT_CFG_DICT:
            near = difflib.get_close_matches(name, DEFAULT_CFG_DICT, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise TrainingError(f"Neither train nor ultralytics knows the argument {name!r}.{hint}")


def _check_values(arguments: Mapping[str, Any], box_margin: float, threads: int | None) -> None:
    from ultralytics.cfg import check_cfg

    try:
        check_cfg(dict(arguments), hard=True)
    except (TypeError, ValueError) as error:
        raise TrainingError(f"{error} (Said by ultralytics.)") from None
    imgsz, batch, optimizer = (arguments[name] for name in ("imgsz", "batch", "optimizer"))
    if imgsz is not None and (not isinstance(imgsz, int) or imgsz < _SMALLEST_IMGSZ):
        raise TrainingError(f"imgsz is {imgsz}: give at least {_SMALLEST_IMGSZ} px.")
    if batch <= 0 and batch != -1:
        raise TrainingError(f"batch is {batch}: give a number of pictures, -1 or auto.")
    if optimizer.lower() not in {name.lower() for name in OPTIMIZERS}:
        raise TrainingError(
            f"There is no optimizer {optimizer!r}: take one of {', '.join(OPTIMIZERS)}."
        )
    if not box_margin >= 0:
        raise TrainingError(f"box_margin is {box_margin}: give a share that is not below 0.")
    if threads is not None and threads < 1:
        raise TrainingError(f"threads is {threads}: give at least one, or None for one a core.")


def batch_of(batch: int | Literal["auto"], device: str) -> int:
    """Give the pictures a step on all devices that are named."""
    return _BATCH_A_DEVICE * (device.count(",") + 1) if batch == "auto" else batch


def completed(arguments: Mapping[str, Any], start: Base) -> dict[str, Any]:
    """Add what was not said and depends on the base: learning rates and the size of the input."""
    size = arguments["imgsz"]
    return {
        **_rates(arguments["optimizer"], start),
        **arguments,
        "imgsz": _size_of(start) if size is None else size,
    }


def _rates(optimizer: str, start: Base) -> dict[str, float]:
    if optimizer.lower() != "adamw":
        return {}
    return _REFINING if knows_legs(start) else _ADAMW


def _size_of(start: Base) -> int:
    return _SIZE_FROM_SCRATCH if start.path is None else trained_imgsz(open_yolo(start.path))
