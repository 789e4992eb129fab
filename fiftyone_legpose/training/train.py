"""train: fine-tune on the frames that people corrected; every result is a version."""

import difflib
import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import version as library_version
from pathlib import Path
from typing import Any, Literal

import fiftyone as fo

from fiftyone_legpose.dataset.fields import GROUND_TRUTH
from fiftyone_legpose.dataset.frames import source_dataset
from fiftyone_legpose.dataset.groups import sample_groups
from fiftyone_legpose.errors import TrainingError, WeightsError
from fiftyone_legpose.evaluation.evaluate import Evaluation
from fiftyone_legpose.progress import Report, reporting
from fiftyone_legpose.training import promotion
from fiftyone_legpose.training.data import (
    BOX_MARGIN,
    TrainingFrames,
    collect_frames,
    write_training_data,
)
from fiftyone_legpose.training.splits import Side
from fiftyone_legpose.training.trainer_run import discard_training, run_trainer, training_folder
from fiftyone_legpose.zoo import registry
from fiftyone_legpose.zoo.bases import Base, find_base, knows_legs
from fiftyone_legpose.zoo.registry import Version
from fiftyone_legpose.zoo.ultralytics import import_ultralytics
from fiftyone_legpose.zoo.weights import open_yolo, trained_imgsz

OPTIMIZERS = ("AdamW", "auto", "SGD", "MuSGD", "Adam", "Adamax", "NAdam", "RAdam", "RMSprop")
"""Those of ultralytics, which lists them only in the error that comes after all preparation."""

_METHOD = "legpose/train"
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
_DEVICES = re.compile(r"cpu|mps|\d+(,\d+)*|(cuda|npu|xpu)(:\d+)?")
_SMALLEST_IMGSZ = 32  # the network's largest stride
_SIZE_FROM_SCRATCH = 640
_SIDES: tuple[Side, ...] = ("val", "train")
_LIBRARIES = ("fiftyone-legpose", "ultralytics", "torch", "torchvision", "numpy", "opencv-python")


@dataclass(frozen=True)
class TrainSummary:
    """What one call of `train` did."""

    version: Version
    run_key: str
    """Key of the custom run on the dataset."""
    trained: bool
    """False where the version was there already, of the same base, labels and settings."""
    train_frames: int
    val_frames: int
    empty_frames: int
    """Frames confirmed to show nobody, on either side."""
    resumed_epoch: int = 0
    """Epochs that an earlier, interrupted call had finished."""
    shared: tuple[str, ...] = ()
    """Subjects and videos on both sides, or in validation though the weights that this training
    started from were trained on them: where there are any, the metrics flatter."""
    taken: str | None = None
    """What of the base was taken over, where that is not all of it."""
    promoted: bool | None = None
    """Whether the version became the default; None where that was not asked for."""
    comparison: Evaluation | None = None
    """Evaluation of the old default and the version, where this call judged them."""


