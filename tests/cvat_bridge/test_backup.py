import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cvat_bridge.backup import write_backup
from cvat_bridge.backup_reading import read_backup
from cvat_bridge.errors import FormatError, PayloadError
from cvat_bridge.frames import Frame
from cvat_bridge.poses import Pose
from cvat_bridge.skeleton import Skeleton

LEG = Skeleton("leg", ("hip", "knee", "foot"), ((0, 1), (1, 2)))


def picture() -> bytes:
    data = io.BytesIO()
    PIL.Image.new("RGB", (64, 48)).save(data, "JPEG")
    return data.getvalue()


JPEG = picture()


def frame(*poses: Pose, **options: Any) -> Frame:
    return Frame(JPEG, 64, 48, poses, **options)


@st.composite
def poses(draw) -> Pose:
    place = st.floats(-100, 200, allow_nan=False)
    seen = draw(st.lists(st.sampled_from([0, 1, 2]), min_size=3, max_size=3))
    points = np.array([[draw(place), draw(place)] for _ in seen])
    points[(np.array(seen) == 0) & draw(st.booleans())] = np.nan
    return Pose(points, seen, track_id=draw(st.none() | st.integers(0, 5)))


def shape_of(value: Any) -> Any:
    """The keys of nested JSON, with the first item for each list."""
    if isinstance(value, dict):
        return {key: shape_of(item) for key, item in value.items()}
    if isinstance(value, list):
        return [shape_of(value[0])] if value else []
    return type(value)


def load(path: Path, name: str) -> Any:
    with zipfile.ZipFile(path) as archive:
        return json.loads(archive.read(name))


# A server's own backup


def test_the_backup_of_a_server_is_read(recordings: Path):
    backup = read_backup(recordings / "exports" / "task_backup.zip")
    assert backup.name == "imports"
    assert backup.skeleton.name == "legs"
    assert backup.skeleton.keypoints[:3] == ("left_hip", "right_hip", "left_knee")
    assert backup.frame_names == tuple(f"frame_{i:06d}.jpg" for i in range(6))
    assert set(backup.sizes) == {(640, 480)}
    assert [(job.start_frame, job.stop_frame, job.status) for job in backup.jobs] == [
        (0, 5, "annotation")
    ]
    # One track on frames 0 and 1, outside from frame 2 on.
    assert sorted(backup.poses) == [0, 1]
    (pose,) = backup.poses[1]
    np.testing.assert_allclose(pose.points[0], (230, 98))
    assert pose.visibility[2] == 1


def test_what_is_written_has_the_structure_of_a_server_s_own(recordings: Path, tmp_path: Path):
    source = recordings / "exports" / "task_backup.zip"
    theirs = read_backup(source)
    with zipfile.ZipFile(source) as archive:
        frames = [
            Frame(archive.read(f"data/{name}"), *size, tuple(theirs.poses.get(number, ())))
            for number, (name, size) in enumerate(
                zip(theirs.frame_names, theirs.sizes, strict=True)
            )
        ]
        manifest = archive.read("data/manifest.jsonl")
    ours = tmp_path / "ours.zip"
    write_backup(ours, theirs.name, theirs.skeleton, frames, image_quality=70, as_tracks=True)
    with zipfile.ZipFile(source) as a, zipfile.ZipFile(ours) as b:
        assert sorted(a.namelist()) == sorted(b.namelist())
        for name in a.namelist():
            if name.startswith("data/frame"):
                assert a.read(name) == b.read(name)
        assert b.read("data/manifest.jsonl") == manifest
    task, real_task = load(ours, "task.json"), load(source, "task.json")
    assert shape_of(task) == shape_of(real_task)
    assert task["data"] == real_task["data"]
    assert task["jobs"] == real_task["jobs"]
    assert [s["color"] for s in task["labels"][0]["sublabels"]] == list(theirs.skeleton.colors)
    assert shape_of(load(ours, "annotations.json")) == shape_of(load(source, "annotations.json"))
    again = read_backup(ours)
    assert again.poses == theirs.poses
    assert (again.sizes, again.frame_names) == (theirs.sizes, theirs.frame_names)


