import json
import logging
import shutil
import subprocess
import warnings
import zipfile
from collections import Counter
from io import BytesIO

import numpy as np
import PIL.Image
import pytest
import urllib3

from cvat_bridge import Pose, connect
from cvat_bridge.errors import (
    AddressError,
    BusyError,
    ConflictError,
    CvatError,
    FormatError,
    LoginError,
    NotCvatError,
    NotFoundError,
    PayloadError,
    PermissionDeniedError,
    RejectedError,
    RequestFailedError,
    ServerTroubleError,
    TlsError,
    VersionError,
)
from cvat_bridge.frames import Frame, upload_groups
from cvat_bridge.shapes import to_shape, to_track
from cvat_bridge.skeleton import Skeleton
from cvat_bridge.yolo_pose import read_yolo_pose
from fiftyone_legpose.legs import KEYPOINTS, SKELETON
from tests.cvat_server import CvatServer, Fault, annotations, handler

PERSON = Pose(np.linspace(1, 40, 20).reshape(10, 2), [2, 1, 0, 2, 2, 2, 1, 2, 2, 2])


@pytest.fixture
def server(cvat_server):
    with connect(cvat_server.url, token=cvat_server.token, poll_s=0, backoff_s=0) as connected:
        yield connected


@pytest.fixture
def project(server):
    return server.project("gait", SKELETON)


def as_sets(poses):
    return {
        frame: Counter(
            (tuple(p.visibility), tuple(np.round(p.points[p.visibility > 0], 6).ravel()))
            for p in found
        )
        for frame, found in poses.items()
        if found
    }


def sent(frames):
    return {number: list(frame.poses) for number, frame in enumerate(frames) if frame.poses}


def test_a_thousand_poses_come_back_as_they_were_sent(server, project, make_frames, tmp_path):
    frames = make_frames(400, people=5)
    assert sum(len(frame.poses) for frame in frames) >= 950
    tasks = list(server.push(project, "legpose-1-round", frames, frames_per_task=300))
    assert [task.size for task in tasks] == [300, 100]
    assert tasks[1].frame_names[0] == "frame_000300"
    back, exported = {}, {}
    for offset, task in ((0, tasks[0]), (300, tasks[1])):
        result = server.download(task.id, finished_only=False, label=SKELETON)
        back |= {offset + frame: poses for frame, poses in result.poses.items()}
        path = server.export_yolo_pose(task.id, tmp_path / f"{task.id}.zip")
        sizes = dict.fromkeys(task.frame_names, (64, 48))
        read = read_yolo_pose(path, sizes=sizes)
        exported |= {int(name[-6:]): list(frame.poses) for name, frame in read.frames.items()}
    expected = sent(frames)
    assert as_sets(back) == as_sets(expected)
    for number, poses in expected.items():
        unmatched = list(exported[number])
        for pose in poses:
            twin = next(one for one in unmatched if pose.matches(one, within_px=0.01))
            unmatched.remove(twin)
        assert not unmatched


def test_names_on_the_server_are_neutral(server, project, cvat_server, tmp_path, make_frames):
    path = tmp_path / "doe_john_1950.jpg"
    path.write_bytes(make_frames(1)[0].image)
    task = server.push_task(project, "t", [Frame(path, 64, 48), Frame(path.read_bytes, 64, 48)])
    assert cvat_server.uploaded_names == ["frame_000000.jpg", "frame_000001.jpg"]
    assert task.frame_names == ("frame_000000", "frame_000001")
    assert cvat_server.tasks[task.id].frames[0].data == path.read_bytes()


def test_a_second_push_finds_the_first(server, project, cvat_server, make_frames):
    frames = make_frames(4)
    assert server.push_task(project, "t", frames).outcome == "made"
    cvat_server.arm({})
    assert server.push_task(project, "t", frames).outcome == "found"
    assert {method for method, _ in cvat_server.log} == {"GET"}


def test_a_task_under_review_is_left_alone(server, project, cvat_server):
    frames = [Frame(jpeg(), 64, 48, [PERSON])]
    task = server.push_task(project, "t", frames)
    cvat_server.move_point(task.id, 0, "left_knee", (1, 2))
    assert server.push_task(project, "t", frames).outcome == "under_review"
    cvat_server.remove_skeleton(task.id, 0)
    assert server.push_task(project, "t", frames).outcome == "under_review"
    assert not cvat_server.tasks[task.id].shapes


def test_new_poses_are_not_taken_for_a_review_of_the_old(server, project, cvat_server):
    def frames(*people):
        return [Frame(jpeg(), 64, 48, people)]

    task = server.push_task(project, "t", frames(PERSON))
    moved = Pose(PERSON.points + 1, PERSON.visibility)
    with pytest.raises(ConflictError, match=f"Task {task.id} .* Delete .* or push under another"):
        server.push_task(project, "t", frames(moved))
    # A push that broke goes on, whatever was deleted from the data set meanwhile.
    assert server.push_task(project, "t", frames(), resumed=True).outcome == "kept"
    assert server.download(task.id, finished_only=False).poses == {0: [PERSON]}
    for resumed in (False, True):
        again = server.push_task(project, "t", frames(PERSON), resumed=resumed)
        assert again.outcome == "found"
    cvat_server.move_point(task.id, 0, "left_knee", (1, 2))
    assert server.push_task(project, "t", frames(moved)).outcome == "under_review"


