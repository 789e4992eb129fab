"""A newcomer's first hour: from a video to a comparison, by clicks alone."""

from pathlib import Path

import fiftyone as fo
import numpy as np
import pytest

from cvat_bridge.backup_reading import read_backup
from fiftyone_legpose import legs
from fiftyone_legpose.dataset import fields, frame_review
from fiftyone_legpose.dataset.appearance import CORRECTION_COLOR, PREDICTION_COLOR
from fiftyone_legpose.dataset.pose_table import read_poses
from fiftyone_legpose.evaluation.result import list_evaluations
from fiftyone_legpose.operators import OPERATORS
from tests.app.reviewer import correct, labelled

pytestmark = pytest.mark.browser


def test_the_loop_by_clicks(app, dataset_name, sample_clip, short_clip, sample_labels, tmp_path):
    assert {cls.verb for cls in OPERATORS} <= app.operators()
    app.open_first_form("Load videos")
    app.fill("Folder or video", sample_clip)
    app.fill("Dataset", f"{dataset_name}-gait")
    app.picture("load")
    assert "Added\t1" in app.submit("Load", opens=f"{dataset_name}-gait")
    dataset = fo.load_dataset(f"{dataset_name}-gait")
    assert len(dataset) == 1

    app.wait_for_panel()
    app.press("Predict leg keypoints")
    assert "stopped. What was finished is kept" in app.submit_and_stop("Predict", "predict")

    app.press("Predict leg keypoints")
    app.switch("Look at every frame mirrored too")
    app.switch("More settings")
    app.fill("Lowest confidence of a person", 0.4)
    app.fill("Size of the model's input (px)", 320)
    app.picture("predict")
    assert "Frames predicted\t100" in app.submit("Predict", within_s=300)
    dataset.reload()
    assert dataset.count(f"frames.{fields.PREDICTIONS}") == 100
    [made_by] = dataset.distinct(f"frames.{fields.PREDICTIONS}.made_by")
    config = dataset.get_run_info(made_by).config
    assert (config.voting, config.flip_test) == (True, True)

    app.open_video()
    for color in (PREDICTION_COLOR, legs.LEFT_COLOR, legs.RIGHT_COLOR):
        app.wait_for_color(color)
    app.picture("video")
    app.close_video()

    app.press("Select frames")
    app.fill("Frames", 6)
    assert "6 frames selected" in app.submit("Select")
    dataset.reload()
    assert len(frame_review.read(dataset).ids(fields.SELECTED)) == 6

    app.press("Push to CVAT")
    app.fill("Folder for the file", tmp_path)
    app.picture("push")
    assert "Frames\t6" in app.submit("Push")
    dataset.reload()
    [handover] = tmp_path.glob("round1-*.zip")
    assert len(read_backup(handover).frame_names) == 6

    corrected = correct(dataset, handover, sample_labels, tmp_path / "corrected.zip")
    app.press("Pull corrections")
    app.fill("File that CVAT exported", corrected)
    app.picture("pull")
    assert "6 of 6 frames written" in app.submit("Pull")
    dataset.reload()
    truth = read_poses(dataset, fields.GROUND_TRUTH)
    assert truth.looked_at.sum() == 6
    assert_labels(truth, sample_labels)

    app.panel.get_by_text("6 frames are corrected").wait_for()
    app.press("Evaluate")
    assert "in 6 frames compared" in app.submit("Evaluate")
    dataset.reload()
    assert len(list_evaluations(dataset)) == 1
    app.panel.get_by_text("Comparison").wait_for()
    app.panel.locator(".js-plotly-plot .bars").first.wait_for()
    app.picture("comparison")
    app.wait_for_worst_frames(6)

    add_shorter_video(dataset, short_clip)
    take_back(dataset, labels=3)
    app.press("Evaluate")
    assert "in 3 frames compared" in app.submit("Evaluate")
    app.panel.get_by_text("in 3 corrected frames").wait_for()
    app.wait_for_worst_frames(3)
    worst = app.worst_frames.last
    worst.scroll_into_view_if_needed()
    frame = int(worst.locator("td").nth(1).inner_text())
    assert frame in dataset.match_frames(
        fo.ViewField(fields.GROUND_TRUTH) != None  # noqa: E711 - a FiftyOne expression
    ).values("frames.frame_number", unwind=True)
    assert app.is_inside_panel(worst.get_by_role("button", name="Open"))
    app.picture("worst-frames")
    worst.get_by_role("button", name="Open").click()
    app.wait_until_at((frame - 1) / 20)
    app.wait_for_color(CORRECTION_COLOR)
    app.picture("worst-frame")

    app.put_panel_beside_video()
    app.click_curve("confidence", 61)
    app.wait_until_at(60 / 20)
    app.picture("timeline")
    app.wait_for_points("left", 100)

    app.leave_video(dataset.name)
    app.open_video()  # the App remembers that the panel is beside it
    app.wait_for_points("left", 100)
    app.next_video()
    app.wait_for_points("left", 12)
    app.wait_for_points("confidence", 12)
    app.picture("shorter-video")

    assert app.errors == []
    assert app.requests_that_matter == []


def add_shorter_video(dataset: fo.Dataset, clip: Path) -> None:
    """Add the first frames of the sample clip as a video of its own, with the same predictions."""
    sample = fo.Sample(filepath=str(clip))
    sample.compute_metadata()
    known = dataset.first().frames
    for number in range(1, sample.metadata.total_frame_count + 1):
        sample.frames[number] = fo.Frame(
            **{fields.PREDICTIONS: known[number][fields.PREDICTIONS].copy()}
        )
    dataset.add_sample(sample)


def take_back(dataset: fo.Dataset, labels: int) -> None:
    """Take back the first of the corrections."""
    sample = dataset.first()
    frames = sample.frames
    known = [number for number, frame in frames.items() if frame[fields.GROUND_TRUTH] is not None]
    for number in known[:labels]:
        frames[number][fields.GROUND_TRUTH] = None
    sample.save()


def assert_labels(truth, labels: Path) -> None:
    """Every point that came back is where it was labelled."""
    persons = labelled(labels)
    for pose in range(len(truth.points)):
        frame = int(truth.frame_number[truth.pose_frame[pose]])
        seen = truth.visibility[pose] > 0
        distances = [
            np.abs(truth.points[pose][seen] - person[seen, :2]).max() for person in persons[frame]
        ]
        assert min(distances) < 0.05
