import io
import json
import zipfile
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from cvat_bridge import archives
from cvat_bridge.errors import FormatError
from cvat_bridge.poses import Pose
from cvat_bridge.yolo_pose import (
    Frame,
    PoseSet,
    mirrored,
    read_yolo_pose,
    write_yolo_pose,
)

SIZE_4K = (3840, 2160)
LINE = "0 0.5 0.5 0.4 0.4 0.25 0.5 2 0.75 0.5 1 0.0 0.0 0"
CONFIG = {"train": "train.txt", "kpt_shape": [3, 3], "names": {0: "legs"}, "path": "."}


def make_zip(path: Path, members: dict[str, str | bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def make_folder(path: Path, members: dict[str, str | bytes]) -> Path:
    for name, data in members.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def members(line: str = LINE, listed: str = "data/images/train/a.jpg\n", **config) -> dict:
    return {
        "data.yaml": yaml.safe_dump({**CONFIG, **config}),
        "train.txt": listed,
        "labels/train/a.txt": line + "\n",
    }


def png(width: int, height: int, **options) -> bytes:
    data = io.BytesIO()
    PIL.Image.new("RGB", (width, height)).save(data, "PNG", **options)
    return data.getvalue()


@st.composite
def poses(draw, count: int = 4, width: int = SIZE_4K[0], height: int = SIZE_4K[1]):
    """Poses with any visibility, partly outside of the picture, absent points with and without
    coordinates."""
    rows = []
    for _ in range(count):
        x = draw(st.floats(-0.5 * width, 1.5 * width, allow_nan=False))
        y = draw(st.floats(-0.5 * height, 1.5 * height, allow_nan=False))
        seen = draw(st.sampled_from([0, 1, 2, -1]))
        rows.append((np.nan, np.nan, 0) if seen < 0 else (x, y, seen))
    table = np.array(rows, float)
    return Pose(table[:, :2], table[:, 2].astype(int))


# What a real server wrote and accepted


def test_export_of_a_server_equals_what_its_api_says(recordings: Path):
    read = read_yolo_pose(recordings / "exports" / "task_yolo_pose_noimg.zip", normalized=True)
    assert read.labels == ("legs",)
    assert read.keypoint_count == 10
    assert list(read.frames) == [f"frame_{i:06d}" for i in range(6)]
    assert [len(frame.poses) for frame in read.frames.values()] == [1, 1, 1, 2, 1, 0]
    assert {frame.subset for frame in read.frames.values()} == {"Train"}

    answer = json.loads(next(recordings.glob("013_*.json")).read_text())["exchanges"][-1]
    shapes = answer["response_body"]["json"]["shapes"]
    sized = read_yolo_pose(
        recordings / "exports" / "task_yolo_pose_noimg.zip",
        sizes=dict.fromkeys(read.frames, (640, 480)),
    )
    ids = sorted({e["label_id"] for shape in shapes for e in shape["elements"]})
    unmatched = [pose for frame in sized.frames.values() for pose in frame.poses]
    for shape in shapes:
        elements = {element["label_id"]: element for element in shape["elements"]}
        pose = Pose(
            [elements[i]["points"] for i in ids],
            [0 if (e := elements[i])["outside"] else 2 - e["occluded"] for i in ids],
        )
        candidates = sized.frames[f"frame_{shape['frame']:06d}"].poses
        found = [other for other in candidates if pose.matches(other, within_px=0.01)]
        assert len(found) == 1
        np.testing.assert_allclose(found[0].points, pose.points, atol=0.01)  # outside ones too
        unmatched = [other for other in unmatched if other is not found[0]]
    assert unmatched == []


def test_sizes_come_from_the_pictures_in_the_export(recordings: Path):
    read = read_yolo_pose(recordings / "exports" / "task_yolo_pose_img.zip")
    frame = read.frames["frame_000000"]
    assert frame.size == (640, 480)
    assert frame.image == "images/Train/frame_000000.jpg"
    np.testing.assert_allclose(frame.poses[0].points[0], (224, 97), atol=0.01)


def test_absent_points_are_nan_and_outside_points_keep_their_place(recordings: Path):
    absent = read_yolo_pose(recordings / "exports" / "partial.zip", normalized=True)
    (pose,) = absent.frames["frame_000000"].poses
    assert pose.visibility.tolist() == [2] * 7 + [0] * 3
    assert np.isnan(pose.points[7:]).all()
    outside = read_yolo_pose(
        recordings / "exports" / "task_yolo_pose_noimg.zip", normalized=True
    ).frames["frame_000004"]
    assert not outside.poses[0].visibility.any()
    assert np.isfinite(outside.poses[0].points).all()


def test_a_project_of_several_subsets_keeps_frames_of_one_name_apart(recordings: Path):
    read = read_yolo_pose(recordings / "exports" / "project_mixed_subsets.zip", normalized=True)
    assert {"Train/frame_000000", "Validation/frame_000000", "frame_000012"} <= set(read.frames)
    only = read_yolo_pose(
        recordings / "exports" / "project_mixed_subsets.zip", normalized=True, subset="Validation"
    )
    assert {frame.subset for frame in only.frames.values()} == {"Validation"}


def test_of_two_skeletons_one_is_chosen_and_loses_its_padding(recordings: Path):
    source = recordings / "exports" / "two_skeletons.zip"
    both = read_yolo_pose(source, normalized=True).frames["frame_000000"]
    assert both.labels == ("tri", "legs")
    one = read_yolo_pose(source, normalized=True, label="tri", keypoint_count=3)
    (pose,) = one.frames["frame_000000"].poses
    assert pose.visibility.tolist() == [2, 2, 2]
    with pytest.raises(FormatError, match="10 keypoints, but 3"):
        read_yolo_pose(source, normalized=True, label="legs", keypoint_count=3)
    with pytest.raises(FormatError, match="no class 'arms', only legs, tri"):
        read_yolo_pose(source, normalized=True, label="arms")


@pytest.mark.parametrize(
    ("name", "frames", "people"),
    [
        ("04_plain_kptnames", 5, 6),
        ("05_plain", 5, 6),
        ("07_two_values", 6, 6),
        ("32_two_yaml", 6, 6),
        ("33_nested", 6, 6),
        ("34_extra_mac", 6, 6),
        ("35_outside_image", 6, 6),
        ("52_list_noprefix", 6, 6),
        ("53_list_dotslash", 6, 6),
        ("54_yaml_list", 6, 6),
        ("55_nc", 6, 6),
        ("57_abs", 6, 6),
        ("58_names_list", 6, 6),
        ("59_train_val", 4, 5),
        ("60_decimals", 1, 1),
    ],
)
def test_every_layout_that_is_in_use(recordings: Path, name: str, frames: int, people: int):
    read = read_yolo_pose(recordings / "imports" / f"{name}.zip", normalized=True)
    assert len(read.frames) == frames
    assert sum(len(frame.poses) for frame in read.frames.values()) == people
    assert set(read.frames) <= {f"frame_{i:06d}" for i in range(6)}


def test_labels_that_no_list_names_are_left_out_and_named(recordings: Path):
    read = read_yolo_pose(recordings / "imports" / "31_list_without_frame.zip", normalized=True)
    assert list(read.frames) == ["frame_000000"]
    assert len(read.unlisted) == 4


def test_track_ids_and_points_without_visibility(recordings: Path):
    tracks = read_yolo_pose(recordings / "imports" / "62_tracks.zip", normalized=True)
    assert tracks.frames["frame_000001"].poses[0].track_id == 7
    plain = read_yolo_pose(recordings / "imports" / "07_two_values.zip", normalized=True)
    assert plain.frames["frame_000000"].poses[0].visibility.tolist() == [2] * 10


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("21_kpt17", r"labels/Train/frame_000000.txt, line 1: 35 numbers"),
        ("23_no_kpt", "data.yaml has no kpt_shape"),
        ("24_no_yaml", "needs a data.yaml"),
        ("25_class1", "line 1: class 1 has no name"),
        ("26_short_line", "line 1: 5 numbers"),
        ("28_vis3", "line 1: visibility 3 of keypoint 9"),
        ("36_not_zip", "neither a folder nor a zip"),
        ("61_nan", "line 1: nan is not a position"),
    ],
)
def test_what_is_wrong_is_named_by_file_and_line(recordings: Path, name: str, message: str):
    with pytest.raises(FormatError, match=message):
        read_yolo_pose(recordings / "imports" / f"{name}.zip", normalized=True)


