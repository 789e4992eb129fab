"""What is told of a frame belongs to that very frame, whatever the clock of its video."""

import csv
import subprocess
from pathlib import Path

import cv2
import fiftyone as fo
import numpy as np
import pytest

import fiftyone_legpose as lp
from cvat_bridge.poses import Pose
from fiftyone_legpose.cvat.still_names import StillNames
from fiftyone_legpose.dataset import fields, keypoint_labels
from fiftyone_legpose.dataset.fields import SOURCE_FRAMES, TIME_S
from fiftyone_legpose.dataset.frame_times import video_times
from fiftyone_legpose.dataset.pose_table import read_poses
from fiftyone_legpose.errors import DatasetError
from fiftyone_legpose.videos import decoding, playable_copy
from fiftyone_legpose.videos.load import load_summary
from fiftyone_legpose.videos.probe import probe
from tests.conftest import damage_frames

VARYING = "if(lt(N,15),N/30,0.5+(N-15)/10)/TB"


def numbered(path: Path, *, setpts: str = "N/20/TB", frames: int = 40, options=()) -> Path:
    """Write a video at 20 frames/s whose pictures are as light as their number says."""
    light = f"nullsrc=s=64x48:r=20,geq=lum=20+5*N:cb=128:cr=128,settb=1/600,setpts='{setpts}'"
    command = ["ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i", light, "-vsync", "vfr"]
    command += ["-frames:v", str(frames), "-c:v", "libx264", "-pix_fmt", "yuv420p", "-bf", "0"]
    subprocess.run([*command, *options, str(path)], check=True)
    return path


def again(source: Path, target: Path, *options: str) -> Path:
    """Write the packets of a video into another file."""
    command = ["ffmpeg", "-v", "error", "-y", "-i", str(source), "-c", "copy"]
    subprocess.run([*command, *options, str(target)], check=True)
    return target


def number_of(picture: np.ndarray) -> int:
    """Tell the number, from 1, that a picture bears."""
    return round((picture.mean() * 219 / 255 + 16 - 20) / 5) + 1


def decoded_numbers(path: Path) -> list[int]:
    """Tell the numbers of the pictures of a video in their order, as CVAT decodes it."""
    capture = cv2.VideoCapture(str(path))
    numbers = []
    while (got := capture.read())[0]:
        numbers.append(number_of(got[1]))
    return numbers


def numbers_of(sample: fo.Sample) -> dict[int, int]:
    """Tell the number of the picture of each frame of a dataset."""
    count = sample.metadata.total_frame_count
    frames = decoding.read_frames(sample.filepath, range(1, count + 1))
    return {number: number_of(picture) for number, picture in frames}


def late(folder: Path) -> Path:
    """Write a video whose sound begins half a second before its picture."""
    plain = numbered(folder / "plain.mp4")
    target = folder / "late.mp4"
    sound = ["-f", "lavfi", "-i", "sine=duration=2.5", "-map", "0:v:0", "-map", "1:a:0"]
    command = ["ffmpeg", "-v", "error", "-y", "-itsoffset", "0.5", "-i", str(plain), *sound]
    subprocess.run([*command, "-c:v", "copy", str(target)], check=True)
    return target


def label(dataset: fo.Dataset) -> None:
    """Put one pose on every frame."""
    points = np.linspace(5, 40, 20).reshape(10, 2)
    pose = Pose(points, np.full(10, 2), track_id=1)
    for sample in dataset:
        for number in range(1, sample.metadata.total_frame_count + 1):
            labels = keypoint_labels.to_keypoints([pose], (64, 48))
            sample.frames[number][fields.PREDICTIONS] = labels
        sample.save()


def test_a_picture_that_starts_late_is_copied_to_start_at_once(dataset_name, tmp_path):
    video = late(tmp_path)
    dataset = lp.load(video, dataset_name)
    [copied] = load_summary(dataset).copied
    assert copied["reason"] == "its picture starts 0.50 s after the file does"
    sample = dataset.first()
    assert probe(Path(sample.filepath)).times_s[0] == 0
    assert numbers_of(sample) == {n: n for n in range(1, 41)}
    assert sample.frames[11][TIME_S] == pytest.approx(0.5)


@pytest.mark.parametrize("make", [late, lambda f: numbered(f / "vfr.mp4", setpts=VARYING)])
@pytest.mark.parametrize("fps", [7.0, 30.0])
def test_a_still_shows_the_frame_that_its_name_is_mapped_to(make, fps, dataset_name, tmp_path):
    video = make(tmp_path)
    dataset = lp.load(video, dataset_name)
    stills = lp.extract_frames(video, tmp_path / "stills", fps=fps)
    shown = numbers_of(dataset.first())
    names = StillNames(dataset, read_poses(dataset, fields.GROUND_TRUTH), fps=fps)
    assert len(stills) == 40 if fps == 30 else 10 < len(stills) < 25
    for still in stills:
        frame = names.find(still.stem)
        assert shown[frame + 1] == number_of(cv2.imread(str(still)))