@pytest.mark.parametrize("source", ["manual", "semi-auto", "file"])
def test_what_somebody_imports_into_a_new_job_is_theirs(server, project, cvat_server, source):
    frames = [Frame(jpeg(), 64, 48, [PERSON])]
    task = server.push_task(project, "t", frames)
    drawn = to_shape(PERSON, 0, project.label, source=source)
    cvat_server.draw(task.id, {"shapes": [drawn]})
    assert [job.state for job in server.jobs(task.id)] == ["new"]
    assert server.push_task(project, "t", frames).outcome == "under_review"


def test_a_task_with_other_frames_is_no_home(server, project, make_frames):
    server.push_task(project, "t", make_frames(4))
    with pytest.raises(ConflictError, match="this push 3; they differ from frame 3"):
        server.push_task(project, "t", make_frames(3))


def test_two_tasks_of_one_name_are_a_question(server, project, make_frames):
    server.push_task(project, "t", make_frames(1))
    server._transport.json(
        "POST", "/api/tasks", doing="x", body={"name": "t", "project_id": project.id}
    )
    with pytest.raises(ConflictError, match="2 tasks named 't'"):
        server.push_task(project, "t", make_frames(1))


def test_options_reach_the_task(server, project, cvat_server, make_frames):
    cvat_server.add_user("mia")
    task = server.push_task(
        project,
        "t",
        make_frames(10),
        subset="train",
        segment_size=4,
        assignee="mia",
        image_quality=80,
    )
    made = cvat_server.tasks[task.id]
    assert (made.subset, made.image_quality) == ("train", 80)
    assert cvat_server.state.users[made.assignee] == "mia"
    spans = [(job.start_frame, job.stop_frame) for job in server.jobs(task.id)]
    assert spans == [(0, 3), (4, 7), (8, 9)]
    assert server.jobs(task.id)[1].url == f"{cvat_server.url}/tasks/{task.id}/jobs/2"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"subset": "a/b"}, "cannot export"),
        ({"subset": "names"}, "cannot export"),
        ({"image_quality": 0}, "image_quality"),
        ({"segment_size": 0}, "segment_size"),
        ({"name": ""}, "1 to 256"),
    ],
)
def test_options_that_cvat_would_choke_on(server, project, cvat_server, make_frames, options, told):
    name = options.pop("name", "t")
    with pytest.raises(PayloadError, match=told):
        server.push_task(project, name, make_frames(1), **options)
    assert not cvat_server.tasks


@pytest.mark.parametrize(
    ("options", "error", "told"),
    [
        ({"frames": []}, PayloadError, "no frames to send"),
        ({"frames": iter(())}, PayloadError, "no frames to send"),
        ({"frames_per_task": 0}, PayloadError, "frames_per_task"),
        ({"subset": "a/b"}, PayloadError, "cannot export"),
        ({"segment_size": 0}, PayloadError, "segment_size"),
        ({"image_quality": 101}, PayloadError, "image_quality"),
        ({"name": "x" * 255}, PayloadError, "1 to 256"),
        ({"segment_sise": 2}, TypeError, "segment_sise"),
    ],
)
def test_a_large_push_is_checked_when_it_is_called(
    server, project, cvat_server, options, error, told
):
    given = {"name": "t", "frames": [Frame(jpeg(), 64, 48)], **options}
    cvat_server.arm({})
    with pytest.raises(error, match=told):
        server.push(project, **given)
    assert cvat_server.log == []


def test_a_large_push_sends_each_task_when_it_is_asked_for(server, project, cvat_server):
    taken = []

    def frames():
        for number in range(5):
            taken.append(number)
            yield Frame(jpeg(), 64, 48)

    parts = server.push(project, "t", frames(), frames_per_task=2)
    assert not cvat_server.tasks
    assert next(parts).frame_names == ("frame_000000", "frame_000001")
    assert taken == [0, 1]
    assert [part.name for part in parts] == ["t-2", "t-3"]


def test_a_name_is_used_once_in_all_tasks_of_a_push(server, project, cvat_server):
    frames = [Frame(jpeg(), 64, 48, name=name) for name in ("a", "b", "c", "A")]
    parts = server.push(project, "t", frames, frames_per_task=2)
    with pytest.raises(PayloadError, match="Frame 3: the name 'A' is that of a frame in an"):
        list(parts)
    assert [task.name for task in cvat_server.tasks.values()] == ["t-1"]


def test_an_unknown_assignee_is_told_before_anything_is_made(server, project, cvat_server):
    with pytest.raises(NotFoundError, match="no user 'nobody'"):
        server.push_task(project, "t", [Frame(jpeg(), 64, 48)], assignee="nobody")
    assert not cvat_server.tasks


