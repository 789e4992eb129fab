import json
import os
import shutil
import signal
import subprocess
import sys
import zipfile
from pathlib import Path
from types import SimpleNamespace

import fiftyone as fo
import numpy as np
import pytest
import torch
import yaml

from cvat_bridge.poses import Pose
from cvat_bridge.yolo_pose import read_yolo_pose
from fiftyone_legpose import legs
from fiftyone_legpose.dataset.fields import GROUND_TRUTH
from fiftyone_legpose.dataset.groups import sample_groups
from fiftyone_legpose.dataset.keypoint_labels import to_keypoints
from fiftyone_legpose.errors import DatasetError, DeviceError, TrainingError, WeightsError
from fiftyone_legpose.training import train as training
from fiftyone_legpose.training import trainer_run
from fiftyone_legpose.training.data import collect_frames, write_training_data
from fiftyone_legpose.training.train import train
from fiftyone_legpose.videos.load import load
from fiftyone_legpose.zoo import registry
from fiftyone_legpose.zoo.bases import find_base, load_base
from fiftyone_legpose.zoo.registry import Version
from fiftyone_legpose.zoo.ultralytics import import_ultralytics

LABELLED = (1, 3, 5, 9, 20, 30)
EMPTY = 12
QUICK = {
    "epochs": 1,
    "imgsz": 64,
    "batch": 4,
    "threads": 1,
    "mosaic": 0.0,
    "progress": False,
}


@pytest.fixture
def zoo(tmp_path, monkeypatch):
    monkeypatch.setattr(fo.config, "model_zoo_dir", str(tmp_path / "zoo"))
    return tmp_path / "zoo"


@pytest.fixture(scope="module")
def truth(sample_labels):
    """Poses of each frame number of the sample clip."""
    frames = json.loads(sample_labels.read_text())["frames"]
    persons = {
        frame["frame"] + 1: [np.array(p["keypoints"], float) for p in frame["persons"]]
        for frame in frames
    }
    return {
        number: [Pose(keypoints[:, :2], keypoints[:, 2]) for keypoints in of_frame]
        for number, of_frame in persons.items()
    }


@pytest.fixture(scope="module")
def walks(sample_clip, truth, tmp_path_factory):
    """Two subjects' videos with corrected frames, a confirmed empty one, and the rest untouched."""
    folder = tmp_path_factory.mktemp("videos")
    for name in ("anna_walk.mp4", "bert_walk.mp4"):
        shutil.copyfile(sample_clip, folder / name)
    name = f"test-training-{os.getpid()}"
    dataset = load(folder, name, subject=r"^([a-z]+)_", progress=False)
    for sample in dataset:
        for number in LABELLED:
            sample.frames[number][GROUND_TRUTH] = to_keypoints(truth[number], (608, 528))
        sample.frames[EMPTY][GROUND_TRUTH] = fo.Keypoints()
        sample.save()
    yield dataset
    fo.delete_dataset(name)


def test_only_frames_that_were_looked_at_are_written(walks, truth, tmp_path):
    chosen = collect_frames(walks)
    config = write_training_data(chosen, tmp_path / "data")
    values = yaml.safe_load(config.read_text())
    assert values["kpt_shape"] == [10, 3]
    assert values["flip_idx"] == list(legs.FLIP_INDEX)
    assert values["kpt_oks_sigmas"] == list(legs.SIGMAS)
    pictures = sorted(p.relative_to(tmp_path / "data") for p in tmp_path.rglob("*.jpg"))
    assert len(pictures) == 2 * (len(LABELLED) + 1)
    assert not [p for p in tmp_path.rglob("*") if "anna" in p.name or "walk" in p.name]

    written = read_yolo_pose(tmp_path / "data")
    by_side = {side: chosen.side(side) for side in ("train", "val")}
    assert {len(side) for side in by_side.values()} == {len(LABELLED) + 1}
    for side, frames in by_side.items():
        of_side = [f for _, f in sorted(written.frames.items()) if f.subset == side]
        for frame, stored in zip(frames, of_side, strict=True):
            expected = [] if frame.number == EMPTY else truth[frame.number]
            assert len(stored.poses) == len(expected)
            for pose, there in zip(expected, stored.poses, strict=True):
                assert there.matches(pose, within_px=0.01)


