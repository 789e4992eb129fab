import cv2
import fiftyone as fo
import numpy as np
from ultralytics.utils.callbacks.base import default_callbacks

from benchmarks import clinic_training as of_benchmarks
from cvat_bridge.pose_sets import Frame, PoseSet
from cvat_bridge.poses import Pose
from cvat_bridge.yolo_pose import write_yolo_pose
from fiftyone_legpose import legs
from fiftyone_legpose.dataset.fields import GROUND_TRUTH
from fiftyone_legpose.exports.yolo_pose_dataset import YOLOPoseDataset
from fiftyone_legpose.training.train import train
from weights.recipe import confidence


def test_train_uses_the_recipes_loss_and_pictures_and_leaves_ultralytics_as_it_was(
    tmp_path, monkeypatch
):
    rng = np.random.default_rng(0)
    frames = {}
    for i in range(5):
        picture = tmp_path / f"{i}.png"
        cv2.imwrite(str(picture), rng.integers(0, 255, (64, 64, 3), np.uint8))
        poses = [Pose(rng.uniform(8, 56, (10, 2)), np.full(10, 2))] if i else []
        subset = "val" if i == 4 else "train"
        frames[str(i)] = Frame(str(i), poses, (64, 64), subset, str(picture))
    pose_set = PoseSet(("legs",), 10, frames, legs.KEYPOINTS, legs.FLIP_INDEX)
    write_yolo_pose(tmp_path / "set", pose_set, flavour="ultralytics", include_images=True)
    dataset = fo.Dataset("clinic-training")
    for split in ("train", "val"):
        dataset.add_dir(
            dataset_dir=str(tmp_path / "set"),
            dataset_type=YOLOPoseDataset,
            split=split,
            label_field=GROUND_TRUTH,
            tags=[split],
        )
    calls = {"loss": 0, "pictures": 0}
    target = confidence.confidence_target

    def count_target(*args):
        calls["loss"] += 1
        return target(*args)

    class CountingFeed(of_benchmarks.Feed):
        def __iter__(self):
            for batch in super().__iter__():
                calls["pictures"] += len(batch["img"])
                yield batch

    monkeypatch.setattr(confidence, "confidence_target", count_target)
    monkeypatch.setattr(of_benchmarks, "Feed", CountingFeed)
    before = {event: list(callbacks) for event, callbacks in default_callbacks.items()}
    with of_benchmarks.clinic_training():
        summary = train(
            dataset,
            name="clinic-training",
            base="yolov8n-pose.yaml",
            val="val",
            epochs=1,
            imgsz=64,
            validate=False,
            device="cpu",
            **of_benchmarks.SETTINGS | {"batch": 2, "nbs": 2},
        )
    assert summary.version.path.is_file()
    assert calls == {"loss": 2, "pictures": 4}
    assert before == {event: list(callbacks) for event, callbacks in default_callbacks.items()}