# Reading


def test_a_listed_picture_without_labels_shows_nobody(tmp_path: Path):
    listed = "images/train/a.jpg\r\n\r\nimages/train/b.jpg\r\nimages/train/c.jpg\r\n"
    files = members(listed=listed) | {"labels/train/c.txt": "\n"}
    read = read_yolo_pose(make_zip(tmp_path / "x.zip", files), normalized=True)
    assert {name: len(frame.poses) for name, frame in read.frames.items()} == {
        "a": 1,
        "b": 0,
        "c": 0,
    }


def test_a_picture_turned_by_its_camera_has_the_size_that_is_shown(tmp_path: Path):
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    files = members() | {"images/train/a.png": png(40, 30, exif=exif)}
    files["train.txt"] = "images/train/a.png\n"
    read = read_yolo_pose(make_folder(tmp_path / "set", files))
    assert read.frames["a"].size == (30, 40)


@pytest.mark.parametrize("error", [None, ModuleNotFoundError("No module named 'pi_heif'")])
def test_a_picture_that_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error):
    # ultralytics replaces PIL.Image.open by one that asks for pi-heif before it gives up
    if error is not None:
        monkeypatch.setattr(PIL.Image, "open", lambda file: (_ for _ in ()).throw(error))
    files = members() | {"images/train/a.jpg": b"no picture"}
    with pytest.raises(FormatError, match=r"images/train/a\.jpg is not a picture"):
        read_yolo_pose(make_zip(tmp_path / "x.zip", files))


