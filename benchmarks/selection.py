"""How long `select` takes on a two-minute video, from stored predictions to stored reviews.

Run: python benchmarks/selection.py
"""

import os
import tempfile
import time

from fiftyone_legpose.dataset import pose_table

os.environ.setdefault("FIFTYONE_DATABASE_DIR", tempfile.mkdtemp(prefix="legpose-benchmark-"))
os.environ["FIFTYONE_DO_NOT_TRACK"] = "true"
os.environ["FIFTYONE_SHOW_PROGRESS_BARS"] = "false"

import fiftyone as fo
import numpy as np

from cvat_bridge.poses import Pose
from fiftyone_legpose.dataset import keypoint_labels
from fiftyone_legpose.selection.review_score import combine, score_frames
from fiftyone_legpose.selection.select import select

FPS, SECONDS, SIZE = 30.0, 120, (1280, 720)
PERSONS = 1


def main() -> None:
    dataset = make_dataset()
    try:
        table = pose_table.read_poses(dataset, "legpose")
        print(f"{SECONDS} s at {FPS:g} frames/s, {PERSONS} person: {len(table.frame_ids)} frames")
        measure("reading the predictions", lambda: pose_table.read_poses(dataset, "legpose"))
        measure("signals, score and reasons", lambda: combine(score_frames(table)))
        measure("select, the first time", lambda: select(dataset, count=40))
        measure("select, again", lambda: select(dataset, count=40))
        for strategy in ("uncertain", "jump", "uniform", "random"):
            measure(f"select, {strategy}", lambda s=strategy: select(dataset, count=40, strategy=s))
    finally:
        dataset.delete()


def make_dataset() -> fo.Dataset:
    rng = np.random.default_rng(0)
    dataset = fo.Dataset()
    keypoint_labels.declare(dataset, "legpose")
    metadata = fo.VideoMetadata(frame_width=SIZE[0], frame_height=SIZE[1], frame_rate=FPS)
    sample = fo.Sample(filepath="/nowhere/walk.mp4", metadata=metadata)
    dataset.add_sample(sample)
    shape = rng.uniform(100, 500, (10, 2))
    for number in range(1, int(FPS * SECONDS) + 1):
        swing = 40 * np.sin(number / 5 + np.arange(10))[:, None]
        points = shape + swing + rng.normal(0, 1, (10, 2))
        confidence = rng.uniform(0.4, 1, 10)
        people = [Pose(points, np.full(10, 2), confidence=confidence, score=0.8, track_id=1)]
        sample.frames[number] = fo.Frame(legpose=keypoint_labels.to_keypoints(people, SIZE))
    sample.save()
    return dataset


def measure(name: str, run) -> None:
    wall, cpu = time.perf_counter(), time.process_time()
    run()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    print(f"{name:30} {wall:6.2f} s wall, {cpu:6.2f} s of this process's CPU")


if __name__ == "__main__":
    main()
