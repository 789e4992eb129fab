"""export writes every keypoint once, with corrections in place of predictions, or no file."""

import csv
import errno

import fiftyone as fo
import numpy as np
import pyarrow.parquet
import pytest

from cvat_bridge.poses import Pose
from fiftyone_legpose import legs
from fiftyone_legpose.dataset import keypoint_labels
from fiftyone_legpose.errors import DatasetError
from fiftyone_legpose.exports import trajectories
from fiftyone_legpose.exports.export import export
from tests.fiftyone_legpose.walking import SIZE, walk

FRAMES = 5


@pytest.fixture
def videos(dataset_name) -> fo.Dataset:
    """Two persons walk in video a and one in b; a person has corrected frames 2 and 3 of a."""
    dataset = fo.Dataset(dataset_name, media_type="video")
    for field in ("legpose", "ground_truth"):
        keypoint_labels.declare(dataset, field)
    walking = walk(FRAMES)
    metadata = fo.VideoMetadata(frame_width=SIZE[0], frame_height=SIZE[1], frame_rate=25.0)
    for name, persons in (("a", 2), ("b", 1)):
        sample = fo.Sample(
            filepath=f"/ward/miller/{name}.mp4", metadata=metadata, subject=f"s-{name}"
        )
        for i in range(FRAMES):
            guesses = [
                Pose(walking[i] + 300 * k, np.full(10, 2), np.full(10, 0.75), track_id=7 + k)
                for k in range(persons)
            ]
            sample.frames[i + 1] = fo.Frame(legpose=keypoint_labels.to_keypoints(guesses, SIZE))
        dataset.add_sample(sample)
    sample = dataset.first()
    fixed = walking[1] + 301
    fixed[0] = np.nan
    visibility = np.array([0, 1] + [2] * 8)
    sample.frames[2]["ground_truth"] = keypoint_labels.to_keypoints([Pose(fixed, visibility)], SIZE)
    sample.frames[3]["ground_truth"] = keypoint_labels.to_keypoints([], SIZE)
    sample.save()
    return dataset