def test_the_pictures_are_the_frames_that_were_labelled(walks, tmp_path):
    import cv2

    chosen = collect_frames(walks)
    write_training_data(chosen, tmp_path / "data")
    i = next(i for i, frame in enumerate(chosen.frames) if frame.number == 30)
    picture = cv2.imread(str(next((tmp_path / "data").rglob(f"{i:06d}.jpg"))))
    video = cv2.VideoCapture(chosen.frames[i].filepath)
    for _ in range(29):
        video.grab()
    difference = cv2.absdiff(picture, video.read()[1]).mean()
    assert difference < 1 < cv2.absdiff(picture, video.read()[1]).mean()


def test_a_still_that_cannot_be_written_is_an_error(walks, tmp_path, monkeypatch):
    monkeypatch.setattr("cv2.imwrite", lambda *_: False)
    with pytest.raises(DatasetError, match=r"\.jpg cannot be written: see whether the disk"):
        write_training_data(collect_frames(walks), tmp_path / "data")
    assert not (tmp_path / "data").exists()


def test_a_subject_on_both_sides_is_refused(walks, zoo):
    anna = walks.match(fo.ViewField("subject") == "anna")
    with pytest.raises(DatasetError, match="one subject or video"):
        train(anna, name="leaky", **QUICK)
    first = anna.match_frames(fo.ViewField("frame_number") < 6)
    with pytest.raises(DatasetError, match="On both sides of the split: subject anna"):
        train(walks, name="leaky", val=first, **QUICK)
    assert not registry.has_version("leaky")
    allowed = train(walks, name="leaky", val=first, allow_shared_subjects=True, **QUICK)
    assert "subject anna" in allowed.shared
    assert allowed.version.metrics["shared_subjects"] == len(allowed.shared)
    run = walks.get_run_info(allowed.run_key).config
    assert "subject anna" in run.shared


@pytest.fixture
def history(walks, zoo, tmp_path):
    """Versions in a line: anna's frames taught the first, the second came of it."""
    never_opened = tmp_path / "first.pt"
    with zipfile.ZipFile(never_opened, "w") as archive:
        archive.writestr("first/data.pkl", "")
    anna, bert = ([{"sample": i, "frame": 1}] for i in walks.sort_by("subject").values("id"))

    def add(name, checkpoint, base_sha256, **frames):
        settings = {"base_sha256": base_sha256}
        entry = Version(name, Path(), "", settings=settings, frames=frames, dataset="its old name")
        return registry.add_version(checkpoint, entry)

    first = add("first", never_opened, "", train=anna, val=bert)
    add("second", find_base("legpose-yolov8n").path, first.sha256, train=[], val=anna)
    return walks


@pytest.fixture
def sides(monkeypatch):
    """The subjects on each side of the trainings that would begin."""
    told = []

    def note(frames, *_, **__):
        told.append(tuple({frame.group for frame in frames.side(s)} for s in ("train", "val")))
        raise KeyboardInterrupt

    monkeypatch.setattr(training, "write_training_data", note)
    return told


def test_what_earlier_weights_learned_from_does_not_judge(history, sides):
    for seed in range(6):
        with pytest.raises(KeyboardInterrupt):
            train(history, name="third", **QUICK | {"base": "second", "seed": seed})
    assert sides == [({"subject anna"}, {"subject bert"})] * 6