def train(
    dataset_or_view: Any,
    *,
    name: str,
    base: str | Path = "yolov8n-pose.pt",
    epochs: int = 200,
    imgsz: int | None = None,
    optimizer: str = "AdamW",
    batch: int | Literal["auto"] = "auto",
    val: float | str | Any = 0.2,
    allow_shared_subjects: bool = False,
    gt_field: str = GROUND_TRUTH,
    box_margin: float = BOX_MARGIN,
    validate: bool = True,
    device: str = "auto",
    threads: int | None = None,
    seed: int = 0,
    trust: bool = False,
    resume: bool | None = None,
    promote: bool = False,
    compare: bool = False,
    verbose: bool = False,
    progress: Report | bool | None = None,
    **ultralytics_arguments: Any,
) -> TrainSummary:
    """Fine-tune a pose model on corrected frames and register the result as a version.

    Only frames whose ground truth a person set are used; those confirmed to show nobody are
    negatives. Interrupted, by Ctrl-C or by a crash, the same call goes on where it stopped. Called
    again when it is done, it changes nothing.

    Parameters
    ----------
    dataset_or_view
        Image or video collection.
    name
        Of the new version: letters, digits, dots and dashes.
    base
        What to start from: ``yolov8n-pose.pt`` (fetched by ultralytics), ``legpose-yolov8n``, the
        name of an earlier version, the path of a checkpoint, or ``yolov8n-pose.yaml`` for nothing.
        Of a base with other keypoints only the layers that match are taken.
    epochs
        Passes over the training frames.
    imgsz
        Longer side of the model's input in px; None takes the size that the base was trained at,
        640 for those of ultralytics and from scratch. Another size asks for more training: after
        three epochs at 640 px a base of 224 px had fallen from a PCK@0.1 of 0.87 to 0.59.
    optimizer
        One of `OPTIMIZERS`.
    batch
        Pictures a step; ``auto`` is 16 a device, ultralytics' default. -1 takes as many as a GPU
        holds, which is faster, but differs from machine to machine.
    val
        Share of frames to validate with, taken as whole subjects, else whole videos; or the tag of
        the samples to validate with; or a collection of them. Subjects and videos stay on the side
        that an earlier version had them on: the share is for those that come new.
    allow_shared_subjects
        Accept a subject on both sides, or in validation though the base, or weights that it came
        from, were trained on it. The summary and the registry say so.
    gt_field
        Bare name of the field with the corrected keypoints.
    box_margin
        Space around the keypoints that belongs to a person's box, as a share of its longer side.
    validate
        Look at the validation frames after every epoch and keep the epoch that does best; else only
        at the end, and keep the last: faster, and better where there is little to validate with.
    device
        ``auto``, ``cpu``, ``0``, or ``0,1`` for several GPUs.
    threads
        Of torch on a CPU; None for one a core.
    seed
        Of the split of what comes new, and of training.
    trust
        Start from a checkpoint of unknown origin, which can run code.
    resume
        True to demand an interrupted training to go on with, False to start anew.
    promote
        Make the version the default if it beats the present one on the validation frames: if the
        interval of the difference in mean OKS is above zero, or, where there is only one video and
        so no interval, the difference itself.
    compare
        Evaluate the version and the present default on the validation frames; `promote` does.
    verbose
        Show ultralytics' own output.
    progress
        See `fiftyone_legpose.progress.reporting`.
    **ultralytics_arguments
        Any other argument of ultralytics' ``train``, for example ``lr0``, ``mosaic``, ``patience``.
        With AdamW, unless they are said, ``momentum`` is 0.9, ``warmup_bias_lr`` 0 and ``lr0``
        0.002, what ultralytics itself chooses for it; but 0.0001 where the base knows the ten
        keypoints already, because a few frames at more make it forget the rest.

    Returns
    -------
    TrainSummary

    Raises
    ------
    DatasetError
        If there is no ground truth, the sides would share a subject, or validation would be on
        subjects that the base was trained on.
    WeightsError
        If the base is missing, unknown or no pose model, or the name is taken by other weights.
    TrainingError
        If an argument is unknown or out of its range, or there is nothing to resume.

    Notes
    -----
    On a CPU the same frames, settings, seed, number of threads and library versions give the same
    weights, to the bit. On a GPU they differ in the last digits, because some of its sums have no
    fixed order.
    """
    _check_names(ultralytics_arguments)
    device = _device(device)
    arguments: dict[str, Any] = {
        "epochs": epochs,
        "imgsz": imgsz,
        "optimizer": optimizer,
        "batch": _BATCH_A_DEVICE * (device.count(",") + 1) if batch == "auto" else batch,
        "seed": seed,
        "val": validate,
        "plots": False,
        **ultralytics_arguments,
    }
    _check_values(arguments, box_margin, threads)
    registry.check_name(name)
    dataset = source_dataset(dataset_or_view)
    start = find_base(base, trust=trust)
    names_of = _names_of(dataset_or_view, *(() if isinstance(val, float | int | str) else (val,)))
    frames = collect_frames(
        dataset_or_view,
        val=val,
        seed=seed,
        fixed=_earlier_sides(names_of),
        seen=_seen(names_of, start, promote or compare),
        allow_shared_subjects=allow_shared_subjects,
        gt_field=gt_field,
    )
    arguments = _rates(optimizer, start) | arguments
    if imgsz is None:
        arguments["imgsz"] = _size_of(start)
    plan = {
        "labels_sha256": frames.labels_sha256(),
        "settings": {
            "base": start.name,
            "base_sha256": start.sha256,
            "box_margin": box_margin,
            **arguments,
        },
    }
    version, trained = _known(name, start, plan), None
    if version is None:
        with (
            reporting("train", progress) as report,
            training_folder(name, plan, resume) as folder,
        ):
            report(0, epochs, "writing pictures and labels")
            trained = run_trainer(
                folder,
                start,
                write_training_data(frames, folder / "data", box_margin=box_margin),
                arguments=arguments,
                device=device,
                threads=threads,
                verbose=verbose,
                report=report,
            )
            entry = _describe(name, start, plan, frames, dataset.name, trained.metrics)
            version = registry.add_version(trained.checkpoint, entry)
    discard_training(name)
    before = _stored_run(dataset, version)
    summary = TrainSummary(
        version=version,
        run_key=run_key_of(name),
        trained=trained is not None,
        train_frames=len(frames.split.train),
        val_frames=len(frames.split.val),
        empty_frames=sum(not frame.poses for frame in frames.frames),
        resumed_epoch=trained.resumed_epoch if trained else 0,
        shared=frames.split.shared,
        taken=trained.taken if trained else None,
        promoted=before.promoted if before else None,
    )
    to_promote = promote and summary.promoted is None
    if to_promote or (compare and not (before and before.evaluation)):
        judges = dataset if isinstance(val, float | int | str) else source_dataset(val)
        comparison = promotion.compare_with_default(
            version, frames, judges, gt_field=gt_field, device=device, progress=progress
        )
        summary = replace(summary, comparison=comparison)
        if to_promote:
            summary = replace(summary, promoted=promotion.promote(version, comparison))
    # Last, so that a call that was killed before is not taken for done.
    _register(dataset, summary)
    return summary


