"""Two at once: each verb that writes to a dataset waits for another one, and says so."""

import os
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import cv2
import fiftyone as fo
import numpy as np
import pytest

import fiftyone_legpose as lp
from fiftyone_legpose.dataset.writing_lock import writing_to
from fiftyone_legpose.errors import LegposeError
from tests.cvat_bridge.test_one_at_a_time import begin

VERBS = {
    "load": lambda dataset, **told: lp.load("nowhere", dataset, **told),
    "extract_frames": lambda dataset, **told: lp.extract_frames(
        "nowhere", "nowhere", dataset=dataset, **told
    ),
    "predict": lp.predict,
    "select": lambda dataset, **told: lp.select(dataset, count=1, **told),
    "push": lambda dataset, **told: lp.push(dataset, "round1", **told),
    "pull": lp.pull,
    "import_labels": lambda dataset, **told: lp.import_labels(dataset, "nowhere", **told),
    "evaluate": lambda dataset, **told: lp.evaluate(dataset, pred_field="legpose", **told),
}


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_says_for_whom_it_waits(dataset_name, tmp_path: Path, monkeypatch, verb):
    monkeypatch.chdir(tmp_path)
    dataset = fo.Dataset(dataset_name)
    started, done = threading.Event(), threading.Event()

    def other() -> None:
        with writing_to(dataset_name, "train"):
            started.set()
            done.wait(20)

    join = begin(other)
    assert started.wait(20)
    told = []

    def report(at: float, of: float, message: str) -> None:
        told.append(message)
        done.set()

    with suppress(LegposeError):
        VERBS[verb](dataset, progress=report)
    join()
    assert "waiting for another one at work" in told[0]
    assert "train, process" in told[0]


ONE_OF_TWO = """
import sys
import fiftyone_legpose as lp

folder, name, url = sys.argv[1:]
view = lp.load(folder, name).limit(3)
print(lp.push(view, "round1", url=url, token="stand-in-token").sent)
"""


def test_two_processes_at_once_load_each_file_once_and_make_one_task(
    dataset_name, tmp_path: Path, cvat_server
):
    for number in range(9):
        cv2.imwrite(str(tmp_path / f"{number}.png"), np.full((48, 64, 3), number, np.uint8))
    command = [sys.executable, "-c", ONE_OF_TWO, str(tmp_path), dataset_name, cvat_server.url]
    environment = {**os.environ, "HOME": str(tmp_path)}
    both = [
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    told = [process.communicate(timeout=120)[0].split()[-1] for process in both]
    paths = fo.load_dataset(dataset_name).values("filepath")
    assert len(paths) == len(set(paths)) == 9
    assert sorted(told) == ["False", "True"]
    assert [task.size for task in cvat_server.tasks.values()] == [3]