def test_validation_on_what_the_base_learned_from_is_refused(history, sides):
    anna = history.match(fo.ViewField("subject") == "anna")
    with pytest.raises(DatasetError, match="trained on subject anna"):
        train(history, name="third", val=anna, **QUICK | {"base": "second"})
    allowed = QUICK | {"allow_shared_subjects": True, "base": "second"}
    # Weights of another line have not seen her, unless they are to beat ones that have.
    others = QUICK | {"base": "yolov8n-pose.yaml"}
    for arguments in (allowed, others):
        with pytest.raises(KeyboardInterrupt):
            train(history, name="third", val=anna, **arguments)
    assert sides == [({"subject bert"}, {"subject anna"})] * 2
    registry.use_version("second")
    with pytest.raises(DatasetError, match="trained on subject anna"):
        train(history, name="third", val=anna, promote=True, **others)


def test_a_version_tells_what_it_was_made_of_and_is_made_once(walks, zoo, monkeypatch):
    seen = []
    arguments = QUICK | {"progress": lambda done, total, message: seen.append((done, message))}
    made = train(walks, name="round1", **arguments)
    version = registry.get_version("round1")
    assert made.trained
    assert version == made.version
    assert version.parent == "1"
    assert version.settings["epochs"] == 1
    assert version.settings["lr0"] == 0.0001
    assert version.libraries["ultralytics"] == import_ultralytics().__version__
    assert {"mAP50-95(P)", "mAP50(P)"} <= version.metrics.keys()
    sides = {side: len(frames) for side, frames in version.frames.items()}
    assert sides == {"train": made.train_frames, "val": made.val_frames} == {"train": 7, "val": 7}
    assert made.empty_frames == 2
    groups, _ = sample_groups(walks)
    group_of = dict(zip(walks.values("id"), groups, strict=True))
    train_groups, val_groups = (
        {group_of[frame["sample"]] for frame in version.frames[side]} for side in ("train", "val")
    )
    assert not train_groups & val_groups
    assert any("loss" in message and "min left" in message for _, message in seen)
    assert seen[-1][0] == 1
    run = walks.get_run_info(made.run_key).config
    assert run.weights_sha256 == version.sha256
    assert str(zoo) not in version.path.read_bytes().decode("latin1")
    assert not [p for p in (zoo / "legpose-yolov8n" / "training").iterdir() if p.is_dir()]

    # The version becomes the default, which its base named: still the same training.
    registry.use_version("round1")
    monkeypatch.setattr(import_ultralytics().YOLO, "train", None)
    again = train(walks, name="round1", **QUICK)
    assert not again.trained
    assert again.version == version
    assert again.run_key == made.run_key
    with pytest.raises(WeightsError, match="choose another name"):
        train(walks, name="round1", **QUICK | {"imgsz": 96})


@pytest.mark.parametrize("base", ["legpose-yolov8n", "yolov8n-pose.yaml"])
def test_a_size_that_is_not_said_is_that_of_the_base(walks, zoo, monkeypatch, base):
    told = []

    def note(*_, arguments, **__):
        told.append(arguments["imgsz"])
        raise KeyboardInterrupt

    monkeypatch.setattr(training, "run_trainer", note)
    with pytest.raises(KeyboardInterrupt):
        unsaid = {key: value for key, value in QUICK.items() if key != "imgsz"}
        train(walks, name="sized", **unsaid | {"base": base})
    path = find_base(base).path
    checkpoint = path and torch.load(path, map_location="cpu", weights_only=False)
    assert told == [checkpoint["train_args"]["imgsz"] if checkpoint else 640]


def test_the_same_call_gives_the_same_weights(walks, zoo):
    one = train(walks, name="one", **QUICK)
    two = train(walks, name="two", **QUICK)
    other = train(walks, name="other", lr0=0.001, **QUICK)
    assert one.version.sha256 == two.version.sha256
    assert one.version.sha256 != other.version.sha256


