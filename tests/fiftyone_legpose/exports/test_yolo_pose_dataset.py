from pathlib import Path

import fiftyone as fo
import numpy as np
import PIL.Image
import pytest
from cvat_sdk import make_client
from hypothesis import given, settings
from hypothesis import strategies as st

from cvat_bridge.archives import unpack
from cvat_bridge.backup import write_backup
from cvat_bridge.frames import Frame
from cvat_bridge.poses import Pose
from cvat_bridge.shapes import from_annotations
from cvat_bridge.skeleton import SkeletonLabel
from cvat_bridge.yolo_pose import read_yolo_pose
from fiftyone_legpose import legs
from fiftyone_legpose.dataset.keypoint_labels import declare, to_keypoints, to_poses
from fiftyone_legpose.errors import DatasetError
from fiftyone_legpose.exports.yolo_pose_dataset import YOLOPoseDataset

SIZE = (160, 120)
FIELD = "ground_truth"


def person(rng: np.random.Generator, *, spread: float = 0.0) -> Pose:
    points = rng.uniform(-spread, 1 + spread, (10, 2)) * SIZE
    visibility = rng.integers(0, 3, 10)
    visibility[0] = 2
    points[0] = (80, 60)  # one point is always in the picture
    return Pose(points, visibility, confidence=rng.uniform(size=10))


def make_dataset(folder: Path, people: list[list[Pose] | None], name: str = "im") -> fo.Dataset:
    folder.mkdir(parents=True, exist_ok=True)
    dataset = fo.Dataset()
    declare(dataset, FIELD)
    samples = []
    for number, poses in enumerate(people):
        path = folder / f"{name}{number}.png"
        PIL.Image.new("RGB", SIZE).save(path)
        sample = fo.Sample(filepath=str(path))
        if poses is not None:
            sample[FIELD] = to_keypoints(poses, SIZE)
        samples.append(sample)
    dataset.add_samples(samples, progress=False)
    return dataset


def export(samples, target: Path, **options) -> None:
    # Points at random are no legs: what a person may show is looked at in tests/.../privacy.
    options.setdefault("privacy", "off")
    samples.export(
        export_dir=str(target),
        dataset_type=YOLOPoseDataset,
        label_field=FIELD,
        progress=False,
        **options,
    )


def load(target: Path, **options) -> fo.Dataset:
    return fo.Dataset.from_dir(
        str(target),
        dataset_type=YOLOPoseDataset,
        label_field=FIELD,
        progress=False,
        **options,
    )


def read(dataset: fo.Dataset) -> dict[str, list[Pose]]:
    return {Path(s.filepath).name: to_poses(s[FIELD], SIZE) for s in dataset}


@settings(max_examples=8, deadline=None)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=5), st.integers(0, 2**32 - 1))
def test_round_trip(tmp_path_factory: pytest.TempPathFactory, counts: list[int], seed: int):
    folder = tmp_path_factory.mktemp("round")
    rng = np.random.default_rng(seed)
    people = [[person(rng) for _ in range(count)] for count in counts]
    dataset = make_dataset(folder / "pictures", people)
    export(dataset, folder / "out")
    back = load(folder / "out")
    found = read(back)
    assert sorted(found) == sorted(Path(path).name for path in dataset.values("filepath"))
    for number, expected in enumerate(people):
        got = found[f"im{number}.png"]
        assert len(got) == len(expected)
        for before, after in zip(expected, got, strict=True):
            assert before.matches(after, within_px=0.01)
            assert after.confidence is None
    assert all(label is not None for label in back.values(FIELD))
    dataset.delete()
    back.delete()


def test_splits_skeleton_and_what_nobody_looked_at(tmp_path: Path):
    rng = np.random.default_rng(0)
    dataset = make_dataset(
        tmp_path / "pictures", [None, [], [person(rng)], [person(rng), person(rng)], [person(rng)]]
    )
    export(dataset[:3], tmp_path / "out", split="train")
    export(dataset[3:], tmp_path / "out", split="val")
    train = load(tmp_path / "out", split="train", tags="train")
    assert {name: len(poses) for name, poses in read(train).items()} == {"im1.png": 0, "im2.png": 1}
    train.add_dir(
        str(tmp_path / "out"),
        dataset_type=YOLOPoseDataset,
        label_field=FIELD,
        split="val",
        tags="val",
        progress=False,
    )
    assert train.count_sample_tags() == {"train": 2, "val": 2}
    assert not (tmp_path / "out" / "images" / "train" / "im0.png").exists()
    assert train.default_skeleton.labels == list(legs.KEYPOINTS)
    assert [tuple(edge) for edge in train.default_skeleton.edges] == list(legs.EDGES)
    assert train.first().metadata.width == SIZE[0]
    with pytest.raises(DatasetError, match="has the split 'val' already"):
        export(dataset[3:], tmp_path / "out", split="val")
    export(dataset[3:], tmp_path / "out", split="val", overwrite=True)
    assert set(read_yolo_pose(tmp_path / "out").frames) == {"im3", "im4"}