def run_key_of(version: str) -> str:
    """Name the custom run on the dataset that tells of a version's training."""
    return "train_" + re.sub(r"\W", "_", version)


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
    """Refuse what ultralytics would stumble over only when all is prepared."""
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


def _rates(optimizer: str, start: Base) -> dict[str, float]:
    if optimizer.lower() != "adamw":
        return {}
    return _REFINING if knows_legs(start) else _ADAMW


def _size_of(start: Base) -> int:
    return _SIZE_FROM_SCRATCH if start.path is None else trained_imgsz(open_yolo(start.path))


def _device(device: str) -> str:
    import torch

    found = torch.cuda.device_count()
    if device == "auto":
        return "0" if found else "cpu"
    wanted = str(device).replace(" ", "")
    if not _DEVICES.fullmatch(wanted):
        raise TrainingError(f"There is no device {device!r}: say auto, cpu, mps, 0 or 0,1.")
    missing = [gpu for gpu in wanted.split(",") if gpu.isdigit() and int(gpu) >= found]
    if missing:
        raise TrainingError(
            f"There is no GPU {', '.join(missing)}: torch finds {found}, counted from 0. Say auto, "
            "or cpu."
        )
    return wanted


def _names_of(*collections: Any) -> dict[str, tuple[str, str]]:
    """Name the group and the video of every sample of the collections' datasets."""
    found: dict[str, tuple[str, str]] = {}
    for dataset in map(source_dataset, collections):
        names = zip(*sample_groups(dataset), strict=True)
        found.update(zip(dataset.values("id"), names, strict=True))
    return found


