import re
from functools import partial
from pathlib import Path

import fiftyone as fo
import fiftyone.zoo as foz
import numpy as np
import pytest

import fiftyone_legpose as lp
from fiftyone_legpose import legs
from fiftyone_legpose.dataset import fields, pose_table
from fiftyone_legpose.errors import WeightsError
from fiftyone_legpose.zoo.weights import find_weights

SMALL = {"imgsz": 160, "backend": "torch", "confidence_thresh": 0.1}


@pytest.fixture
def model():
    return foz.load_zoo_model("legpose-yolov8n", **SMALL)


@pytest.fixture
def videos(short_clip, dataset_name):
    return lp.load(short_clip, dataset_name)


def test_apply_model_fills_the_field_named_on_videos(model, videos):
    videos.apply_model(model, label_field="legpose", batch_size=4)
    table = pose_table.read_poses(videos, "legpose")
    assert table.looked_at.all()
    assert len(table.points)
    lp.predict(videos, label_field="ours", imgsz=160, backend="torch", conf=0.1, track=False)
    ours = pose_table.read_poses(videos, "ours")
    assert np.array_equal(ours.pose_frame, table.pose_frame)
    # FiftyOne decodes with ffmpeg and we with OpenCV: colours differ by a few units.
    assert np.median(np.abs(ours.points - table.points)) < 1


@pytest.mark.parametrize("way", ["flip_test", "voting"])
def test_apply_model_takes_the_care_that_predict_takes(short_clip, dataset_name, tmp_path, way):
    lp.extract_frames(short_clip, tmp_path, fps=5, dataset=dataset_name)
    images = fo.load_dataset(dataset_name)
    model = foz.load_zoo_model("legpose-yolov8n", **{way: True}, **SMALL)
    images.apply_model(model, label_field="zoo")
    settings = {"imgsz": 160, "backend": "torch", "conf": 0.1}
    lp.predict(images, label_field="tested", **{way: True}, **settings)
    lp.predict(images, label_field="bare", plain=True, **settings)
    zoo, tested, bare = (
        pose_table.read_poses(images, field).points for field in ("zoo", "tested", "bare")
    )
    assert zoo.shape == tested.shape
    assert np.allclose(zoo, tested, atol=0.01)
    assert zoo.shape != bare.shape or not np.allclose(zoo, bare, atol=0.01)


def test_apply_model_works_on_images_and_views(model, short_clip, dataset_name, tmp_path):
    lp.extract_frames(short_clip, tmp_path, fps=5, dataset=dataset_name)
    images = fo.load_dataset(dataset_name)
    images[:2].apply_model(model, label_field="found")
    assert [v is not None for v in images.values("found")] == [True, True, False]
    assert images.count("found_boxes.detections") == images.count("found.keypoints")


def test_a_mapping_says_where_keypoints_and_boxes_go(model, short_clip, dataset_name, tmp_path):
    lp.extract_frames(short_clip, tmp_path, fps=5, dataset=dataset_name)
    images = fo.load_dataset(dataset_name)
    images.apply_model(model, label_field={"keypoints": "points", "boxes": "persons"})
    schema = images.get_field_schema()
    assert schema["points"].document_type is fo.Keypoints
    assert schema["persons"].document_type is fo.Detections
    assert "keypoints" not in schema


def test_views_of_videos_work_too(model, videos):
    clips = videos.to_clips([[[1, 3]]])
    clips.apply_model(model, label_field="legpose")
    assert pose_table.read_poses(videos, "legpose").looked_at.sum() == 3
    assert videos.count(f"frames.{fields.BOXES}.detections") > 0


def test_weights_of_the_users_own_need_trust(tmp_path):
    own = tmp_path / "own.pt"
    own.write_bytes(find_weights().path.read_bytes())
    foz.load_zoo_model("legpose-yolov8n", weights=str(own), **SMALL)  # its sha256 is known
    stranger = tmp_path / "stranger.pt"
    import shutil
    import zipfile

    shutil.copy(own, stranger)
    with zipfile.ZipFile(stranger, "a") as archive:
        archive.writestr("extra", b"another sha256")
    with pytest.raises(WeightsError, match="trust=True"):
        foz.load_zoo_model("legpose-yolov8n", weights=str(stranger), **SMALL)


def test_the_authors_weights_are_read_right_first_and_never_without_trust(tmp_path):
    copy = tmp_path / "best.pt"
    copy.write_bytes(find_weights().path.read_bytes())
    with pytest.raises(WeightsError, match="trust"):
        foz.load_zoo_model("legpose-author", download=True)
    author = foz.load_zoo_model("legpose-author", weights=str(copy), trust=True, **SMALL)
    ours = foz.load_zoo_model("legpose-yolov8n", **SMALL)
    picture = np.random.default_rng(0).integers(0, 255, (120, 160, 3), np.uint8)
    for model in (author, ours):
        model.config.confidence_thresh = 0.0
    flipped, plain = (m.predict(picture)["keypoints"].keypoints[0] for m in (author, ours))
    assert flipped.points[0] == plain.points[1]
    assert flipped.points[9] == plain.points[8]


def test_the_example_of_the_readme_leaves_a_skeleton(videos, monkeypatch):
    text = (Path(__file__).resolve().parents[3] / "README.md").read_text(encoding="utf-8")
    [example] = [
        block for block in re.findall(r"```python\n(.*?)```", text, re.S) if "foz" in block
    ]
    monkeypatch.setattr(foz, "load_zoo_model", partial(foz.load_zoo_model, **SMALL))
    exec(example, {"dataset": videos})
    assert videos.skeletons["legpose"].labels == list(legs.KEYPOINTS)
    assert videos.count("frames.legpose") == 12