@pytest.mark.parametrize(
    ("frames", "told"),
    [
        ([], "no frames"),
        ([Frame(b"", 64, 48)], "Frame 0: its 0 bytes are no picture"),
        ([Frame(b"GIF89a", 64, 48)], "Frame 0"),
        ([Frame(b"x", 0, 48)], "Frame 0: its size is 0 x 48"),
        ([Frame(b"x", 64, 48, name="Doe, John")], "Frame 0: the name 'Doe, John' is not neutral"),
        ([Frame(b"x", 64, 48, name="a"), Frame(b"x", 64, 48, name="A")], "Frame 1: .* frame 0"),
    ],
)
def test_frames_that_cannot_be_sent(server, project, cvat_server, frames, told):
    with pytest.raises(PayloadError, match=told):
        server.push_task(project, "t", frames)
    assert not cvat_server.tasks


def test_a_bad_picture_in_the_middle_leaves_nothing_behind(server, project, cvat_server, tmp_path):
    good = Frame(jpeg(), 64, 48)
    for bad, told in [
        (Frame(tmp_path / "gone.jpg", 64, 48), "Frame 1: its picture cannot be read"),
        (Frame(jpeg(), 48, 64), "Frame 1: the picture is 64 x 48"),
        (Frame(b"no picture", 64, 48), "Frame 1: its 10 bytes are no picture"),
    ]:
        with pytest.raises(PayloadError, match=told):
            server.push_task(project, "t", [good, bad, good])
        assert not cvat_server.tasks


def test_pictures_that_the_server_cannot_read(server, project, cvat_server, monkeypatch):
    def fail(task, options):
        from tests.cvat_server.state import BackgroundError

        raise BackgroundError("Traceback\nInvalidImageError: failed to parse 'frame_000000.jpg'")

    monkeypatch.setattr(cvat_server.state, "read_pictures", fail)
    with pytest.raises(RequestFailedError, match=r"failed to parse 'frame_000000\.jpg'"):
        server.push_task(project, "t", [Frame(jpeg(), 64, 48)])
    assert not cvat_server.tasks


def test_uploads_fit_into_memory():
    read = []

    def picture(number):
        return lambda: read.append(number) or jpeg()

    frames = [Frame(picture(n), 64, 48, name=f"f{n}") for n in range(6)]
    groups = upload_groups(frames, limit_bytes=2 * len(jpeg()))
    assert [name for name, _ in next(groups)] == ["f0.jpg", "f1.jpg"]
    assert read == [0, 1, 2]
    assert [len(group) for group in groups] == [2, 2]


def test_only_finished_jobs_come_back(server, project, cvat_server, make_frames):
    frames = make_frames(10, seed=3)
    task = server.push_task(project, "t", frames, segment_size=4)
    assert server.download(task.id).poses == {}
    cvat_server.complete_jobs(task.id, [0])
    result = server.download(task.id)
    assert result.finished == {0, 1, 2, 3}
    assert set(result.poses) <= {0, 1, 2, 3}
    cvat_server.complete_jobs(task.id)
    cvat_server.delete_frame(task.id, 5)
    result = server.download(task.id)
    assert (result.deleted, result.finished) == ({5}, set(range(10)) - {5})
    expected = {frame: poses for frame, poses in sent(frames).items() if frame != 5}
    assert as_sets(result.poses) == as_sets(expected)


def test_a_frame_of_two_jobs_counts_once(server, project, cvat_server):
    task = cvat_server.add_video_task("clip", project.id, 10, (64, 48), segment_size=4)
    spans = [(job.start_frame, job.stop_frame) for job in server.jobs(task.id)]
    assert spans == [(0, 3), (2, 5), (4, 7), (6, 9)]
    shapes = [to_shape(PERSON, frame, project.label) for frame in range(10)]
    cvat_server.draw(task.id, {"shapes": shapes})
    assert (
        len(server._transport.json("GET", "/api/tasks/1/annotations/", doing="x")["shapes"]) == 16
    )
    cvat_server.move_point(task.id, 3, "left_knee", (9, 9), person=1)
    cvat_server.remove_skeleton(task.id, 4, person=0)  # the other job has drawn this frame
    cvat_server.complete_jobs(task.id, [0])
    result = server.download(task.id)
    # Frames 2 and 3 are in the second job too, which is open.
    assert result.finished == set(result.poses) == {0, 1}
    cvat_server.complete_jobs(task.id)
    cvat_server.delete_frame(task.id, 5)
    expected = {frame: [PERSON] for frame in range(10) if frame != 5}
    assert server.download(task.id).poses == expected


def test_what_a_reviewer_does_comes_back_as_what_it_is(server, project, cvat_server):
    frames = [Frame(jpeg(), 64, 48, [PERSON]) for _ in range(4)]
    task = server.push_task(project, "t", frames)
    cvat_server.move_point(task.id, 0, "left_knee", (-30.5, 99.25), visibility=1)
    cvat_server.remove_skeleton(task.id, 1)
    cvat_server.add_skeleton(task.id, 2, [(1, 1)] * 10, [2] * 9 + [0])
    cvat_server.remove_element(task.id, 3, "right_foot")
    poses = server.download(task.id, finished_only=False).poses
    moved = poses[0][0]
    knee = KEYPOINTS.index("left_knee")
    assert (moved.points[knee].tolist(), moved.visibility[knee]) == ([-30.5, 99.25], 1)
    assert 1 not in poses
    assert len(poses[2]) == 2
    assert poses[3][0].visibility[9] == 0
    assert np.isnan(poses[3][0].points[9]).all()


