"""predict against what a user would run instead: `yolo pose predict` and `dataset.apply_model`.

Every contender runs in a process of its own, on the same clip, with the same weights, image size
and number of threads, and is timed from its first frame to its last; start-up is shown apart.

    python -m benchmarks.predict [--frames 600] [--rounds 1] [--imgsz PX] [--memory]
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from statistics import median

from fiftyone_legpose.zoo.weights import find_weights, load_yolo, trained_imgsz

RESULTS = Path(__file__).parent / "results" / "predict.json"
THREADS = max(1, (os.cpu_count() or 1) - 1)
CONTENDERS = (
    "yolo-predict",
    "yolo-track",
    "apply-model",
    "ours-torch",
    "ours-torch-track",
    "ours-torch-voting",
    "ours-torch-flip-test",
    "ours-torch-voting-flip-test",
    "ours-auto",
    "ours-auto-track",
    "ours-auto-voting",
    "ours-auto-flip-test",
    "ours-auto-voting-flip-test",
    "limit-torch",
    "limit-auto",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=600)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--imgsz", type=int, help="longer side of the input, px; as trained")
    parser.add_argument("--memory", action="store_true", help="also 3,600 frames, for peak memory")
    parser.add_argument("--contender", help=argparse.SUPPRESS)
    parser.add_argument("--clip", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.contender:
        print(json.dumps(measure(options.contender, options.clip, options.imgsz)))
        return
    imgsz = options.imgsz or trained_imgsz(load_yolo(find_weights()))
    with tempfile.TemporaryDirectory() as folder:
        clip = looped_clip(Path(folder) / f"legs_{options.frames}.mp4", options.frames)
        rounds: dict[str, list[dict[str, float]]] = {name: [] for name in CONTENDERS}
        for number in range(options.rounds):
            for name in CONTENDERS:
                rounds[name].append(run_apart(name, clip, imgsz))
                print(f"round {number + 1} {name}: {rounds[name][-1]}", file=sys.stderr)
        report = summarize(rounds, options.frames, imgsz)
        if options.memory:
            long = looped_clip(Path(folder) / "legs_3600.mp4", 3600)
            short_mb = median(r["peak_mb"] for r in rounds["ours-auto-track"])
            long_mb = run_apart("ours-auto-track", long, imgsz)["peak_mb"]
            report["peak_mb"] = {str(options.frames): short_mb, "3600": long_mb}
            report["peak_ratio"] = round(long_mb / short_mb, 3)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(report, indent=1) + "\n")
    print(json.dumps(report, indent=1))


def summarize(
    rounds: dict[str, list[dict[str, float]]], frames: int, imgsz: int
) -> dict[str, object]:
    """Medians over rounds, and the ratios that the project promises."""
    fps = {name: round(median(r["fps"] for r in runs), 1) for name, runs in rounds.items()}
    share = {
        name: round(median(r["writing_share"] for r in rounds[name]), 3)
        for name in ("ours-torch", "ours-auto")
    }
    return {
        "frames": frames,
        "size": "1920x1080",
        "imgsz": imgsz,
        "cores": os.cpu_count(),
        "torch_threads": THREADS,
        "frames_per_second": fps,
        "startup_s": {
            n: round(median(r["startup"] for r in runs), 1) for n, runs in rounds.items()
        },
        "ratios": {
            "torch / yolo predict": round(fps["ours-torch"] / fps["yolo-predict"], 2),
            "torch / yolo track": round(fps["ours-torch-track"] / fps["yolo-track"], 2),
            "torch / apply_model": round(fps["ours-torch"] / fps["apply-model"], 2),
            "auto / yolo predict": round(fps["ours-auto"] / fps["yolo-predict"], 2),
            "auto / yolo track": round(fps["ours-auto-track"] / fps["yolo-track"], 2),
            "auto / apply_model": round(fps["ours-auto"] / fps["apply-model"], 2),
            **{
                f"{backend}: {care} / without": round(
                    fps[f"ours-{backend}-{care.replace(' ', '-')}"] / fps[f"ours-{backend}"], 2
                )
                for backend in ("torch", "auto")
                for care in ("voting", "flip test", "voting flip test")
            },
            "torch / its limit": round(fps["ours-torch"] / fps["limit-torch"], 2),
            "auto / its limit": round(fps["ours-auto"] / fps["limit-auto"], 2),
        },
        "writing_share_of_wall_time": share,
    }


def looped_clip(path: Path, frames: int) -> Path:
    """Loop the sample clip to so many frames at 1080p."""
    sample = Path(__file__).parents[1] / "fiftyone_legpose/assets/sample/legs_sample.mp4"
    command = ["ffmpeg", "-v", "error", "-y", "-stream_loop", "-1", "-i", str(sample)]
    command += ["-frames:v", str(frames), "-vf", "scale=-2:1080,pad=1920:1080:(ow-iw)/2:0"]
    subprocess.run([*command, "-preset", "veryfast", "-crf", "23", str(path)], check=True)
    return path


def run_apart(name: str, clip: Path, imgsz: int) -> dict[str, float]:
    """Measure one contender in a process of its own."""
    with tempfile.TemporaryDirectory() as home:
        environment = {
            **os.environ,
            "FIFTYONE_DATABASE_DIR": f"{home}/mongo",
            # FiftyOne joins any mongod of its own that runs already, whatever the folder.
            "FIFTYONE_DATABASE_NAME": Path(home).name,
            "FIFTYONE_DO_NOT_TRACK": "true",
            "FIFTYONE_SHOW_PROGRESS_BARS": "false",
            "YOLO_OFFLINE": "true",
            "YOLO_VERBOSE": "false",
        }
        command = [sys.executable, "-m", "benchmarks.predict", "--contender", name]
        done = subprocess.run(
            [*command, "--clip", str(clip), "--imgsz", str(imgsz)],
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
    return json.loads(done.stdout.splitlines()[-1])


def measure(name: str, clip: Path, imgsz: int) -> dict[str, float]:
    """Run one contender here."""
    contenders: dict[str, Callable[..., dict[str, float]]] = {
        "yolo-predict": partial(yolo, track=False),
        "yolo-track": partial(yolo, track=True),
        "apply-model": apply_model,
        "ours-torch": partial(ours, backend="torch", track=False),
        "ours-torch-track": partial(ours, backend="torch", track=True),
        "ours-torch-voting": partial(ours, backend="torch", track=False, voting=True),
        "ours-torch-flip-test": partial(ours, backend="torch", track=False, flip_test=True),
        "ours-torch-voting-flip-test": partial(
            ours, backend="torch", track=False, voting=True, flip_test=True
        ),
        "ours-auto": partial(ours, backend="auto", track=False),
        "ours-auto-track": partial(ours, backend="auto", track=True),
        "ours-auto-voting": partial(ours, backend="auto", track=False, voting=True),
        "ours-auto-flip-test": partial(ours, backend="auto", track=False, flip_test=True),
        "ours-auto-voting-flip-test": partial(
            ours, backend="auto", track=False, voting=True, flip_test=True
        ),
        "limit-torch": partial(limit, backend="torch"),
        "limit-auto": partial(limit, backend="auto"),
    }
    found = contenders[name](clip, imgsz)
    found["peak_mb"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)
    return found


def set_torch_threads() -> None:
    """Give every contender what ultralytics gives itself on a CPU: all cores but one."""
    import torch

    torch.set_num_threads(THREADS)


def yolo(clip: Path, imgsz: int, *, track: bool) -> dict[str, float]:
    from fiftyone_legpose.zoo.ultralytics import import_ultralytics

    set_torch_threads()
    asked = time.perf_counter()
    model = import_ultralytics().YOLO(str(find_weights().path))
    verb = model.track if track else model.predict
    results = verb(str(clip), stream=True, save=False, imgsz=imgsz, conf=0.25, verbose=False)
    next(results)
    first = time.perf_counter()
    count = sum(1 for _ in results)
    return {"fps": count / (time.perf_counter() - first), "startup": first - asked}


def apply_model(clip: Path, imgsz: int) -> dict[str, float]:
    import fiftyone as fo

    from fiftyone_legpose.zoo.ultralytics import import_ultralytics

    set_torch_threads()
    dataset = fo.Dataset()
    dataset.add_sample(fo.Sample(filepath=str(clip)))
    asked = time.perf_counter()
    model = import_ultralytics().YOLO(str(find_weights().path))
    model.overrides["imgsz"] = imgsz
    dataset.compute_metadata()
    first = time.perf_counter()
    dataset.apply_model(model, label_field="legpose", skip_failures=False)
    seconds = time.perf_counter() - first
    return {"fps": dataset.count("frames") / seconds, "startup": first - asked}


def ours(clip: Path, imgsz: int, *, backend: str, track: bool, **care: bool) -> dict[str, float]:
    import fiftyone_legpose as lp

    set_torch_threads()
    dataset = lp.load(clip, "benchmark")
    asked = time.perf_counter()
    found = lp.predict(dataset, backend=backend, track=track, imgsz=imgsz, **care)
    startup = time.perf_counter() - asked - found.seconds
    return {
        "fps": found.frames / found.seconds,
        "startup": startup,
        "writing_share": found.seconds_writing / found.seconds,
    }


def limit(clip: Path, imgsz: int, *, backend: str) -> dict[str, float]:
    """Bare backend and bare decode side by side: what no pipeline around them can beat."""
    import torch

    from fiftyone_legpose.prediction.inference import Inference
    from fiftyone_legpose.prediction.runtimes import PoseModel
    from fiftyone_legpose.videos import decoding

    set_torch_threads()
    asked = time.perf_counter()
    model = PoseModel(find_weights(), Inference(backend=backend, imgsz=imgsz))  # type: ignore[arg-type]
    _, frame = next(decoding.read_frames(clip, [1]))
    tensor = torch.from_numpy(model.prepare(frame).pixels).permute(2, 0, 1)[None].float() / 255
    tensor = tensor.contiguous()
    count = 100
    with torch.inference_mode(), ThreadPoolExecutor(1) as pool:
        model._start(tensor)()
        first = time.perf_counter()
        decoded = pool.submit(lambda: sum(1 for _ in decoding.read_frames(clip, range(1, count))))
        for _ in range(count):
            model._start(tensor)()
        decoded.result()
        seconds = time.perf_counter() - first
    return {"fps": count / seconds, "startup": first - asked}


if __name__ == "__main__":
    main()
