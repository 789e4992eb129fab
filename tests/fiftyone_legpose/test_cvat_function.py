import importlib
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import PIL.Image
import pytest

from fiftyone_legpose import legs
from fiftyone_legpose.errors import WeightsError
from fiftyone_legpose.prediction.inference import Inference
from fiftyone_legpose.prediction.runtimes import PoseModel
from fiftyone_legpose.zoo.weights import find_weights


@pytest.fixture(scope="module")
def frame(sample_clip: Path) -> np.ndarray:
    capture = cv2.VideoCapture(str(sample_clip))
    capture.set(cv2.CAP_PROP_POS_FRAMES, 20)
    _, bgr = capture.read()
    capture.release()
    return bgr


def test_it_draws_what_the_model_finds(frame: np.ndarray):
    # As cvat-cli does it: import the module by name, call its `create` with the parameters.
    module = importlib.import_module("fiftyone_legpose.cvat_function")
    function = module.create(device="cpu", backend="torch", conf=0.05, imgsz=320)
    (label,) = function.spec.labels
    assert label.name == "legs"
    assert tuple(sublabel.name for sublabel in label.sublabels) == legs.KEYPOINTS
    rgb = PIL.Image.fromarray(np.ascontiguousarray(frame[..., ::-1]))
    shapes = function.detect(SimpleNamespace(conf_threshold=None), rgb)

    model = PoseModel(
        find_weights(), Inference(device="cpu", backend="torch", conf=0.05, imgsz=320)
    )
    (raw,) = model.infer([model.prepare(frame)])
    assert len(shapes) == len(raw.scores) > 0
    for shape, points in zip(shapes, raw.points, strict=True):
        drawn = sorted(shape.elements, key=lambda element: element.label_id)
        np.testing.assert_array_equal([element.points for element in drawn], points)
        assert not any(element.occluded for element in drawn)
        assert not any(element.outside for element in drawn)
    best = function.detect(SimpleNamespace(conf_threshold=float(raw.scores.max())), rgb)
    assert len(best) == 1


@pytest.mark.parametrize("way", ["flip_test", "voting"])
def test_it_takes_more_care_where_asked(frame: np.ndarray, way: str):
    from fiftyone_legpose.cvat_function import create

    options = {"device": "cpu", "backend": "torch", "conf": 0.05, "imgsz": 320}
    rgb = PIL.Image.fromarray(np.ascontiguousarray(frame[..., ::-1]))
    shapes = create(**{way: True}, **options).detect(SimpleNamespace(conf_threshold=None), rgb)
    model = PoseModel(find_weights(), Inference(**{way: True}, **options))
    (raw,) = model.infer([model.prepare(frame)])
    drawn = [sorted(shape.elements, key=lambda e: e.label_id) for shape in shapes]
    assert [[e.points for e in elements] for elements in drawn] == raw.points.tolist()


def test_weights_of_unknown_origin_need_trust(tmp_path: Path):
    from fiftyone_legpose.cvat_function import create

    (tmp_path / "other.pt").write_bytes(b"no checkpoint")
    with pytest.raises(WeightsError):
        create(weights=str(tmp_path / "other.pt"))
