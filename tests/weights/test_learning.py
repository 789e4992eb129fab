import cv2
import numpy as np
import pytest

from fiftyone_legpose import legs

pytest.importorskip("ultralytics")
from ultralytics.utils.callbacks.base import default_callbacks

from cvat_bridge.pose_sets import Frame, PoseSet
from cvat_bridge.poses import Pose
from cvat_bridge.yolo_pose import write_yolo_pose
from weights.recipe import confidence, learning


@pytest.fixture
def folder(tmp_path):
    """Five training pictures, one of them of nobody, and one to validate with."""
    rng = np.random.default_rng(0)
    frames = {}
    for i in range(6):
        picture = tmp_path / f"{i}.png"
        cv2.imwrite(str(picture), rng.integers(0, 255, (64, 64, 3), np.uint8))
        poses = [Pose(rng.uniform(8, 56, (10, 2)), np.full(10, 2))] if i else []
        subset = "val" if i == 5 else "train"
        frames[str(i)] = Frame(str(i), poses, (64, 64), subset, str(picture))
    pose_set = PoseSet(("legs",), 10, frames, legs.KEYPOINTS, legs.FLIP_INDEX)
    write_yolo_pose(tmp_path / "set", pose_set, flavour="ultralytics", include_images=True)
    return tmp_path / "set"


def test_learn_trains_with_the_recipes_loss_and_pictures(folder, monkeypatch):
    calls = {"loss": 0, "faults": 0}
    target = confidence.confidence_target

    def count_target(*args):
        calls["loss"] += 1
        return target(*args)

    def count_faults(self, labels):
        calls["faults"] += 1
        return labels

    monkeypatch.setattr(confidence, "confidence_target", count_target)
    monkeypatch.setattr(learning.ClinicFaults, "__call__", count_faults)
    before = {event: list(callbacks) for event, callbacks in default_callbacks.items()}
    pieces = (learning.Piece(imgsz=64, epochs=1, lr0=0.001, settings={"workers": 0}),)
    weights = learning.learn({"tiny": folder}, pieces, base="yolov8n-pose.yaml", device="cpu")
    assert weights.is_file()
    assert calls["loss"]
    assert calls["faults"] >= 5
    assert before == {event: list(callbacks) for event, callbacks in default_callbacks.items()}
