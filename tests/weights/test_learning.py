import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from ultralytics import YOLO

from cvat_bridge.pose_sets import Frame, PoseSet
from cvat_bridge.poses import Pose
from cvat_bridge.yolo_pose import write_yolo_pose
from fiftyone_legpose import legs
from weights.recipe import learning
from weights.recipe.learning import STAGES, Stage, Trainer, learn, make_feed
from weights.recipe.shipping import WEIGHTS, ship

REPOSITORY = Path(__file__).parents[2]
TINY = Stage({"people": 1, "legs": 1}, imgsz=64, views=8, lr=0.001, last_lr=0.0001, batch=2)


def write_folder(folder: Path, brightness: int, pictures: int) -> Path:
    rng = np.random.default_rng(brightness)
    frames = {}
    for i in range(pictures):
        picture = folder.with_name(f"{folder.name}-{i}.png")
        cv2.imwrite(str(picture), np.full((64, 64, 3), brightness, np.uint8))
        poses = [Pose(rng.uniform(8, 56, (10, 2)), np.full(10, 2))] if i else []
        frames[str(i)] = Frame(str(i), poses, (64, 64), "train", str(picture))
    pose_set = PoseSet(("legs",), 10, frames, legs.KEYPOINTS, legs.FLIP_INDEX)
    write_yolo_pose(folder, pose_set, flavour="ultralytics", include_images=True)
    return folder


@pytest.fixture
def folders(tmp_path):
    """Two folders whose pictures are dark and bright; the first picture shows nobody."""
    return {
        "people": write_folder(tmp_path / "people", 40, 3),
        "legs": write_folder(tmp_path / "legs", 220, 9),
    }


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    """A network of ten keypoints that knows nothing."""
    torch.manual_seed(0)
    model = YOLO("yolov8n-pose.yaml").model.yaml | {"kpt_shape": [10, 3], "nc": 1, "scale": "n"}
    from ultralytics.nn.tasks import PoseModel

    path = tmp_path_factory.mktemp("start") / "start10.pt"
    torch.save({"model": PoseModel(model, verbose=False), "ema": None}, path)
    return path


def test_a_stage_moves_the_weights_and_leaves_what_ship_takes(folders, start, tmp_path):
    said = []
    last = learn(TINY, folders, start, tmp_path / "out", say=said.append)
    assert "8 of 8 views" in said[-1]
    before, after = (YOLO(path).model.float().state_dict() for path in (start, last))
    moved = [not torch.equal(before[name], after[name]) for name in before]
    assert sum(moved) > len(moved) / 2
    (tmp_path / "shipped").mkdir()
    ship(last, tmp_path / "shipped" / "legs.pt", imgsz=96)
    shipped = YOLO(tmp_path / "shipped" / "legs.pt")
    assert shipped.overrides["imgsz"] == 96
    assert shipped.names == {0: "legs"}


def test_a_training_that_was_interrupted_goes_on_where_it_saved(
    folders, start, tmp_path, monkeypatch
):
    step = Trainer.step

    def stop_after_two(self, batch):
        if self.views == 4:
            raise KeyboardInterrupt
        return step(self, batch)

    monkeypatch.setattr(learning, "_SAVE_EVERY_S", 0.0)
    monkeypatch.setattr(Trainer, "step", stop_after_two)
    with pytest.raises(KeyboardInterrupt):
        learn(TINY, folders, start, tmp_path / "out")
    saved = torch.load(tmp_path / "out" / "state.pt", weights_only=True)
    assert saved["views"] == 4
    seen = []

    def count(self, batch):
        seen.append(self.views)
        return step(self, batch)

    monkeypatch.setattr(Trainer, "step", count)
    learn(TINY, folders, start, tmp_path / "out")
    assert seen == [4, 6]
    # A stage that is done is not begun again.
    learn(TINY, folders, start, tmp_path / "out")
    assert seen == [4, 6]


