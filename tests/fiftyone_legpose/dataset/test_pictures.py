"""A picture that lies on its side is the upright one, in every format and by every verb."""

import csv

import fiftyone as fo
import numpy as np
import pytest
from PIL import Image

import fiftyone_legpose as lp
from fiftyone_legpose.dataset import fields, pictures
from fiftyone_legpose.dataset.pose_table import read_poses
from fiftyone_legpose.videos.decoding import read_picture

FAST = {"backend": "torch", "imgsz": 160, "conf": 0.1}
LYING = {3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}


def write_turned(upright, path, turn=6):
    """Write a picture as it lies, and in EXIF data how to turn it."""
    exif = Image.Exif()
    exif[0x0112] = turn
    lossless = {"lossless": True} if path.suffix == ".webp" else {}
    upright.transpose(LYING[turn]).save(path, exif=exif, **lossless)
    return path


@pytest.fixture
def upright(sample_clip) -> Image.Image:
    from fiftyone_legpose.videos.decoding import read_frames

    [(_, frame)] = read_frames(sample_clip, [10])
    return Image.fromarray(frame[..., ::-1])


@pytest.mark.parametrize("turn", LYING)
@pytest.mark.parametrize("suffix", ["png", "webp", "tif"])
def test_a_turned_picture_is_read_upright(suffix, turn, upright, tmp_path):
    path = write_turned(upright, tmp_path / f"turned.{suffix}", turn)
    assert (read_picture(path)[..., ::-1] == np.asarray(upright)).all()
    assert pictures.shown_size(path) == upright.size


def test_points_are_in_one_place_however_a_picture_lies(upright, dataset_name, tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    upright.save(folder / "upright.png")
    for suffix in ("png", "webp", "tif"):
        write_turned(upright, folder / f"{suffix}.{suffix}")
    dataset = lp.load(folder, dataset_name)
    assert set(dataset.values("metadata.width")) == {upright.width}
    lp.predict(dataset, **FAST)
    lp.export(dataset, tmp_path / "out.csv")
    with (tmp_path / "out.csv").open() as file:
        rows = list(csv.DictReader(file))
    by_picture = {
        name: [(row["x_px"], row["y_px"]) for row in rows if row["video"] == name]
        for name in sorted(row["video"] for row in rows)
    }
    assert len(by_picture) == 4
    assert len({tuple(points) for points in by_picture.values()}) == 1
    lp.select(dataset, count=4)
    assert lp.push(dataset, "r1", backup=tmp_path / "r1.zip").frames == 4


def test_sizes_that_others_read_are_mended(upright, dataset_name, tmp_path):
    path = write_turned(upright, tmp_path / "turned.png")
    dataset = fo.Dataset(dataset_name)
    dataset.add_sample(fo.Sample(filepath=str(path)))
    lp.predict(dataset, **FAST)
    assert read_poses(dataset, fields.PREDICTIONS).sizes.tolist() == [list(upright.size)]
    dataset.compute_metadata(overwrite=True, progress=False)
    lp.predict(dataset, overwrite=True, **FAST)
    assert dataset.values("metadata.width") == [upright.width]