def _earlier_sides(names_of: Mapping[str, tuple[str, str]]) -> dict[str, Side]:
    """Tell which groups earlier versions trained on or were validated with."""
    sides: dict[str, Side] = {}
    # Training comes last and wins: what was trained on once is no stranger again.
    for side in _SIDES:
        for version in registry.list_versions():
            sides |= {names_of[sample][0]: side for sample in _samples(version, side, names_of)}
    return sides


def _seen(names_of: Mapping[str, tuple[str, str]], start: Base, judge: bool) -> set[str]:
    """Name the groups and videos that the base, or what it came from, was trained on.

    A comparison with the default must be fair to both.
    """
    ancestors = {start.sha256}
    if judge:
        ancestors.add(registry.get_version(registry.current_version()).sha256)
    return {
        name
        for version in registry.lineage(*ancestors)
        for sample in _samples(version, "train", names_of)
        for name in names_of[sample]
    }


def _samples(version: Version, side: Side, known: Collection[str]) -> set[str]:
    return {frame["sample"] for frame in version.frames.get(side, ())} & set(known)


def _known(name: str, start: Base, plan: Mapping[str, Any]) -> Version | None:
    """Look for a version that this very call made before."""
    if not registry.has_version(name):
        return None
    version = registry.get_version(name)
    asked, had = dict(plan["settings"]), dict(version.settings)
    if start.sha256 == version.sha256:
        # The default weights were the base, and this version has become the default since.
        for key in ("base", "base_sha256"):
            asked[key] = had.get(key)
    asked = json.loads(json.dumps(asked))
    if version.labels_sha256 != plan["labels_sha256"] or asked != had:
        raise WeightsError(
            f"There is a version {name!r} already, of other labels, base or settings: choose "
            f"another name, or remove it first (legpose weights rm {name})."
        )
    return version


def _describe(
    name: str,
    start: Base,
    plan: Mapping[str, Any],
    frames: TrainingFrames,
    dataset_name: str,
    metrics: Mapping[str, float],
) -> Version:
    return Version(
        name=name,
        path=Path(),
        sha256="",
        parent=start.name,
        dataset=dataset_name,
        frames=frames.ids(),
        labels_sha256=plan["labels_sha256"],
        settings=plan["settings"],
        # Names of subjects stay in the dataset: a version can be handed to others.
        metrics={**metrics, "shared_subjects": len(frames.split.shared)},
        libraries={library: library_version(library) for library in _LIBRARIES},
    )


def _stored_run(dataset: fo.Dataset, version: Version) -> Any:
    """Read what an earlier call noted of a version; None where there was none."""
    key = run_key_of(version.name)
    if not dataset.has_run(key):
        return None
    config = dataset.get_run_info(key).config
    return config if config.weights_sha256 == version.sha256 else None


def _register(dataset: fo.Dataset, summary: TrainSummary) -> None:
    """Note the training on the dataset."""
    key, version = summary.run_key, summary.version
    before = _stored_run(dataset, version)
    evaluation = summary.comparison.key if summary.comparison else before and before.evaluation
    if before and (before.promoted, before.evaluation) == (summary.promoted, evaluation):
        return
    if dataset.has_run(key):
        dataset.delete_run(key)
    config = dataset.init_run(
        method=_METHOD,
        version=version.name,
        weights_sha256=version.sha256,
        parent=version.parent,
        created=version.created,
        train_frames=summary.train_frames,
        val_frames=summary.val_frames,
        shared=list(summary.shared),
        labels_sha256=version.labels_sha256,
        settings=dict(version.settings),
        metrics=dict(version.metrics),
        libraries=dict(version.libraries),
        promoted=summary.promoted,
        evaluation=evaluation,
    )
    dataset.register_run(key, config)