def read(path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_every_keypoint_is_a_row(videos, tmp_path):
    summary = export(videos, tmp_path / "out" / "legs.csv")
    rows = read(tmp_path / "out" / "legs.csv")
    assert list(rows[0]) == trajectories.SCHEMA.names
    # Of video a: three frames with two persons, one with one, one empty; five of video b.
    assert len(rows) == summary.rows == (3 * 2 + 1 + 5) * 10
    assert (summary.frames, summary.corrected_frames) == (9, 2)
    keys = [(r["video"], r["frame"], r["track"], r["keypoint"]) for r in rows]
    assert len(set(keys)) == len(keys)
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["legs.csv"]


def test_a_predicted_row_says_where_and_when(videos, tmp_path):
    export(videos, tmp_path / "legs.csv")
    row = next(
        r for r in read(tmp_path / "legs.csv") if r["video"] == "b.mp4" and r["frame"] == "4"
    )
    x, y = walk(FRAMES)[3, 0]
    assert row == {
        "video": "b.mp4",
        "subject": "s-b",
        "frame": "4",
        "time_s": "0.12",
        "track": "7",
        "keypoint": "left_hip",
        "x_px": f"{x:.3f}".rstrip("0").rstrip("."),
        "y_px": f"{y:.3f}".rstrip("0").rstrip("."),
        "confidence": "0.75",
        "visibility": "2",
        "corrected": "false",
        "source": "predicted",
        "x_smooth_px": "",
        "y_smooth_px": "",
    }


def test_corrections_replace_the_predictions_of_their_frame(videos, tmp_path):
    export(videos, tmp_path / "legs.csv")
    rows = [r for r in read(tmp_path / "legs.csv") if r["video"] == "a.mp4"]
    second = [r for r in rows if r["frame"] == "2"]
    assert [r["keypoint"] for r in second] == list(legs.KEYPOINTS)
    assert {r["corrected"] for r in second} == {"true"}
    # The track of the predicted person who stands where the corrected one does.
    assert {r["track"] for r in second} == {"8"}
    assert (second[0]["x_px"], second[0]["visibility"]) == ("", "0")
    assert second[1]["visibility"] == "1"
    assert {r["confidence"] for r in second} == {""}
    assert not [r for r in rows if r["frame"] == "3"]


def test_a_later_prediction_that_numbers_anew_does_not_mix_two_people(videos, tmp_path):
    sample = videos.first()
    walking = walk(FRAMES)
    sent = [Pose(walking[1] + 300 * k, np.full(10, 2), track_id=8 - k) for k in (0, 1)]
    sample.frames[2]["ground_truth"] = keypoint_labels.to_keypoints(sent, SIZE)
    sample.save()
    export(videos, tmp_path / "legs.csv")
    rows = [r for r in read(tmp_path / "legs.csv") if r["video"] == "a.mp4"]
    left = {
        (r["frame"], r["track"]): float(r["x_px"]) for r in rows if r["keypoint"] == "right_hip"
    }
    assert left["1", "7"] < left["1", "8"]
    assert left["2", "7"] < left["2", "8"]


def export_with_a_person_nobody_found(videos, path, at: float) -> set[str]:
    """Correct frame 4 of video a, where track 8 was not found; the tracks of who is added there."""
    sample = videos.first()
    walking = walk(FRAMES)
    found = [Pose(walking[3], np.full(10, 2), track_id=7)]
    sample.frames[4]["legpose"] = keypoint_labels.to_keypoints(found, SIZE)
    added = Pose(walking[3] + at, np.full(10, 2), track_id=8)
    sample.frames[4]["ground_truth"] = keypoint_labels.to_keypoints([*found, added], SIZE)
    sample.save()
    export(videos, path)
    rows = [r for r in read(path) if (r["video"], r["frame"]) == ("a.mp4", "4")]
    assert len(rows) == 20
    return {r["track"] for r in rows} - {"7"}


def test_a_person_nobody_found_keeps_the_track_that_leads_past_her(videos, tmp_path):
    assert export_with_a_person_nobody_found(videos, tmp_path / "legs.csv", 320) == {"8"}


def test_a_person_nobody_found_stays_off_the_track_of_another(videos, tmp_path):
    # A new prediction has given the number that she was sent with to whoever walks at 300.
    assert export_with_a_person_nobody_found(videos, tmp_path / "legs.csv", -300) == {""}


def test_parquet_holds_the_same_as_csv(videos, tmp_path):
    export(videos, tmp_path / "legs.csv")
    export(videos, tmp_path / "legs.parquet")
    table = pyarrow.parquet.read_table(tmp_path / "legs.parquet")
    assert table.schema.equals(trajectories.SCHEMA)
    read_back = pyarrow.csv.read_csv(tmp_path / "legs.csv")
    assert read_back.num_rows == table.num_rows
    for name in ("x_px", "time_s", "track", "corrected", "keypoint"):
        assert read_back[name].to_pylist() == table[name].to_pylist(), name
    export(videos, tmp_path / "other", format="parquet")
    assert pyarrow.parquet.read_table(tmp_path / "other").equals(table)


def test_a_view_writes_its_own_frames(videos, tmp_path):
    ids = videos.values("frames.id")
    export(videos.select_frames([ids[0][3], ids[1][0]]), tmp_path / "legs.csv")
    found = {(r["video"], r["frame"]) for r in read(tmp_path / "legs.csv")}
    assert found == {("a.mp4", "4"), ("b.mp4", "1")}


def test_folders_stay_out_and_equal_names_are_told_apart(videos, tmp_path):
    paths = ["/ward/miller/a.mp4", "/ward/smith/a.mp4"]
    videos.set_values("filepath", paths)
    export(videos, tmp_path / "legs.csv")
    text = (tmp_path / "legs.csv").read_text()
    assert "miller" not in text and "smith" not in text
    assert {r["video"] for r in read(tmp_path / "legs.csv")} == {
        f"a.mp4#{i}" for i in videos.values("id")
    }


def test_a_video_is_called_the_same_in_an_export_of_its_own(videos, tmp_path):
    videos.set_values("filepath", ["/ward/miller/a.mp4", "/ward/smith/a.mp4"])
    export(videos[:1], tmp_path / "legs.csv")
    assert {r["video"] for r in read(tmp_path / "legs.csv")} == {f"a.mp4#{videos.first().id}"}


def test_a_playable_copy_bears_the_name_of_its_original(videos, tmp_path):
    videos.add_sample_field("source", fo.StringField)
    videos.set_values("source", ["/ward/miller/P01.mov", None])
    export(videos, tmp_path / "legs.csv")
    assert {r["video"] for r in read(tmp_path / "legs.csv")} == {"P01.mov", "b.mp4"}


def test_an_unknown_format_is_refused(videos, tmp_path):
    with pytest.raises(DatasetError, match="'yolo-pose': take one of csv, parquet, "):
        export(videos, tmp_path / "legs.zip", format="yolo-pose")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["legs.xls", "legs.xyz", "legs.CSV.bak"])
def test_an_unknown_ending_is_refused(videos, tmp_path, name):
    with pytest.raises(DatasetError, match=r"end it in one of \.events\.csv, "):
        export(videos, tmp_path / name)
    assert not list(tmp_path.glob("legs*"))


