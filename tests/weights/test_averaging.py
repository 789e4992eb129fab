import pytest
import torch
from ultralytics import YOLO

from weights.recipe.averaging import average


def checkpoint(path, config="yolov8n-pose.yaml", *, fill: float):
    model = YOLO(config).model
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(fill)
    torch.save({"model": None, "ema": model, "train_args": {"task": "pose"}}, path)
    return path


def test_the_mean_of_two_checkpoints_lies_between_them(tmp_path):
    first = checkpoint(tmp_path / "a.pt", fill=1.0)
    second = checkpoint(tmp_path / "b.pt", fill=2.0)
    average([first, second], tmp_path / "mean.pt")
    model = YOLO(tmp_path / "mean.pt").model
    assert all(torch.all(parameter == 1.5) for parameter in model.parameters())


def test_other_networks_are_refused(tmp_path):
    first = checkpoint(tmp_path / "a.pt", fill=1.0)
    other = checkpoint(tmp_path / "b.pt", "yolov8s-pose.yaml", fill=1.0)
    with pytest.raises(ValueError, match=r"b\.pt is another network"):
        average([first, other], tmp_path / "mean.pt")
    assert not (tmp_path / "mean.pt").exists()