def test_roboflow_and_nested_layouts(tmp_path: Path):
    roboflow = {
        "export/data.yaml": yaml.safe_dump({**CONFIG, "train": "../train/images"}),
        "export/train/images/walk/a.b.png": png(20, 10),
        "export/train/labels/walk/a.b.txt": LINE,
    }
    read = read_yolo_pose(make_folder(tmp_path / "set", roboflow))
    assert list(read.frames) == ["walk/a.b"]
    np.testing.assert_allclose(read.frames["walk/a.b"].poses[0].points[:2], [(5, 5), (15, 5)])


def test_unknown_sizes_are_asked_for_and_found_by_name(tmp_path: Path):
    source = make_zip(tmp_path / "x.zip", members())
    with pytest.raises(FormatError, match="no picture for a, so its width and height"):
        read_yolo_pose(source)
    assert read_yolo_pose(source, sizes={"a": (200, 100)}).frames["a"].size == (200, 100)


def test_one_size_counts_for_all_pictures(recordings: Path):
    source = recordings / "exports" / "task_yolo_pose_noimg.zip"
    read = read_yolo_pose(source, sizes=(640, 480))
    names = list(read.frames)
    by_name = read_yolo_pose(source, sizes=dict.fromkeys(names, (640, 480)))
    assert {frame.size for frame in read.frames.values()} == {(640, 480)}
    assert [read.frames[n].poses for n in names] == [by_name.frames[n].poses for n in names]


@pytest.mark.parametrize(
    ("sizes", "told"),
    [
        ((0, 480), r"size of all pictures is \(0, 480\)"),
        ((640,), r"size of all pictures is \(640,\)"),
        ({"frame_000000": (640, -480)}, r"size of frame_000000 is \(640, -480\)"),
        ({"frame_000000": None}, "size of frame_000000 is None"),
        (640, "size of all pictures is 640"),
    ],
)
def test_a_size_that_is_none_is_refused(recordings: Path, sizes, told: str):
    source = recordings / "exports" / "task_yolo_pose_noimg.zip"
    with pytest.raises(FormatError, match=f"{told}: give .width, height. in px"):
        read_yolo_pose(source, sizes=sizes)


