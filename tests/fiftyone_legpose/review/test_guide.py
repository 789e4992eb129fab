"""Unsure is not occluded: what a reviewer is shown and told, and what comes back."""

import zipfile

import fiftyone as fo
import numpy as np
import pytest

from cvat_bridge.backup_reading import read_backup
from fiftyone_legpose import legs
from fiftyone_legpose.dataset import fields, frame_review
from fiftyone_legpose.dataset.pose_table import read_poses
from fiftyone_legpose.review.guide import GUIDE
from fiftyone_legpose.review.pull import pull
from fiftyone_legpose.review.push import push
from tests.cvat_server import CvatServer
from tests.fiftyone_legpose import reviewing
from tests.fiftyone_legpose.reviewing import frame_ids, people


@pytest.fixture
def server(cvat_server: CvatServer, monkeypatch: pytest.MonkeyPatch) -> CvatServer:
    monkeypatch.setenv("FIFTYONE_CVAT_URL", cvat_server.url)
    monkeypatch.setenv("FIFTYONE_CVAT_TOKEN", cvat_server.token)
    return cvat_server


@pytest.fixture
def dataset(dataset_name, tmp_path) -> fo.Dataset:
    made = reviewing.image_dataset(dataset_name, tmp_path / "pictures", 3)
    frame_review.mark(made, frame_ids(made), state=fields.SELECTED)
    return made


def unsure(dataset: fo.Dataset) -> np.ndarray:
    return read_poses(dataset, fields.PREDICTIONS).confidence < legs.OCCLUDED_BELOW


def test_points_that_are_corrected_do_not_stay_occluded(dataset, server):
    summary = push(dataset, "round1")
    assert summary.unsure == unsure(dataset).sum() > 0
    assert summary.occluded == 0
    [task] = server.tasks.values()
    assert not any(e["occluded"] for shape in task.shapes for e in shape["elements"])
    left = people(dataset, fields.PREDICTIONS, 0)[0]
    point = int(np.flatnonzero(left.visibility == 1)[0])
    server.move_point(task.id, 0, legs.KEYPOINTS[point], (50, 60))
    server.set_visibility(task.id, 0, legs.KEYPOINTS[point], 1, person=1)
    server.complete_jobs(task.id)
    moved = pull(dataset, "round1").corrections
    assert (moved.changed, moved.untouched) == (2, 4)
    first, second = people(dataset, fields.GROUND_TRUTH, 0)
    assert first.visibility.tolist() == [2] * 10
    assert second.visibility.tolist() == [1 if i == point else 2 for i in range(10)]


def test_a_point_that_a_person_has_called_occluded_stays_so(dataset, server):
    push(dataset, "round1")
    [task] = server.tasks.values()
    server.set_visibility(task.id, 1, "left_heel", 1)
    server.complete_jobs(task.id)
    pull(dataset, "round1")
    frames = dataset.limit(3)
    again = push(frames, "round2", label_field=fields.GROUND_TRUTH, again=True)
    assert (again.occluded, again.unsure) == (1, 0)


def test_a_new_project_tells_its_reviewers_what_to_do(dataset, server):
    push(dataset, "round1", project="gait")
    [project] = server.projects.values()
    assert server.state.guides == {project.id: GUIDE}


def test_the_project_of_others_keeps_its_guide(dataset, server):
    push(dataset.limit(1), "round1", project="gait")
    server.state.guides.clear()
    push(dataset.skip(1), "round2", project="gait")
    assert server.state.guides == {}


def test_a_hand_over_lists_what_the_model_was_unsure_of(dataset, tmp_path):
    file = tmp_path / "round1.zip"
    push(dataset, "round1", backup=file)
    with zipfile.ZipFile(file) as packed:
        told = packed.read("annotation_guide.md").decode()
    assert told.startswith(GUIDE)
    names = [
        line.split(":")[0].removeprefix("- ") for line in told.splitlines() if "_00000" in line
    ]
    assert [name[-6:] for name in names] == ["000001", "000002", "000003"]
    named = told.split("unsure of these points:")[1]
    assert named.count("left") + named.count("right") == unsure(dataset).sum()
    drawn = [pose for found in read_backup(file).poses.values() for pose in found]
    assert all((pose.visibility == 2).all() for pose in drawn)