def test_people_travel_as_tracks(server, project, cvat_server):
    def walk(track_id, frame):
        return Pose(PERSON.points + frame, PERSON.visibility, track_id=track_id)

    there = {0: [0, 1], 1: [0, 1], 2: [1], 3: [0, 1], 4: []}
    frames = [Frame(jpeg(), 64, 48, [walk(t, n) for t in ids]) for n, ids in there.items()]
    task = server.push_task(project, "t", frames, as_tracks=True)
    assert len(cvat_server.tasks[task.id].tracks) == 2
    result = server.download(task.id, finished_only=False)
    assert {n: [p.track_id for p in poses] for n, poses in result.poses.items()} == {
        0: [0, 1],
        1: [0, 1],
        2: [1],
        3: [0, 1],
    }
    assert as_sets(result.poses) == as_sets(sent(frames))
    assert server.push_task(project, "t", frames, as_tracks=True).outcome == "found"
    doubled = [Frame(jpeg(), 64, 48, [walk(0, 0), walk(0, 0)])]
    with pytest.raises(PayloadError, match="Frame 0: two poses have the track number 0"):
        server.push_task(project, "t2", doubled, as_tracks=True)


def test_a_track_whose_foot_is_outside_at_first_is_what_was_sent(server, project):
    hidden = np.where(np.arange(10) == 9, 0, PERSON.visibility)
    walk = [Pose(PERSON.points, v, track_id=0) for v in (hidden, hidden, PERSON.visibility)]
    assert PERSON.visibility[2] == 0  # and the left knee is outside all the time
    frames = [Frame(jpeg(), 64, 48, [pose]) for pose in walk]
    task = server.push_task(project, "t", frames, as_tracks=True)
    assert task.outcome == "made"
    found = server.download(task.id, finished_only=False).poses
    assert [found[n][0].visibility.tolist() for n in range(3)] == [
        pose.visibility.tolist() for pose in walk
    ]
    assert server.push_task(project, "t", frames, as_tracks=True).outcome == "found"


def test_a_person_of_whom_no_point_is_known_travels_beside_the_track(server, project, cvat_server):
    def walk(track_id, *seen):
        nothing = Pose(np.full((10, 2), np.nan), np.zeros(10), track_id=track_id)
        known = Pose(PERSON.points, PERSON.visibility, track_id=track_id)
        return [known if one else nothing for one in seen]

    people = zip(walk(0, False, True, False), walk(1, False, False, False), strict=True)
    frames = [Frame(jpeg(), 64, 48, pair) for pair in people]
    task = server.push_task(project, "t", frames, as_tracks=True)
    found = server.download(task.id, finished_only=False).poses
    assert found == {0: [*frames[0].poses], 1: [*frames[1].poses[::-1]], 2: [*frames[2].poses]}
    assert {frame: [p.track_id for p in poses] for frame, poses in found.items()} == {
        0: [0, 1],
        1: [1, 0],
        2: [0, 1],
    }
    assert server.push_task(project, "t", frames, as_tracks=True).outcome == "found"
    # A reviewer has person 0 leave the picture after all, as CVAT's client marks it: by points.
    [track] = cvat_server.tasks[task.id].tracks
    for element in track["elements"]:
        for shape in element["shapes"]:
            shape["outside"] = True
    found = server.download(task.id, finished_only=False).poses
    assert {frame: [p.track_id for p in poses] for frame, poses in found.items()} == {
        0: [0, 1],
        1: [1],
        2: [0, 1],
    }


def test_tracks_are_not_sent_to_jobs_that_would_cut_them(server, project, cvat_server):
    frames = [Frame(jpeg(), 64, 48, [Pose(PERSON.points, PERSON.visibility, track_id=0)])] * 3
    with pytest.raises(PayloadError, match="leave segment_size out"):
        server.push_task(project, "t", frames, as_tracks=True, segment_size=2)
    assert cvat_server.tasks == {}
    server.push_task(project, "t", frames, as_tracks=True, segment_size=3)


def test_a_video_task_made_by_hand(server, project, cvat_server):
    made = cvat_server.add_video_task("clip", project.id, 4, start=2, step=5)
    track = to_track({0: PERSON, 3: PERSON}, project.label, frame_count=4)
    del track["shapes"][1]
    for element in track["elements"]:
        del element["shapes"][1]
    cvat_server.draw(made.id, {"tracks": [track]})
    result = server.download(made.id, finished_only=False)
    assert result.frame_names == tuple(f"frame_{n:06d}" for n in (2, 7, 12, 17))
    assert result.sizes == ((640, 480),) * 4
    assert {frame: poses[0] for frame, poses in result.poses.items()} == dict.fromkeys(
        range(4), PERSON
    )
    assert [task.name for task in server.tasks(project.id)] == ["clip"]


def test_a_project_is_found_compared_or_made(server, cvat_server):
    made = server.project("gait", SKELETON)
    again = server.project("gait", SKELETON)
    assert (made.created, again.created, made.id) == (True, False, again.id)
    assert again.label.skeleton.keypoints == KEYPOINTS
    other = Skeleton("legs", (*KEYPOINTS[:9], "toe"), SKELETON.edges)
    with pytest.raises(ConflictError, match="it lacks toe; it also has right_foot"):
        server.project("gait", other)
    with pytest.raises(ConflictError, match="no skeleton label 'arm'"):
        server.project("gait", Skeleton("arm", ("elbow",)))