def test_points_at_zero_without_visibility_are_absent(tmp_path: Path):
    files = members("0 .5 .5 .4 .4 .1 .2 .3 .4 0 0", kpt_shape=[3, 2])
    (pose,) = read_yolo_pose(make_zip(tmp_path / "x.zip", files), normalized=True).frames["a"].poses
    assert pose.visibility.tolist() == [2, 2, 0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"line": LINE.replace("0.25", "nan")}, "line 1: nan"),
        ({"line": LINE.replace("0.25", "-inf")}, "line 1: -inf"),
        ({"line": LINE.replace("0.25", "1e300")}, "line 1: 1e300"),
        ({"line": LINE.replace("0.25", "x")}, "line 1: not all of it is numbers"),
        ({"line": "\n" + LINE + " 0.5"}, "line 2: .* no track id"),
        ({"line": LINE.replace("0 ", "0.5 ", 1)}, "class 0.5"),
        ({"kpt_shape": [3]}, "kpt_shape is"),
        ({"kpt_shape": [3, 4]}, "kpt_shape is"),
        ({"kpt_shape": [10**9, 3]}, "kpt_shape is"),
        ({"names": {1: "legs"}}, "names must be numbered"),
        ({"names": None}, "names must list"),
        ({"flip_idx": [0, 0, 1]}, "flip_idx"),
        ({"kpt_names": {0: ["a"]}}, "kpt_names"),
        ({"train": "missing.txt"}, None),
        ({"val": "missing.txt"}, "names the list missing.txt"),
        ({"listed": "images/train/a.jpg\nimages/train/a\n"}, "train.txt, line 2"),
        ({"listed": "images/train/a.jpg\nimages/train/a.png\n"}, "same name"),
        ({"listed": ""}, "lists no pictures"),
    ],
)
def test_bad_content(tmp_path: Path, change: dict, message: str | None):
    source = make_zip(tmp_path / "x.zip", members(**change))
    if message is None:  # tolerated: the folder of labels says it, or there is just nothing
        read_yolo_pose(source, normalized=True)
        return
    with pytest.raises(FormatError, match=message):
        read_yolo_pose(source, normalized=True)


def test_yaml_of_few_lines_cannot_fill_the_memory(tmp_path: Path):
    bomb = "a: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"b{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 12)
    )
    for key in ("kpt_shape", "names", "kpt_names", "flip_idx", "train"):
        text = "".join(f"{k}: {v}\n" for k, v in CONFIG.items() if k != key)
        files = members() | {"data.yaml": f"{bomb}{key}: [*a11, *a11, *a11]\n{text}"}
        source = make_zip(tmp_path / f"{key}.zip", files)
        with pytest.raises(FormatError, match=key):
            read_yolo_pose(source, normalized=True)


def test_yaml_cannot_run_code_or_exhaust_the_stack(tmp_path: Path):
    for name, text in {
        "tag": "kpt_shape: !!python/object/apply:os.getcwd []",
        "deep": "[" * 5_000,
        "scalar": "hello",
    }.items():
        source = make_zip(tmp_path / f"{name}.zip", members() | {"data.yaml": text})
        with pytest.raises(FormatError, match=r"data\.yaml"):
            read_yolo_pose(source, normalized=True)


# Zips from outside


@pytest.mark.parametrize(
    "name", ["../evil.txt", "/etc/evil.txt", "C:\\evil.txt", "a/..\\..\\b", "."]
)
def test_a_zip_that_leaves_its_folder_is_refused(tmp_path: Path, name: str):
    source = make_zip(tmp_path / "x.zip", members() | {name: "x"})
    with pytest.raises(FormatError, match="outside of its folder"):
        read_yolo_pose(source, normalized=True)


def test_links_and_doubles_are_refused(tmp_path: Path):
    source = make_zip(tmp_path / "x.zip", members())
    with zipfile.ZipFile(source, "a") as archive:
        link = zipfile.ZipInfo("labels/train/b.txt")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(FormatError, match="holds a link"):
        read_yolo_pose(source, normalized=True)
    source = make_zip(tmp_path / "y.zip", members())
    with (
        zipfile.ZipFile(source, "a") as archive,
        pytest.warns(UserWarning, match="Duplicate"),
    ):
        archive.writestr("data.yaml", "x: 1")
    with pytest.raises(FormatError, match="twice"):
        read_yolo_pose(source, normalized=True)


