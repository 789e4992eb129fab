import os
import subprocess
from pathlib import Path

import pytest

from fiftyone_legpose import errors
from fiftyone_legpose.errors import MissingToolError
from fiftyone_legpose.videos import decoding, ffmpeg, playable_copy, probe, stills
from tests.conftest import make_clip, turn_clip


def test_the_sample_plays_as_it_is(sample_clip: Path):
    facts = probe.probe(sample_clip)
    assert (facts.width, facts.height, facts.frame_count) == (608, 528, 100)
    assert facts.frame_rate == 20
    assert probe.needs_copy(sample_clip, facts) is None


def test_variable_frame_rate_is_seen_and_made_constant(short_clip: Path, tmp_path: Path):
    varying = make_clip(
        short_clip, tmp_path / "vfr.mp4", "-vf", "setpts='if(gt(N,5),N+8,N)/20/TB'", "-vsync", "vfr"
    )
    facts = probe.probe(varying)
    assert probe.needs_copy(varying, facts) == "its frame rate varies"
    before = varying.read_bytes()
    copy = playable_copy.playable_copy(varying, facts, tmp_path / "copies").path
    again = playable_copy.playable_copy(varying, facts, tmp_path / "copies").path
    assert varying.read_bytes() == before
    assert copy == again
    assert probe.probe(copy).constant_rate
    assert [p.name for p in (tmp_path / "copies").iterdir()] == [copy.name]
    assert "vfr" not in copy.name


def test_a_rotated_phone_video_becomes_upright(short_clip: Path, tmp_path: Path):
    turned = turn_clip(short_clip, tmp_path / "phone.mp4")
    facts = probe.probe(turned)
    assert facts.rotation in (90, 270)
    copy = probe.probe(playable_copy.playable_copy(turned, facts, tmp_path).path)
    assert copy.rotation == 0
    assert (copy.width, copy.height) == (facts.height, facts.width)


def test_a_trimmed_clip_has_the_frames_that_it_shows(sample_clip: Path, tmp_path: Path):
    plain = make_clip(sample_clip, tmp_path / "plain.mp4", "-bf", "0", "-preset", "ultrafast")
    # Players cut without encoding anew: the file keeps all frames from the key frame on.
    trimmed = tmp_path / "trimmed.mp4"
    subprocess.run(
        ["ffmpeg", "-v", "error", "-ss", "0.7", "-i", str(plain), "-c", "copy", str(trimmed)],
        check=True,
    )
    facts = probe.probe(trimmed)
    assert facts.frame_count == 86
    assert len(list(decoding.read_frames(trimmed, range(1, facts.frame_count + 1)))) == 86


def test_a_file_that_does_not_tell_its_rate_is_read(sample_clip: Path, monkeypatch):
    answer = ffmpeg.run_tool

    def untold(command):
        told = answer(command)
        told.stdout = told.stdout.replace('"avg_frame_rate": "20/1"', '"avg_frame_rate": "0/0"')
        return told

    monkeypatch.setattr(ffmpeg, "run_tool", untold)
    assert probe.probe(sample_clip).frame_rate == pytest.approx(20)


def test_odd_sizes_and_old_codecs_become_h264(short_clip: Path, tmp_path: Path):
    odd = make_clip(
        short_clip, tmp_path / "odd.avi", "-vf", "scale=303:201", "-c:v", "mjpeg", "-pix_fmt",
        "yuvj444p",
    )  # fmt: skip
    facts = probe.probe(odd)
    assert "mjpeg" in (probe.needs_copy(odd, facts) or "")
    copy = playable_copy.playable_copy(odd, facts, tmp_path).path
    seen = probe.probe(copy)
    assert (seen.codec, seen.width, seen.height) == ("h264", 304, 202)
    assert probe.needs_copy(copy, seen) is None


def test_a_copy_that_cannot_be_written_says_so(short_clip: Path, tmp_path: Path):
    (tmp_path / "copies").touch()
    with pytest.raises(errors.UnreadableError, match=r"playable copy .*copies.* cannot be written"):
        playable_copy.playable_copy(short_clip, probe.probe(short_clip), tmp_path / "copies")


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"", "empty"), (b"this is a text" * 50, "not a video"), (None, "truncated")],
    ids=["empty", "text", "truncated"],
)
def test_unreadable_files_say_why(content, reason, sample_clip: Path, tmp_path: Path):
    path = tmp_path / "bad.mp4"
    path.write_bytes(sample_clip.read_bytes()[:90_000] if content is None else content)
    with pytest.raises(errors.UnreadableError, match=reason):
        probe.probe(path)


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may read everything")
def test_no_permission_is_said(tmp_path: Path):
    path = tmp_path / "locked.mp4"
    path.write_bytes(b"x")
    path.chmod(0)
    with pytest.raises(errors.UnreadableError, match="permission"):
        probe.probe(path)


def test_a_missing_ffmpeg_says_how_to_get_it(monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(MissingToolError, match="apt-get install ffmpeg"):
        ffmpeg.run_tool(["ffmpeg", "-version"])


def test_pixels_that_are_not_square_become_square(short_clip: Path, tmp_path: Path):
    camcorder = make_clip(short_clip, tmp_path / "dv.mp4", "-vf", "scale=204:264,setsar=59/41")
    facts = probe.probe(camcorder)
    assert probe.needs_copy(camcorder, facts) == "its pixels are not square (59:41)"
    copy = playable_copy.playable_copy(camcorder, facts, tmp_path / "copies").path
    seen = probe.probe(copy)
    assert (seen.width, seen.height, seen.pixel_aspect) == (294, 264, 1)
    assert probe.needs_copy(copy, seen) is None
    [still] = stills.write_stills(camcorder, tmp_path / "stills", fps=1, name="dv")
    assert decoding.read_picture(still).shape == (264, 294, 3)


@pytest.mark.parametrize("aspect", ["0/1", "1/1", "609/608"])
def test_pixels_that_are_unknown_or_as_good_as_square_are_left(aspect, short_clip, tmp_path):
    clip = make_clip(short_clip, tmp_path / "square.mp4", "-vf", f"setsar={aspect}")
    assert probe.needs_copy(clip, probe.probe(clip)) is None


def test_a_long_last_frame_leaves_the_rate_as_it_is(short_clip: Path, tmp_path: Path):
    plain = make_clip(short_clip, tmp_path / "plain.mp4", "-bf", "0")
    # A camera that is stopped late: the last of the frames stands for three seconds.
    lasting = "setts=duration='if(eq(N,11),3/TB,DURATION)'"
    clip = make_clip(plain, tmp_path / "late.mp4", "-c", "copy", "-bsf:v", lasting)
    facts = probe.probe(clip)
    assert facts.frame_rate == pytest.approx(20)
    assert (facts.frame_count, facts.constant_rate) == (12, True)