_KILLED = """
import os, signal, sys, json
import fiftyone as fo
from fiftyone_legpose.training.train import train
fo.config.model_zoo_dir = sys.argv[1]
def die(done, total, message):
    if done > 1:
        os.kill(os.getpid(), signal.SIGKILL)
arguments = json.loads(sys.argv[3])
train(fo.load_dataset(sys.argv[2]), name="night", **arguments, progress=die)
"""


def test_a_killed_training_goes_on(walks, zoo, monkeypatch):
    arguments = {k: v for k, v in QUICK.items() if k != "progress"} | {"epochs": 3}
    killed = subprocess.run(
        [sys.executable, "-c", _KILLED, str(zoo), walks.name, json.dumps(arguments)], check=False
    )
    assert killed.returncode == -signal.SIGKILL
    assert [version.name for version in registry.list_versions()] == ["1"]
    # A kill in the middle of a write leaves half a file behind.
    last = zoo / "legpose-yolov8n" / "training" / "night" / "run" / "weights" / "last.pt"
    last.write_bytes(last.read_bytes()[:1000])
    with pytest.raises(TrainingError, match="labels, base or settings changed"):
        train(walks, name="night", resume=True, **QUICK)

    def stopped(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(registry, "add_version", stopped)
    with pytest.raises(KeyboardInterrupt):
        train(walks, name="night", resume=True, **arguments)
    monkeypatch.undo()
    monkeypatch.setattr(fo.config, "model_zoo_dir", str(zoo))
    # All epochs are done: what is left is to register, not to train.
    monkeypatch.setattr(import_ultralytics().YOLO, "train", None)
    done = train(walks, name="night", **arguments)
    assert done.resumed_epoch == 3
    assert done.version.name == "night"
    assert not last.exists()


def test_ctrl_c_keeps_the_epochs_that_are_done(walks, zoo):
    def interrupt(done, total, message):
        if done > 1:
            raise KeyboardInterrupt

    arguments = QUICK | {"epochs": 2}
    with pytest.raises(KeyboardInterrupt):
        train(walks, name="night", **arguments | {"progress": interrupt})
    assert train(walks, name="night", **arguments).resumed_epoch == 1


def test_better_weights_are_promoted_and_worse_ones_are_not(walks, zoo):
    # Shipped weights that hardly move, against ones that have seen seven pictures.
    worse = QUICK | {"base": "yolov8n-pose.yaml", "promote": True}
    beaten = train(walks, name="worse", **worse)
    assert beaten.promoted is False
    assert beaten.comparison.counts["frames"] == beaten.val_frames
    assert registry.current_version() == "1"

    registry.use_version("worse")
    better = QUICK | {"base": "1", "lr0": 1e-6, "imgsz": 256, "promote": True}
    made = train(walks, name="better", **better)
    assert made.promoted is True
    assert registry.current_version() == "better"
    assert walks.get_run_info(made.run_key).config.evaluation == made.comparison.key
    again = train(walks, name="better", **better)
    assert (again.trained, again.promoted, again.comparison) == (False, True, None)


def test_a_version_can_be_compared_without_being_promoted(walks, zoo):
    plain = train(walks, name="plain", **QUICK)
    assert plain.comparison is None
    made = train(walks, name="plain", compare=True, **QUICK)
    assert (made.trained, made.promoted) == (False, None)
    assert made.comparison.counts["frames"] == made.val_frames
    assert walks.get_run_info(made.run_key).config.evaluation == made.comparison.key
    assert registry.current_version() == "1"
    assert train(walks, name="plain", compare=True, **QUICK).comparison is None
    later = train(walks, name="plain", promote=True, **QUICK)
    assert later.promoted is not None
    assert walks.get_run_info(made.run_key).config.evaluation == later.comparison.key


def test_a_training_that_was_killed_at_its_very_end_is_finished(tmp_path, monkeypatch):
    def killed(source, target):
        if source == "last":
            raise KeyboardInterrupt

    monkeypatch.setattr(trainer_run, "copy_whole", killed)
    (tmp_path / "checkpoints").mkdir()
    trainer = SimpleNamespace(
        save_dir=tmp_path / "run", best="best", last="last", best_fitness=1, fitness=1, stop=True
    )
    with pytest.raises(KeyboardInterrupt):
        trainer_run.keep_checkpoint(trainer)
    assert (tmp_path / "checkpoints" / "finished").exists()


def test_two_processes_do_not_train_the_same_version(walks, zoo):
    with (
        trainer_run.training_folder("night", {}, None),
        pytest.raises(TrainingError, match="Another process"),
    ):
        train(walks, name="night", **QUICK)


def test_of_a_base_with_other_keypoints_the_matching_layers_are_taken(walks, zoo, tmp_path):
    import_ultralytics().YOLO("yolov8n-pose.yaml").save(tmp_path / "people.pt")
    arguments = QUICK | {"base": tmp_path / "people.pt", "trust": True}
    made = train(walks, name="from-people", **arguments)
    assert "17 keypoints" in made.taken
    kept, total = (int(word) for word in made.taken.split()[0:3:2])
    assert 0 < kept < total
    assert made.version.parent == "people"
    assert made.version.settings["lr0"] == 0.002
    scratch = train(walks, name="from-scratch", **QUICK | {"base": "yolov8n-pose.yaml"})
    assert "scratch" in scratch.taken


def test_right_first_weights_are_put_into_our_order(zoo):
    base = find_base("legpose-yolov8n")
    ours, _ = load_base(base)
    theirs, _ = load_base(type(base)(base.name, base.path, base.sha256, right_first=True))
    picture = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected, turned = (m.model.eval()(picture)[0][0, 5:].T for m in (ours, theirs))
    expected = expected.reshape(-1, 10, 3)[:, list(legs.RIGHT_FIRST)]
    torch.testing.assert_close(turned.reshape(-1, 10, 3), expected)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"epoch": 3}, TrainingError, "Did you mean 'epochs'"),
        ({"data": "x.yaml"}, TrainingError, "itself"),
        ({"epochs": 0}, TrainingError, "epochs=0"),
        ({"lr0": "high"}, TrainingError, "lr0=high"),
        ({"imgsz": 16}, TrainingError, "at least 32 px"),
        ({"batch": 0}, TrainingError, "batch is 0"),
        ({"optimizer": "Adma"}, TrainingError, "take one of AdamW"),
        ({"box_margin": -0.1}, TrainingError, "box_margin is -0.1"),
        ({"threads": 0}, TrainingError, "threads is 0"),
        ({"device": "gpu"}, DeviceError, "no device 'gpu'"),
        ({"device": "0,99"}, DeviceError, "no GPU .*99"),
        ({"resume": True}, TrainingError, "there is none"),
        ({"base": "missing.pt"}, WeightsError, r"No weights at missing\.pt"),
        ({"base": "resnet.yaml"}, WeightsError, "no pose model"),
        ({"val": "no-such-tag"}, DatasetError, "no-such-tag"),
        ({"gt_field": "labels"}, DatasetError, "no field 'frames.labels'"),
        ({"name": "a/b"}, WeightsError, "cannot name a version"),
    ],
)
def test_wrong_calls_say_what_to_do(walks, zoo, arguments, error, words):
    with pytest.raises(error, match=words):
        train(walks, **{"name": "never"} | QUICK | arguments)


def test_a_base_that_cannot_be_fetched_names_the_ways_out(walks, zoo, monkeypatch):
    import_ultralytics()

    def offline(*args, **kwargs):
        raise ConnectionError("no route to host")

    monkeypatch.setattr("ultralytics.utils.downloads.safe_download", offline)
    with pytest.raises(WeightsError, match="legpose-yolov8n") as caught:
        train(walks, name="never", **QUICK | {"base": "yolov8n-pose.pt"})
    assert "no route to host" in str(caught.value)
    assert "yolov8n-pose.yaml" in str(caught.value)
