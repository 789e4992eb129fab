"""What training can start from."""

import pytest

from fiftyone_legpose.errors import WeightsError
from fiftyone_legpose.zoo.bases import find_base, load_base
from fiftyone_legpose.zoo.quiet import import_ultralytics


@pytest.fixture
def detector(tmp_path):
    path = tmp_path / "yolov8n.pt"
    import_ultralytics().YOLO("yolov8n.yaml").save(path)
    return path


def test_a_detector_lends_all_but_the_head_of_classes_and_keypoints(detector):
    import torch

    lent = import_ultralytics().YOLO(str(detector)).model.state_dict()
    yolo, taken = load_base(find_base(detector, trust=True))
    assert yolo.task == "pose"
    assert "finds boxes only" in taken
    tensors = yolo.model.state_dict()
    for name in ("model.0.conv.weight", "model.21.cv2.conv.weight", "model.22.cv2.0.2.weight"):
        assert torch.equal(tensors[name], lent[name].float())


def test_a_detector_under_a_name_of_its_own_is_refused(detector):
    renamed = detector.rename(detector.with_name("people.pt"))
    with pytest.raises(WeightsError, match=r"people is a detect model: .*yolov8n\.pt"):
        load_base(find_base(renamed, trust=True))
