from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from ultralytics import YOLO
from ultralytics.utils.callbacks.base import default_callbacks

from cvat_bridge.pose_sets import Frame, PoseSet
from cvat_bridge.poses import Pose
from cvat_bridge.yolo_pose import write_yolo_pose
from fiftyone_legpose import legs
from fiftyone_legpose.zoo.registry import get_version
from weights.recipe import confidence, learning
from weights.recipe.shipping import WEIGHTS


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
    calls = {"loss": 0, "pictures": 0}
    target = confidence.confidence_target

    def count_target(*args):
        calls["loss"] += 1
        return target(*args)

    class CountingFeed(learning.Feed):
        def __iter__(self):
            for batch in super().__iter__():
                calls["pictures"] += len(batch["img"])
                yield batch

    monkeypatch.setattr(confidence, "confidence_target", count_target)
    monkeypatch.setattr(learning, "Feed", CountingFeed)
    before = {event: list(callbacks) for event, callbacks in default_callbacks.items()}
    pieces = (learning.Piece(imgsz=64, epochs=1, lr0=0.001, settings={"batch": 2}),)
    weights = learning.learn({"tiny": folder}, pieces, base="yolov8n-pose.yaml", device="cpu")
    assert weights.is_file()
    assert calls["loss"] == 2
    assert calls["pictures"] == 4
    assert before == {event: list(callbacks) for event, callbacks in default_callbacks.items()}


@pytest.mark.parametrize("times", [1, 2])
def test_a_blending_piece_hands_on_the_mean_of_two(folder, times):
    pieces = (
        learning.Piece(imgsz=64, epochs=1, lr0=0.001, settings={"batch": 2}),
        learning.Piece(
            imgsz=64, epochs=1, lr0=0.001, blend_with=0, blend_times=times, settings={"batch": 2}
        ),
    )
    blended = learning.learn({"tiny": folder}, pieces, base="yolov8n-pose.yaml", device="cpu")
    start = get_version("recipe-0-64px").path
    end = get_version("recipe-1-64px").path
    states = [YOLO(path).model.float().state_dict() for path in (start, end, blended)]
    for first, last, mean in zip(*(state.values() for state in states), strict=True):
        if mean.is_floating_point():
            expected = (times * first + last) / (times + 1)
            assert torch.allclose(mean, expected, rtol=2e-3, atol=1e-5)
    assert any(not torch.equal(*pair) for pair in zip(*map(dict.values, states[:2]), strict=True))


def test_a_piece_counts_what_another_learned_before_its_mean(folder):
    quick = {"imgsz": 96, "epochs": 1, "lr0": 0.01, "settings": {"batch": 2}}
    pieces = (
        learning.Piece(**quick),
        learning.Piece(**quick, blend_with=0),
        learning.Piece(**quick, blend_alone=(0, 1)),
    )
    blended = learning.learn({"tiny": folder}, pieces, base="yolov8n-pose.yaml", device="cpu")
    paths = [get_version(f"recipe-{number}-96px").path for number in range(3)]
    *alone, mean = (YOLO(path).model.float().state_dict() for path in (*paths, blended))
    for name, value in mean.items():
        if value.is_floating_point():
            expected = sum(state[name] for state in alone) / 3
            assert torch.allclose(value, expected, rtol=2e-3, atol=1e-5)


def test_half_precision_changes_predictions_little():
    if not learning.has_bfloat16():
        pytest.skip("this processor does not compute in bfloat16")
    model = YOLO(WEIGHTS).model.float().train()
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    trainer = SimpleNamespace(model=model, device=torch.device("cpu"))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with torch.no_grad():
        exact = model(images)
        model.load_state_dict(before)
        learning.halve_precision(trainer)
        half = model(images)
    assert half["kpts"].dtype == torch.float32
    assert not torch.equal(half["kpts"], exact["kpts"])
    off = (half["kpts"] - exact["kpts"]).abs().mean() / exact["kpts"].abs().mean()
    assert off < 0.1


def test_half_precision_leaves_a_gpu_alone():
    model = SimpleNamespace(_predict_once=len)
    learning.halve_precision(SimpleNamespace(model=model, device=torch.device("cuda")))
    assert model._predict_once is len
