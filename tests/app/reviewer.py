"""What a person does in CVAT between push and pull."""

import json
from pathlib import Path

import fiftyone as fo
import numpy as np

from cvat_bridge.backup_reading import read_backup
from cvat_bridge.pose_sets import Frame, PoseSet
from cvat_bridge.poses import Pose
from cvat_bridge.yolo_pose import write_yolo_pose
from fiftyone_legpose import legs
from fiftyone_legpose.cvat.results import load_results


def correct(dataset: fo.Dataset, handover: Path, labels: Path, target: Path) -> Path:
    """Do what a reviewer does in CVAT: draw the labelled points, export the task."""
    numbers = dict(
        zip(*dataset.values(["frames.id", "frames.frame_number"], unwind=True), strict=True)
    )
    backup = read_backup(handover)
    persons = labelled(labels)
    results = load_results(dataset, "round1")
    frames = {}
    for name, size, frame_id in zip(
        backup.frame_names, backup.sizes, results.run.frames.ids, strict=True
    ):
        poses = [
            Pose(np.where(p[:, 2:] > 0, p[:, :2], np.nan), p[:, 2].astype(int))
            for p in persons[numbers[frame_id]]
        ]
        frames[Path(name).stem] = Frame(Path(name).stem, poses, size)
    write_yolo_pose(target, PoseSet((legs.SKELETON.name,), len(legs.KEYPOINTS), frames))
    return target


def labelled(labels: Path) -> dict[int, list[np.ndarray]]:
    """Persons (10, 3) of x, y, visibility by frame number, from 1."""
    frames = json.loads(labels.read_text())["frames"]
    return {
        one["frame"] + 1: [np.array(person["keypoints"], float) for person in one["persons"]]
        for one in frames
    }
