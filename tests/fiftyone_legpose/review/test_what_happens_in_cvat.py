"""Pushes whose task went to an organisation, to a reviewer, or out of CVAT meanwhile."""

import fiftyone as fo
import pytest
from typer.testing import CliRunner

from fiftyone_legpose.cli import app
from fiftyone_legpose.dataset import fields, frame_review
from fiftyone_legpose.review.pull import pull
from fiftyone_legpose.review.push import push
from fiftyone_legpose.review.status import status
from tests.cvat_server import CvatServer
from tests.fiftyone_legpose import reviewing
from tests.fiftyone_legpose.reviewing import frame_ids, states


@pytest.fixture
def server(cvat_server: CvatServer, monkeypatch: pytest.MonkeyPatch) -> CvatServer:
    monkeypatch.setenv("FIFTYONE_CVAT_URL", cvat_server.url)
    monkeypatch.setenv("FIFTYONE_CVAT_TOKEN", cvat_server.token)
    return cvat_server


@pytest.fixture
def dataset(dataset_name, tmp_path) -> fo.Dataset:
    made = reviewing.image_dataset(dataset_name, tmp_path / "pictures", 4)
    frame_review.mark(made, frame_ids(made)[:3], state=fields.SELECTED)
    return made


@pytest.mark.parametrize("later", [None, "", "lab"])
def test_a_run_remembers_its_organization(dataset, server, later):
    server.add_organization("clinic")
    server.add_organization("lab")
    summary = push(dataset, "round1", organization="clinic")
    assert summary.organization == "clinic"
    [task] = server.tasks.values()
    server.complete_jobs(task.id)
    [run] = status(dataset, organization=later)
    assert run.to_pull == 3
    assert pull(dataset, "round1", organization=later).written == 3


def test_who_corrected_is_known_where_an_assignee_was_named(dataset, server):
    server.add_user("ana")
    push(dataset, "round1", assignee="ana")
    [task] = server.tasks.values()
    server.complete_jobs(task.id)
    pull(dataset, "round1")
    assert dataset.values(f"{fields.REVIEW}.by")[:3] == ["ana"] * 3


def test_an_old_reviewed_task_is_not_taken_up_in_silence(dataset, server):
    first = push(dataset, "round1")
    assert first.taken_up == []
    [task] = server.tasks.values()
    server.move_point(task.id, 0, "left_knee", (5, 6))
    server.complete_jobs(task.id)
    dataset.delete_annotation_run("round1")
    again = push(dataset, "round1")
    assert again.taken_up == again.links == first.links
    dataset.delete_annotation_run("round1")
    told = CliRunner().invoke(app, ["push", dataset.name, "round1"]).output
    assert "was there already" in told


def test_a_push_whose_task_is_gone_offers_to_send_it_again(dataset, server):
    first = push(dataset, "round1")
    [task] = server.tasks.values()
    server.state.remove_task(task)
    again = push(dataset, "round1")
    assert (again.sent, again.gone) == (False, first.links)
    told = CliRunner().invoke(app, ["push", dataset.name, "round1"]).output
    assert f"legpose push {dataset.name} round1 --again" in told
    assert not server.tasks
    made = push(dataset, "round1", again=True)
    assert (made.sent, made.gone, made.frames) == (True, [], 3)
    assert made.links != first.links
    [task] = server.tasks.values()
    assert made.links == [f"{server.url}/tasks/{task.id}"]
    assert states(dataset) == ["out"] * 3 + [None]
    server.complete_jobs(task.id)
    assert pull(dataset, "round1").written == 3


def test_an_import_of_what_is_new_alone_ends_with_numbers(dataset, server):
    push(dataset, "round1")
    [task] = server.tasks.values()
    server.complete_jobs(task.id)
    told = CliRunner().invoke(app, ["import_labels", "anew", f"task:{task.id}"])
    try:
        assert told.exit_code == 0, told.output
        assert "3 frames of anew written" in told.output
        assert "nothing" not in told.output
    finally:
        fo.delete_dataset("anew")
