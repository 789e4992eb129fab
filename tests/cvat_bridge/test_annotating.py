"""Poses are in a task once, though a server of two processes stores them without a lock."""

from collections import Counter

import pytest

from cvat_bridge import connect
from cvat_bridge.errors import AddressError, ConflictError, ServerTroubleError
from fiftyone_legpose.legs import SKELETON
from tests.cvat_server import Fault

SETTLE_S = 10
POSES = 12
"""Requests of a push to an empty server before the one that sends the poses."""


class Clock:
    """A clock that goes on by sleeping alone."""

    now = 0.0

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr("cvat_bridge.annotating.time", clock)
    return clock


@pytest.fixture
def frames(make_frames):
    return make_frames(5, seed=1)


def push(cvat, frames, *, retries=3, resumed=False):
    options = {"retries": retries, "backoff_s": 0, "poll_s": 1, "settle_s": SETTLE_S}
    with connect(cvat.url, token=cvat.token, **options) as one:
        return one.push_task(one.project("gait", SKELETON), "round1", frames, resumed=resumed)


def check_once(cvat, frames):
    cvat.finish_storing()
    (task,) = cvat.tasks.values()
    drawn = Counter(shape["frame"] for shape in task.shapes)
    assert drawn == Counter({n: len(f.poses) for n, f in enumerate(frames) if f.poses})
    assert task.size == len(frames)


def puts(cvat):
    return sum(method == "PUT" for method, _ in cvat.log)


def test_the_faults_hit_the_request_that_sends_the_poses(cvat_server, frames):
    cvat_server.arm({})
    push(cvat_server, frames)
    assert cvat_server.log[POSES][0] == "PUT"


@pytest.mark.parametrize("kind", ["cut", 504])
@pytest.mark.parametrize("requests", [1, 2, 7])
def test_a_sending_that_breaks_while_the_server_stores_is_waited_for(
    cvat_server, frames, kind, requests
):
    cvat_server.arm({POSES: Fault(kind, "storing", requests=requests)})
    assert push(cvat_server, frames).outcome == "made"
    assert puts(cvat_server) == 1
    check_once(cvat_server, frames)


def test_a_sending_that_never_arrived_is_sent_again(cvat_server, frames):
    cvat_server.arm({POSES: Fault("cut")})
    push(cvat_server, frames)
    assert puts(cvat_server) == 2
    check_once(cvat_server, frames)


@pytest.mark.parametrize("requests", [17, 20, 24])
def test_a_process_that_stalls_and_stores_after_the_second_sending(cvat_server, frames, requests):
    cvat_server.arm({POSES: Fault("cut", "storing", requests=requests)})
    push(cvat_server, frames)
    assert puts(cvat_server) > 1
    check_once(cvat_server, frames)


def test_an_earlier_push_that_is_still_stored_while_it_is_repeated(cvat_server, frames):
    cvat_server.arm({POSES: Fault(500, "storing", requests=16)})
    with pytest.raises(ServerTroubleError):
        push(cvat_server, frames)
    assert push(cvat_server, frames, resumed=True).outcome == "completed"
    check_once(cvat_server, frames)


def test_persons_that_were_stored_twice_become_one_again(cvat_server, frames):
    task = push(cvat_server, frames)
    stored = cvat_server.tasks[task.id]
    cvat_server.draw(task.id, {"shapes": stored.shapes})
    assert len(stored.shapes) == 2 * sum(len(frame.poses) for frame in frames)
    assert push(cvat_server, frames).outcome == "completed"
    check_once(cvat_server, frames)


def test_who_wants_no_repeats_gets_the_error_and_keeps_the_task(cvat_server, frames):
    cvat_server.arm({POSES: Fault("cut")})
    with pytest.raises(AddressError):
        push(cvat_server, frames, retries=0)
    assert puts(cvat_server) == 1
    assert push(cvat_server, frames, retries=0).outcome == "completed"
    check_once(cvat_server, frames)


def test_sendings_that_go_on_breaking_end_with_the_task_in_place(cvat_server, frames):
    cvat_server.arm({POSES + later: Fault(502) for later in range(200)})
    with pytest.raises(ServerTroubleError):
        push(cvat_server, frames)
    (task,) = cvat_server.tasks.values()
    assert task.size == len(frames)


def test_what_a_server_stores_otherwise_after_a_break_is_no_success(
    cvat_server, frames, monkeypatch
):
    from tests.cvat_server import annotations

    def lossy(state, task, payload):
        return original(state, task, payload | {"shapes": payload["shapes"][:-1]})

    original = annotations.replace
    monkeypatch.setattr(annotations, "replace", lossy)
    cvat_server.arm({POSES: Fault("cut")})
    with pytest.raises(ConflictError, match="stored other poses"):
        push(cvat_server, frames)