def test_a_project_drawn_by_hand_with_other_lines_is_used(server, make_frames):
    by_hand = Skeleton("legs", KEYPOINTS, ((0, 1), (2, 9)), colors=("#ff0000",) * 10)
    theirs = server.project("gait", by_hand)
    ours = server.project("gait", SKELETON)
    assert (ours.created, ours.id, ours.label) == (False, theirs.id, theirs.label)
    task = server.push_task(ours, "t", make_frames(1))
    assert server.download(task.id, finished_only=False, label=SKELETON).poses


@pytest.mark.parametrize("svg", ["", "<svg>{}</svg>", "<circle"])
def test_a_project_whose_label_cannot_be_exported(server, cvat_server, svg):
    label = SKELETON.to_label()
    broken = label | {"svg": svg.format(label["svg"])}
    body = {"name": "gait", "labels": [broken]}
    server._transport.json("POST", "/api/projects", doing="x", body=body)
    with pytest.raises(ConflictError, match="cannot export"):
        server.project("gait", SKELETON)


def test_labels_of_a_task(server, project, cvat_server, make_frames):
    task = server.push_task(project, "t", make_frames(1))
    assert [label.skeleton.name for label in server.labels(task_id=task.id)] == ["legs"]
    arm = Skeleton("arm", ("shoulder", "elbow"), ((0, 1),))
    server._transport.json(
        "PATCH",
        f"/api/projects/{project.id}",
        doing="x",
        body={"labels": [arm.to_label(), {"name": "car"}]},
    )
    assert len(server.labels(project_id=project.id)) == 2
    with pytest.raises(ConflictError, match=r"2 skeleton labels \(legs, arm\)"):
        server.download(task.id)
    assert server.download(task.id, label="arm").poses == {}
    with pytest.raises(ConflictError, match="no skeleton label 'car', only legs, arm"):
        server.download(task.id, label="car")
    with pytest.raises(ConflictError, match="another skeleton"):
        server.download(task.id, label=Skeleton("arm", ("elbow", "shoulder"), ((0, 1),)))


def test_an_export_replaces_the_file_and_carries_pictures(server, project, make_frames, tmp_path):
    task = server.push_task(project, "t", make_frames(2))
    path = tmp_path / "out.zip"
    path.write_text("old")
    assert server.export_yolo_pose(task.id, path, include_images=True) == path
    with zipfile.ZipFile(path) as archive:
        assert "images/train/frame_000001.jpg" in archive.namelist()
    assert [item.name for item in tmp_path.iterdir()] == ["out.zip"]
    with pytest.raises(FileNotFoundError, match="make it first"):
        server.export_yolo_pose(task.id, tmp_path / "no" / "out.zip")


def test_a_folder_is_told_before_the_server_exports(server, cvat_server, tmp_path):
    cvat_server.arm({})
    with pytest.raises(FormatError, match=r"is a folder\. Give the name of a zip"):
        server.export_yolo_pose(1, tmp_path)
    assert cvat_server.log == []


def test_an_export_that_is_no_zip_leaves_the_one_before(
    server, project, cvat_server, make_frames, tmp_path
):
    task = server.push_task(project, "t", make_frames(1))
    path = tmp_path / "out.zip"
    cvat_server.arm({})
    server.export_yolo_pose(task.id, path)
    exported = path.read_bytes()
    cvat_server.arm({len(cvat_server.log) - 1: Fault(200, page="<html>proxy</html>")})
    with pytest.raises(FormatError, match="no zip; try again"):
        server.export_yolo_pose(task.id, path)
    assert path.read_bytes() == exported
    assert [item.name for item in tmp_path.iterdir()] == ["out.zip"]


def test_a_running_export_is_waited_for(server, project, cvat_server, make_frames, tmp_path):
    task = server.push_task(project, "t", make_frames(1))
    cvat_server.state.background_polls = 2
    path = f"/api/tasks/{task.id}/dataset/export"
    query = {"format": "Ultralytics YOLO Pose 1.0", "save_images": False}
    server._transport.start("POST", path, doing="x", query=query)
    cvat_server.arm({})
    assert server.export_yolo_pose(task.id, tmp_path / "out.zip").stat().st_size
    assert sum("/api/requests/" in path for _, path in cvat_server.log) == 3


def test_an_export_that_fails_says_why(server, project, cvat_server, make_frames, tmp_path):
    frames = [Frame(jpeg(), 64, 48, [PERSON])]
    task = server.push_task(project, "t", frames)
    cvat_server.tasks[task.id].poisoned = True
    with pytest.raises(RequestFailedError, match="ItemExportError"):
        server.export_yolo_pose(task.id, tmp_path / "out.zip")
    assert not list(tmp_path.iterdir())


def test_background_work_that_never_ends(cvat_server, make_frames):
    options = {"token": cvat_server.token, "poll_s": 0, "wait_s": 0}
    with connect(cvat_server.url, **options) as server:
        project = server.project("gait", SKELETON)
        cvat_server.state.background_polls = 5
        with pytest.raises(BusyError, match="run this again later"):
            server.push_task(project, "t", make_frames(2))
        cvat_server.state.requests.popitem()[1].polls_left = 0
    assert len(cvat_server.tasks) == 1


