"""Let the project's own `train` use the views and the loss of `weights.recipe`."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any, Final

import cv2
import numpy as np
import torch

from fiftyone_legpose import legs
from weights.recipe.confidence import use_distance
from weights.recipe.feeding import Feed, Labelled, Views, shrink

SETTINGS: Final[Mapping[str, Any]] = {
    "batch": 32,
    "nbs": 32,
    "cos_lr": True,
    "close_mosaic": 0,
    "warmup_epochs": 0.3,
    "patience": 0,
}
"""Arguments of Ultralytics' ``train``; the recipe's views take the place of its own."""

_EMA_STEPS: Final = 800


@contextmanager
def clinic_training(widen: float = 1.0) -> Iterator[None]:
    """Let every training of Ultralytics in here use them; see `use_distance` for `widen`."""
    from ultralytics.utils.callbacks.base import default_callbacks

    added = {
        "on_pretrain_routine_start": _feed,
        "on_pretrain_routine_end": _average_less,
        "on_train_start": partial(_start, widen=widen),
    }
    for event, callback in added.items():
        default_callbacks[event].append(callback)
    try:
        yield
    finally:
        for event, callback in added.items():
            default_callbacks[event].remove(callback)


def _feed(trainer: Any) -> None:
    # Not a loader that is put in the place of another's: Ultralytics makes a new one when a GPU
    # has too little memory for the batch.
    make = trainer.get_dataloader

    def make_feed(*args: Any, mode: str = "train", **options: Any) -> Any:
        loader = make(*args, mode=mode, **options)
        return loader if mode != "train" else _to_feed(loader, trainer.args.imgsz)

    trainer.get_dataloader = make_feed


def _to_feed(loader: Any, imgsz: int) -> Feed:
    pictures = [_read(label, imgsz) for label in loader.dataset.labels]
    batch = loader.batch_size
    count = max(1, len(pictures) // batch) * batch
    even = [1.0] * len(pictures)
    feed = Feed(Views(pictures, imgsz), even, count, batch, torch.Generator())
    feed.reset = lambda: None  # Ultralytics asks for it where its settings change in an epoch
    return feed


def _read(label: Mapping[str, Any], imgsz: int) -> Labelled:
    image = cv2.imread(str(label["im_file"]))
    assert image is not None
    keypoints = np.asarray(label["keypoints"], float).reshape(-1, len(legs.KEYPOINTS), 3)
    points = keypoints[..., :2] * image.shape[1::-1]
    return shrink(Labelled(np.asarray(image), points, keypoints[..., 2].astype(int)), imgsz)


def _average_less(trainer: Any) -> None:
    # Ultralytics averages over 10,000 steps, which is more than a round has.
    trainer.ema.decay = lambda step: 1 - 1 / min(_EMA_STEPS, 1 + step / 2)


def _start(trainer: Any, *, widen: float) -> None:
    # A training that goes on draws other views than its first part has seen.
    trainer.train_loader.generator.manual_seed(trainer.args.seed + trainer.start_epoch)
    use_distance(trainer.model, widen=widen)
