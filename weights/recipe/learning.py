"""Train in stages, from COCO's pose weights to ours: ``python -m weights.recipe.learning --help``.

A plain loop, so that a machine with nothing but torch, Ultralytics and OpenCV can run it: copy
``cvat_bridge/``, ``fiftyone_legpose/`` and ``weights/`` there, no FiftyOne is asked for. A GPU is
used where there is one.
"""

import argparse
import time
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from fiftyone_legpose import legs
from weights.recipe.confidence import use_distance
from weights.recipe.feeding import Feed, Labelled, Views, read_labelled


@dataclass(frozen=True)
class Stage:
    """One part of the training; each goes on from the averaged weights of the one before."""

    shares: Mapping[str, float]
    """How much of what is seen comes from each folder; they need not add up to 1."""
    imgsz: int
    """px"""
    views: int
    """How many pictures are seen in all."""
    lr: float
    """Learning rate, reached after `_WARMUP_STEPS`."""
    last_lr: float
    """Learning rate at the end, reached along half a cosine."""
    widen: float = 1.0
    """See `confidence.use_distance`."""
    frozen: int = 0
    """How many of the first layers stay as they are: a quarter less time per view for three, which
    look at edges and colours in the finest pictures, and which COCO has taught all there is."""
    batch: int = 32


STAGES: Final[Mapping[str, Stage]] = {
    "people": Stage(
        {"people": 42, "legs": 15, "transplanted": 25, "drawn": 18},
        224,
        20_000,
        lr=0.001,
        last_lr=0.001,
        widen=1.2,
        frozen=3,
    ),
    "sharp": Stage(
        {"people": 40, "legs": 18, "transplanted": 24, "drawn": 18},
        256,
        24_000,
        lr=0.0009,
        last_lr=0.000004,
        frozen=3,
    ),
}
"""In order: many people and places first, small and fast; then the same as sharply as time allows,
while the learning rate falls."""

_WARMUP_STEPS: Final = 150
_EMA_STEPS: Final = 500
_EMA_SHARE: Final = 0.125
"""How many steps the weights that are handed on are averaged over: so many at most, and no larger
share of those taken, because what was learned at the begin of a short stage is soon outdated."""

_WEIGHT_DECAY: Final = 0.0005
_GRADIENT_NORM: Final = 10.0
_SAVE_EVERY_S: Final = 120.0
_KEEP_EVERY: Final = 15_000
"""Views between checkpoints that stay, to compare or to average."""

_GAINS: Final = {"box": 7.5, "cls": 0.5, "dfl": 1.5, "pose": 14.0, "kobj": 1.0}
"""Weights of the loss's parts: Ultralytics' own, but for a little more on the places of points."""