def test_ultralytics_trains_on_it(tmp_path: Path):
    from ultralytics.data import YOLODataset
    from ultralytics.data.utils import check_det_dataset

    rng = np.random.default_rng(1)
    people = [[person(rng, spread=1.0) for _ in range(2)], [], [person(rng)]]
    dataset = make_dataset(tmp_path / "pictures", people)
    for split in ("train", "val"):
        export(dataset, tmp_path / "out", split=split, box_margin=0.1, export_media="symlink")
    config = check_det_dataset(str(tmp_path / "out" / "data.yaml"))
    assert tuple(config["flip_idx"]) == legs.FLIP_INDEX
    assert config["kpt_shape"] == [10, 3]
    assert config["names"] == {0: "legs"}
    found = YOLODataset(img_path=config["train"], data=config, task="pose", augment=False).labels
    assert [len(label["bboxes"]) for label in found] == [2, 0, 1]  # none was dropped as corrupt
    assert all((label["bboxes"][:, 2:] > 0).all() for label in found)


def test_the_flavour_of_cvat_keeps_points_outside_and_zips(tmp_path: Path):
    rng = np.random.default_rng(2)
    people = [[person(rng, spread=1.0)], [person(rng, spread=1.0)]]
    dataset = make_dataset(tmp_path / "pictures", people)
    export(dataset, tmp_path / "out.zip", split="Train", flavour="cvat", export_media=False)
    back = read_yolo_pose(tmp_path / "out.zip", sizes={"im0": SIZE, "im1": SIZE})
    for number, expected in enumerate(people):
        frame = back.frames[f"im{number}"]
        assert frame.subset == "Train"
        assert expected[0].matches(frame.poses[0], within_px=0.01)


def test_other_skeletons_and_classes(tmp_path: Path):
    dataset = make_dataset(tmp_path / "pictures", [[], []])
    dataset.skeletons = {FIELD: fo.KeypointSkeleton(labels=["left", "right", "tip"], edges=[])}
    for sample, label in zip(dataset, ("dog", "cat"), strict=True):
        points = [(0.2, 0.2), (0.4, 0.4), (float("nan"), float("nan"))]
        sample[FIELD] = fo.Keypoints(keypoints=[fo.Keypoint(label=label, points=points)])
        sample.save()
    export(dataset, tmp_path / "out", classes=["cat", "dog"])
    read = read_yolo_pose(tmp_path / "out")
    assert read.labels == ("cat", "dog")
    assert read.keypoint_names == ("left", "right", "tip")
    assert read.flip_index == (1, 0, 2)
    back = load(tmp_path / "out")
    assert back.values(f"{FIELD}.keypoints.label") == [["dog"], ["cat"]]
    assert back.default_classes == ["cat", "dog"]
    assert back.first()[FIELD].keypoints[0].visible == [2, 2, 0]


def test_nothing_is_written_when_there_is_nothing_to_write(tmp_path: Path):
    dataset = make_dataset(tmp_path / "pictures", [None])
    with pytest.raises(DatasetError, match="No sample has keypoints"):
        export(dataset, tmp_path / "out")
    assert not (tmp_path / "out" / "data.yaml").exists()


def test_an_export_of_cvat_becomes_a_dataset(tmp_path: Path, shared: Path):
    exports = shared / "cvat" / "recordings" / "exports"
    folder = unpack(exports / "task_yolo_pose_img.zip", tmp_path / "with")
    dataset = load(folder, keypoint_names=list(legs.KEYPOINTS))
    assert len(dataset) == 6
    assert dataset.count(f"{FIELD}.keypoints") == 6
    assert dataset.default_skeleton.labels == list(legs.KEYPOINTS)
    folder = unpack(exports / "task_yolo_pose_noimg.zip", tmp_path / "without")
    with pytest.raises(DatasetError, match="lacks the pictures of 6 frames"):
        load(folder)


def test_through_cvat_and_back(tmp_path: Path, cvat_server):
    rng = np.random.default_rng(3)
    people = [[person(rng, spread=1.0) for _ in range(count)] for count in (1, 0, 3, 2)]
    dataset = make_dataset(tmp_path / "pictures", people)
    export(dataset, tmp_path / "out.zip", flavour="cvat", export_media=False)
    frames = [Frame(Path(path), *SIZE, name=Path(path).stem) for path in dataset.values("filepath")]
    write_backup(tmp_path / "task.zip", "task", legs.SKELETON, frames)
    login = (cvat_server.user, cvat_server.password)
    with make_client(cvat_server.url, credentials=login) as client:
        client.config.status_check_period = 0.01
        task = client.tasks.create_from_backup(tmp_path / "task.zip")
        task.import_annotations("Ultralytics YOLO Pose 1.0", tmp_path / "out.zip")
        label = SkeletonLabel.from_server(task.get_labels()[0].to_dict())
        stored = from_annotations(task.get_annotations().to_dict(), label, frame_count=4)
        task.export_dataset("Ultralytics YOLO Pose 1.0", tmp_path / "back.zip", include_images=True)
    back = load(unpack(tmp_path / "back.zip", tmp_path / "back"))
    exported = read(back)
    for number, expected in enumerate(people):
        for found in (stored.get(number, []), exported[f"im{number}.png"]):
            assert len(found) == len(expected)
            for before, after in zip(expected, found, strict=True):
                assert before.matches(after, within_px=0.01)