def test_a_name_that_contradicts_the_format_is_refused(videos, tmp_path):
    with pytest.raises(DatasetError, match=r"name it legs\.parquet, or take the format csv"):
        export(videos, tmp_path / "legs.csv", format="parquet")
    assert not list(tmp_path.iterdir())


def test_images_have_no_time(dataset_name, tmp_path):
    dataset = fo.Dataset(dataset_name)
    keypoint_labels.declare(dataset, "legpose")
    metadata = fo.ImageMetadata(width=SIZE[0], height=SIZE[1])
    for i in range(3):
        label = keypoint_labels.to_keypoints([Pose(walk(3)[i], np.full(10, 2))], SIZE)
        dataset.add_sample(fo.Sample(f"/x/{i}.jpg", metadata=metadata, legpose=label))
    summary = export(dataset, tmp_path / "legs.csv")
    rows = read(tmp_path / "legs.csv")
    assert summary.rows == len(rows) == 30
    assert {(r["time_s"], r["track"], r["confidence"], r["subject"]) for r in rows} == {("",) * 4}


def test_a_failure_leaves_the_old_file_and_no_half_one(videos, tmp_path, monkeypatch):
    target = tmp_path / "legs.csv"
    target.write_text("old")
    rows = trajectories._rows
    calls = []

    def fail_second(*args, **options):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return rows(*args, **options)

    monkeypatch.setattr(trajectories, "_rows", fail_second)
    with pytest.raises(KeyboardInterrupt):
        export(videos, target)
    assert [p.name for p in tmp_path.iterdir()] == ["legs.csv"]
    assert target.read_text() == "old"


@pytest.mark.parametrize(
    ("name", "reason"),
    [("out", "is a folder: name a file in it"), ("taken/legs.csv", "cannot be written: ")],
)
def test_a_place_that_cannot_be_written_is_named(videos, tmp_path, name, reason):
    (tmp_path / "out").mkdir()
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(DatasetError, match=f"{name} {reason}"):
        export(videos, tmp_path / name)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out", "taken"]


def test_a_full_disk_leaves_the_old_file(videos, tmp_path, monkeypatch):
    target = tmp_path / "legs.csv"
    target.write_text("old")

    def fill(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(trajectories, "_rows", fill)
    with pytest.raises(DatasetError, match=r"legs.csv cannot be written: No space left"):
        export(videos, target)
    assert [p.name for p in tmp_path.iterdir()] == ["legs.csv"]
    assert target.read_text() == "old"


def test_a_tilde_is_the_home_folder(videos, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert export(videos, "~/legs.csv").path == tmp_path / "legs.csv"
    assert [p.name for p in tmp_path.iterdir()] == ["legs.csv"]


def test_two_exports_to_one_file_at_a_time_do_not_mix(videos, tmp_path, monkeypatch):
    target = tmp_path / "legs.csv"
    rows = trajectories._rows
    nested = []

    def export_again(*args, **options):
        if not nested:
            nested.append(export)
            export(videos, target)
        return rows(*args, **options)

    monkeypatch.setattr(trajectories, "_rows", export_again)
    summary = export(videos, target)
    assert len(read(target)) == summary.rows
    assert [p.name for p in tmp_path.iterdir()] == ["legs.csv"]


def test_what_was_never_predicted_does_not_replace_a_file(videos, tmp_path):
    target = tmp_path / "legs.csv"
    target.write_text("old")
    for field in ("legpose", "ground_truth"):
        videos.clear_frame_field(field)
    with pytest.raises(DatasetError, match="no frame has predictions in 'legpose'"):
        export(videos, target)
    assert target.read_text() == "old"


def test_poses_of_another_skeleton_are_refused(dataset_name, tmp_path):
    dataset = fo.Dataset(dataset_name)
    body = fo.Keypoints(keypoints=[fo.Keypoint(points=[(0.5, 0.5)] * 17)])
    metadata = fo.ImageMetadata(width=SIZE[0], height=SIZE[1])
    dataset.add_sample(fo.Sample("/x/1.jpg", metadata=metadata, body=body))
    with pytest.raises(DatasetError, match="the poses in 'body' have 17 keypoints, the legs have"):
        export(dataset, tmp_path / "legs.csv", field="body")
    assert not list(tmp_path.iterdir())


def test_a_dataset_without_keypoints_is_refused(videos, tmp_path):
    with pytest.raises(DatasetError, match="no keypoints in 'x' nor in 'y'"):
        export(videos, tmp_path / "legs.csv", field="x", gt_field="y")
    assert not list(tmp_path.iterdir())
