"""Weights of COCO's 17 keypoints: their hips, knees and ankles are used, and what lacks is said."""

import numpy as np
import pytest

import fiftyone_legpose as lp
from fiftyone_legpose import legs
from fiftyone_legpose.dataset import fields
from fiftyone_legpose.dataset.pose_table import read_poses
from fiftyone_legpose.errors import WeightsError
from fiftyone_legpose.prediction.inference import Inference
from fiftyone_legpose.prediction.runtimes import PoseModel, _legs_of_coco
from fiftyone_legpose.zoo.ultralytics import import_ultralytics
from fiftyone_legpose.zoo.weights import find_weights

COCO = (
    *("nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder"),
    *("left_elbow", "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip"),
    *("left_knee", "right_knee", "left_ankle", "right_ankle"),
)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A random model of persons."""
    path = tmp_path_factory.mktemp("coco") / "persons.pt"
    yolo = import_ultralytics().YOLO("yolov8n-pose.yaml")
    yolo.model.names = {0: "person"}
    yolo.save(path)
    return path


def test_the_points_of_the_legs_are_taken_by_name():
    taken = [COCO[i] for i in legs.COCO_INDEX]
    assert taken == list(legs.KEYPOINTS[: len(taken)])
    found = np.arange(2 * 17 * 3, dtype=float).reshape(2, 17, 3)
    mapped = _legs_of_coco(found)
    assert np.array_equal(mapped[:, :6], found[:, 11:])
    assert np.isnan(mapped[:, 6:, :2]).all() and (mapped[:, 6:, 2] == 0).all()


def test_predicted_legs_have_no_heels_and_feet(weights, short_clip, dataset_name, caplog):
    dataset = lp.load(short_clip, dataset_name)
    lp.predict(dataset, weights=weights, trust=True, backend="torch", conf=1e-4, imgsz=160)
    assert "heels and feet stay without a place" in caplog.text
    table = read_poses(dataset, fields.PREDICTIONS)
    assert len(table.points) > 0
    assert (table.visibility[:, :6] > 0).all() and not table.visibility[:, 6:].any()


def test_the_flip_test_which_compares_whole_legs_is_refused(weights):
    with pytest.raises(WeightsError, match="has no heels and feet"):
        PoseModel(find_weights(weights, trust=True), Inference(backend="torch", flip_test=True))
