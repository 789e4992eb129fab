"""README's loop, command by command, against a CVAT server, and each command a second time."""

import fiftyone as fo
import pytest
from typer.testing import CliRunner

from fiftyone_legpose.cli import app
from fiftyone_legpose.dataset import fields, pose_table
from fiftyone_legpose.zoo import registry
from tests.conftest import make_clip

MODEL = ["--backend", "torch", "--imgsz", "160", "--conf", "0.2"]
TRAINING = ["--epochs", "1", "--imgsz", "64", "--promote"]
TRAINING += ["--val", "0.5", "--plots", "false", "--workers", "0"]


@pytest.fixture
def videos(sample_clip, tmp_path):
    folder = tmp_path / "videos"
    folder.mkdir()
    for number, name in enumerate(("P01.mp4", "P02.mp4")):
        cut = ["-ss", str(2 * number), "-frames:v", "16", "-vf", "scale=304:264"]
        make_clip(sample_clip, folder / name, *cut)
    return folder


def state_of(name: str):
    """Everything a second call must leave as it is."""
    dataset = fo.load_dataset(name)
    tables = [pose_table.read_poses(dataset, f) for f in (fields.PREDICTIONS, fields.GROUND_TRUTH)]
    return (
        len(dataset),
        [(t.label_ids, t.looked_at.tolist(), t.visibility.tolist()) for t in tables],
        [t.points.tobytes() for t in tables],
        dataset.values(f"frames.{fields.REVIEW}.state"),
        sorted(dataset.list_runs() + dataset.list_annotation_runs()),
        [version.name for version in registry.list_versions()],
        registry.current_version(),
    )


def test_the_loop_in_the_shell(videos, dataset_name, cvat_server, monkeypatch, tmp_path):
    monkeypatch.setenv("FIFTYONE_CVAT_URL", cvat_server.url)
    monkeypatch.setenv("FIFTYONE_CVAT_TOKEN", cvat_server.token)
    monkeypatch.setattr(fo.config, "model_zoo_dir", str(tmp_path / "zoo"))

    def twice(*words: object) -> str:
        """Run a command; run it again, and see that this changed nothing."""
        result = CliRunner().invoke(app, [str(word) for word in words])
        assert result.exit_code == 0, f"{words}: {result.output} {result.exception!r}"
        before = state_of(dataset_name)
        again = CliRunner().invoke(app, [str(word) for word in words])
        assert again.exit_code == 0, f"{words} again: {again.output} {again.exception!r}"
        assert state_of(dataset_name) == before, words
        return result.output

    twice("load", videos, "-d", dataset_name, "--subject", r"(P\d+)")
    twice("predict", dataset_name, *MODEL)
    choice = ["--count", 3, "--per", "video", "--min-gap-s", 0.1]
    assert "6 frames selected" in twice("select", dataset_name, *choice)
    assert "6 frames out" in twice("push", dataset_name, "round1", "--project", "legs")
    assert len(cvat_server.tasks) == 1
    [task] = cvat_server.tasks
    assert "new" in twice("status", dataset_name)
    assert "6 still out" in twice("pull", dataset_name)

    frame = next(f for f in range(6) if cvat_server.skeletons(task, f))
    cvat_server.move_point(task, frame, "left_knee", (40.0, 30.0))
    cvat_server.complete_jobs(task)
    pulled = twice("pull", dataset_name, "round1")
    assert "6 of 6 frames written" in pulled
    assert "1 persons changed" in pulled
    dataset = fo.load_dataset(dataset_name)
    states = dataset.count_values(f"frames.{fields.REVIEW}.state")
    assert states.get(fields.CORRECTED, 0) + states.get(fields.EMPTY, 0) == 6
    assert fields.OUT not in states

    trained = twice("train", dataset_name, "--name", "round1", *TRAINING)
    assert "Version round1 trained" in trained
    assert [version.name for version in registry.list_versions()] == ["1", "round1"]
    report = tmp_path / "report"
    weights = ["--weights", "1", "--weights", "round1"]
    compared = twice("evaluate", dataset_name, *weights, "--imgsz", 64, "--report", report)
    assert "round1" in compared
    assert (report / "report.html").stat().st_size > 100_000
    assert "clean paths in legpose_smooth" in twice("smooth", dataset_name)
    assert "strides in" in twice("gait", dataset_name, "--leg-length-m", 0.84)
    exported = twice("export", dataset_name, tmp_path / "gait.csv")
    assert "6 frames looked at by a person" in exported
    assert "true" in (tmp_path / "gait.csv").read_text()