# Round trips


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(poses(), max_size=3), min_size=1, max_size=7), st.integers(0, 4))
def test_round_trip(tmp_path_factory: pytest.TempPathFactory, people, segment_size: int):
    path = tmp_path_factory.mktemp("backup") / "x.zip"
    count = write_backup(
        path, "task", LEG, [frame(*p) for p in people], segment_size=segment_size, subset="Train"
    )
    assert count == sum(map(len, people))
    backup = read_backup(path)
    assert (backup.name, backup.subset, backup.skeleton.differences(LEG)) == ("task", "Train", [])
    assert backup.skeleton.edges == LEG.edges
    assert [len(backup.poses.get(i, ())) for i in range(len(people))] == list(map(len, people))
    covered = [range(job.start_frame, job.stop_frame + 1) for job in backup.jobs]
    assert [number for job in covered for number in job] == list(range(len(people)))
    for number, expected in enumerate(people):
        for before, after in zip(expected, backup.poses.get(number, ()), strict=True):
            assert after == before  # to the last digit
            assert after.track_id == before.track_id
            assert np.isfinite(after.points).all()  # a reviewer can find every point


def test_tracks_end_with_the_job_and_with_the_person(tmp_path: Path):
    def person(x: float) -> Pose:
        return Pose([(x, 1), (x, 2), (x, 3)], [2, 1, 0], track_id=3)

    frames = [frame(person(i)) if i not in (2, 6) else frame() for i in range(8)]
    write_backup(tmp_path / "x.zip", "walk", LEG, frames, segment_size=4, as_tracks=True)
    annotations = load(tmp_path / "x.zip", "annotations.json")
    assert [len(job["tracks"]) for job in annotations] == [1, 1]
    assert all(job["shapes"] == [] for job in annotations)
    assert {shape["frame"] for shape in annotations[0]["tracks"][0]["shapes"]} <= set(range(4))
    read = read_backup(tmp_path / "x.zip").poses
    assert sorted(read) == [0, 1, 3, 4, 5, 7]
    assert all(read[i] == [person(i)] for i in read)


def test_a_person_of_whom_no_point_is_known_survives_beside_its_track(tmp_path: Path):
    nothing = Pose(np.full((3, 2), np.nan), [0, 0, 0], track_id=3)
    people = [nothing, Pose([(1, 1), (1, 2), (1, 3)], [2, 1, 0], track_id=3), nothing]
    write_backup(tmp_path / "x.zip", "walk", LEG, [frame(one) for one in people], as_tracks=True)
    read = read_backup(tmp_path / "x.zip").poses
    assert read == {number: [one] for number, one in enumerate(people)}
    assert {one.track_id for found in read.values() for one in found} == {3}
    with pytest.raises(PayloadError, match="Frame 0: two poses have the track number 3"):
        write_backup(tmp_path / "y.zip", "t", LEG, [frame(nothing, nothing)], as_tracks=True)


def test_pictures_are_read_one_at_a_time(tmp_path: Path):
    held = []

    def read() -> bytes:
        held.append(True)
        return JPEG

    frames = (Frame(read, 64, 48) for _ in range(5))
    write_backup(tmp_path / "x.zip", "task", LEG, frames)
    assert len(held) == 5
    with zipfile.ZipFile(tmp_path / "x.zip") as archive:
        kinds = {info.filename: info.compress_type for info in archive.infolist()}
    assert kinds["data/frame_000000.jpg"] == zipfile.ZIP_STORED


def test_equal_content_gives_equal_bytes(tmp_path: Path):
    for name in ("a.zip", "b.zip"):
        write_backup(tmp_path / name, "task", LEG, [frame()])
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


# What the server would not check


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        ([], "no frames"),
        ([frame(Pose([(1, 2)], [2]))], "Frame 0: a pose has 1 points"),
        ([frame(name="b"), frame(name="a")], "Frame 1: a.jpg comes before b.jpg"),
        ([frame(name="a"), frame(name="A")], "Frame 1"),
        ([frame(name="Jane Doe")], "not neutral"),
        ([frame(), Frame(JPEG, 640, 480)], "Frame 1: the picture is 64 x 48"),
        ([frame(), Frame(b"nothing", 64, 48)], "Frame 1: its 7 bytes are no picture"),
        ([Frame(Path("missing.jpg"), 64, 48)], "Frame 0: its picture cannot be read"),
    ],
)
def test_refused_with_the_frame_and_nothing_left_behind(tmp_path: Path, frames, message: str):
    with pytest.raises(PayloadError, match=message):
        write_backup(tmp_path / "x.zip", "task", LEG, frames)
    assert not any(tmp_path.iterdir())


