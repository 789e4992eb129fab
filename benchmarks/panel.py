"""The panel on a long dataset: how long it takes to open, to open a video, and to answer a click.

Keypoints of one walking person on every frame, the same in each video. Times are those of the
server, plugin and database; the browser draws at most a video's frames.

    python -m benchmarks.panel [--videos 50] [--frames 3600]
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fiftyone as fo
import numpy as np
from bson import ObjectId
from fiftyone.operators.executor import ExecutionContext, Executor

from fiftyone_legpose import legs
from fiftyone_legpose.dataset import fields, frame_review, keypoint_labels
from fiftyone_legpose.dataset.appearance import dress
from fiftyone_legpose.panels.leg_pose import LegPose
from fiftyone_legpose.rounds.standing import read_standing

RESULTS = Path(__file__).parent / "results" / "panel.json"
NAME = "legpose-benchmark-panel"
SIZE = (1280, 720)
FPS = 30


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--videos", type=int, default=50)
    parser.add_argument("--frames", type=int, default=3600)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        dataset = make_dataset(Path(folder), options.videos, options.frames)
        try:
            report = {"videos": options.videos, "frames": options.frames, **measure(dataset)}
        finally:
            dataset.delete()
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(report, indent=1) + "\n")
    print(json.dumps(report, indent=1))


def make_dataset(folder: Path, videos: int, frames: int) -> fo.Dataset:
    if fo.dataset_exists(NAME):
        fo.delete_dataset(NAME)
    dataset = fo.Dataset(NAME)
    dataset.media_type = "video"
    metadata = fo.VideoMetadata(
        frame_width=SIZE[0], frame_height=SIZE[1], frame_rate=FPS, total_frame_count=frames
    )
    paths = [folder / f"{i}.mp4" for i in range(videos)]
    dataset.add_samples([fo.Sample(filepath=str(p), metadata=metadata) for p in paths])
    keypoint_labels.declare(dataset, fields.PREDICTIONS, boxes=True)
    keypoint_labels.declare(dataset, fields.GROUND_TRUTH)
    dress(dataset)
    documents = frame_documents(frames)
    # Through the database itself: through the API this takes minutes, and is not what is measured.
    for sample_id in dataset.values("id"):
        dataset._frame_collection.insert_many(
            [{**one, "_id": ObjectId(), "_sample_id": ObjectId(sample_id)} for one in documents],
            ordered=False,
        )
    return dataset


def frame_documents(frames: int) -> list[dict[str, Any]]:
    rng = np.random.default_rng(0)
    time_s = np.arange(frames)[:, None, None] / FPS
    stand = np.array(legs.SKELETON.layout) * np.array(SIZE) / 100
    points = stand + 20 * np.sin(2 * np.pi * time_s) + rng.normal(0, 1, (frames, len(stand), 2))
    confidence = np.clip(rng.normal(0.8, 0.15, (frames, len(stand))), 0, 1)
    box, score, track = np.array([[100.0, 0, 1100, 720]]), np.array([0.9]), np.array([1])
    documents = []
    for i in range(frames):
        keypoints, boxes = keypoint_labels.predicted_labels(
            box, score, points[i : i + 1], confidence[i : i + 1], SIZE, track_ids=track
        )
        state = fields.SELECTED if i % 90 == 0 else None
        documents.append(
            {
                "frame_number": i + 1,
                fields.PREDICTIONS: keypoints.to_dict(),
                fields.BOXES: boxes.to_dict(),
                fields.REVIEW: frame_review.document(0.3, ["low confidence left_hip"], state),
            }
        )
    return documents


def measure(dataset: fo.Dataset) -> dict[str, float]:
    panel, sample = LegPose(), dataset.first().id
    opened: list[Any] = []

    def event(name: str, current: str | None, **params: Any) -> Callable[[], object]:
        def run() -> object:
            request = {
                "dataset_name": dataset.name,
                "current_sample": current,
                "params": {"panel_id": "p", "panel_state": {}, **params},
            }
            ctx = ExecutionContext(request, executor=Executor(), operator_uri="@legpose/legpose/p")
            if opened:
                ctx.panel.state.video = opened[0].panel.state.video
                ctx.panel.state.standing = opened[0].panel.state.standing
            getattr(panel, name)(ctx)
            opened.append(ctx)
            return panel.render(ctx).to_json()

        return run

    return {
        "count_s": timed(lambda: read_standing(dataset)),
        "open_panel_s": timed(event("on_load", None)),
        "open_video_s": timed(event("on_change_current_sample", sample)),
        "other_curve_s": timed(event("show_curve", sample, value="heel height")),
        "click_s": timed(event("go_to_time", sample, x=12.5)),
    }


def timed(call: Callable[[], object], repeats: int = 3) -> float:
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        call()
        times.append(time.perf_counter() - started)
    return round(sorted(times)[repeats // 2], 3)


if __name__ == "__main__":
    main()
