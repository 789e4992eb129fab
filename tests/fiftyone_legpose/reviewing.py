"""Datasets with predictions, for the tests of push, pull and what goes with them."""

from pathlib import Path

import cv2
import fiftyone as fo
import numpy as np

from cvat_bridge.poses import Pose
from fiftyone_legpose import legs
from fiftyone_legpose.dataset import fields, frame_review, keypoint_labels
from fiftyone_legpose.review.guide import as_shown

SIZE = (304, 264)
"""Width and height in px of `short_clip`."""

CLIP_FRAMES = 12


def predicted(
    rng: np.random.Generator, size: tuple[int, int] = SIZE, people: int = 2
) -> list[Pose]:
    """Draw persons as a model gives them: every point placed, some unsure, some outside."""
    drawn = []
    for track in range(people):
        origin = np.array([0.1 + 0.5 * track, 0.1]) * size
        points = origin + rng.uniform(0, 0.35, (10, 2)) * size
        points[0] = (-7.25, 3.5)
        confidence = rng.uniform(0.05, 1, 10)
        drawn.append(
            Pose(
                points,
                keypoint_labels.visibility(points, confidence),
                confidence=confidence,
                score=0.5 + 0.1 * track,
                track_id=track,
            )
        )
    return drawn


def video_dataset(name: str, *clips: Path) -> fo.Dataset:
    """Predict two persons on each frame, but none on frame 3; frame 4 was not looked at."""
    rng = np.random.default_rng(7)
    dataset = fo.Dataset(name)
    for clip in clips:
        sample = fo.Sample(filepath=str(clip))
        sample.metadata = fo.VideoMetadata(
            frame_width=SIZE[0], frame_height=SIZE[1], frame_rate=20, total_frame_count=CLIP_FRAMES
        )
        for number in range(1, CLIP_FRAMES + 1):
            frame = fo.Frame()
            if number != 4:
                people = [] if number == 3 else predicted(rng)
                frame[fields.PREDICTIONS] = keypoint_labels.to_keypoints(people, SIZE)
            sample.frames[number] = frame
        dataset.add_sample(sample)
    return _declared(dataset)


def image_dataset(
    name: str, folder: Path, count: int = 4, size: tuple[int, int] = SIZE
) -> fo.Dataset:
    """Predict two persons without track ids on each of some pictures."""
    rng = np.random.default_rng(8)
    dataset = fo.Dataset(name)
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(count):
        path = folder / f"patient smith {i}.png"
        cv2.imwrite(str(path), np.full((size[1], size[0], 3), 20 * i, np.uint8))
        people = [
            Pose(p.points, p.visibility, confidence=p.confidence) for p in predicted(rng, size)
        ]
        dataset.add_sample(
            fo.Sample(
                filepath=str(path),
                metadata=fo.ImageMetadata(width=size[0], height=size[1]),
                **{fields.PREDICTIONS: keypoint_labels.to_keypoints(people, size)},
            )
        )
    return _declared(dataset)


def _declared(dataset: fo.Dataset) -> fo.Dataset:
    keypoint_labels.declare(dataset, fields.PREDICTIONS)
    return dataset


def frame_ids(dataset: fo.Dataset) -> list[str]:
    return frame_review.read(dataset).frame_ids


def states(dataset: fo.Dataset) -> list[str | None]:
    return frame_review.read(dataset).state.tolist()


def labels(dataset: fo.Dataset, field: str) -> list[fo.Keypoints | None]:
    """The labels of every frame or picture, in order."""
    if dataset.media_type == "video":
        return [cell for sample in dataset.values(f"frames.{field}") for cell in sample]
    return dataset.values(field)


def people(dataset: fo.Dataset, field: str, frame: int) -> list[Pose]:
    return keypoint_labels.to_poses(labels(dataset, field)[frame], SIZE)


def predicted_as_shown(dataset: fo.Dataset, frame: int) -> list[Pose]:
    """The predictions of a frame as a reviewer sees them."""
    return [as_shown(pose) for pose in people(dataset, fields.PREDICTIONS, frame)]


def snapshot(dataset: fo.Dataset, field: str) -> list[str | None]:
    """What a field holds to the last bit, ids included."""
    return [None if one is None else one.to_json() for one in labels(dataset, field)]


def standing(seed: int = 0, at: tuple[float, float] = (20, 20)) -> list[tuple[float, float]]:
    """The points of a person that a reviewer draws."""
    rng = np.random.default_rng(seed)
    return [(at[0] + x, at[1] + y) for x, y in rng.uniform(0, 60, (len(legs.KEYPOINTS), 2))]
