"""Annotated videos bear their originals' names, and one that cannot be written is told."""

import os

import fiftyone as fo
import pytest

import fiftyone_legpose as lp
from fiftyone_legpose.errors import DatasetError
from fiftyone_legpose.prediction.annotated_video import write_annotated_videos
from tests.conftest import make_clip, smallest_files


@pytest.fixture
def copied(short_clip, dataset_name, tmp_path):
    """A video that the App cannot play, so that the dataset holds a copy."""
    original = make_clip(short_clip, tmp_path / "P01.avi", "-c:v", "mjpeg", "-frames:v", "3")
    return lp.load(original, dataset_name)


def test_a_playable_copy_bears_the_name_of_its_original(copied, tmp_path):
    [saved] = write_annotated_videos(copied, tmp_path / "out")
    assert saved.name == "P01_legpose.mp4"


@pytest.mark.skipif(os.name == "nt", reason="the stand-in for ffmpeg is a shell script")
def test_an_encoder_that_fails_is_told(copied, tmp_path, monkeypatch, caplog):
    encoder = tmp_path / "bin" / "ffmpeg"
    encoder.parent.mkdir()
    encoder.write_text("#!/bin/sh\nexit 1\n")
    encoder.chmod(0o755)
    monkeypatch.setenv("PATH", f"{encoder.parent}:{os.environ['PATH']}")
    with pytest.raises(DatasetError, match=r"no annotated video could be saved \(P01"):
        write_annotated_videos(copied, tmp_path / "out")
    assert "No annotated video of P01" in caplog.text
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.skipif(os.name == "nt", reason="Windows limits no file sizes")
def test_a_disk_that_takes_no_more_is_named(copied, tmp_path):
    # A limit of the process is told like a full disk, and needs no disk of its own.
    with smallest_files(), pytest.raises(DatasetError, match="File too large"):
        write_annotated_videos(copied, tmp_path / "out")
    assert not list((tmp_path / "out").iterdir())


def test_pictures_have_no_annotated_video(short_clip, dataset_name, tmp_path):
    lp.extract_frames(short_clip, tmp_path / "stills", fps=5, dataset=dataset_name)
    with pytest.raises(DatasetError, match="save_video"):
        lp.predict(fo.load_dataset(dataset_name), save_video=tmp_path / "out")
