from pathlib import Path

import fiftyone as fo

import fiftyone_legpose as lp
from fiftyone_legpose.dataset import fields, keypoint_labels
from fiftyone_legpose.prediction.predict import predict
from fiftyone_legpose.prediction.stored_runs import runs_of
from fiftyone_legpose.zoo.weights import Weights

WEIGHTS = Weights(Path("/nowhere/legs.pt"), "ab" * 32, "legs", right_first=False, trusted=True)
KEYS = {
    "predict_legpose_8616e2ec727f": {"plain": True},
    "predict_legpose_cdcb593145e5": {
        "conf": 0.4,
        "imgsz": 320,
        "track": False,
        "flip_test": True,
        "voting": True,
    },
    "predict_legpose_3917170f173d": {
        "conf": 0.4,
        "imgsz": 320,
        "track": "botsort",
        "flip_test": True,
        "voting": True,
        "repair_swaps": True,
    },
}
"""Keys of runs as the first release made them, by the settings that it was given."""


def test_what_the_first_release_predicted_is_done(short_clip, dataset_name):
    dataset = lp.load(short_clip, dataset_name)
    keypoint_labels.declare(dataset, fields.PREDICTIONS, boxes=True)
    for key, settings in KEYS.items():
        nobody = [[fo.Keypoints(made_by=key) for _ in range(12)]]
        dataset.set_values(f"frames.{fields.PREDICTIONS}", nobody)
        again = predict(dataset, weights=WEIGHTS, **settings, backend="torch", device="cpu")
        assert (again.run_key, again.frames, again.skipped) == (key, 0, 12)


def test_the_runs_of_a_field_are_those_that_are_noted(dataset_name):
    dataset = fo.Dataset(dataset_name)
    assert runs_of(dataset, "legpose") == []
    keypoint_labels.declare(dataset, "legpose")
    for key in ("predict_one", "predict_two", "predict_gone"):
        dataset.add_sample(fo.Sample(f"/nowhere/{key}.jpg", legpose=fo.Keypoints(made_by=key)))
    for key in ("predict_one", "predict_two"):
        dataset.register_run(key, dataset.init_run(method="x", conf=len(key)))
    assert [run.conf for run in runs_of(dataset, "legpose")] == [11, 11]
    assert len(runs_of(dataset.limit(1), "legpose")) == 1
