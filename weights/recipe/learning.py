"""Train on the real and the synthetic pictures with the project's own `train`, in pieces."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

import fiftyone as fo
import torch

from fiftyone_legpose.dataset.fields import GROUND_TRUTH
from fiftyone_legpose.exports.yolo_pose_dataset import YOLOPoseDataset
from fiftyone_legpose.training.train import train
from weights.recipe.averaging import average
from weights.recipe.confidence import teach_distance
from weights.recipe.feeding import Feed

_DATASET: Final = "legpose-recipe"

SETTINGS: Final[Mapping[str, Any]] = {
    "batch": 32,
    "nbs": 32,
    "cos_lr": True,
    "close_mosaic": 0,
    "warmup_epochs": 0.3,
    "patience": 0,
}
"""Arguments of Ultralytics' ``train`` that every piece shares; `feeding` makes the pictures."""

REAL_REPEATS: Final = 2
"""How often an epoch shows each real picture: they are few, and soon learned by heart."""


@dataclass(frozen=True)
class Piece:
    """One run of `train`; each goes on from the weights of the one before."""

    imgsz: int
    """px"""
    epochs: int
    lr0: float
    widen: float = 1.0
    """See `confidence.teach_distance`."""
    blend_with: int | None = None
    """Number of an earlier piece; the mean of what it handed on and this one is handed on."""
    blend_times: int = 1
    """How often the earlier weights count in that mean."""
    blend_alone: tuple[int, ...] = ()
    """Numbers of earlier pieces whose own weights, before any mean, count in it too."""
    settings: Mapping[str, Any] = field(default_factory=dict)


_TO_NOTHING: Final[Mapping[str, Any]] = {"lrf": 0.01, "warmup_epochs": 0.1}
"""Settings of a piece at whose end the learning rate is all but nothing."""

CPU_PIECES: Final = (
    Piece(imgsz=192, epochs=11, lr0=0.0015, widen=1.5, settings={"lrf": 0.42}),
    Piece(imgsz=256, epochs=7, lr0=0.0006, settings=_TO_NOTHING),
    Piece(imgsz=192, epochs=9, lr0=0.0015, widen=1.5, settings={"lrf": 0.45}),
    Piece(imgsz=256, epochs=6, lr0=0.0007, settings=_TO_NOTHING),
    Piece(
        imgsz=192,
        epochs=7,
        lr0=0.0013,
        widen=1.3,
        blend_with=3,
        settings={"lrf": 0.5, "warmup_epochs": 0.1},
    ),
    Piece(imgsz=224, epochs=4, lr0=0.0006, blend_with=3, settings=_TO_NOTHING),
    Piece(
        imgsz=192,
        epochs=6,
        lr0=0.0013,
        widen=1.3,
        blend_with=5,
        settings={"lrf": 0.6, "warmup_epochs": 0.1},
    ),
    Piece(imgsz=224, epochs=3, lr0=0.0006, blend_with=5, settings=_TO_NOTHING),
    Piece(imgsz=320, epochs=1, lr0=0.0005, blend_with=7, blend_times=2, settings=_TO_NOTHING),
)
"""Small pictures first: a picture costs four times as much at twice the size.

Four times over: drawn pictures were not yet learned, new or known alike, after the first time,
nor other places after the second, nor people close to the camera after the third. The last piece
sees them sharply.
"""

_ON_GPU: Final[Mapping[str, Any]] = {"warmup_epochs": 0.1, "deterministic": False}

GPU_PIECES: Final = (
    *CPU_PIECES,
    Piece(
        imgsz=320,
        epochs=5,
        lr0=0.002,
        widen=1.5,
        settings={**_ON_GPU, "batch": 128, "nbs": 128, "lrf": 0.87},
    ),
    Piece(
        imgsz=384,
        epochs=16,
        lr0=0.002,
        widen=1.2,
        blend_with=8,
        settings={**_ON_GPU, "batch": 256, "nbs": 256, "lrf": 0.01},
    ),
    Piece(imgsz=256, epochs=2, lr0=0.0007, blend_alone=(8, 10), settings=_TO_NOTHING),
    Piece(
        imgsz=320,
        epochs=24,
        lr0=0.0015,
        widen=1.2,
        blend_with=11,
        blend_alone=(12,),
        settings={**_ON_GPU, "batch": 256, "nbs": 256, "lrf": 0.005},
    ),
    Piece(imgsz=256, epochs=2, lr0=0.0007, blend_alone=(12, 12), settings=_TO_NOTHING),
)
"""Five more, for 48,000 drawn, 16,000 transplanted and the real pictures an epoch; the third and
the last suit a CPU too. The card says which pictures and shares the shipped weights saw instead.

Large batches, because at 128 and 320 px launching kernels took an H200 longer than running them.
"""

