"""One run of ultralytics' trainer, in a folder of its own, that can be killed and goes on."""

import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from fiftyone_legpose.errors import TrainingError
from fiftyone_legpose.files import copy_whole, write_whole
from fiftyone_legpose.progress import Report
from fiftyone_legpose.zoo.bases import Base, load_base
from fiftyone_legpose.zoo.registry import WEIGHTS_FILE, family_folder
from fiftyone_legpose.zoo.ultralytics import quiet
from fiftyone_legpose.zoo.weights import open_yolo

_PLAN_FILE = "plan.json"
_CHECKPOINTS = "checkpoints"
_FINISHED_FILE = "finished"
_RUN = "run"


@dataclass(frozen=True)
class Trained:
    """What a run of the trainer left.

    Attributes
    ----------
    checkpoint
        The best weights, stripped of everything but the model.
    metrics
        Ultralytics' own, of the validation frames at that epoch.
    resumed_epoch
        Epochs that an earlier, interrupted call had finished; 0 where it started anew.
    taken
        What was taken over from the base, in words, where that is not all of it.
    """

    checkpoint: Path
    metrics: dict[str, float]
    resumed_epoch: int
    taken: str | None


@contextmanager
def training_folder(name: str, plan: Mapping[str, Any], resume: bool | None) -> Iterator[Path]:
    """Give the folder of a run, with what an interrupted call of the same plan left in it.

    Parameters
    ----------
    name
        Of the version to be; a valid folder name.
    plan
        Base, labels and settings; what was left by another plan is not gone on with.
    resume
        True to demand that there is something to go on with, False to start anew, None for either.

    Yields
    ------
    Path

    Raises
    ------
    TrainingError
        If another process trains this version, or there is nothing to go on with.
    """
    folder = _folder(name)
    folder.parent.mkdir(parents=True, exist_ok=True)
    # The system frees the lock of a process that was killed.
    lock = FileLock(folder.with_name(f".{name}.lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise TrainingError(f"Another process is training {name!r}: wait for it.") from None
    try:
        same = _read_plan(folder) == json.loads(json.dumps(plan))
        if resume and not same:
            left = "labels, base or settings changed since" if folder.exists() else "there is none"
            raise TrainingError(
                f"No training of {name!r} to go on with ({left}). Leave out resume."
            )
        if resume is False or not same:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            with write_whole(folder / _PLAN_FILE) as part:
                part.write_text(json.dumps(plan), encoding="utf-8")
        yield folder
    finally:
        lock.release()


def is_training_begun(name: str) -> bool:
    """Tell whether a call that trains a version was interrupted, or is at work."""
    return _read_plan(_folder(name)) is not None


def begun_trainings() -> list[str]:
    """List the versions whose training was interrupted, or is at work."""
    names = (folder.name for folder in _folder("").glob("*"))
    return sorted(name for name in names if is_training_begun(name))


def discard_training(name: str) -> None:
    """Delete what the training of a version left; the version itself stays."""
    shutil.rmtree(_folder(name), ignore_errors=True)


def run_trainer(
    folder: Path,
    base: Base,
    data: Path,
    *,
    arguments: Mapping[str, Any],
    device: str,
    threads: int | None,
    verbose: bool,
    report: Report,
) -> Trained:
    """Train, or go on where an earlier call was interrupted.

    Parameters
    ----------
    folder
        From `training_folder`.
    base
        What to start from.
    data
        The ``data.yaml``.
    arguments
        Of ultralytics' ``train``.
    device
        As ultralytics takes it; ``"0,1"`` trains on two GPUs.
    threads
        Of torch on the CPU; None for one a core.
    verbose
        Let ultralytics print what it likes.
    report
        Told the epochs done and in all, with losses, mAP and time left. On several GPUs the
        training is in other processes, and only ultralytics' own output shows progress.

    Returns
    -------
    Trained
    """
    checkpoints, run = folder / _CHECKPOINTS, folder / _RUN
    checkpoints.mkdir(exist_ok=True)
    finished = (checkpoints / _FINISHED_FILE).exists()
    last = checkpoints / "last.pt"
    resumed_epoch = _epochs_done(last) if last.exists() else 0
    yolo, taken = load_base(base)
    if not finished:
        several = "," in device
        if last.exists():
            # A checkpoint in the trainer's own folder may have been cut short by the kill.
            for kept in checkpoints.glob("*.pt"):
                copy_whole(kept, run / "weights" / kept.name)
            yolo = open_yolo(run / "weights" / "last.pt")
            call = {"resume": True, "data": str(data), "device": device}
        else:
            shutil.rmtree(run, ignore_errors=True)
            places = {"project": str(folder.resolve()), "name": _RUN, "exist_ok": True}
            call = {**arguments, **places, "data": str(data), "device": device}
        yolo.add_callback("on_model_save", keep_checkpoint)
        if not several:
            _show_progress(yolo, report)
        with _threads(threads), nullcontext() if verbose or several else quiet():
            yolo.train(**call)
        (checkpoints / _FINISHED_FILE).touch()
    checkpoint = folder / WEIGHTS_FILE
    metrics = _strip(checkpoints / "best.pt", checkpoint)
    return Trained(checkpoint, metrics, resumed_epoch, taken)


def keep_checkpoint(trainer: Any) -> None:
    """Copy the checkpoints of an epoch, whole, to where only whole files are.

    A callback of ultralytics; a module's own function, because training on several GPUs sends it
    to other processes.
    """
    folder = trainer.save_dir.parent / _CHECKPOINTS
    # The best first: if the kill comes between, the last one's epoch is done and kept again. The
    # mark before the last one: ultralytics refuses to go on from an epoch after which none is left.
    if trainer.best_fitness == trainer.fitness:
        copy_whole(trainer.best, folder / "best.pt")
    if trainer.stop:
        (folder / _FINISHED_FILE).touch()
    copy_whole(trainer.last, folder / "last.pt")


def _show_progress(yolo: Any, report: Report) -> None:
    state = {"batch": 0, "start": 0.0, "first": 0.0}

    def on_train_start(trainer: Any) -> None:
        state.update(start=time.monotonic(), first=float(trainer.start_epoch))
        report(trainer.start_epoch, trainer.epochs, "training")

    def on_train_epoch_start(trainer: Any) -> None:
        state["batch"] = 0

    def on_train_batch_end(trainer: Any) -> None:
        state["batch"] += 1
        tell(trainer, trainer.epoch + state["batch"] / len(trainer.train_loader))

    def tell(trainer: Any, done: float) -> None:
        spent = time.monotonic() - state["start"]
        left_s = spent / max(done - state["first"], 1e-6) * (trainer.epochs - done)
        losses = sum(float(v) for v in (trainer.tloss or {}).values())
        best = trainer.metrics.get("metrics/mAP50-95(P)") or 0.0
        message = (
            f"epoch {trainer.epoch + 1}/{trainer.epochs}, loss {losses:.2f}, "
            f"pose mAP50-95 {best:.3f}, {left_s / 60:.0f} min left"
        )
        report(min(done, trainer.epochs), trainer.epochs, message)

    yolo.add_callback("on_train_start", on_train_start)
    yolo.add_callback("on_train_epoch_start", on_train_epoch_start)
    yolo.add_callback("on_train_batch_end", on_train_batch_end)


@contextmanager
def _threads(count: int | None) -> Iterator[None]:
    """Set torch's threads: on a CPU ultralytics takes one less than there are cores."""
    import torch
    from ultralytics.utils import torch_utils

    before = torch_utils.NUM_THREADS, torch.get_num_threads()
    torch_utils.NUM_THREADS = count or os.cpu_count() or 1
    try:
        yield
    finally:
        torch_utils.NUM_THREADS = before[0]
        torch.set_num_threads(before[1])


def _epochs_done(last: Path) -> int:
    import torch

    # Written by this machine's own trainer a moment or a night ago.
    return int(torch.load(last, map_location="cpu", weights_only=False)["epoch"]) + 1


def _strip(source: Path, target: Path) -> dict[str, float]:
    """Write a checkpoint that holds the model and nothing of the machine; return its metrics.

    Dates, paths and the git state that ultralytics adds would make the same training give
    different files, and would tell a stranger the names of folders.
    """
    import torch

    kept = torch.load(source, map_location="cpu", weights_only=False)
    model = kept["ema"] or kept["model"]
    arguments = {"task": "pose", "imgsz": kept["train_args"]["imgsz"]}
    model.args, model.criterion = arguments, None
    model.yaml["yaml_file"] = Path(str(model.yaml.get("yaml_file", ""))).name
    for parameter in model.parameters():
        parameter.requires_grad = False
    # Ultralytics reads these keys; the archive's inner name comes from the file's.
    kept_keys = {"model": model.half(), "train_args": arguments, "version": kept["version"]}
    with write_whole(target) as part:
        torch.save(kept_keys, part)
    return {
        name.removeprefix("metrics/"): float(value)
        for name, value in kept["train_metrics"].items()
        if name.startswith("metrics/")
    }


def _folder(name: str) -> Path:
    return family_folder() / "training" / name


def _read_plan(folder: Path) -> Any:
    try:
        return json.loads((folder / _PLAN_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
