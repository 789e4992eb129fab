"""train: fine-tune on the frames that people corrected; every result is a version."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.metadata import version as library_version
from pathlib import Path
from typing import Any, Literal

from fiftyone_legpose.dataset.by_name import takes_name
from fiftyone_legpose.dataset.fields import GROUND_TRUTH
from fiftyone_legpose.dataset.frames import source_dataset
from fiftyone_legpose.errors import WeightsError
from fiftyone_legpose.progress import Report, reporting
from fiftyone_legpose.training import promotion
from fiftyone_legpose.training.arguments import (
    batch_of,
    check_arguments,
    completed,
)
from fiftyone_legpose.training.data import (
    BOX_MARGIN,
    TrainingFrames,
    collect_frames,
    write_training_data,
)
from fiftyone_legpose.training.earlier_sides import earlier_sides, names_of, seen_in_training
from fiftyone_legpose.training.stored_run import (
    TrainSummary,
    register_run,
    run_key_of,
    stored_run,
)
from fiftyone_legpose.training.trainer_run import (
    Trained,
    discard_training,
    run_trainer,
    training_folder,
)
from fiftyone_legpose.zoo import registry
from fiftyone_legpose.zoo.bases import Base, find_base
from fiftyone_legpose.zoo.checkpoints import NAME
from fiftyone_legpose.zoo.devices import find_device
from fiftyone_legpose.zoo.registry import Version

_LIBRARIES = ("fiftyone-legpose", "ultralytics", "torch", "torchvision", "numpy", "opencv-python")


@takes_name("dataset_or_view")
def train(
    dataset_or_view: Any,
    *,
    name: str,
    base: str | Path | None = None,
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
        What to start from; None is the version in use. Else the name of another version, the path
        of a checkpoint, ``yolov8n-pose.pt`` (fetched by ultralytics), or ``yolov8n-pose.yaml`` for
        nothing.
        Of a base with other keypoints only the layers that match are taken.
    epochs
        Passes over the training frames.
    imgsz
        Longer side of the model's input in px; None takes the size that the base was trained at,
        640 for those of ultralytics and from scratch. Another size asks for more training: after
        three epochs at 640 px a base of 224 px had fallen from a PCK@0.1 of 0.87 to 0.59.
    optimizer
        One of `arguments.OPTIMIZERS`.
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
    DeviceError
        If there is no such device.
    TrainingError
        If an argument is unknown or out of its range, or there is nothing to resume.

    Notes
    -----
    On a CPU the same frames, settings, seed, number of threads and library versions give the same
    weights, to the bit. On a GPU they differ in the last digits, because some of its sums have no
    fixed order.
    """
    device = find_device(device)
    own: dict[str, Any] = {"epochs": epochs, "imgsz": imgsz, "optimizer": optimizer}
    own |= {"batch": batch_of(batch, device), "seed": seed, "val": validate, "plots": False}
    arguments = check_arguments(own, ultralytics_arguments, box_margin, threads)
    registry.check_name(name)
    dataset, start = (
        source_dataset(dataset_or_view),
        find_base(NAME if base is None else base, trust=trust),
    )
    judges = dataset if isinstance(val, float | int | str) else source_dataset(val)
    names = names_of(dataset, judges)
    frames = collect_frames(
        dataset_or_view,
        val=val,
        seed=seed,
        fixed=earlier_sides(names),
        seen=seen_in_training(names, start, promote or compare),
        allow_shared_subjects=allow_shared_subjects,
        gt_field=gt_field,
    )
    full = completed(arguments, start)
    task = _Task(name, start, frames, full, box_margin, device, threads, verbose)
    version, trained = _known(task), None
    if version is None:
        version, trained = _train(task, dataset.name, resume, progress)
    discard_training(name)
    before = stored_run(dataset, version)
    summary = _summarize(version, frames, trained, before)
    to_promote = promote and summary.promoted is None
    if to_promote or (compare and not (before and before.evaluation)):
        comparison = promotion.compare_with_default(
            version, frames, judges, gt_field=gt_field, device=device, progress=progress
        )
        promoted = promotion.promote(version, comparison) if to_promote else summary.promoted
        summary = replace(summary, comparison=comparison, promoted=promoted)
    # Last, so that a call that was killed before is not taken for done.
    register_run(dataset, summary)
    return summary


@dataclass(frozen=True)
class _Task:
    """A training that is to be done."""

    name: str
    start: Base
    frames: TrainingFrames
    arguments: Mapping[str, Any]
    box_margin: float
    device: str
    threads: int | None
    verbose: bool

    @cached_property
    def plan(self) -> dict[str, Any]:
        """All that makes this training the one that it is."""
        base = {"base": self.start.name, "base_sha256": self.start.sha256}
        return {
            "labels_sha256": self.frames.labels_sha256(),
            "settings": {**base, "box_margin": self.box_margin, **self.arguments},
        }


def _known(task: _Task) -> Version | None:
    """Look for a version that this very call made before."""
    if not registry.has_version(task.name):
        return None
    version = registry.get_version(task.name)
    asked, had = dict(task.plan["settings"]), dict(version.settings)
    asked["base"] = had.get("base")  # what it is called may change, what is in it does not
    if task.start.sha256 == version.sha256:
        # The default weights were the base, and this version has become the default since.
        asked["base_sha256"] = had.get("base_sha256")
    asked = json.loads(json.dumps(asked))
    if version.labels_sha256 != task.plan["labels_sha256"] or asked != had:
        raise WeightsError(
            f"There is a version {task.name!r} already, of other labels, base or settings: choose "
            f"another name, or remove it first (legpose weights rm {task.name})."
        )
    return version


def _train(
    task: _Task, dataset_name: str, resume: bool | None, progress: Report | bool | None
) -> tuple[Version, Trained]:
    with (
        reporting("train", progress) as report,
        training_folder(task.name, task.plan, resume) as folder,
    ):
        report(0, task.arguments["epochs"], "writing pictures and labels")
        trained = run_trainer(
            folder,
            task.start,
            write_training_data(task.frames, folder / "data", box_margin=task.box_margin),
            arguments=task.arguments,
            device=task.device,
            threads=task.threads,
            verbose=task.verbose,
            report=report,
        )
        entry = _describe(task, dataset_name, trained.metrics)
        return registry.add_version(trained.checkpoint, entry), trained


def _describe(task: _Task, dataset_name: str, metrics: Mapping[str, float]) -> Version:
    return Version(
        name=task.name,
        path=Path(),
        sha256="",
        parent=task.start.name,
        dataset=dataset_name,
        frames=task.frames.ids(),
        labels_sha256=task.plan["labels_sha256"],
        settings=task.plan["settings"],
        # Names of subjects stay in the dataset: a version can be handed to others.
        metrics={**metrics, "shared_subjects": len(task.frames.split.shared)},
        libraries={library: library_version(library) for library in _LIBRARIES},
    )


def _summarize(
    version: Version, frames: TrainingFrames, trained: Trained | None, before: Any
) -> TrainSummary:
    """Tell what this call did, and what an earlier one has noted of the version."""
    return TrainSummary(
        version=version,
        run_key=run_key_of(version.name),
        trained=trained is not None,
        train_frames=len(frames.split.train),
        val_frames=len(frames.split.val),
        empty_frames=sum(not frame.poses for frame in frames.frames),
        resumed_epoch=trained.resumed_epoch if trained else 0,
        shared=frames.split.shared,
        taken=trained.taken if trained else None,
        promoted=before.promoted if before else None,
    )
