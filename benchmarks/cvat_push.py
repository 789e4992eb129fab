"""push against the bare cvat-sdk calls for the same work, and the size of a task.

Both make a task, upload the same frames, send the same skeletons and read them back, in turns,
against one server: the stand-in of the tests in a process of its own, or, with --live, the one
that FIFTYONE_CVAT_URL and _TOKEN (or _USERNAME and _PASSWORD) name.

    python -m benchmarks.cvat_push [--frames 1000] [--rounds 3] [--live]
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import PIL.Image

from cvat_bridge import Pose, Server, connect
from cvat_bridge.frames import Frame
from cvat_bridge.shapes import to_shape
from cvat_bridge.tasks import Project
from fiftyone_legpose.legs import SKELETON

RESULTS = Path(__file__).parent / "results" / "cvat_push.json"
SIZE = (640, 480)
POLL_S = 0.2
TASK_SIZES = (100, 250, 500, 1000)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--live", action="store_true", help="a real server instead of the stand-in")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, server_login(options.live) as login:
        frames = make_frames(Path(folder), options.frames)
        with connect(**login, poll_s=POLL_S) as server:
            report = compare(server, login, frames, options.rounds)
    report["server"] = "live" if options.live else "stand-in"
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(report, indent=1) + "\n")
    print(json.dumps(report, indent=1))


def compare(
    server: Server, login: dict[str, str], frames: list[Frame], rounds: int
) -> dict[str, Any]:
    """Time every contender once a round, in turns, and delete what it made."""
    project = server.project("legpose benchmark", SKELETON)
    contenders: dict[str, Callable[[str], list[int]]] = {
        "bare cvat-sdk": lambda name: bare(login, project, name, frames),
        "push_task": lambda name: [server.push_task(project, name, frames).id],
    }
    for size in TASK_SIZES:
        contenders[f"push, {size} a task"] = lambda name, size=size: [
            task.id for task in server.push(project, name, frames, frames_per_task=size)
        ]
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(rounds):
        for name, push in contenders.items():
            start = time.perf_counter()
            made = push(f"legpose-benchmark-{os.getpid()}-{number}-{len(seconds[name])}")
            seconds[name].append(time.perf_counter() - start)
            for task_id in made:
                server.delete_task(task_id)
            print(f"round {number + 1} {name}: {seconds[name][-1]:.2f} s", file=sys.stderr)
    middle = {name: round(median(values), 3) for name, values in seconds.items()}
    ratios = [o / b for o, b in zip(seconds["push_task"], seconds["bare cvat-sdk"], strict=True)]
    return {
        "frames": len(frames),
        "poses": sum(len(frame.poses) for frame in frames),
        "rounds": rounds,
        "seconds": middle,
        "push_task to bare cvat-sdk": round(median(ratios), 3),
    }


def bare(login: dict[str, str], project: Project, name: str, frames: list[Frame]) -> list[int]:
    """Do what a user of cvat-sdk writes: create, upload, annotate, read back."""
    from cvat_sdk import Client, Config, models
    from cvat_sdk.core.client import AccessTokenCredentials

    token = login.get("token")
    credentials = (login.get("user", ""), login.get("password", ""))
    client = Client(login["url"], config=Config(status_check_period=POLL_S))
    with client:
        client.login(AccessTokenCredentials(token) if token else credentials)
        task = client.tasks.create_from_data(
            models.TaskWriteRequest(name=name, project_id=project.id),
            [str(frame.image) for frame in frames],
            data_params={"image_quality": 95, "sorting_method": "predefined"},
        )
        shapes = [
            to_request(models, to_shape(pose, number, project.label))
            for number, frame in enumerate(frames)
            for pose in frame.poses
        ]
        task.set_annotations(models.LabeledDataRequest(shapes=shapes))
        read = task.get_annotations()
        assert len(read.shapes) == len(shapes)
        assert [frame.name for frame in task.get_frames_info()]
        return [task.id]


def to_request(models: Any, shape: dict[str, Any]) -> Any:
    elements = [models.SubLabeledShapeRequest(**element) for element in shape["elements"]]
    return models.LabeledShapeRequest(**{**shape, "elements": elements})


def make_frames(folder: Path, count: int) -> list[Frame]:
    """Frames of 640 x 480 noise, about 90 kB each, with one or two people."""
    rng = np.random.default_rng(0)
    frames = []
    for number in range(count):
        path = folder / f"frame_{number:06d}.jpg"
        noise = rng.integers(0, 256, (96, 128, 3), dtype=np.uint8)
        PIL.Image.fromarray(noise).resize(SIZE).save(path, quality=90)
        poses = [
            Pose(rng.uniform((0, 0), SIZE, (10, 2)), rng.integers(0, 3, 10))
            for _ in range(1 + number % 2)
        ]
        frames.append(Frame(path, *SIZE, poses))
    return frames


@contextmanager
def server_login(live: bool) -> Iterator[dict[str, str]]:
    """Give what `connect` needs, and start the stand-in if that is the server."""
    if live:
        names = {"token": "TOKEN", "user": "USERNAME", "password": "PASSWORD", "url": "URL"}
        found = {key: os.environ.get(f"FIFTYONE_CVAT_{name}") for key, name in names.items()}
        yield {key: value for key, value in found.items() if value}
        return
    command = [sys.executable, "-m", "tests.cvat_server", "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        words = process.stdout.readline().replace(",", " ").split()
        token = process.stdout.readline().split("'")[1]
        yield {"url": words[3], "token": token}
    finally:
        process.terminate()
        process.wait()


if __name__ == "__main__":
    main()
