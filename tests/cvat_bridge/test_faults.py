"""A push or a pull that breaks at any request is whole after it is run again."""

from collections import Counter

import pytest

from cvat_bridge import connect
from cvat_bridge.errors import CvatError
from fiftyone_legpose.legs import SKELETON
from tests.cvat_server import CvatServer, Fault

# Requests of a push to an empty server: connect, project, task, upload, wait, poses, read back.
PUSH_REQUESTS = 17
PULL_REQUESTS = 11


@pytest.fixture(scope="module")
def cvat():
    """One server for all faults; emptied before each."""
    with CvatServer() as server:
        yield server


@pytest.fixture
def frames(make_frames):
    return make_frames(5, seed=1)


def push(cvat, frames, *, retries=0, progress=None):
    with connect(
        cvat.url,
        user=cvat.user,
        password=cvat.password,
        retries=retries,
        backoff_s=0,
        poll_s=0,
        settle_s=0,
    ) as server:
        project = server.project("gait", SKELETON)
        (task,) = server.push(project, "legpose-1-round", frames, segment_size=2, progress=progress)
        return task


def pull(cvat, task_id, path):
    with connect(
        cvat.url, token=cvat.token, retries=0, backoff_s=0, poll_s=0, settle_s=0
    ) as server:
        result = server.download(task_id, label=SKELETON)
        server.export_yolo_pose(task_id, path)
        return result


def empty(cvat):
    cvat.reset()
    # The server is still at work when it is first asked, so that waiting can break too.
    cvat.state.background_polls = 1


def check(cvat, frames):
    """Exactly one project and one task, with every frame in its place and every pose once."""
    assert [project.name for project in cvat.projects.values()] == ["gait"]
    (task,) = cvat.tasks.values()
    assert [frame.data for frame in task.frames] == [frame.image for frame in frames]
    assert [(job.start, job.stop) for job in task.jobs] == [(0, 1), (2, 3), (4, 4)]
    drawn = Counter(shape["frame"] for shape in task.shapes)
    assert drawn == Counter({n: len(f.poses) for n, f in enumerate(frames) if f.poses})
    with connect(cvat.url, token=cvat.token) as server:
        poses = server.download(task.id, finished_only=False).poses
    assert poses == {n: list(f.poses) for n, f in enumerate(frames) if f.poses}


def push_until_whole(cvat, frames):
    try:
        push(cvat, frames)
    except CvatError as error:
        broken = str(error)
    else:
        broken = ""
    cvat.arm({})
    push(cvat, frames)
    check(cvat, frames)
    return broken


def test_the_number_of_requests_is_the_one_that_is_tried(cvat, frames, tmp_path):
    empty(cvat)
    task = push(cvat, frames)
    assert len(cvat.log) == PUSH_REQUESTS
    cvat.complete_jobs(task.id)
    cvat.arm({})
    pull(cvat, task.id, tmp_path / "out.zip")
    assert len(cvat.log) == PULL_REQUESTS


@pytest.mark.parametrize("kind", ["cut", 500, 502])
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("index", range(PUSH_REQUESTS))
def test_a_fault_at_any_request_of_a_push(cvat, frames, index, when, kind):
    empty(cvat)
    cvat.arm({index: Fault(kind, when)})
    push_until_whole(cvat, frames)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("index", range(PUSH_REQUESTS))
def test_a_server_that_goes_away_at_any_request(cvat, frames, index, when):
    empty(cvat)
    gone = {later: Fault("cut") for later in range(index + 1, index + 40)}
    cvat.arm({index: Fault("cut", when), **gone})
    push_until_whole(cvat, frames)


@pytest.mark.parametrize("index", range(PUSH_REQUESTS))
def test_a_server_that_restarts_at_any_request(cvat, frames, index):
    empty(cvat)
    cvat.arm({index: Fault("cut", "after"), index + 1: Fault(502), index + 2: Fault(502)})
    try:
        push(cvat, frames)
    except CvatError:
        cvat.restart()
    cvat.arm({})
    push(cvat, frames)
    check(cvat, frames)


def test_a_connection_that_is_cut_half_way_through_an_upload(cvat, frames):
    empty(cvat)
    push(cvat, frames)
    upload = [n for n, (_, path) in enumerate(cvat.log) if path.endswith("/data/")][1]
    empty(cvat)
    cvat.arm({upload: Fault("cut", "during")})
    assert "connection" in push_until_whole(cvat, frames)


@pytest.mark.parametrize("broken", [1, 2, 3])
def test_a_push_of_many_tasks_goes_on_where_it_stopped(cvat, make_frames, broken):
    def push_parts(server):
        project = server.project("gait", SKELETON)
        parts = server.push(project, "round", iter(frames), frames_per_task=3, progress=progress)
        return [task.outcome for task in parts]

    def progress(step, done, total):
        if len(cvat.tasks) == broken and step == "annotate" and armed:
            raise KeyboardInterrupt

    empty(cvat)
    frames, armed = make_frames(8, people=3, seed=5), True
    with connect(cvat.url, token=cvat.token, poll_s=0, settle_s=0) as server:
        with pytest.raises(KeyboardInterrupt):
            push_parts(server)
        armed = False
        outcomes = push_parts(server)
        assert outcomes == ["found"] * (broken - 1) + ["completed"] + ["made"] * (3 - broken)
        poses = {
            int(task.frames[frame].name[6:12]): found
            for task in cvat.tasks.values()
            for frame, found in server.download(task.id, finished_only=False).poses.items()
        }
    assert poses == {n: list(f.poses) for n, f in enumerate(frames) if f.poses}


@pytest.mark.parametrize("step", ["upload", "wait", "annotate"])
def test_a_person_who_interrupts(cvat, frames, step):
    def interrupt(now, done, total):
        if now == step:
            raise KeyboardInterrupt

    empty(cvat)
    with pytest.raises(KeyboardInterrupt):
        push(cvat, frames, progress=interrupt)
    push(cvat, frames)
    check(cvat, frames)


@pytest.mark.parametrize("index", range(PUSH_REQUESTS))
def test_only_what_is_safe_is_repeated_by_itself(cvat, frames, index):
    empty(cvat)
    cvat.arm({index: Fault("cut", "after")})
    try:
        push(cvat, frames, retries=3)
    except CvatError:
        method, _ = cvat.log[index]
        assert method == "POST"
        assert len(cvat.tasks) <= 1
        push(cvat, frames)
    check(cvat, frames)


@pytest.mark.parametrize("kind", ["cut", 500])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_fault_at_any_request_of_a_pull(cvat, frames, tmp_path, when, kind):
    empty(cvat)
    task = push(cvat, frames)
    cvat.complete_jobs(task.id)
    path = tmp_path / "out.zip"
    whole = pull(cvat, task.id, path)
    exported = path.read_bytes()
    for index in range(PULL_REQUESTS):
        path.write_text("the export before")
        cvat.arm({index: Fault(kind, when)})
        try:
            pull(cvat, task.id, path)
        except CvatError:
            assert path.read_text() == "the export before"
            assert [item.name for item in tmp_path.iterdir()] == ["out.zip"]
        cvat.arm({})
        again = pull(cvat, task.id, path)
        assert again.poses == whole.poses
        assert path.read_bytes()[:4] == exported[:4]
    check(cvat, frames)
