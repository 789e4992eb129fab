"""Weights of the ten keypoints that have learned nothing."""

from pathlib import Path

from fiftyone_legpose import legs
from fiftyone_legpose.zoo.ultralytics import import_ultralytics


def untrained(path: Path, architecture: str, *, values: int = 3) -> Path:
    """Save a random model of an architecture of ultralytics, like yolov8n-pose.yaml.

    `values` is 2 for a model without a confidence a point.
    """
    yolo = import_ultralytics().YOLO(architecture)
    import torch
    from ultralytics.nn.tasks import PoseModel

    torch.manual_seed(0)
    shape = (len(legs.KEYPOINTS), values)
    yolo.model = PoseModel(architecture, nc=1, data_kpt_shape=shape, verbose=False)
    yolo.model.task = "pose"
    yolo.save(path)
    return path