def test_each_folder_is_seen_by_its_share_and_not_by_its_size(folders):
    stage = replace(TINY, shares={"people": 3, "legs": 1}, views=400, batch=20)
    feed = make_feed(stage, folders, 0, seed=0)
    assert sum(len(batch["img"]) for batch in feed) == 400
    shown = np.array(list(feed.sampler))
    assert (shown < 3).mean() == pytest.approx(0.75, abs=0.08)


def test_the_rate_rises_then_falls_to_its_last_value(start):
    stage = replace(TINY, views=learning._WARMUP_STEPS * 2 * 10)
    trainer = Trainer(stage, start, "cpu")
    rates = []
    for trainer.views in (0, stage.views // 10, stage.views // 2, stage.views):
        trainer._set_rate()
        rates.append(trainer.optimizer.param_groups[0]["lr"])
    assert rates[0] == pytest.approx(stage.lr / learning._WARMUP_STEPS, rel=0.01)
    assert rates[1] > rates[2] > rates[3]
    assert rates[3] == pytest.approx(stage.last_lr)


def test_half_precision_changes_the_loss_little(start, monkeypatch):
    if not learning.has_bfloat16(torch.device("cpu")):
        pytest.skip("this processor does not compute in bfloat16")
    generator = torch.Generator().manual_seed(0)
    keypoints = torch.rand(2, 10, 3, generator=generator)
    keypoints[..., 2] = 2
    batch = {
        "img": torch.randint(0, 255, (2, 3, 64, 64), generator=generator, dtype=torch.uint8),
        "cls": torch.zeros(2, 1),
        "bboxes": torch.tensor([[0.5, 0.5, 0.8, 0.8]] * 2),
        "keypoints": keypoints,
        "batch_idx": torch.arange(2.0),
    }
    losses = []
    for half in (True, False):
        monkeypatch.setattr(learning, "has_bfloat16", lambda device, half=half: half)
        parts = Trainer(TINY, WEIGHTS, "cpu").step(batch)
        losses.append(torch.stack([part.float() for part in parts.values()]))
    assert not torch.equal(*losses)
    assert torch.allclose(*losses, rtol=0.15, atol=0.05)


def test_the_first_layers_stay_as_they_are_where_a_stage_says_so(folders, start, tmp_path):
    last = learn(replace(TINY, frozen=3), folders, start, tmp_path / "out")
    before, after = (YOLO(path).model.float().state_dict() for path in (start, last))
    # A checkpoint is in half precision.
    same = {name for name in before if torch.equal(before[name].half(), after[name].half())}
    first = {name for name in before if int(name.split(".")[1]) < 3}
    assert first <= same
    assert any(name.startswith("model.3.") for name in set(before) - same)


def test_weights_of_other_keypoints_are_refused(tmp_path):
    torch.save({"model": YOLO("yolov8n-pose.yaml").model}, tmp_path / "coco.pt")
    with pytest.raises(ValueError, match=r"coco\.pt predicts \[17, 3\]"):
        Trainer(TINY, tmp_path / "coco.pt", "cpu")


def test_a_machine_with_torch_ultralytics_and_opencv_alone_can_train(folders, start, tmp_path):
    # An import of one of these fails there.
    for absent in ("fiftyone", "typer", "cvat_sdk", "plotly", "openvino", "pyarrow", "rich"):
        (tmp_path / "bare" / absent).mkdir(parents=True)
        (tmp_path / "bare" / absent / "__init__.py").write_text("raise ImportError(__name__)\n")
    given = folders | {"transplanted": folders["legs"], "drawn": folders["legs"]}
    shown = [part for kind, folder in given.items() for part in (f"--{kind}", folder)]
    command = [sys.executable, "-m", "weights.recipe.learning", "people", start, tmp_path / "out"]
    path = os.pathsep.join([str(tmp_path / "bare"), str(REPOSITORY)])
    done = subprocess.run(
        [*command, *shown, "--views", "4", "--batch", "2", "--device", "cpu"],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.splitlines()[-1]).is_file()


def test_the_stages_name_folders_that_a_command_line_can_give():
    assert [*STAGES] == ["people", "sharp"]
    # The learning rate falls to next to nothing at the very end, and only there.
    assert [stage.last_lr < 0.1 * stage.lr for stage in STAGES.values()] == [False, True]