def test_a_renamed_task_is_found_by_its_frames_where_a_push_is_resumed(
    server, project, cvat_server
):
    def frames(key):
        return [Frame(jpeg(), 64, 48, [PERSON], name=f"{key}_{i}") for i in range(2)]

    first = server.push_task(project, "one", frames("a"))
    server.push_task(project, "two", frames("b"))
    cvat_server.tasks[first.id].name = "for Ana"
    again = server.push_task(project, "one", frames("a"), resumed=True)
    assert (again.id, again.name, again.outcome) == (first.id, "for Ana", "found")
    assert server.push_task(project, "three", frames("c"), resumed=True).outcome == "made"
    server.push_task(project, "one", frames("a"))
    cvat_server.task_named("one").name = "for Bo"
    with pytest.raises(ConflictError, match="2 tasks with the frames a_0 to a_1"):
        server.push_task(project, "one", frames("a"), resumed=True)


def test_what_is_gone_is_gone(server, tmp_path):
    for ask in (
        lambda: server.download(99),
        lambda: server.export_yolo_pose(99, tmp_path / "x.zip"),
        lambda: server.tasks(99),
    ):
        with pytest.raises(NotFoundError, match="not found"):
            ask()
    server.delete_task(99)


@pytest.mark.parametrize(
    ("login", "told"),
    [
        ({"token": "wrong"}, "token may be wrong"),
        ({"user": "admin", "password": "s3cret"}, "does not know this user and password"),
        ({"user": "admin"}, "needs a login"),
        ({}, "needs a login"),
        ({"token": "s3cret\n"}, "spaces or line breaks"),
    ],
)
def test_a_login_that_fails_says_so_and_keeps_secrets(cvat_server, login, told, caplog):
    caplog.set_level(logging.DEBUG)
    with pytest.raises(LoginError, match=told) as caught:
        connect(cvat_server.url, **login)
    assert "s3cret" not in f"{caught.value!r} {caught.value.__cause__!r} {caplog.text}"
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_nothing_shows_a_secret(server, cvat_server, caplog):
    caplog.set_level(logging.DEBUG)
    with pytest.raises(CvatError) as caught:
        server.download(99)
    shown = f"{server!r} {vars(server)!r} {caught.value} {caplog.text}"
    assert cvat_server.token not in shown


def test_user_and_password_log_in_and_out(cvat_server):
    with connect(cvat_server.url, user="admin", password=cvat_server.password) as server:
        assert server.user == "admin"
        server.project("gait", SKELETON)
    assert cvat_server.log[-1] == ("POST", "/api/auth/logout")


@pytest.mark.parametrize("name", ["gait\nlab", "gait lab", "gäit", "步态"])
def test_what_can_be_no_organization_is_named_before_it_is_asked_for(cvat_server, name):
    with pytest.raises(LoginError, match="is no organisation's short name"):
        connect(cvat_server.url, token=cvat_server.token, organization=name)
    assert not cvat_server.log


def test_an_organization_that_does_not_exist(cvat_server):
    with pytest.raises(NotFoundError, match="no-such-org organization does not exist"):
        connect(cvat_server.url, token=cvat_server.token, organization="no-such-org\n")


@pytest.fixture
def clinic(cvat_server):
    """An organisation whose project `gait` has the skeleton."""
    cvat_server.add_organization("clinic")
    with connect(cvat_server.url, token=cvat_server.token, organization="clinic") as server:
        return server.project("gait", SKELETON)


def test_a_project_of_an_organization_takes_its_tasks_there(clinic, server, cvat_server, caplog):
    project = server.project("gait", SKELETON)
    assert (project.id, project.organization, project.created) == (clinic.id, "clinic", False)
    assert "belongs to the organisation 'clinic'" in caplog.text
    task = server.push_task(project, "round1", [Frame(jpeg(), 64, 48, [PERSON])])
    assert cvat_server.tasks[task.id].organization == 1
    assert server.jobs(task.id)


def test_a_project_of_the_personal_workspace_comes_first(clinic, server, cvat_server):
    with connect(cvat_server.url, token=cvat_server.token, organization="") as personal:
        own = personal.project("gait", SKELETON)
    project = server.project("gait", SKELETON)
    assert own.created
    assert (project.id, project.organization) == (own.id, "")
    task = server.push_task(project, "round1", [Frame(jpeg(), 64, 48, [PERSON])])
    assert cvat_server.tasks[task.id].organization is None


def test_a_project_that_two_organizations_have_is_not_guessed(clinic, server, cvat_server):
    cvat_server.add_organization("lab")
    with connect(cvat_server.url, token=cvat_server.token, organization="lab") as other:
        other.project("gait", SKELETON)
    with pytest.raises(ConflictError, match=r"clinic, lab.*say which"):
        server.project("gait", SKELETON)


def test_a_task_whose_jobs_another_organization_keeps_is_not_taken_for_a_waiting_one(
    clinic, server, cvat_server
):
    task = server.push_task(
        server.project("gait", SKELETON), "round1", [Frame(jpeg(), 64, 48, [PERSON])]
    )
    with (
        connect(cvat_server.url, token=cvat_server.token, organization="") as personal,
        pytest.raises(ConflictError, match="no jobs in the organisation ''"),
    ):
        personal.download(task.id)


