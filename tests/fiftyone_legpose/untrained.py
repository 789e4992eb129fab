"""Weights of the ten keypoints that have learned nothing."""

from pathlib import Path

from fiftyone_legpose import legs
from fiftyone_legpose.zoo.quiet import import_ultralytics


def untrained(path: Path, architecture: str) -> Path:
    """Save a random model of an architecture of ultralytics, like yolov8n-pose.yaml."""
    yolo = import_ultralytics().YOLO(architecture)
    import torch
    from ultralytics.nn.tasks import PoseModel

    torch.manual_seed(0)
    shape = (len(legs.KEYPOINTS), 3)
    yolo.model = PoseModel(architecture, nc=1, data_kpt_shape=shape, verbose=False)
    yolo.model.task = "pose"
    yolo.save(path)
    return path