def test_bombs_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(archives, "_SMALL_BYTES", 2**20)
    source = make_zip(tmp_path / "x.zip", members() | {"big.txt": b"0" * 2**24})
    with pytest.raises(FormatError, match="made to fill a disk"):
        read_yolo_pose(source, normalized=True)
    monkeypatch.setattr(archives, "MAX_TEXT_BYTES", 2**10)
    source = make_zip(tmp_path / "y.zip", members((LINE + "\n") * 40))
    with pytest.raises(FormatError, match="longer than"):
        read_yolo_pose(source, normalized=True)
    monkeypatch.setattr(archives, "MAX_MEMBERS", 2)
    with pytest.raises(FormatError, match="3 files"):
        read_yolo_pose(source, normalized=True)


def test_a_zip_cut_short_or_damaged_is_an_error_of_its_own(tmp_path: Path):
    source = make_zip(tmp_path / "x.zip", members())
    whole = source.read_bytes()
    source.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(FormatError, match="download it again"):
        read_yolo_pose(source, normalized=True)
    place = whole.index(b"train.txt") + len("train.txt") + 3
    source.write_bytes(whole[:place] + b"\xff\xff\xff" + whole[place + 3 :])
    with pytest.raises(FormatError, match="cannot be read"):
        read_yolo_pose(source, normalized=True)


def test_a_damaged_lzma_member_is_an_error_of_its_own(tmp_path: Path):
    source = tmp_path / "x.zip"
    with zipfile.ZipFile(source, "w", zipfile.ZIP_LZMA) as archive:
        for name, data in members().items():
            archive.writestr(name, data)
    whole = source.read_bytes()
    place = whole.index(b"train.txt") + len("train.txt") + 9  # behind the filter's properties
    source.write_bytes(whole[:place] + b"\xff" * 8 + whole[place + 8 :])
    with pytest.raises(FormatError, match=r"train\.txt cannot be read"):
        read_yolo_pose(source, normalized=True)
    with pytest.raises(FormatError, match="cannot be unpacked"):
        archives.unpack(source, tmp_path / "x")


def test_unpacking_is_checked_too(tmp_path: Path):
    good = make_zip(tmp_path / "x.zip", members() | {"__MACOSX/._a": "junk"})
    folder = archives.unpack(good, tmp_path / "x")
    assert read_yolo_pose(folder, normalized=True).frames.keys() == {"a"}
    assert not (folder / "__MACOSX").exists()
    with pytest.raises(FormatError, match="exists"):
        archives.unpack(good, tmp_path / "x")
    bad = make_zip(tmp_path / "y.zip", members() | {"../evil.txt": "x"})
    with pytest.raises(FormatError, match="outside of its folder"):
        archives.unpack(bad, tmp_path / "y")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x", "x.zip", "y.zip"]


# Writing


def pose_set(*frames: Frame, count: int = 4, **options) -> PoseSet:
    return PoseSet(
        labels=("legs",),
        keypoint_count=count,
        frames={f"{frame.subset}/{frame.name}": frame for frame in frames},
        **options,
    )


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(poses(), max_size=3), min_size=1, max_size=4))
def test_round_trip_for_cvat(tmp_path_factory: pytest.TempPathFactory, frames):
    folder = tmp_path_factory.mktemp("round")
    data = pose_set(*(Frame(f"f{i}", p, SIZE_4K, "train") for i, p in enumerate(frames)))
    written = write_yolo_pose(folder / "x.zip", data)
    assert (written.frames, written.poses) == (len(frames), sum(map(len, frames)))
    read = read_yolo_pose(folder / "x.zip", sizes={f"f{i}": SIZE_4K for i in range(len(frames))})
    assert list(read.frames) == [f"f{i}" for i in range(len(frames))]
    for before, after in zip(frames, read.frames.values(), strict=True):
        assert len(before) == len(after.poses)
        for a, b in zip(before, after.poses, strict=True):
            assert a.matches(b, within_px=0.01)