def test_the_reviewer_of_a_task_has_its_jobs(server, project, cvat_server, make_frames):
    ana = cvat_server.add_user("ana")
    frames = make_frames(4, seed=2)
    task = server.push_task(project, "round1", frames, segment_size=2, assignee="ana")
    assert cvat_server.tasks[task.id].assignee == ana
    assert [job.assignee for job in server.jobs(task.id)] == ["ana", "ana"]
    cvat_server.assign_jobs(task.id, "ben")
    server.push_task(project, "round1", frames, segment_size=2, assignee="ana")
    assert [job.assignee for job in server.jobs(task.id)] == ["ben", "ben"]


def test_the_jobs_of_a_push_that_broke_get_their_reviewer(
    server, project, cvat_server, make_frames
):
    cvat_server.add_user("ana")
    frames = make_frames(4, seed=2)

    def interrupt(step, done, total):
        if step == "annotate":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        server.push_task(project, "round1", frames, progress=interrupt)
    task = server.push_task(project, "round1", frames, assignee="ana")
    assert [job.assignee for job in server.jobs(task.id)] == ["ana"]


@pytest.mark.parametrize(
    ("url", "error", "told"),
    [
        ("http://127.0.0.1:9", AddressError, "nobody listens"),
        ("http://no-such-host.invalid", AddressError, "does not resolve"),
        ("ftp://example.org", AddressError, "no address of a server"),
        ("http://", AddressError, "no address of a server"),
        ("https://me:s3cret@example.org", AddressError, "give them apart"),
        ("https//me:s3cret@example.org", AddressError, "give them apart"),
        ("http:/me:s3cret@example.org", AddressError, "give them apart"),
        ("example.org/me:s3cret@x", AddressError, "give them apart"),
        ("http://127.0.0.1:9/?token=s3cret", AddressError, "give them apart"),
        ("http://127.0.0.1:9/#s3cret", AddressError, "give them apart"),
        ("ftp://example.org/s3cret", AddressError, "ftp://example.org is no address"),
        ("https://me:s3cret", AddressError, "no address of a server"),
        ("http://[s3cret", AddressError, "no address of a server"),
        ("https//example.org", AddressError, "no address of a server"),
        ("https:/example.org", AddressError, "no address of a server"),
    ],
)
def test_addresses_that_lead_nowhere(url, error, told):
    with pytest.raises(error, match=told) as caught:
        connect(url, token="t", retries=0)
    assert "s3cret" not in str(caught.value)


def test_an_address_without_scheme_is_https(cvat_server):
    with pytest.raises(TlsError, match="http://"):
        connect(cvat_server.url.removeprefix("http://"), token="t", retries=0)


def test_plain_http_to_another_machine_is_warned_of_once():
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        for url in ("http://cvat.plain.invalid", "http://cvat.plain.invalid/"):
            with pytest.raises(AddressError):
                connect(url, user="ana", password="s3cret", retries=0)
    [warning] = told
    assert "http://cvat.plain.invalid is not encrypted" in str(warning.message)
    assert "s3cret" not in str(warning.message)
    assert warning.filename == __file__


def test_what_stays_on_the_machine_or_is_encrypted_is_not_warned_of(cvat_server):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        connect(cvat_server.url, token=cvat_server.token).close()
        for url in ("http://localhost:9", "http://[::1]:9", "https://cvat.tls.invalid"):
            with pytest.raises(AddressError):
                connect(url, token="t", retries=0)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """Key and certificate of 127.0.0.1, signed by itself."""
    if shutil.which("openssl") is None:
        pytest.skip("no openssl command to make a certificate with")
    folder = tmp_path_factory.mktemp("certificate")
    key, certificate, both = folder / "key.pem", folder / "certificate.pem", folder / "both.pem"
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=127.0.0.1",
    ]
    command += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate]
    subprocess.run(command, check=True, capture_output=True)
    both.write_text(key.read_text() + certificate.read_text())
    return certificate, both


def test_certificates_are_checked_unless_told_otherwise(certificate):
    trusted, both = certificate
    with CvatServer(certificate=both) as cvat:
        with pytest.raises(TlsError, match="as ca_file"):
            connect(cvat.url, token=cvat.token, retries=0)
        with connect(cvat.url, token=cvat.token, ca_file=trusted) as server:
            assert server.user == "admin"
        with (
            pytest.warns(UserWarning, match="not checked"),
            connect(cvat.url, token=cvat.token, verify=False) as server,
        ):
            assert server.user == "admin"
    with pytest.raises(TlsError, match="is not there; check ca_file"):
        connect(cvat.url, token="t", ca_file=trusted.with_name("none.pem"))


def test_an_address_that_sends_on_is_not_followed(cvat_server):
    cvat_server.arm({0: Fault(301)})
    with pytest.raises(AddressError, match=r"sends on to https://cvat\.example\.org; write that"):
        connect(cvat_server.url, token=cvat_server.token)
    assert len(cvat_server.log) == 1


def test_something_that_is_no_cvat(monkeypatch, cvat_server):
    monkeypatch.setattr(cvat_server, "version", None)
    with pytest.raises(NotCvatError, match="no CVAT"):
        connect(cvat_server.url, token="t")


