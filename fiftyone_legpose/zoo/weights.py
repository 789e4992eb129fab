"""Weights by name or path: found, checked before anything in them runs, and loaded."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fiftyone_legpose import legs
from fiftyone_legpose.errors import WeightsError
from fiftyone_legpose.zoo import registry
from fiftyone_legpose.zoo.checkpoints import NAME, check_checkpoint
from fiftyone_legpose.zoo.ultralytics import import_ultralytics

logger = logging.getLogger(__name__)

AUTHOR_NAME = "legpose-author"
"""Zoo name of the published best.pt that this project grew from; its pairs are right side first."""

_ULTRALYTICS_IMGSZ = 640


@dataclass(frozen=True)
class Weights:
    """A checkpoint that passed the checks of `find_weights`.

    Attributes
    ----------
    path
        The file.
    sha256
        In hexadecimal.
    name
        For people: the version's, or the file's own.
    right_first
        Whether each pair of its keypoints begins with the right side (`legs.RIGHT_FIRST`).
    trusted
        Whether its sha256 is known; False where only the caller vouched for it.
    """

    path: Path
    sha256: str
    name: str
    right_first: bool
    trusted: bool


def find_weights(
    spec: str | Path | None = None,
    *,
    version: str | None = None,
    trust: bool = False,
    right_first: bool | None = None,
) -> Weights:
    """Find weights and check them before anything is unpickled.

    Parameters
    ----------
    spec
        None or ``legpose-yolov8n``: the version that `registry.use_version` chose, else the
        shipped one; a version's name, alone or as ``legpose-yolov8n@name``; ``legpose-author``;
        or the path of a checkpoint.
    version
        Name of a version, instead of `spec`.
    trust
        Whether an unknown file's origin is known to be good: a checkpoint can run code when it
        is loaded.
    right_first
        Whether the pairs of keypoints of a file begin with the right side; by default what the
        registry says, true for ``legpose-author`` and false for any other file.

    Returns
    -------
    Weights

    Raises
    ------
    WeightsError
        If there are no such weights, the file is no checkpoint, or it is unknown and not trusted.
    """
    if version is not None:
        if spec not in (None, NAME):
            raise WeightsError(f"Give weights {str(spec)!r} or version {version!r}, not both.")
        return _registered(version)
    if spec is None or spec == NAME:
        return _registered(registry.current_version())
    if isinstance(spec, str) and spec.startswith(f"{NAME}@"):
        return _registered(spec.removeprefix(f"{NAME}@"))
    if isinstance(spec, str) and not Path(spec).is_file() and registry.has_version(spec):
        return _registered(spec)
    if spec == AUTHOR_NAME:
        return _file(_author_file(), AUTHOR_NAME, trust, right_first)
    path = Path(spec).expanduser()
    return _file(path, path.stem, trust, right_first)


def load_yolo(weights: Weights) -> Any:
    """Load a checkpoint into ultralytics, with its telemetry, downloads and auto-install off.

    Parameters
    ----------
    weights
        From `find_weights`.

    Returns
    -------
    ultralytics.YOLO
        A pose model of ten keypoints, with a confidence a point (``kpt_shape`` (10, 3)) or
        without (10, 2); or of the 17 of COCO, of which hips, knees and ankles are the legs'
        (`has_coco_keypoints`), which is said in a warning.

    Raises
    ------
    WeightsError
        If the file cannot be loaded, or is a model of something else.
    """
    yolo = open_yolo(weights.path)
    shape = keypoint_shape(yolo)
    wanted = len(legs.KEYPOINTS)
    if shape is None:
        raise WeightsError(f"{weights.path} is a {yolo.task} model: give weights of a pose model.")
    if has_coco_keypoints(yolo):
        logger.warning(
            "%s has the 17 keypoints of COCO: its hips, knees and ankles are used, heels and feet "
            "stay without a place. To teach it the legs, give it to train as base.",
            weights.path,
        )
        return yolo
    if shape[0] != wanted or shape[1] not in (2, 3):
        raise WeightsError(
            f"{weights.path} has {shape[0]} keypoints of {shape[1]} values: the legs have {wanted} "
            "of 2 or 3. To teach it the legs, give it to train as base."
        )
    return yolo


def has_coco_keypoints(yolo: Any) -> bool:
    """Tell whether a model finds the 17 keypoints of COCO's persons, as those of ultralytics do."""
    return keypoint_shape(yolo) == (17, 3) and list(yolo.names.values()) == ["person"]


def open_yolo(path: Path) -> Any:
    """Load any ultralytics checkpoint; the caller has checked where it comes from.

    Raises
    ------
    WeightsError
        If ultralytics cannot load it.
    """
    ultralytics = import_ultralytics()
    try:
        return ultralytics.YOLO(str(path))
    except Exception as error:
        # Whatever a foreign pickle raises: ultralytics documents no set of errors.
        raise WeightsError(f"Ultralytics cannot load {path}: {error}") from error


def keypoint_shape(yolo: Any) -> tuple[int, int] | None:
    """Give a model's number of keypoints and values a keypoint; None where it is no pose model."""
    if yolo.task != "pose":
        return None
    count, values = yolo.model.kpt_shape
    return int(count), int(values)


def trained_imgsz(yolo: Any) -> int:
    """Give the longer side in px of the pictures a model was trained on, as `yolo predict` does.

    Another size costs accuracy: legs are as large in the input as the model knows them.
    """
    return int(yolo.overrides.get("imgsz") or _ULTRALYTICS_IMGSZ)


def _registered(version: str) -> Weights:
    entry = registry.get_version(version)
    return Weights(entry.path, entry.sha256, version, entry.right_first, trusted=True)


def _author_file() -> Path:
    import fiftyone as fo

    path = Path(fo.config.model_zoo_dir) / f"{AUTHOR_NAME}.pt"
    if not path.is_file():
        raise WeightsError(
            f"The author's weights are not at {path}: put the published best.pt there, or import "
            "it as a version (legpose weights import best.pt --right-first --trust)."
        )
    return path


def _file(path: Path, name: str, trust: bool, right_first: bool | None) -> Weights:
    digest = check_checkpoint(path)
    known = [version for version in registry.list_versions() if version.sha256 == digest]
    if not known and not trust:
        raise WeightsError(
            f"{path} (sha256 {digest}) is not known here, and a checkpoint can run code when it "
            "is loaded. If you know where it comes from, say trust=True (--trust)."
        )
    if right_first is None:
        right_first = name == AUTHOR_NAME or bool(known and known[0].right_first)
    return Weights(path, digest, name, right_first, trusted=bool(known))
