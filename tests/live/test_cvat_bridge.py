"""The bridge's scenarios against a real CVAT server.

Set LEGPOSE_CVAT_URL and FIFTYONE_CVAT_TOKEN, or FIFTYONE_CVAT_USERNAME and _PASSWORD.
Everything made is in a project of its own and deleted at the end.
"""

import os
import uuid
from io import BytesIO

import numpy as np
import PIL.Image
import pytest

from cvat_bridge import Pose, connect
from cvat_bridge.errors import LoginError, NotFoundError, RejectedError
from cvat_bridge.frames import Frame
from cvat_bridge.yolo_pose import read_yolo_pose
from fiftyone_legpose.legs import SKELETON

URL = os.environ.get("LEGPOSE_CVAT_URL", "")
LOGIN = os.environ.get("FIFTYONE_CVAT_TOKEN") or os.environ.get("FIFTYONE_CVAT_PASSWORD")
pytestmark = [
    pytest.mark.live_cvat,
    pytest.mark.skipif(not (URL and LOGIN), reason="set LEGPOSE_CVAT_URL and a login"),
]
SIZE = (320, 240)


@pytest.fixture(scope="module")
def server():
    names = {"token": "TOKEN", "user": "USERNAME", "password": "PASSWORD"}
    login = {key: os.environ.get(f"FIFTYONE_CVAT_{name}") for key, name in names.items()}
    with connect(URL, **login) as connected:
        yield connected


@pytest.fixture(scope="module")
def project(server):
    made = server.project(f"legpose-test-{uuid.uuid4().hex[:8]}", SKELETON)
    yield made
    server._transport.request("DELETE", f"/api/projects/{made.id}", doing="Cleaning up")


@pytest.fixture(scope="module")
def frames():
    rng = np.random.default_rng(0)
    return [
        Frame(jpeg(rng), *SIZE, [pose(rng, track) for track in range(number % 3)])
        for number in range(8)
    ]


def jpeg(rng):
    packed = BytesIO()
    noise = rng.integers(0, 256, (24, 32, 3), dtype=np.uint8)
    PIL.Image.fromarray(noise).resize(SIZE).save(packed, "JPEG")
    return packed.getvalue()


def pose(rng, track_id):
    points = rng.uniform((-20, -20), (340, 260), (10, 2))
    visibility = rng.integers(0, 3, 10)
    visibility[0] = 2
    points[(visibility == 0) & (rng.random(10) < 0.5)] = np.nan
    return Pose(points, visibility, track_id=track_id)


def expected(frames):
    return {number: list(frame.poses) for number, frame in enumerate(frames) if frame.poses}


@pytest.mark.parametrize("as_tracks", [False, True])
def test_poses_come_back_by_the_api_and_by_the_export(server, project, frames, tmp_path, as_tracks):
    name = f"legpose-test-{as_tracks}"
    size = None if as_tracks else 3
    task = server.push_task(project, name, frames, as_tracks=as_tracks, segment_size=size)
    assert task.outcome == "made"
    assert server.push_task(project, name, frames, as_tracks=as_tracks).outcome == "found"
    assert len(server.jobs(task.id)) == (1 if as_tracks else 3)
    assert server.download(task.id).poses == {}
    assert server.download(task.id, finished_only=False).poses == expected(frames)
    path = server.export_yolo_pose(task.id, tmp_path / "out.zip")
    read = read_yolo_pose(path, sizes=dict.fromkeys(task.frame_names, SIZE))
    for number, poses in expected(frames).items():
        exported = list(read.frames[task.frame_names[number]].poses)
        assert len(exported) == len(poses)
        for one in poses:
            assert any(one.matches(other, within_px=0.01) for other in exported)


def test_jobs_that_are_completed_come_back(server, project, frames):
    task = server.push_task(project, "legpose-test-jobs", frames, segment_size=4)
    first = server.jobs(task.id)[0]
    body = {"stage": "acceptance", "state": "completed"}
    server._transport.json("PATCH", f"/api/jobs/{first.id}", doing="x", body=body)
    result = server.download(task.id, label=SKELETON)
    assert result.finished == {0, 1, 2, 3}
    assert set(result.poses) == {1, 2}


def test_an_interrupted_push_goes_on(server, project, frames):
    def interrupt(step, done, total):
        if step == interrupted:
            raise KeyboardInterrupt

    for interrupted in ("upload", "annotate"):
        name = f"legpose-test-{interrupted}"
        with pytest.raises(KeyboardInterrupt):
            server.push_task(project, name, frames, progress=interrupt)
        task = server.push_task(project, name, frames)
        assert server.download(task.id, finished_only=False).poses == expected(frames)
        assert [one.name for one in server.tasks(project.id)].count(name) == 1


def test_refusals_have_their_errors(server, project, frames):
    with pytest.raises(NotFoundError):
        server.download(2**31 - 1)
    with pytest.raises(LoginError):
        connect(server.url, user="nobody", password="wrong")
    task = server.push_task(project, "legpose-test-label", frames)
    shape = {"type": "points", "frame": 0, "label_id": 2**31 - 1, "points": [1, 1]}
    with pytest.raises(RejectedError):
        server._transport.json(
            "PUT",
            f"/api/tasks/{task.id}/annotations/",
            doing="x",
            body={"shapes": [shape]},
        )