@settings(max_examples=60, deadline=None)
@given(st.lists(poses(width=100, height=50), min_size=1, max_size=3))
def test_ultralytics_accepts_whatever_is_written_for_training(
    tmp_path_factory: pytest.TempPathFactory, people
):
    from ultralytics.data.utils import verify_image_label

    folder = tmp_path_factory.mktemp("train")
    picture = folder / "p.png"
    picture.write_bytes(png(100, 50))
    frame = Frame("a", people, (100, 50), "train", str(picture))
    written = write_yolo_pose(
        folder / "set", pose_set(frame), flavour="ultralytics", include_images=True
    )
    image, text = folder / "set/images/train/a.png", folder / "set/labels/train/a.txt"
    _, labels, *_, keypoints, _, _, _, corrupt, message = verify_image_label(
        (str(image), str(text), "", True, 1, 4, 3, False)
    )
    assert corrupt == 0, message
    assert len(labels) <= written.poses == len(people) - written.left_out
    shares = [(pose.points / (100, 50), pose.visibility > 0) for pose in people]
    inside = [((s >= -0.01) & (s <= 1.01)).all(axis=1) & seen for s, seen in shares]
    assert (keypoints[..., 2] > 0).sum() <= sum(seen.sum() for seen in inside)
    assert (labels[:, 3:] > 0).all()
    for pose in read_yolo_pose(folder / "set").frames["a"].poses:
        assert pose.visibility.any()


def test_training_flavour_trains(tmp_path: Path):
    from ultralytics.data import YOLODataset
    from ultralytics.data.utils import check_det_dataset

    names = ("left_hip", "right_hip", "left_foot", "right_foot")
    for subset in ("train", "val"):
        picture = tmp_path / f"{subset}.png"
        picture.write_bytes(png(100, 50))
        person = Pose([(10, 10), (20, 10), (np.nan, np.nan), (300, 10)], [2, 1, 0, 2])
        data = pose_set(
            Frame("a", [person], (100, 50), subset, str(picture)),
            Frame("nobody", [], (100, 50), subset, str(picture)),
            keypoint_names=names,
            flip_index=mirrored(names),
        )
        written = write_yolo_pose(
            tmp_path / "set",
            data,
            flavour="ultralytics",
            include_images=True,
            box_margin=0.5,
        )
        assert written.cut_off == 1
    config = check_det_dataset(tmp_path / "set" / "data.yaml")
    assert config["flip_idx"] == [1, 0, 3, 2]
    assert config["kpt_names"] == {0: list(names)}
    dataset = YOLODataset(img_path=config["train"], data=config, task="pose", augment=False)
    labels = {Path(label["im_file"]).stem: label for label in dataset.labels}
    assert set(labels) == {"a", "nobody"}
    assert labels["a"]["keypoints"][0, :, 2].tolist() == [2, 1, 0, 0]
    np.testing.assert_allclose(labels["a"]["bboxes"][0], [0.15, 0.2, 0.2, 0.2], atol=1e-6)
    assert len(labels["nobody"]["bboxes"]) == 0


def test_files_for_cvat_have_the_form_of_its_own(recordings: Path, tmp_path: Path):
    source = recordings / "exports" / "task_yolo_pose_noimg.zip"
    read = read_yolo_pose(source, normalized=True)
    write_yolo_pose(tmp_path / "x.zip", read)
    with zipfile.ZipFile(source) as theirs, zipfile.ZipFile(tmp_path / "x.zip") as ours:
        assert set(ours.namelist()) == set(theirs.namelist())
        assert ours.read("Train.txt") == theirs.read("Train.txt")
        assert yaml.safe_load(ours.read("data.yaml")) == yaml.safe_load(theirs.read("data.yaml"))
        for name in (name for name in theirs.namelist() if name.startswith("labels/")):
            mine = np.array([line.split() for line in ours.read(name).decode().splitlines()], float)
            real = np.array(
                [line.split() for line in theirs.read(name).decode().splitlines()], float
            )
            np.testing.assert_allclose(mine, real, atol=2e-6)


