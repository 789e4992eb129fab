import os
import re
import shutil
from pathlib import Path

import cv2
import fiftyone as fo
import pytest

import fiftyone_legpose as lp
from fiftyone_legpose import legs
from fiftyone_legpose.dataset import fields
from fiftyone_legpose.dataset.fields import SOURCE, SOURCE_BYTES
from fiftyone_legpose.errors import DatasetError, MissingToolError, NothingLoadedError
from fiftyone_legpose.videos import probe
from fiftyone_legpose.videos.load import load_summary
from tests.conftest import make_clip, smallest_files


@pytest.fixture
def folder(short_clip: Path, tmp_path: Path) -> Path:
    """Three good videos and three that cannot be used."""
    videos = tmp_path / "videos"
    (videos / "nested").mkdir(parents=True)
    for name in ("P01_walk.mp4", "P02_walk.mp4", "nested/P03 walk ü.mp4"):
        shutil.copy(short_clip, videos / name)
    (videos / "empty.mp4").touch()
    (videos / "text.mov").write_text("no video")
    (videos / "cut.mp4").write_bytes(short_clip.read_bytes()[:3000])
    (videos / "notes.txt").write_text("not looked at")
    return videos


def test_load_sets_up_a_persistent_dataset(folder, dataset_name):
    dataset = lp.load(folder, dataset_name, subject=r"(P\d+)")
    assert fo.load_dataset(dataset_name).persistent
    assert len(dataset) == 3
    assert dataset.count("frames") == 36
    assert dataset.distinct(fields.SUBJECT) == ["P01", "P02", "P03"]
    assert dataset.skeletons[fields.PREDICTIONS].labels == list(legs.KEYPOINTS)
    assert {fields.PREDICTIONS, fields.BOXES, fields.GROUND_TRUTH} <= set(
        dataset.get_frame_field_schema()
    )
    assert dataset.values("metadata.total_frame_count") == [12, 12, 12]


def test_what_cannot_be_read_is_listed_with_its_reason(folder, dataset_name):
    summary = load_summary(lp.load(folder, dataset_name))
    reasons = {Path(item["path"]).name: item["reason"] for item in summary.skipped}
    assert set(reasons) == {"empty.mp4", "text.mov", "cut.mp4"}
    assert "empty" in reasons["empty.mp4"]


def test_loading_twice_adds_nothing(folder, dataset_name):
    lp.load(folder, dataset_name)
    dataset = lp.load([folder / "P01_walk.mp4", str(folder / "*.mp4"), folder], dataset_name)
    assert len(dataset) == 3
    assert load_summary(dataset).added == 0
    assert load_summary(dataset).known == 3


def test_nothing_loaded_is_an_error_and_leaves_no_dataset(tmp_path, dataset_name):
    (tmp_path / "a.mp4").touch()
    with pytest.raises(NothingLoadedError, match=r"a\.mp4: the file is empty"):
        lp.load(tmp_path, dataset_name)
    assert not fo.dataset_exists(dataset_name)
    with pytest.raises(NothingLoadedError, match="no such file"):
        lp.load(tmp_path / "nowhere.mp4", dataset_name)


def test_a_copy_remembers_its_original(folder, dataset_name):
    original = folder / "old.avi"
    make_clip(folder / "P01_walk.mp4", original, "-c:v", "mjpeg")
    dataset = lp.load(original, dataset_name)
    sample = dataset.first()
    assert sample[SOURCE] == str(original)
    assert sample.filepath != str(original)
    assert lp.load(original, dataset_name).count() == 1


@pytest.mark.parametrize("kind", ["name", "csv", "mapping", "compiled"])
def test_subjects_come_from_a_name_a_table_or_a_pattern(kind, folder, dataset_name, tmp_path):
    table = tmp_path / "subjects.csv"
    table.write_text("file,subject\nP01_walk.mp4,anna\nP02_walk,bo\n", encoding="utf-8-sig")
    subject, expected = {
        "name": ("carl", ["carl", "carl"]),
        "csv": (str(table), ["anna", "bo"]),
        "mapping": ({"P01_walk": "x"}, ["x", None]),
        "compiled": (re.compile("_(w)alk"), ["w", "w"]),
    }[kind]
    videos = [folder / "P01_walk.mp4", folder / "P02_walk.mp4"]
    assert lp.load(videos, dataset_name, subject=subject).values(fields.SUBJECT) == expected


