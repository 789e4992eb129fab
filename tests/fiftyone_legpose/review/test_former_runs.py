"""Pushes that version 0.1.0 stored, before modules were moved, are opened, pulled, continued."""

import json
from pathlib import Path
from typing import Any

import fiftyone as fo
import pytest

from fiftyone_legpose.cvat.results import load_results
from fiftyone_legpose.dataset import fields, frame_review
from fiftyone_legpose.review.backend import ReviewBackendConfig
from fiftyone_legpose.review.pull import pull
from fiftyone_legpose.review.push import push
from fiftyone_legpose.review.runs import begun_keys, review_keys
from fiftyone_legpose.review.status import status
from tests.cvat_server import CvatServer
from tests.fiftyone_legpose import reviewing

FORMER = json.loads((Path(__file__).parent / "former_push.json").read_text())
"""Configuration and results as 0.1.0 wrote them; ids, names and addresses come from the test."""


@pytest.fixture
def server(cvat_server: CvatServer, monkeypatch: pytest.MonkeyPatch) -> CvatServer:
    monkeypatch.setenv("FIFTYONE_CVAT_URL", cvat_server.url)
    monkeypatch.setenv("FIFTYONE_CVAT_TOKEN", cvat_server.token)
    return cvat_server


def store_as_before(dataset: fo.Dataset, *, tasks: int, complete: bool) -> None:
    """Put into the database what 0.1.0 would have stored of this push."""
    results = load_results(dataset, "round1")
    now: dict[str, Any] = results.serialize()
    former = {
        name: now[name] if value is None else value for name, value in FORMER["results"].items()
    }
    assert sorted(former["frames"]) == FORMER["frames"]
    former |= {"complete": complete, "tasks": former["tasks"][:tasks]}
    stored = dataset._doc.annotation_runs["round1"]
    stored.config = FORMER["config"]
    stored.results.replace(json.dumps(former).encode(), content_type="application/json")
    stored.save()
    dataset.clear_cache()


@pytest.fixture
def pushed(server, dataset_name, short_clip) -> fo.Dataset:
    dataset = reviewing.video_dataset(dataset_name, short_clip)
    ids = frame_review.read(dataset).frame_ids
    chosen = [ids[i] for i in (0, 1, 4, 5)]
    frame_review.mark(dataset, chosen, state=fields.SELECTED)
    push(dataset, "round1", project="legs", frames_per_task=2)
    return dataset


def test_an_open_push_is_found_and_pulled(pushed, server):
    store_as_before(pushed, tasks=2, complete=True)
    assert isinstance(pushed.get_annotation_info("round1").config, ReviewBackendConfig)
    assert review_keys(pushed) == ["round1"]
    assert begun_keys(pushed) == []
    server.complete_jobs(1)
    [told] = status(pushed)
    assert told.by_state == {"completed": 2, "new": 2}
    assert pull(pushed).written == 2
    server.complete_jobs(2)
    assert pull(pushed, "round1").written == 2
    assert pull(pushed, "round1").unchanged == 4


def test_an_interrupted_push_goes_on(pushed, server):
    store_as_before(pushed, tasks=1, complete=False)
    assert begun_keys(pushed) == ["round1"]
    push(pushed, "round1", project="legs", frames_per_task=2)
    assert len(server.tasks) == 2
    for task in list(server.tasks):
        server.complete_jobs(task)
    assert pull(pushed, "round1").written == 4


def test_a_push_that_is_deleted_frees_its_frames(pushed, server):
    store_as_before(pushed, tasks=2, complete=True)
    pushed.delete_annotation_run("round1")
    states = frame_review.read(pushed).state
    assert (states == fields.SELECTED).sum() == 4
