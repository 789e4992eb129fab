"""Annotated videos bear their originals' names, and one that cannot be written is told."""

import os

import pytest

import fiftyone_legpose as lp
from fiftyone_legpose.prediction.annotated_video import write_annotated_videos
from tests.conftest import make_clip


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
    assert write_annotated_videos(copied, tmp_path / "out") == []
    assert "No annotated video of P01" in caplog.text
    assert not list((tmp_path / "out").iterdir())