def test_a_subject_that_is_told_later_is_noted(folder, dataset_name):
    original = make_clip(folder / "P01_walk.mp4", folder / "P04.avi", "-c:v", "mjpeg")
    lp.load([folder / "P02_walk.mp4", original], dataset_name)
    dataset = lp.load(folder, dataset_name, subject=r"(P\d+)")
    assert load_summary(dataset).known == 2
    assert dataset.distinct(fields.SUBJECT) == ["P01", "P02", "P03", "P04"]
    assert None not in dataset.values(fields.SUBJECT)


def test_a_pattern_of_folders_loads_what_is_in_them(folder, dataset_name):
    dataset = lp.load(str(folder / "nest*"), dataset_name)
    assert [Path(path).name for path in dataset.values("filepath")] == ["P03 walk ü.mp4"]


@pytest.mark.parametrize(
    "subject", ["(unclosed", r"P\d+", "missing.csv", "latin.csv", re.compile("no")]
)
def test_a_bad_subject_is_named(subject, folder, dataset_name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("latin.csv").write_bytes("file,subject\nP01_walk.mp4,Jörg\n".encode("latin-1"))
    with pytest.raises(DatasetError):
        lp.load(folder, dataset_name, subject=subject)
    assert not fo.dataset_exists(dataset_name)


def test_images_make_an_image_dataset_and_kinds_do_not_mix(short_clip, dataset_name, tmp_path):
    stills = lp.extract_frames(
        short_clip, tmp_path / "stills", fps=10, dataset=dataset_name, subject="eve"
    )
    assert [p.name for p in stills] == [f"short_{n:05d}.jpg" for n in range(1, 7)]
    assert cv2.imread(str(stills[0])).shape == (264, 304, 3)
    dataset = fo.load_dataset(dataset_name)
    assert dataset.media_type == "image"
    assert dataset.distinct("video") == ["short"]
    assert dataset.distinct(fields.SUBJECT) == ["eve"]
    with pytest.raises(DatasetError, match="holds images"):
        lp.load(short_clip, dataset_name)


def test_broken_images_are_skipped(short_clip, dataset_name, tmp_path):
    stills = lp.extract_frames(short_clip, tmp_path, fps=5)
    stills[0].write_bytes(stills[0].read_bytes()[:500])
    dataset = lp.load(tmp_path, dataset_name)
    assert len(dataset) == len(stills) - 1
    assert load_summary(dataset).skipped[0]["path"] == str(stills[0])


def test_an_image_too_large_to_be_true_is_skipped(short_clip, dataset_name, tmp_path, monkeypatch):
    lp.extract_frames(short_clip, tmp_path, fps=5)
    monkeypatch.setattr("PIL.Image.MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(NothingLoadedError, match="decompression bomb"):
        lp.load(tmp_path, dataset_name)


def test_videos_of_one_name_do_not_replace_each_others_stills(folder, tmp_path):
    shutil.copy(folder / "P01_walk.mp4", folder / "nested" / "P01_walk.mp4")
    with pytest.raises(DatasetError, match="one name"):
        lp.extract_frames(folder, tmp_path / "stills")
    assert not (tmp_path / "stills").exists()


@pytest.mark.skipif(os.name == "nt", reason="Windows limits no file sizes")
def test_a_disk_that_takes_no_more_is_named_and_not_the_video(short_clip, dataset_name, tmp_path):
    original = make_clip(short_clip, tmp_path / "old.avi", "-c:v", "mjpeg")
    with smallest_files():
        with pytest.raises(DatasetError, match=r"stills cannot be written: File too large"):
            lp.extract_frames(short_clip, tmp_path / "stills", fps=5)
        with pytest.raises(NothingLoadedError, match=r"playable copy .* written: File too large"):
            lp.load(original, dataset_name)
    assert not list((tmp_path / "stills").iterdir())


def test_videos_that_give_no_stills_are_told(folder, tmp_path, caplog):
    lp.extract_frames(folder, tmp_path / "stills", fps=5)
    assert "empty.mp4: the file is empty" in caplog.text


def test_stills_of_two_rates_are_not_mixed(short_clip, tmp_path):
    before = {
        still: still.read_bytes() for still in lp.extract_frames(short_clip, tmp_path, fps=10)
    }
    for fps in (5, 20):
        with pytest.raises(DatasetError, match="other stills of short, such as short_0000"):
            lp.extract_frames(short_clip, tmp_path, fps=fps)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
    (tmp_path / "short_00006.jpg").unlink()  # as an interruption leaves them
    assert lp.extract_frames(short_clip, tmp_path, fps=10) == list(before)
    (tmp_path / "short_walk_00099.jpg").touch()
    assert len(lp.extract_frames(short_clip, tmp_path, fps=10)) == len(before)


def test_stills_that_are_extracted_again_keep_their_subjects(short_clip, dataset_name, tmp_path):
    for subject in ("eve", None, {"other.mp4": "P07"}):
        lp.extract_frames(short_clip, tmp_path, fps=5, dataset=dataset_name, subject=subject)
    assert fo.load_dataset(dataset_name).distinct(fields.SUBJECT) == ["eve"]


def test_an_empty_dataset_stays_when_nothing_can_be_loaded(dataset_name, tmp_path):
    fo.Dataset(dataset_name)
    with pytest.raises(NothingLoadedError):
        lp.load(tmp_path, dataset_name)
    assert fo.dataset_exists(dataset_name)


def test_stills_of_a_slow_video_are_its_frames(short_clip, tmp_path):
    assert len(lp.extract_frames(short_clip, tmp_path, fps=30)) == 12
    with pytest.raises(DatasetError, match="fps"):
        lp.extract_frames(short_clip, tmp_path, fps=0)


def test_a_file_that_was_replaced_under_its_name_is_refused(folder, dataset_name, sample_clip):
    plain, restored, old = (folder / n for n in ("P01_walk.mp4", "P02_walk.mp4", "old.avi"))
    make_clip(plain, old, "-c:v", "mjpeg")
    lp.load([plain, restored, old], dataset_name)
    shutil.copy(sample_clip, plain)
    make_clip(sample_clip, old, "-c:v", "mjpeg")
    os.utime(restored)
    dataset = lp.load([plain, restored, old], dataset_name)
    summary = load_summary(dataset)
    assert (len(dataset), summary.added, summary.known) == (3, 0, 1)
    assert {item["path"] for item in summary.skipped} == {str(plain), str(old)}
    assert all("changed since it was loaded" in item["reason"] for item in summary.skipped)


def test_a_dataset_of_before_sizes_were_noted_goes_on(folder, dataset_name):
    old = make_clip(folder / "P01_walk.mp4", folder / "old.avi", "-c:v", "mjpeg")
    dataset = lp.load([folder / "P01_walk.mp4", old], dataset_name)
    dataset.delete_sample_field(SOURCE_BYTES)
    lp.load(folder, dataset_name)
    assert (load_summary(dataset).known, load_summary(dataset).added) == (2, 2)


@pytest.mark.parametrize("kind", ["pattern", "mapping"])
def test_a_folder_a_patient_tells_the_subjects(kind, short_clip, dataset_name, tmp_path):
    for name in ("P01", "P02"):
        (tmp_path / name).mkdir()
        shutil.copy(short_clip, tmp_path / name / "walk.mp4")
    table = {"P01/walk.mp4": "P01", "P02\\walk": "P02", "walk.mp4": "nobody"}
    subject = r"(P\d+)" if kind == "pattern" else table
    dataset = lp.load(tmp_path, dataset_name, subject=subject)
    assert dataset.values(fields.SUBJECT) == ["P01", "P02"]


@pytest.mark.parametrize(
    "text",
    ["file;subject\nM\u00fcller.mp4;P01\n", " file , subject \n M\u00fcller.mp4 ,P01 \n"],
    ids=["semicolons", "spaces"],
)
def test_a_table_finds_the_file_however_both_are_written(text, short_clip, dataset_name, tmp_path):
    # A Mac writes the umlaut of a file name as two characters.
    shutil.copy(short_clip, tmp_path / "Mu\u0308ller.mp4")
    (tmp_path / "subjects.csv").write_text(text, encoding="utf-8")
    dataset = lp.load(tmp_path, dataset_name, subject=tmp_path / "subjects.csv")
    assert dataset.values(fields.SUBJECT) == ["P01"]
    assert load_summary(dataset).without_subject == []


def test_files_without_a_subject_are_told(folder, dataset_name, caplog):
    first, second = folder / "P01_walk.mp4", folder / "P02_walk.mp4"
    dataset = lp.load([first, second], dataset_name, subject={"P01_walk": "x", "P02_walk": " "})
    summary = load_summary(dataset)
    assert summary.without_subject == [str(second)]
    assert summary.notes == [f"1 file without a subject: {second}"]
    # Whom the first file shows was told before.
    lp.load([first, second], dataset_name, subject={"P03": "y"})
    assert load_summary(dataset).without_subject == [str(second)]
    lp.load([first, second], dataset_name)
    assert load_summary(dataset).without_subject == []
    lp.extract_frames([first, second], folder / "stills", fps=1, subject={"P01_walk": "x"})
    assert f"1 file without a subject: {second}" in caplog.text


def test_known_files_that_are_gone_from_their_place_are_told(folder, dataset_name):
    moved = folder.with_name("moved")
    dataset = lp.load(folder, dataset_name)
    places = [sample[SOURCE] for sample in dataset]
    folder.rename(moved)
    lp.load(moved, dataset_name)
    summary = load_summary(dataset)
    assert (summary.added, summary.gone) == (3, places)
    [note] = summary.notes
    assert f"3 known files are gone from their place, the first of them {places[0]}" in note


def test_a_playable_copy_that_is_gone_is_made_again(folder, dataset_name):
    original = make_clip(folder / "P01_walk.mp4", folder / "old.avi", "-c:v", "mjpeg")
    dataset = lp.load(original, dataset_name)
    copy = Path(dataset.first().filepath)
    copy.unlink()
    # As when the recording came back from a backup: the name of a new copy would be another.
    os.utime(original)
    lp.load(original, dataset_name)
    assert probe.probe(copy).frame_count == dataset.first().metadata.total_frame_count == 12
    summary = load_summary(dataset)
    assert (len(dataset), summary.known) == (1, 1)
    assert summary.copied == [{"path": str(original), "reason": "its copy was gone"}]


def test_a_copy_with_other_frames_than_the_labels_is_refused(folder, dataset_name, monkeypatch):
    original = make_clip(folder / "P01_walk.mp4", folder / "old.avi", "-c:v", "mjpeg")
    dataset = lp.load(original, dataset_name)
    sample = dataset.first()
    sample.metadata.total_frame_count = 14
    sample.save()
    Path(sample.filepath).unlink()
    lp.load(original, dataset_name)
    [item] = load_summary(dataset).skipped
    assert "has 12 frames" in item["reason"]
    assert not Path(sample.filepath).exists()


def test_videos_of_other_types_are_copied_and_pictures_of_others_told(
    short_clip, dataset_name, tmp_path
):
    names = ("a.3gp", "b.MTS", "c.m2ts", "d.mpg", "e.wmv")
    for name in names:
        make_clip(short_clip, tmp_path / name, "-r", "25", "-s", "176x144", "-an")
    (tmp_path / "f.heic").write_bytes(b"a picture")
    (tmp_path / "notes.txt").touch()
    dataset = lp.load(tmp_path, dataset_name)
    assert [Path(path).name for path in dataset.values(SOURCE)] == list(names)
    assert [Path(item["path"]).name for item in load_summary(dataset).copied] == list(names)
    [skipped] = load_summary(dataset).skipped
    assert Path(skipped["path"]).name == "f.heic"
    assert "save it as JPEG" in skipped["reason"]
    with pytest.raises(NothingLoadedError, match="save it as JPEG"):
        lp.load(tmp_path / "*.heic", f"{dataset_name}-pictures")


def test_a_load_that_breaks_off_leaves_no_empty_dataset(
    short_clip, dataset_name, tmp_path, monkeypatch
):
    original = make_clip(short_clip, tmp_path / "old.avi", "-c:v", "mjpeg")
    with monkeypatch.context() as patch, pytest.raises(MissingToolError, match="ffprobe"):
        patch.setenv("PATH", "")
        lp.load(original, dataset_name)
    assert not fo.dataset_exists(dataset_name)
    monkeypatch.setattr("fiftyone_legpose.videos.load.copies_folder", lambda: original / "copies")
    with pytest.raises(NothingLoadedError, match="copies"):
        lp.load(original, dataset_name)
    assert not fo.dataset_exists(dataset_name)
    fo.Dataset(dataset_name)
    with pytest.raises(NothingLoadedError, match="copies"):
        lp.load(original, dataset_name)
    assert fo.dataset_exists(dataset_name)
