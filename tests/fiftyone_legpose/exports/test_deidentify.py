"""Legs-only copies: nothing above the waist, no sound, no name, nothing left by who is killed."""

import json
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

import fiftyone_legpose as lp
from fiftyone_legpose.errors import DatasetError, NothingLoadedError
from fiftyone_legpose.exports.deidentify import LOG
from fiftyone_legpose.privacy.audit import audit_file
from fiftyone_legpose.privacy.faces import find_faces
from fiftyone_legpose.videos.decoding import read_frames
from tests.conftest import REPOSITORY
from tests.fiftyone_legpose.privacy.planting import real_head

NAME = "Mustermann"
ABOVE_PX = 260


@pytest.fixture(scope="module")
def full_body(sample_clip, tmp_path_factory) -> Path:
    """Ten frames of the sample clip with a body and a face put on top, sound, and a name."""
    path = tmp_path_factory.mktemp("ward") / f"{NAME}.mp4"
    head, mask = real_head()
    frames = []
    for _, legs in read_frames(sample_clip, range(1, 11)):
        width = legs.shape[1]
        body = np.full((ABOVE_PX, width, 3), (120, 110, 150), np.uint8)
        x = width // 2 - head.shape[1] // 2
        place = body[20 : 20 + head.shape[0], x : x + head.shape[1]]
        place[:] = place * (1 - mask) + head * mask
        frames.append(np.vstack([body, legs]))
    height, width = frames[0].shape[:2]
    subprocess.run(
        ["ffmpeg", "-v", "error", "-y", "-f", "rawvideo", "-pix_fmt", "bgr24"]
        + ["-s", f"{width}x{height}", "-r", "20", "-i", "pipe:0", "-f", "lavfi", "-i", "sine"]
        + ["-shortest", "-metadata", f"title={NAME}", "-pix_fmt", "yuv420p", str(path)],
        input=b"".join(frame.tobytes() for frame in frames),
        check=True,
    )
    return path


@pytest.fixture(scope="module")
def copied(full_body, tmp_path_factory):
    folder = tmp_path_factory.mktemp("hand-out")
    return folder, lp.deidentify(full_body, folder)


def shown(path: Path) -> list[np.ndarray]:
    return [frame for _, frame in read_frames(path, range(1, 11))]


def widest(frame: np.ndarray) -> float:
    """Width of the widest face in px, 0 where there is none."""
    faces = find_faces(frame)
    return float((faces[:, 2] - faces[:, 0]).max(initial=0))


def test_the_source_shows_a_face(full_body):
    assert all(widest(frame) > 60 for frame in shown(full_body))


def test_a_copy_shows_legs_and_no_face(copied):
    folder, summary = copied
    [copy] = summary.copies
    assert (copy.frames, copy.frames_black) == (10, 0)
    frames = shown(folder / copy.file)
    assert len(frames) == 10
    # A hand of 11 px is taken for a face on one frame of the copy; the head was 88 px wide.
    assert all(widest(frame) < 20 for frame in frames)
    # The hips of the sample clip are within 60 px of its top.
    assert ABOVE_PX - 60 < copy.cut_px[0] <= copy.cut_px[1] < ABOVE_PX + 100
    assert copy.removed_rows_px == copy.cut_px[0]
    assert all(frame[120:].mean() > 20 for frame in frames)


def test_a_copy_has_neither_sound_nor_name(copied, full_body):
    folder, summary = copied
    [copy] = summary.copies
    told = subprocess.run(
        ["ffprobe", "-v", "error", "-show_entries", "stream=codec_type:format_tags"]
        + ["-of", "json", str(folder / copy.file)],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert [s["codec_type"] for s in json.loads(told)["streams"]] == ["video"]
    for path in folder.iterdir():
        assert NAME not in path.name
        assert NAME.encode() not in path.read_bytes()
    assert full_body.read_bytes()  # still there


def test_log_and_sheet_are_beside_the_copy(copied, full_body):
    folder, summary = copied
    [entry] = [json.loads(line) for line in (folder / LOG).read_text().splitlines()]
    assert entry["file"] == summary.copies[0].file and entry["version"]
    [sheet] = summary.sheets
    assert cv2.imread(str(sheet)).shape[1] == 4 * 240
    last = json.loads(audit_file().read_text().splitlines()[-1])
    assert last["verb"] == "deidentify" and last["sha256"] == {full_body.name: entry["sha256"]}


def test_again_it_makes_nothing_anew(copied, full_body, monkeypatch):
    folder, summary = copied
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    monkeypatch.setattr("fiftyone_legpose.exports.deidentify.PoseModel", None)
    again = lp.deidentify(full_body, folder)
    assert again.copies == summary.copies
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before


def test_a_video_without_legs_has_no_copy(tmp_path):
    path = tmp_path / "empty.mp4"
    subprocess.run(
        ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "color=gray:s=160x120:d=0.2", str(path)],
        check=True,
    )
    with pytest.raises(NothingLoadedError, match="nobody's legs"):
        lp.deidentify(path, tmp_path / "out")
    assert not list((tmp_path / "out").iterdir())
    with pytest.raises(DatasetError, match="margin"):
        lp.deidentify(path, tmp_path / "out", margin=2)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no kill -9 and other permissions")
def test_a_killed_process_leaves_nothing_that_others_can_read(full_body, tmp_path):
    out = tmp_path / "out"
    script = (
        "import time, fiftyone_legpose as lp\n"
        "from fiftyone_legpose.exports import deidentify\n"
        "real = deidentify.find_faces\n"
        "def slow(frame):\n"
        "    time.sleep(1)\n"
        "    return real(frame)\n"
        "deidentify.find_faces = slow\n"
        f"lp.deidentify({str(full_body)!r}, {str(out)!r})\n"
    )
    process = subprocess.Popen([sys.executable, "-c", script], cwd=REPOSITORY)
    try:
        deadline = time.monotonic() + 120
        while not list(out.glob(".legpose-*/part.mp4")) and time.monotonic() < deadline:
            assert process.poll() is None
            time.sleep(0.05)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert not list(out.glob("*.mp4"))
    [scratch] = out.glob(".legpose-*")
    assert stat.S_IMODE(scratch.stat().st_mode) == 0o700
    summary = lp.deidentify(full_body, out)
    assert len(summary.copies) == 1
    assert not list(out.glob(".legpose-*"))