def main() -> None:
    """Train one stage, as the command line says."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("stage", choices=STAGES)
    parser.add_argument("start", type=Path, help="start10.pt, or what the stage before wrote")
    parser.add_argument("out", type=Path, help="folder of its checkpoints")
    for kind in sorted({kind for stage in STAGES.values() for kind in stage.shares}):
        parser.add_argument(f"--{kind}", type=Path, help="YOLO-pose folder")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--views", type=int, help="instead of the stage's own number")
    parser.add_argument("--batch", type=int, help="instead of the stage's own size")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    stage = STAGES[given.stage]
    changed = {name: getattr(given, name) for name in ("views", "batch") if getattr(given, name)}
    stage = Stage(**{**vars(stage), **changed})
    folders = {kind: getattr(given, kind) for kind in stage.shares}
    if absent := [f"--{kind}" for kind, folder in folders.items() if folder is None]:
        parser.error(f"the stage {given.stage} needs {', '.join(absent)}")
    print(learn(stage, folders, given.start, given.out, device=given.device, seed=given.seed))


def learn(
    stage: Stage,
    folders: Mapping[str, Path],
    start: Path,
    out: Path,
    *,
    device: str = "cpu",
    seed: int = 0,
    say: Callable[[str], None] = print,
) -> Path:
    """Train one stage and return its last checkpoint, which Ultralytics can load.

    Called again after an interruption it goes on where it last saved, at most two minutes before.

    Parameters
    ----------
    stage : Stage
    folders : mapping
        A YOLO-pose folder with ``images/train`` for each name in ``stage.shares``.
    start : path
        Checkpoint to begin with; ten keypoints of (x, y, confidence).
    out : path
        Gets ``last.pt``, ``views_<N>.pt`` on the way, and ``state.pt`` to go on from.
    device : str
    seed : int
    say : callable
        Is told how it goes.

    Raises
    ------
    FormatError
        If a folder is no YOLO-pose folder.
    ValueError
        If the checkpoint predicts other keypoints.
    """
    out.mkdir(parents=True, exist_ok=True)
    trainer = Trainer(stage, start, device)
    state = out / "state.pt"
    if state.exists():
        trainer.load(torch.load(state, map_location=device, weights_only=True))
    if trainer.views >= stage.views:
        return out / "last.pt"
    feed = make_feed(stage, folders, trainer.views, seed)
    saved, begun, before = time.monotonic(), time.monotonic(), trainer.views
    kept = trainer.views // _KEEP_EVERY
    for batch in feed:
        losses = trainer.step(batch)
        done = trainer.views >= stage.views
        if done or time.monotonic() - saved > _SAVE_EVERY_S:
            speed = (trainer.views - before) / (time.monotonic() - begun)
            parts = ", ".join(f"{name} {float(loss):.3f}" for name, loss in losses.items())
            say(f"{trainer.views} of {stage.views} views, {speed:.1f} a second; {parts}")
            _save(trainer.state(), state)
            _save(trainer.checkpoint(), out / "last.pt")
            saved = time.monotonic()
        if trainer.views // _KEEP_EVERY > kept:
            kept = trainer.views // _KEEP_EVERY
            _save(trainer.checkpoint(), out / f"views_{kept * _KEEP_EVERY}.pt")
    return out / "last.pt"


def make_feed(stage: Stage, folders: Mapping[str, Path], seen: int, seed: int) -> Feed:
    """Return batches of what is left of a stage, every folder by its share.

    A training that goes on draws other views than its first part has seen.
    """
    pictures: list[Labelled] = []
    weights: list[float] = []
    for kind, share in stage.shares.items():
        found = read_labelled(folders[kind], stage.imgsz)
        pictures += found
        weights += [share / len(found)] * len(found)
    left = -(-(stage.views - seen) // stage.batch) * stage.batch
    generator = torch.Generator().manual_seed(seed + seen)
    return Feed(Views(pictures, stage.imgsz), weights, left, stage.batch, generator)


class Trainer:
    """A network, its averaged twin, and what else a step needs."""

    def __init__(self, stage: Stage, start: Path, device: str) -> None:
        from ultralytics.cfg import get_cfg
        from ultralytics.utils.torch_utils import ModelEMA

        loaded = torch.load(start, map_location="cpu", weights_only=False)
        model = deepcopy(loaded.get("ema") or loaded["model"]).float().to(device)
        shape = list(model.kpt_shape)
        if shape != [len(legs.KEYPOINTS), 3]:
            raise ValueError(f"{start} predicts {shape}, the skeleton has [10, 3]")
        model.requires_grad_(True)
        model.model[-1].dfl.requires_grad_(False)  # it only weighs the bins of a box's sides
        model.model[: stage.frozen].requires_grad_(False)
        model.names, model.kpt_oks_sigmas = {0: "legs"}, list(legs.SIGMAS)
        model.args = get_cfg(overrides={**_GAINS, "imgsz": stage.imgsz, "task": "pose"})
        self.stage, self.device = stage, torch.device(device)
        self.average = ModelEMA(model)
        self.average.decay = lambda step: 1 - 1 / min(_EMA_STEPS, 1 + step * _EMA_SHARE)
        use_distance(model, widen=stage.widen)
        self.model = model.train().to(memory_format=torch.channels_last)
        model.model[: stage.frozen].eval()
        self.optimizer = _make_optimizer(model)
        self.views = 0

    def step(self, batch: Mapping[str, torch.Tensor]) -> Mapping[str, torch.Tensor]:
        """Learn from one batch and return the loss's parts.

        The loss stays in float32: bfloat16 would place points to an eighth of a cell.
        """
        self._set_rate()
        batch = {name: value.to(self.device, non_blocking=True) for name, value in batch.items()}
        images = batch["img"].contiguous(memory_format=torch.channels_last).float() / 255
        with torch.autocast(self.device.type, torch.bfloat16, enabled=has_bfloat16(self.device)):
            predicted = self.model(images)
        loss, parts = self.model.criterion(_to_float(predicted), batch)
        loss.sum().backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), _GRADIENT_NORM)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.average.update(self.model)
        self.views += len(images)
        return dict(parts)

    def state(self) -> dict[str, Any]:
        """Return everything that `load` needs to go on."""
        return {
            "model": self.model.state_dict(),
            "average": self.average.ema.state_dict(),
            "updates": self.average.updates,
            "optimizer": self.optimizer.state_dict(),
            "views": self.views,
        }

    def load(self, state: Mapping[str, Any]) -> None:
        """Go on where `state` was taken."""
        self.model.load_state_dict(state["model"])
        self.average.ema.load_state_dict(state["average"])
        self.average.updates = state["updates"]
        self.optimizer.load_state_dict(state["optimizer"])
        self.views = state["views"]

    def checkpoint(self) -> dict[str, Any]:
        """Return the averaged weights as Ultralytics keeps them."""
        from ultralytics import __version__

        stage = {**asdict(self.stage), "shares": dict(self.stage.shares)}
        model = deepcopy(self.average.ema).half()
        model.args = {"task": "pose", "imgsz": self.stage.imgsz}
        return {
            "epoch": -1,
            "model": model,
            "ema": None,
            "optimizer": None,
            "train_args": {**model.args, **stage, "views_seen": self.views},
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "version": __version__,
            "license": "AGPL-3.0 (https://ultralytics.com/license)",
            "docs": "https://docs.ultralytics.com",
        }

    def _set_rate(self) -> None:
        stage, done = self.stage, min(1.0, self.views / self.stage.views)
        rate = stage.last_lr + (stage.lr - stage.last_lr) * (1 + np.cos(np.pi * done)) / 2
        rate *= min(1.0, (self.views / stage.batch + 1) / _WARMUP_STEPS)
        for group in self.optimizer.param_groups:
            group["lr"] = float(rate)


def has_bfloat16(device: torch.device) -> bool:
    """Tell whether a device computes in bfloat16, as far as torch can say.

    Half as long for the network on an AMD EPYC with AVX-512: 12.2 ms a picture at 192 px, 9.1
    with channels last, 6.5 with both. On a processor without it, it takes longer.
    """
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    return bool(getattr(torch.cpu, "_is_avx512_bf16_supported", bool)())


def _make_optimizer(model: torch.nn.Module) -> torch.optim.Optimizer:
    """Return AdamW that lets weights decay, but neither biases nor normalisations."""
    learned = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in learned if p.ndim > 1], "weight_decay": _WEIGHT_DECAY},
        {"params": [p for p in learned if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, betas=(0.9, 0.999))


def _save(content: Mapping[str, Any], path: Path) -> None:
    part = path.with_suffix(".part")
    torch.save(dict(content), part)
    part.replace(path)


def _to_float(predicted: Any) -> Any:
    if isinstance(predicted, torch.Tensor):
        return predicted.float()
    if isinstance(predicted, dict):
        return {name: _to_float(value) for name, value in predicted.items()}
    return [_to_float(value) for value in predicted]


if __name__ == "__main__":
    main()