def test_a_zip_appears_whole_and_the_same_content_gives_the_same_bytes(tmp_path: Path):
    good = pose_set(Frame("a", [Pose([(1, 2)], [2])], (10, 10)), count=1)
    write_yolo_pose(tmp_path / "x.zip", good)
    write_yolo_pose(tmp_path / "y.zip", good)
    assert (tmp_path / "x.zip").read_bytes() == (tmp_path / "y.zip").read_bytes()
    with pytest.raises(FormatError, match="exists"):
        write_yolo_pose(tmp_path / "x.zip", good)
    broken = pose_set(Frame("a", (), None, "", str(tmp_path / "missing.png")), count=1)
    for target in ("new.zip", "new"):
        with pytest.raises(FormatError, match="picture cannot be read"):
            write_yolo_pose(tmp_path / target, broken, include_images=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.zip", "y.zip"]


def test_the_working_folder_takes_a_dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    good = pose_set(Frame("a", [Pose([(1, 2)], [2])], (10, 10)), count=1)
    (tmp_path / "set").mkdir()
    monkeypatch.chdir(tmp_path / "set")
    write_yolo_pose(".", good)
    [frame] = read_yolo_pose(".", sizes=(10, 10)).frames.values()
    assert (frame.name, frame.poses) == ("a", (Pose([(1, 2)], [2]),))
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_what_is_in_the_place_of_a_dataset_is_told(tmp_path: Path):
    good = pose_set(Frame("a", [Pose([(1, 2)], [2])], (10, 10)), count=1)
    (tmp_path / "plain").write_text("x")
    with pytest.raises(FormatError, match=r"plain is a file. Give a folder, or a new name"):
        write_yolo_pose(tmp_path / "plain", good)
    (tmp_path / "x.zip").mkdir()
    with pytest.raises(FormatError, match=r"x\.zip is a folder. Give the name of a zip file"):
        write_yolo_pose(tmp_path / "x.zip", good, overwrite=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["plain", "x.zip"]
    assert (tmp_path / "plain").read_text() == "x"


def test_pictures_within_a_zip_are_not_copied_from_there(tmp_path: Path, recordings: Path):
    read = read_yolo_pose(recordings / "exports" / "task_yolo_pose_img.zip")
    with pytest.raises(FormatError, match=r"a file on disk; .* unpack that zip first"):
        write_yolo_pose(tmp_path / "x.zip", read, include_images=True)
    assert not any(tmp_path.iterdir())


def test_subsets_gather_in_one_folder(tmp_path: Path):
    def one(subset: str, *names: str) -> PoseSet:
        pose = Pose([(1, 2)], [2])
        return pose_set(*(Frame(name, [pose], (10, 10), subset) for name in names), count=1)

    write_yolo_pose(tmp_path / "set", one("train", "a", "b"))
    write_yolo_pose(tmp_path / "set", one("val", "c"))
    with pytest.raises(FormatError, match="subset train already"):
        write_yolo_pose(tmp_path / "set", one("train", "d"))
    write_yolo_pose(tmp_path / "set", one("train", "d"), overwrite=True)
    read = read_yolo_pose(tmp_path / "set", normalized=True)
    assert {name: frame.subset for name, frame in read.frames.items()} == {
        "c": "val",
        "d": "train",
    }
    assert read.unlisted == ()
    with pytest.raises(FormatError, match="holds poses of 1 keypoints"):
        write_yolo_pose(tmp_path / "set", pose_set(Frame("x", (), None, "test")))


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (Frame("../a"), "name of a file"),
        (Frame("/a"), "name of a file"),
        (Frame("a\nb"), "name of a file"),
        (Frame("", ()), "name of a file"),
        (Frame("a", subset="names"), "would break data.yaml"),
        (Frame("a", subset="x/y"), "would break data.yaml"),
        (Frame("a", [Pose([(1, 2)], [2])], (9, 9)), "a pose of 1 keypoints"),
        (Frame("a", [Pose([(500, 2)] * 4, [2] * 4)]), "size of the picture"),
        (Frame("a", boxes=np.zeros((1, 4))), "boxes must have shape"),
        (Frame("a", [Pose([(0, 0)] * 4, [0] * 4)], labels=["x"]), "not among"),
    ],
)
def test_what_cannot_be_written_is_refused(tmp_path: Path, frame: Frame, message: str):
    with pytest.raises(FormatError, match=message):
        write_yolo_pose(tmp_path / "x.zip", pose_set(frame))
    assert not any(tmp_path.iterdir())


def test_nothing_to_write_is_refused(tmp_path: Path):
    with pytest.raises(FormatError, match="no frames"):
        write_yolo_pose(tmp_path / "x.zip", pose_set())


def test_mirrored_pairs():
    assert mirrored(["nose", "left_hip", "right_hip", "RightFoot", "LeftFoot", "left_toe"]) == (
        *(0, 2, 1, 4, 3, 5),
    )