_EMA_STEPS: Final = 800
"""Ultralytics averages weights over 10,000 steps, which is most of a piece; this suffices."""


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
        As `train` takes it; one device, because the loss and the views are not carried over
        to the processes of several.
    """
    dataset = load_pictures(folders)
    start, alone, ends = base, list[Path](), list[Path]()
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
                validate=False,
                device=device,
                trust=True,
                **{**SETTINGS, **piece.settings},
            )
        weights = summary.version.path
        alone.append(weights)
        earlier = [alone[i] for i in piece.blend_alone]
        if piece.blend_with is not None:
            earlier += [ends[piece.blend_with]] * piece.blend_times
        if earlier:
            average([*earlier, weights], weights.with_name("blended.pt"))
            weights = weights.with_name("blended.pt")
        ends.append(weights)
        start = str(weights)
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
    """Let every training of Ultralytics in here use the recipe's pictures, loss and precision."""
    from ultralytics.utils.callbacks.base import default_callbacks

    added = {
        "on_pretrain_routine_start": feed,
        "on_pretrain_routine_end": average_less,
        "on_train_start": partial(_start, widen=widen),
    }
    for event, callback in added.items():
        default_callbacks[event].append(callback)
    try:
        yield
    finally:
        for event, callback in added.items():
            default_callbacks[event].remove(callback)


def feed(trainer: Any) -> None:
    """Let a trainer make `feeding.Feed` where it makes the loader of its training pictures.

    A callback for ``on_pretrain_routine_start``. Not a loader that is put in the place of
    another's: Ultralytics makes a new one when a GPU has too little memory for the batch.
    """
    make = trainer.get_dataloader

    def make_feed(*args: Any, mode: str = "train", **options: Any) -> Any:
        loader = make(*args, mode=mode, **options)
        if mode != "train":
            return loader
        return Feed(loader.dataset.labels, trainer.args.imgsz, loader.batch_size)

    trainer.get_dataloader = make_feed


def average_less(trainer: Any) -> None:
    """Average weights over `_EMA_STEPS`; a callback for ``on_pretrain_routine_end``."""
    trainer.ema.decay = lambda step: 1 - 1 / min(_EMA_STEPS, 1 + step / 2)


def halve_precision(trainer: Any) -> None:
    """Let a CPU that can compute in bfloat16 do so; a callback for ``on_train_start``.

    Half as long for the network on an AMD EPYC with AVX-512: 12.2 ms a picture at 192 px, 9.1
    with channels last, 6.5 with both. The loss stays in float32: bfloat16 would place points to
    an eighth of a cell. Checkpoints are ordinary ones: they hold the averaged weights, which were
    set apart before.
    """
    if trainer.device.type != "cpu" or not has_bfloat16():
        return
    model = trainer.model.to(memory_format=torch.channels_last)
    predict = model._predict_once

    def predict_half(images: torch.Tensor, *args: Any, **options: Any) -> Any:
        images = images.contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16):
            predicted = predict(images, *args, **options)
        return _to_float(predicted)

    model._predict_once = predict_half


def has_bfloat16() -> bool:
    """Tell whether this processor computes in bfloat16, as far as torch can say."""
    return bool(getattr(torch.cpu, "_is_avx512_bf16_supported", bool)())


def _start(trainer: Any, *, widen: float) -> None:
    # A training that goes on draws other views than its first part has seen.
    trainer.train_loader.generator.manual_seed(trainer.args.seed + trainer.start_epoch)
    teach_distance(trainer, widen=widen)
    halve_precision(trainer)


def _to_float(predicted: Any) -> Any:
    if isinstance(predicted, torch.Tensor):
        return predicted.float()
    if isinstance(predicted, dict):
        return {name: _to_float(value) for name, value in predicted.items()}
    return [_to_float(value) for value in predicted]
