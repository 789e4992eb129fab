"""Does choosing frames pay? `select`'s strategies against each other, round by round.

The pool is three legs-only clips whose labels are hidden; a round's labels are given back for the
frames that a strategy chose, as a person would correct them. The base weights have seen synthetic
legs alone; they start from a detector that knows people, or from nothing (`--start`). All train
with the views and the loss of `weights.recipe`. The test is pictures of another camera and of
another man, which no round has seen.

    python -m benchmarks.active_learning --device cpu        # 22 minutes on two cores
    python -m benchmarks.active_learning --device 0 --imgsz 320 --synthetic 8000 --base-epochs 60

What is trained is kept in the work folder, so an interrupted run goes on where it stopped. The
base in `results/active_learning.json` learned from pictures as the recipe drew them before it had
photographs and patterned clothes.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("FIFTYONE_DO_NOT_TRACK", "true")

import fiftyone as fo
import numpy as np
import yaml

from benchmarks import SHARED
from benchmarks.clinic_training import SETTINGS, clinic_training
from cvat_bridge.poses import Pose
from fiftyone_legpose.dataset import fields, frame_review
from fiftyone_legpose.dataset.keypoint_labels import to_keypoints
from fiftyone_legpose.evaluation.comparison import Comparison, compare, summarize
from fiftyone_legpose.evaluation.intervals import interval, resample
from fiftyone_legpose.exports.yolo_pose_dataset import YOLOPoseDataset
from fiftyone_legpose.prediction.predict import predict
from fiftyone_legpose.selection.select import select
from fiftyone_legpose.training.train import train
from fiftyone_legpose.videos.load import load
from fiftyone_legpose.zoo.weights import find_weights
from weights.recipe.measuring import MIN_SCORE, Truth, load_model, predict_all, read_truth

RESULTS = Path(__file__).parent / "results"
CLIPS = ("intel_legs", "lab_cam01_legs", "lab_cam02_legs")
STRATEGIES = ("review", "random", "uncertain")
METRICS = {
    "pck@0.1/all/all": "share of points within 0.1 leg lengths (missed persons count as wrong)",
    "found": "share of persons found (OKS >= 0.5)",
    "ap50": "OKS-AP50",
}
RESAMPLES = 500
SYNTHETIC_SEED = 2
CHECKED = 40
"""Synthetic pictures that training validates with."""


def main() -> None:
    options = _options()
    started = time.monotonic()
    options.work.mkdir(parents=True, exist_ok=True)
    fo.config.model_zoo_dir = str(options.work / "zoo")
    synthetic = _synthetic(options)
    base = _train_base(options, synthetic)
    test = read_truth(SHARED / "data" / "legs")
    measured = {"base": _measure(test, base, options)}
    persons: dict[str, list[int]] = {}
    for seed in range(options.seeds):
        for strategy in options.strategies:
            rounds = _learn(strategy, seed, base, synthetic, options)
            for number, (version, labelled) in enumerate(rounds, 1):
                measured[f"{strategy}/{seed}/{number}"] = _measure(test, version, options)
                persons.setdefault(f"{strategy}/{number}", []).append(labelled)
                _say(started, f"{strategy}, seed {seed}, round {number} of {options.rounds}")
    report = {
        "settings": {k: str(v) if isinstance(v, Path) else v for k, v in vars(options).items()},
        "metrics": METRICS,
        "persons": {key: round(np.mean(seeds), 1) for key, seeds in persons.items()},
        "parts": _summarize(measured, _parts(test), options),
    }
    del report["settings"]["work"], report["settings"]["out"]
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "active_learning.json").write_text(json.dumps(report, indent=1) + "\n")
    _plot(report, options.out / "active_learning.png")
    print(_table(report))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--strategies", nargs="+", default=STRATEGIES)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--count", type=int, default=20, help="frames a round")
    # At select's own 0.3 s the clips hold 46 frames, which all strategies would have taken soon.
    parser.add_argument("--min-gap", type=float, default=0.1, help="s between two chosen frames")
    parser.add_argument("--imgsz", type=int, default=160)
    parser.add_argument("--epochs", type=int, default=20, help="of each round's training")
    parser.add_argument("--lr0", type=float, default=0.0003, help="of each round's training")
    parser.add_argument("--synthetic", type=int, default=8000, help="pictures for the base")
    parser.add_argument("--base-epochs", type=int, default=10)
    parser.add_argument(
        "--start",
        default="yolov8n.pt",
        help="what the base starts from; yolov8n-pose.yaml is nothing (default: %(default)s)",
    )
    parser.add_argument("--base", help="weights to start from, instead of training on synthetic")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--work", type=Path, default=Path.home() / ".cache/legpose/active_learning")
    parser.add_argument("--out", type=Path, default=RESULTS)
    return parser.parse_args()


def _synthetic(options: argparse.Namespace) -> fo.Dataset:
    """Make the synthetic pictures, the last of them tagged for validation."""
    from weights.recipe.synthesis import synthesize

    folder = options.work / f"synthetic-{options.synthetic}"
    pack = SHARED / "data" / "pack"
    synthesize(
        pack / "mh",
        folder,
        options.synthetic + CHECKED,
        backgrounds=pack / "bg",
        seed=SYNTHETIC_SEED,
        processes=os.cpu_count() or 1,
    )
    layout = {"path": ".", "train": "images/train", "kpt_shape": [10, 3], "names": {0: "legs"}}
    (folder / "data.yaml").write_text(yaml.safe_dump(layout))
    dataset = fo.Dataset.from_dir(
        str(folder),
        dataset_type=YOLOPoseDataset,
        split="train",
        label_field=fields.GROUND_TRUTH,
        progress=False,
    )
    dataset.compute_metadata(progress=False)
    # Every picture is another body in another room: none is the neighbour of another.
    dataset.add_sample_field(fields.SUBJECT, fo.StringField)
    dataset.set_values(fields.SUBJECT, [f"body {i}" for i in range(len(dataset))])
    dataset[-CHECKED:].tag_samples("check")
    return dataset


def _train_base(options: argparse.Namespace, synthetic: fo.Dataset) -> str:
    if options.base:
        return options.base
    start = options.start.partition(".")[0]
    name = f"{start}-synthetic-{options.synthetic}-{options.imgsz}-{options.base_epochs}"
    with clinic_training(widen=1.5):
        train(
            synthetic,
            name=name,
            base=options.start,
            val="check",
            epochs=options.base_epochs,
            trust=True,
            lr0=0.0015,
            lrf=0.1,
            **_settings(options),
        )
    return name


def _settings(options: argparse.Namespace) -> dict[str, Any]:
    """Give what every training here shares.

    The last epoch is taken, so that the pictures to validate with decide nothing.
    """
    machine = {"device": options.device, "threads": options.threads}
    return {**SETTINGS, **machine, "imgsz": options.imgsz, "validate": False}


def _learn(
    strategy: str, seed: int, base: str, synthetic: fo.Dataset, options: argparse.Namespace
) -> list[tuple[str, int]]:
    """Go through the rounds of one strategy: the versions it led to, the persons each has seen."""
    truth = _labels()
    name = f"active-learning-{strategy}-{seed}-{os.getpid()}"
    dataset = load(
        [SHARED / "data" / "samples" / f"{clip}.mp4" for clip in CLIPS],
        name,
        subject=r"^([a-z]+)_",
        progress=False,
    )
    versions, labelled = [], 0
    weights = base
    try:
        for number in range(1, options.rounds + 1):
            predict(
                dataset,
                weights=weights,
                imgsz=options.imgsz,
                device=options.device,
                backend="torch",
                progress=False,
            )
            chosen = select(
                dataset,
                count=options.count,
                strategy=strategy,
                min_gap_s=options.min_gap,
                seed=seed,
                progress=False,
            )
            labelled += _correct(dataset, chosen, truth)
            weights = f"{base}-{strategy}-{seed}-{number}-{options.epochs}-{options.lr0}"
            with clinic_training():
                train(
                    dataset,
                    name=weights,
                    base=base,
                    val=synthetic.match_tags("check"),
                    epochs=options.epochs,
                    lr0=options.lr0,
                    seed=seed,
                    progress=False,
                    **_settings(options) | {"batch": 8, "nbs": 8},
                )
            versions.append((weights, labelled))
    finally:
        fo.delete_dataset(name)
    return versions


def _labels() -> dict[str, dict[int, fo.Keypoints]]:
    """Read the hidden labels: by clip and frame number."""
    labels = {}
    for clip in CLIPS:
        told = json.loads((SHARED / "data" / "samples" / f"{clip}.json").read_text())
        size = (told["width"], told["height"])
        labels[clip] = {
            frame["frame"] + 1: to_keypoints(
                [_pose(p["keypoints"]) for p in frame["persons"]], size
            )
            for frame in told["frames"]
        }
    return labels


def _pose(keypoints: Sequence[Sequence[float]]) -> Pose:
    values = np.array(keypoints, float)
    return Pose(values[:, :2], values[:, 2])


def _correct(
    dataset: fo.Dataset, chosen: fo.DatasetView, truth: dict[str, dict[int, fo.Keypoints]]
) -> int:
    """Do what a person would: label the frames that were chosen; count the people in them."""
    paths, ids, numbers = chosen.values(["filepath", "frames.id", "frames.frame_number"])
    labels = {
        frame_id: truth[Path(path).stem][number].copy()
        for path, of_video, at in zip(paths, ids, numbers, strict=True)
        for frame_id, number in zip(of_video, at, strict=True)
    }
    dataset.set_values(f"frames.{fields.GROUND_TRUTH}", labels, key_field="frames.id")
    frame_review.mark(dataset, labels, state=fields.CORRECTED, key="benchmark", by="benchmark")
    return sum(len(found.keypoints) for found in labels.values())


def _parts(test: Truth) -> dict[str, np.ndarray]:
    """Masks of the test pictures: all, the camera of a take in the pool, the man who is not."""
    stranger = np.array([name.startswith("intel") for name in test.names])
    return {
        "all pictures": np.ones(len(stranger), bool),
        "another camera": ~stranger,
        "another man": stranger,
    }


def _measure(test: Truth, version: str, options: argparse.Namespace) -> Comparison:
    predicted = predict_all(test, load_model(find_weights(version).path, options.imgsz))
    return compare(test.persons, predicted, leg=test.leg, area=test.area, min_score=MIN_SCORE)


def _summarize(
    measured: dict[str, Comparison], parts: dict[str, np.ndarray], options: argparse.Namespace
) -> dict[str, dict[str, dict[str, list[dict[str, float]]]]]:
    """Per part, metric and strategy a value and an interval a round, round 0 being the base.

    Pictures and seeds are drawn with replacement, the same for all strategies, so that the
    difference from `random` has an interval of its own.
    """
    pictures = len(parts["all pictures"])
    group = np.arange(pictures)
    rng = np.random.default_rng(0)
    seeds = rng.integers(0, options.seeds, (RESAMPLES, options.seeds))
    report = {}
    for part, mask in parts.items():
        draws = np.zeros((RESAMPLES + 1, pictures))
        draws[0, mask] = 1
        draws[1:, mask] = resample(int(mask.sum()), RESAMPLES, 0)
        values = {key: summarize(c, group, draws) for key, c in measured.items()}
        report[part] = {
            metric: _curves({key: v[metric] for key, v in values.items()}, seeds, options)
            for metric in METRICS
        }
    return report


def _curves(
    values: dict[str, np.ndarray], seeds: np.ndarray, options: argparse.Namespace
) -> dict[str, list[dict[str, float]]]:
    def averaged(strategy: str, number: int) -> np.ndarray:
        if number == 0:
            return values["base"]
        each = np.stack([values[f"{strategy}/{s}/{number}"] for s in range(options.seeds)])
        drawn = each[seeds.T, np.arange(1, each.shape[1])].mean(axis=0)
        return np.append(each[:, 0].mean(), drawn)

    curves: dict[str, list[dict[str, float]]] = {}
    for strategy in options.strategies:
        points = []
        for number in range(options.rounds + 1):
            drawn = averaged(strategy, number)
            low, high = interval(drawn[1:])
            point = {"frames": number * options.count, "value": float(drawn[0])}
            point |= {"low": low, "high": high}
            if "random" in options.strategies and strategy != "random" and number:
                ahead = drawn - averaged("random", number)
                low, high = interval(ahead[1:])
                point |= {"ahead": float(ahead[0]), "ahead_low": low, "ahead_high": high}
            points.append({key: round(v, 4) for key, v in point.items()})
        curves[strategy] = points
    return curves


def _plot(report: dict, target: Path) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    parts, metrics = report["parts"], list(METRICS)[:2]
    figure, axes = plt.subplots(
        len(metrics), len(parts), figsize=(4 * len(parts), 3.2 * len(metrics)), sharex=True
    )
    for row, metric in zip(axes, metrics, strict=True):
        for axis, (part, curves) in zip(row, parts.items(), strict=True):
            for shift, (strategy, points) in enumerate(curves[metric].items()):
                x, y, low, high = (
                    np.array([p[key] for p in points]) for key in ("frames", "value", "low", "high")
                )
                spread = np.abs(np.stack([y - low, high - y]))
                axis.errorbar(x + shift * 0.6, y, spread, marker="o", capsize=3, label=strategy)
            axis.set_title(part if metric == metrics[0] else "")
            axis.grid(alpha=0.3)
        row[0].set_ylabel({"found": "persons found"}.get(metric, metric.partition("/")[0].upper()))
    for axis in axes[-1]:
        axis.set_xlabel("frames corrected")
    axes[0][0].legend()
    figure.suptitle("What correcting frames brings, by the way they are chosen (95% intervals)")
    figure.tight_layout()
    figure.savefig(target, dpi=110)
    plt.close(figure)


def _table(report: dict) -> str:
    lines = []
    for part, metrics in report["parts"].items():
        for metric, curves in metrics.items():
            for strategy, points in curves.items():
                cells = "  ".join(
                    f"{p['value']:.3f} [{p['low']:.3f}, {p['high']:.3f}]" for p in points
                )
                lines.append(f"{part:15} {metric:16} {strategy:10} {cells}")
    return "\n".join(lines)


def _say(started: float, text: str) -> None:
    print(f"{(time.monotonic() - started) / 60:5.1f} min  {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