def test_an_old_cvat_is_told_what_it_takes():
    with CvatServer(version="2.4.3") as old, pytest.raises(VersionError, match=r"2\.4\.3.*2\.30"):
        connect(old.url, token=old.token)


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, RejectedError),
        (401, LoginError),
        (403, PermissionDeniedError),
        (404, NotFoundError),
        (413, RejectedError),
        (500, ServerTroubleError),
    ],
)
def test_each_answer_has_its_error(server, cvat_server, status, error):
    cvat_server.arm({0: Fault(status)})
    with pytest.raises(error, match="Looking for task 't'"):
        server.find_task("t")


@pytest.mark.parametrize("page", [{"error": "sign in first"}, ["sign in first"]])
def test_a_page_of_something_in_between_is_named_with_its_address(
    server, project, cvat_server, make_frames, tmp_path, page
):
    task = server.push_task(project, "t", make_frames(1))
    strange = Fault(200, page=page)
    for ask, path, requests in (
        (lambda: server.find_task("t"), "/api/tasks", 1),
        (lambda: server.frames(task.id), f"/api/tasks/{task.id}/data/meta", 1),
        (lambda: server.project("new", SKELETON), "/api/projects", 2),
        (lambda: server.push_task(project, "new", make_frames(1)), "/api/tasks", 2),
        (lambda: server.export_yolo_pose(task.id, tmp_path / "x"), "/dataset/export", 1),
        (lambda: server.export_yolo_pose(task.id, tmp_path / "x"), "/api/requests/", 2),
        (lambda: connect(cvat_server.url, token=cvat_server.token), "/api/users/self", 2),
    ):
        cvat_server.arm({requests - 1: strange})
        with pytest.raises(NotCvatError, match="as if something other than CVAT") as told:
            ask()
        assert cvat_server.url in str(told.value)
        assert path in str(told.value)


def test_a_page_of_something_in_between_is_not_taken_for_an_empty_frame(
    server, project, cvat_server
):
    task = server.push_task(project, "t", [Frame(jpeg(), 64, 48, [PERSON])])
    cvat_server.complete_jobs(task.id)
    cvat_server.arm({})
    server.download(task.id)
    [last] = [i for i, (_, path) in enumerate(cvat_server.log) if "annotations" in path]
    cvat_server.arm({last: Fault(200, page={})})
    with pytest.raises(NotCvatError, match="has no 'shapes'"):
        server.download(task.id)


def test_what_is_safe_is_repeated(server, cvat_server):
    cvat_server.arm({0: Fault("cut"), 1: Fault(503), 2: Fault(429)})
    assert server.find_task("t") is None
    assert len(cvat_server.log) == 4


def test_a_post_whose_tls_breaks_is_not_repeated(server):
    retries = server._transport._client.api_client.configuration.retries
    with pytest.raises(urllib3.exceptions.MaxRetryError):
        retries.increment("POST", "/api/tasks", error=urllib3.exceptions.SSLError("EOF"))


def test_a_slow_server_is_given_up(cvat_server):
    with connect(cvat_server.url, token=cvat_server.token, timeout_s=0.2, retries=0) as server:
        cvat_server.arm({0: Fault("slow", seconds=0.5)})
        with pytest.raises(AddressError, match="broke"):
            server.find_task("t")


def test_what_a_server_stores_otherwise_is_noticed(server, project, cvat_server, monkeypatch):
    def lossy(state, task, payload):
        return original(state, task, payload | {"shapes": payload["shapes"][:-1]})

    original = annotations.replace
    monkeypatch.setattr(annotations, "replace", lossy)
    with pytest.raises(ConflictError, match="stored other poses"):
        server.push_task(project, "t", [Frame(jpeg(), 64, 48, [PERSON, PERSON])])
    assert not cvat_server.tasks


def test_a_reviewer_who_is_faster_than_the_check_loses_nothing(
    server, project, cvat_server, monkeypatch
):
    def reviewed(state, task, payload):
        answer = original(state, task, payload)
        cvat_server.move_point(task.id, 0, "left_hip", (5, 5))
        return answer

    original = annotations.replace
    monkeypatch.setattr(annotations, "replace", reviewed)
    task = server.push_task(project, "t", [Frame(jpeg(), 64, 48, [PERSON])])
    (pose,) = server.download(task.id, finished_only=False).poses[0]
    assert pose.points[0].tolist() == [5, 5]


def test_newer_servers_may_say_more(server, project, cvat_server, monkeypatch, make_frames):
    task = server.push_task(project, "t", [Frame(jpeg(), 64, 48, [PERSON])])
    original = annotations.read

    def more(*arguments):
        shown = json.loads(json.dumps(original(*arguments)))
        for shape in shown["shapes"]:
            shape["holiness"] = shape["elements"][0]["holiness"] = 1
        return shown | {"intervals": []}

    monkeypatch.setattr(handler.annotations, "read", more)
    assert server.download(task.id, finished_only=False).poses == {0: [PERSON]}


def jpeg():
    packed = BytesIO()
    PIL.Image.new("RGB", (64, 48)).save(packed, "JPEG")
    return packed.getvalue()