def test_a_task_needs_a_name_that_cvat_can_store(tmp_path: Path):
    for name in ("", "x" * 257):
        with pytest.raises(PayloadError, match="needs a name"):
            write_backup(tmp_path / "x.zip", name, LEG, [frame()])


@pytest.mark.parametrize("subset", ["a/b", "a\\b", "names"])
def test_a_subset_that_cvat_cannot_export_is_refused(tmp_path: Path, subset: str):
    with pytest.raises(PayloadError, match="cannot export a subset"):
        write_backup(tmp_path / "x.zip", "task", LEG, [frame()], subset=subset)
    assert not any(tmp_path.iterdir())


def test_a_folder_is_no_place_for_a_backup(tmp_path: Path):
    with pytest.raises(FormatError, match=r"is a folder\. Give the name of a zip"):
        write_backup(tmp_path, "task", LEG, [frame()])
    assert not any(tmp_path.iterdir())


def test_one_track_cannot_be_twice_on_a_frame(tmp_path: Path):
    person = Pose([(1, 2)] * 3, [2] * 3, track_id=1)
    with pytest.raises(PayloadError, match="Frame 0: two poses have the track number 1"):
        write_backup(tmp_path / "x.zip", "task", LEG, [frame(person, person)], as_tracks=True)


def edited(tmp_path: Path, source: Path, **changes: Any) -> Path:
    target = tmp_path / "edited.zip"
    with zipfile.ZipFile(source) as before, zipfile.ZipFile(target, "w") as after:
        for name in before.namelist():
            key = name.rpartition("/")[2].partition(".")[0]
            data = before.read(name)
            if key in changes:
                value = json.loads(data) if name.endswith(".json") else data.decode()
                data = changes[key](value)
                data = data if isinstance(data, str) else json.dumps(data)
            after.writestr(name, data)
    return target


def test_deleted_frames_overlapping_jobs_and_quality_control(tmp_path: Path):
    person = Pose([(1, 2)] * 3, [2] * 3)
    source = tmp_path / "x.zip"
    write_backup(source, "task", LEG, [frame(person) for _ in range(4)], segment_size=2)

    def task(value):
        value["data"]["deleted_frames"] = [3]
        value["jobs"][1]["start_frame"] = 1  # overlap: both jobs hold frame 1
        value["jobs"].append({**value["jobs"][0], "type": "ground_truth"})
        return value

    def annotations(value):
        shape = value[1]["shapes"][0]
        copy = json.loads(
            json.dumps(shape).replace('"frame": 2', '"frame": 1').replace("[1.0,", "[9.0,")
        )
        value[1]["shapes"].append(copy)
        other = {**shape, "label": "dog"}
        value[1]["shapes"].append(other)
        value.append(value[0])
        return value

    backup = read_backup(edited(tmp_path, source, task=task, annotations=annotations))
    assert {frame: len(people) for frame, people in backup.poses.items()} == {0: 1, 1: 1, 2: 1}
    assert backup.poses[1] == [person]
    assert backup.deleted_frames == {3}
    assert len(backup.jobs) == 2


def test_bad_backups(tmp_path: Path):
    source = tmp_path / "x.zip"
    write_backup(source, "task", LEG, [frame()])
    for changes, message in [
        ({"task": lambda value: "{"}, "task.json is not valid JSON"),
        ({"task": lambda value: []}, "damaged"),
        ({"annotations": lambda value: []}, "damaged"),
        ({"annotations": lambda value: [{"shapes": [{"label": "leg"}]}]}, "damaged"),
        ({"task": lambda value: {**value, "labels": []}}, "skeleton labels: none"),
        ({"manifest": lambda value: '{"version":"1.1"}\n{"type":"video"}\n'}, "of a video"),
    ]:
        with pytest.raises(FormatError, match=message):
            read_backup(edited(tmp_path, source, **changes))
    with pytest.raises(FormatError, match="not 'arm'"):
        read_backup(source, label="arm")
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("data.yaml", "x")
    with pytest.raises(FormatError, match="no CVAT task backup"):
        read_backup(tmp_path / "other.zip")
