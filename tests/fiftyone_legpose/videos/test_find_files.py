"""One file, however its name is written and whatever way leads to it."""

import os
import shutil
import unicodedata
from pathlib import Path

import cv2
import fiftyone as fo
import numpy as np
import pytest

from fiftyone_legpose.cvat.still_names import StillNames
from fiftyone_legpose.dataset import fields
from fiftyone_legpose.dataset.file_names import file_names
from fiftyone_legpose.dataset.pose_table import read_poses
from fiftyone_legpose.errors import DatasetError, NothingLoadedError
from fiftyone_legpose.videos.find_files import find_files
from fiftyone_legpose.videos.load import load, load_summary
from fiftyone_legpose.videos.stills import extract_frames
from fiftyone_legpose.videos.subjects import subject_lookup


def picture(path: Path, grey: int = 90) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full((48, 64, 3), grey, np.uint8))
    return path


def test_a_link_into_a_store_counts_by_its_own_name(dataset_name, tmp_path):
    store = picture(tmp_path / "store" / "0a1b.png").rename(tmp_path / "store" / "0a1b")
    for folder in ("P07", "P08"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "walk.png").symlink_to(store)
    dataset = load([tmp_path / "P07", tmp_path / "P08"], dataset_name, subject=r"(P\d+)")
    assert file_names(dataset) == ["walk.png", "walk.png"]
    assert dataset.values(fields.SUBJECT) == ["P07", "P08"]


def test_another_way_to_a_known_file_adds_nothing(dataset_name, tmp_path):
    picture(tmp_path / "videos" / "walk.png")
    (tmp_path / "way").symlink_to(tmp_path / "videos")
    (tmp_path / "videos" / "latest.png").symlink_to(tmp_path / "videos" / "walk.png")
    load(tmp_path / "way", dataset_name)
    load(tmp_path / "videos", dataset_name)
    dataset = load(tmp_path / "videos" / ".." / "way", dataset_name)
    assert file_names(dataset) == ["walk.png"]
    assert load_summary(dataset).known == 1


def test_a_link_that_was_stored_as_what_it_leads_to_is_known(dataset_name, tmp_path):
    store = picture(tmp_path / "store" / "0a1b.png")
    (tmp_path / "walk.png").symlink_to(store)
    load(store, dataset_name)
    assert len(load(tmp_path / "walk.png", dataset_name)) == 1


def test_a_link_without_its_content_is_named(tmp_path):
    picture(tmp_path / "here.png")
    (tmp_path / "there.png").symlink_to(tmp_path / "nowhere")
    _, images, [skipped] = find_files(tmp_path)
    assert [path.name for path in images] == ["here.png"]
    assert "content is not here" in skipped["reason"]


def test_a_name_in_another_encoding_is_skipped_and_named(dataset_name, tmp_path):
    good = picture(tmp_path / "ok.png")
    shutil.copy(good, os.fsencode(tmp_path) + b"/M\xfcde.png")
    dataset = load(tmp_path, dataset_name)
    [skipped] = load_summary(dataset).skipped
    assert skipped["path"].endswith("M\\xfcde.png")
    assert "rename it" in skipped["reason"]
    good.unlink()
    with pytest.raises(NothingLoadedError, match="not in UTF-8"):
        load(tmp_path, f"{dataset_name}-none")


@pytest.mark.parametrize("name", ["患者", "---", "Gait Lab"])
def test_a_name_that_no_dataset_can_have(dataset_name, tmp_path, name):
    picture(tmp_path / "ok.png")
    taken = load(tmp_path, "gait-lab")
    try:
        with pytest.raises(DatasetError, match="cannot be named"):
            load(tmp_path, name)
    finally:
        taken.delete()
    assert name not in fo.list_datasets()


@pytest.mark.parametrize(
    "path", ["P07_walk.mp4", "P07/walk.mp4", "P07/s1/cam2/walk.mp4", "x/P07/P08/P07/2/walk.mp4"]
)
def test_a_subject_is_found_in_any_folder_the_nearest_first(path):
    assert subject_lookup(r"(P\d+)")(Path("/data/study") / path) == "P07"


def test_a_table_of_subjects_reads_names_in_any_spelling_and_depth():
    table = {unicodedata.normalize("NFD", "Müde.mp4"): "P1", "p02/s1/walk.mp4 ": "P2"}
    of = subject_lookup(table)
    assert of(Path("/d/müde.mp4")) == "P1"
    assert of(Path("/d/P02/s1/walk.mp4")) == "P2"
    assert of(Path("/d/P03/s1/walk.mp4")) is None


def test_a_label_finds_its_picture_in_another_spelling(dataset_name, tmp_path):
    for name in ("müde 01", "walk", "Walk"):
        picture(tmp_path / f"{name}.png")
    dataset = load(tmp_path, dataset_name)
    table = read_poses(dataset, fields.GROUND_TRUTH)
    names = StillNames(dataset, table)
    found = names.find(unicodedata.normalize("NFD", "Müde%2001"))
    assert found is not None
    assert Path(table.filepaths[found]).stem == "müde 01"
    assert names.find("walk") != names.find("Walk")
    assert names.find("WALK") is None


def test_a_folder_with_a_percent_sign_takes_stills(short_clip, tmp_path):
    stills = extract_frames(short_clip, tmp_path / "100%d of %20")
    assert [path.name for path in stills][:2] == ["short_00001.jpg", "short_00002.jpg"]


def test_videos_that_a_disk_takes_for_one_give_no_stills(short_clip, tmp_path):
    for name in ("Walk.mp4", "walk.mp4"):
        shutil.copy(short_clip, tmp_path / name)
    with pytest.raises(DatasetError, match="some disks take for one"):
        extract_frames(tmp_path, tmp_path / "stills")
