"""Train on the real and the synthetic pictures with the project's own `train`, in pieces."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

import fiftyone as fo

from fiftyone_legpose.fields import GROUND_TRUTH
from fiftyone_legpose.training import train
from fiftyone_legpose.yolo_pose_dataset import YOLOPoseDataset
from weights.recipe.augmentation import ClinicFaults
from weights.recipe.confidence import teach_distance

_DATASET: Final = "legpose-recipe"

SETTINGS: Final[Mapping[str, Any]] = {
    "batch": 16,
    "cos_lr": False,
    "close_mosaic": 0,
    "degrees": 8,
    "scale": 0.4,
    "translate": 0.12,
    "shear": 2,
    "perspective": 0.0003,
    "hsv_h": 0.03,
    "hsv_s": 0.7,
    "hsv_v": 0.5,
    "mosaic": 0.25,
    "erasing": 0.0,
    "patience": 0,
    "nbs": 16,
}
"""Arguments of Ultralytics' ``train`` that every piece shares."""


REAL_REPEATS: Final = 3
"""How often an epoch shows each real picture: they are fewer, and what matters."""


@dataclass(frozen=True)
class Piece:
    """One run of `train`; each goes on from the weights of the one before."""

    imgsz: int
    """px"""
    epochs: int
    lr0: float
    widen: float = 1.0
    """See `confidence.teach_distance`."""
    settings: Mapping[str, Any] = field(default_factory=dict)


CPU_PIECES: Final = (
    Piece(imgsz=192, epochs=4, lr0=0.0012, settings={"lrf": 0.9, "batch": 32, "nbs": 32}),
    Piece(imgsz=160, epochs=2, lr0=0.0012, settings={"lrf": 0.8, "batch": 32, "nbs": 32}),
    Piece(imgsz=160, epochs=1, lr0=0.001, widen=1.6),
    Piece(imgsz=192, epochs=2, lr0=0.0009, widen=1.3, settings={"lrf": 0.4}),
    Piece(imgsz=192, epochs=2, lr0=0.00036, settings={"lrf": 0.05}),
)
"""Small pictures first: a picture costs four times as much at twice the size."""

GPU_PIECES: Final = (
    Piece(imgsz=640, epochs=30, lr0=0.001, widen=1.6, settings={"lrf": 0.5, "batch": 128}),
    Piece(imgsz=640, epochs=40, lr0=0.0005, settings={"lrf": 0.02, "batch": 128}),
)
"""About a million pictures with 10,000 drawn ones."""


def learn(
    folders: Mapping[str, Path], pieces: tuple[Piece, ...], *, base: str, device: str = "auto"
) -> Path:
    """Train piece by piece and return the last checkpoint.

    Called again after an interruption it goes on where it stopped: `train` keeps what is done.

    Parameters
    ----------
    folders : mapping
        YOLO-pose folders by name; pictures of ``images/val`` validate, those of ``real`` are shown
        `REAL_REPEATS` times an epoch.
    pieces : tuple of Piece
    base : str
        What `train` starts from: weights, or ``yolov8n-pose.yaml`` for nothing.
    device : str
        As `train` takes it; one device, because the loss and the faults of clinic pictures are
        not carried over to the processes of several.
    """
    dataset = load_pictures(folders)
    start = base
    for number, piece in enumerate(pieces):
        with clinic_training(piece.widen):
            summary = train(
                dataset,
                name=f"recipe-{number}-{piece.imgsz}px",
                base=start,
                epochs=piece.epochs,
                imgsz=piece.imgsz,
                lr0=piece.lr0,
                val="val",
                device=device,
                trust=True,
                **{**SETTINGS, **piece.settings},
            )
        start = str(summary.version.path)
    return Path(start)


def load_pictures(folders: Mapping[str, Path]) -> fo.Dataset:
    """Return one dataset of all folders, tagged ``train`` and ``val``; labels are ground truth."""
    if fo.dataset_exists(_DATASET):
        fo.delete_dataset(_DATASET)
    dataset = fo.Dataset(_DATASET)
    for name, folder in folders.items():
        for split in ["train"] * (REAL_REPEATS if name == "real" else 1) + ["val"]:
            if (folder / "images" / split).is_dir():
                dataset.add_dir(
                    dataset_dir=str(folder),
                    dataset_type=YOLOPoseDataset,
                    split=split,
                    label_field=GROUND_TRUTH,
                    tags=[split, name],
                )
    return dataset


@contextmanager
def clinic_training(widen: float = 1.0) -> Iterator[None]:
    """Let every training of Ultralytics in here learn `confidence` and see `ClinicFaults`."""
    from ultralytics.utils.callbacks.base import default_callbacks

    added = {
        "on_pretrain_routine_end": add_faults,
        "on_train_start": partial(teach_distance, widen=widen),
    }
    for event, callback in added.items():
        default_callbacks[event].append(callback)
    try:
        yield
    finally:
        for event, callback in added.items():
            default_callbacks[event].remove(callback)


def add_faults(trainer: Any) -> None:
    """Put `ClinicFaults` into a trainer's pictures; a callback for ``on_pretrain_routine_end``."""
    trainer.train_loader.dataset.transforms.insert(-1, ClinicFaults())
    # The workers have copies of the transforms as they were.
    trainer.train_loader.reset()