def test_every_frame_keeps_its_own_time(dataset_name, tmp_path):
    video = numbered(tmp_path / "vfr.mp4", setpts=VARYING)
    dataset = lp.load(video, dataset_name)
    assert numbers_of(dataset.first()) == {n: n for n in range(1, 41)}
    label(dataset)
    lp.export(dataset, tmp_path / "out.csv")
    with (tmp_path / "out.csv").open() as file:
        told = {int(row["frame"]): float(row["time_s"]) for row in csv.DictReader(file)}
    assert [told[n] for n in sorted(told)] == pytest.approx(probe(video).times_s, abs=1e-4)
    # 0.35 s hold 11 frames of the quick part and 4 of the slow one.
    chosen = lp.select(dataset, count=40, strategy="uniform", min_gap_s=0.35)
    numbers = chosen.values("frames.frame_number")[0]
    assert np.diff([told[n] for n in numbers]).min() >= 0.35
    assert min(np.diff(numbers)) == 4


def test_labels_of_the_original_come_to_its_frames_or_are_refused(dataset_name, tmp_path):
    video = numbered(tmp_path / "vfr.mp4", setpts=VARYING)
    dataset = lp.load(video, dataset_name)
    names = StillNames(dataset, read_poses(dataset, fields.GROUND_TRUTH))
    assert [names.find(f"frame_{k:06d}") for k in (0, 20, 39)] == [0, 20, 39]
    # As datasets were that hold a resampled copy.
    sample = dataset.first()
    playable_copy.write_copy(video, probe(video), Path(sample.filepath), resampled=True)
    dataset.delete_sample_field(SOURCE_FRAMES)
    dataset.delete_frame_field(TIME_S)
    names = StillNames(dataset, read_poses(dataset, fields.GROUND_TRUTH))
    for name in ("frame_000020", "vfr_00021"):
        with pytest.raises(DatasetError, match="repeated or left out"):
            names.find(name)


def test_pictures_that_cannot_be_decoded_at_the_start_are_left_out(dataset_name, tmp_path):
    whole = numbered(tmp_path / "whole.mp4", options=("-g", "12", "-sc_threshold", "0"))
    video = again(whole, tmp_path / "cut.mp4", "-bsf:v", "noise=drop='lt(n,5)'")
    seen = decoded_numbers(video)
    assert seen[0] == 13
    dataset = lp.load(video, dataset_name)
    sample = dataset.first()
    assert load_summary(dataset).copied[0]["reason"] == "its first pictures cannot be decoded"
    assert list(numbers_of(sample).values()) == seen
    assert sample.frames[2][TIME_S] == pytest.approx(0.05)
    names = StillNames(dataset, read_poses(dataset, fields.GROUND_TRUTH))
    stills = lp.extract_frames(video, tmp_path / "stills")
    assert [number_of(cv2.imread(str(still))) for still in stills] == seen
    assert [names.find(still.stem) for still in stills] == list(range(len(seen)))
    # CVAT may count what it cannot decode, or not.
    with pytest.raises(DatasetError, match="lacks 7 of its frames"):
        names.find("frame_000003")


def test_frames_behind_a_damaged_one_are_read(tmp_path, dataset_name):
    video = numbered(tmp_path / "clip.mp4", options=("-g", "1"))
    damage_frames(video, 12, 13, 30)
    numbers, seen = [2, 12, 14, 31], {}
    with pytest.raises(decoding.UnreadableError, match="frame 12 cannot be decoded"):
        for number, picture in decoding.read_frames(video, numbers):
            seen[number] = number_of(picture)
    assert seen == {2: 2, 14: 14, 31: 31}
    dataset = lp.load(video, dataset_name)
    names = StillNames(dataset, read_poses(dataset, fields.GROUND_TRUTH))
    for fps in (7, 30):
        stills = lp.extract_frames(video, tmp_path / f"stills{fps}", fps=fps)
        names = StillNames(dataset, read_poses(dataset, fields.GROUND_TRUTH), fps=fps)
        found = [names.find(still.stem) + 1 for still in stills]
        assert found == [number_of(cv2.imread(str(still))) for still in stills]
        assert not {12, 13, 30} & set(found)


def test_datasets_of_before_count_frames_and_get_times_when_loaded_again(dataset_name, tmp_path):
    video = numbered(tmp_path / "plain.mp4")
    dataset = lp.load(video, dataset_name)
    label(dataset)
    dataset.delete_frame_field(TIME_S)
    assert read_poses(dataset, fields.PREDICTIONS).time_s[:3].tolist() == [0, 0.05, 0.1]
    assert len(lp.select(dataset, count=3).values("frames.id")[0]) == 3
    lp.load(video, dataset_name)
    assert video_times(dataset)[40] == dataset.first().frames[40][TIME_S] == pytest.approx(1.95)


def test_a_lost_copy_of_before_is_made_as_it_was(dataset_name, tmp_path):
    video = numbered(tmp_path / "vfr.mp4", setpts=VARYING)
    dataset = lp.load(video, dataset_name)
    copy, facts = Path(dataset.first().filepath), probe(video)
    playable_copy.write_copy(video, facts, copy, resampled=True)
    sample = dataset.first()
    sample.metadata.total_frame_count = probe(copy).frame_count
    sample.save()
    for number in list(sample.frames):
        sample.frames[number][TIME_S] = None
    sample.save()
    before = decoded_numbers(copy)
    copy.unlink()
    lp.load(video, dataset_name)
    assert decoded_numbers(copy) == before != list(range(1, 41))
