"""What training can start from."""

import pytest

from fiftyone_legpose import legs
from fiftyone_legpose.errors import WeightsError
from fiftyone_legpose.zoo.bases import Base, find_base, load_base
from fiftyone_legpose.zoo.ultralytics import import_ultralytics
from tests.fiftyone_legpose.untrained import untrained


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


@pytest.mark.parametrize(
    ("family", "without_nms"), [("v8", False), ("11", False), ("26", False), ("26", True)]
)
def test_keypoints_of_a_right_first_base_are_put_in_order(tmp_path, family, without_nms):
    import torch

    path = untrained(tmp_path / "right.pt", f"yolo{family}n-pose.yaml")
    picture = torch.rand(1, 3, 64, 64)
    points, sigmas = [], []
    for right_first in (False, True):
        model = load_base(Base("right", path, "", right_first=right_first))[0].model
        if family == "26":
            model.end2end = without_nms
            branch = model.model[-1].one2one_cv4_sigma if without_nms else model.model[-1].cv4_sigma
            sigmas.append(branch[0].bias.detach().reshape(10, 2))
        output = model(picture)[0][0].detach()
        points.append((output[:, 6:] if without_nms else output[5:].T).reshape(-1, 10, 3))
    assert not torch.allclose(points[0], points[1])
    order = list(legs.RIGHT_FIRST)
    assert torch.allclose(points[0][:, order], points[1], atol=1e-4)
    if sigmas:
        assert torch.equal(sigmas[0][order], sigmas[1])
