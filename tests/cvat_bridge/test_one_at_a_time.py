import threading

import pytest

from cvat_bridge import connect
from cvat_bridge.one_at_a_time import one_at_a_time
from fiftyone_legpose.legs import SKELETON


def never(holder):
    raise AssertionError(f"nobody else is at work, but {holder}")


def begin(work):
    """Run something in a thread of its own, and give a function that waits for what it returns."""
    results = []
    thread = threading.Thread(target=lambda: results.append(work()), daemon=True)
    thread.start()

    def join():
        thread.join(20)
        return results[0]

    return join


def test_a_second_one_is_told_of_the_first_and_waits(tmp_path):
    started, go_on, order = threading.Event(), threading.Event(), []

    def first():
        with one_at_a_time("clinic", "push", never):
            started.set()
            go_on.wait(20)
            order.append("first")

    join = begin(first)
    assert started.wait(20)

    def tell(holder):
        order.append(holder.partition(",")[0])
        go_on.set()

    with one_at_a_time("clinic", "pull", tell) as waited:
        order.append("second")
    join()
    assert (order, waited) == (["push", "first", "second"], True)


def test_other_places_are_free_and_whoever_holds_one_may_take_it_again():
    with (
        one_at_a_time("clinic", "loop", never),
        one_at_a_time("clinic", "push", never) as waited,
        one_at_a_time("lab", "push", never),
    ):
        assert not waited
    with one_at_a_time("clinic", "push", never):
        pass


def test_what_fails_frees_its_place():
    with pytest.raises(KeyboardInterrupt), one_at_a_time("clinic", "push", never):
        raise KeyboardInterrupt
    with one_at_a_time("clinic", "push", never):
        pass


def test_no_name_is_seen_on_disk(monkeypatch, tmp_path):
    monkeypatch.setattr("cvat_bridge.one_at_a_time.FOLDER", tmp_path)
    with one_at_a_time("Patient Smith", "push", never):
        seen = [path.name + path.read_text() for path in tmp_path.iterdir()]
    assert seen
    assert "smith" not in "".join(seen).lower()


def test_a_home_that_cannot_be_written_to_is_no_obstacle(monkeypatch, tmp_path):
    (tmp_path / "home").write_text("")
    monkeypatch.setattr("cvat_bridge.one_at_a_time.FOLDER", tmp_path / "home" / "locks")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with one_at_a_time("clinic", "push", never):
        pass


def test_two_pushes_of_one_name_at_once_make_one_project_and_one_task(cvat_server, make_frames):
    frames = make_frames(3, seed=4)

    def push():
        with connect(cvat_server.url, token=cvat_server.token, poll_s=0) as server:
            project = server.project("gait", SKELETON)
            return server.push_task(project, "round1", frames).outcome

    joins = [begin(push) for _ in range(3)]
    assert sorted(join() for join in joins) == ["found", "found", "made"]
    assert len(cvat_server.projects) == len(cvat_server.tasks) == 1
