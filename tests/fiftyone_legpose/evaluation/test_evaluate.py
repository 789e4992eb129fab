"""evaluate: agrees with ultralytics, names a displaced joint, and stores what it found."""

import json
import zipfile
from pathlib import Path

import fiftyone as fo
import numpy as np
import pytest

from cvat_bridge.poses import Pose
from fiftyone_legpose import legs
from fiftyone_legpose.dataset import keypoint_labels
from fiftyone_legpose.dataset.fields import GROUND_TRUTH
from fiftyone_legpose.errors import DatasetError
from fiftyone_legpose.evaluation import metrics
from fiftyone_legpose.evaluation.evaluate import (
    evaluate,
    list_evaluations,
    load_evaluation,
)
from fiftyone_legpose.pose import geometry
from fiftyone_legpose.zoo import registry
from fiftyone_legpose.zoo.registry import Version

VIDEOS, FRAMES = 4, 12
KNEE = legs.KEYPOINTS.index("left_knee")


@pytest.fixture(scope="module")
def truth(sample_labels) -> list[list[list[Pose]]]:
    """Real poses of four videos of twelve frames; the last frame of each is confirmed empty."""
    rows = json.loads(sample_labels.read_text())["frames"]
    videos: list[list[list[Pose]]] = []
    for video in range(VIDEOS):
        frames = []
        for row in rows[video * FRAMES : (video + 1) * FRAMES - 1]:
            triples = [np.array(person["keypoints"], float) for person in row["persons"]]
            frames.append([Pose(t[:, :2], t[:, 2].astype(int)) for t in triples if t[:, 2].any()])
        videos.append([*frames, []])
    return videos


@pytest.fixture
def dataset(dataset_name, sample_clip, sample_labels, truth) -> fo.Dataset:
    """Labels, and predictions that are off by 2 px: `old`, its copy, and one with a joint moved."""
    meta = json.loads(sample_labels.read_text())
    size = (meta["width"], meta["height"])
    rng = np.random.default_rng(0)
    made = fo.Dataset(dataset_name, media_type="video")
    for field in (GROUND_TRUTH, "old", "copy", "moved"):
        keypoint_labels.declare(made, field)
    for video in truth:
        metadata = fo.VideoMetadata(
            frame_width=size[0], frame_height=size[1], frame_rate=20.0, total_frame_count=100
        )
        sample = fo.Sample(filepath=str(sample_clip), metadata=metadata)
        for number, people in enumerate(video, 1):
            off = [p.points + rng.normal(0, 2, (10, 2)) for p in people]
            confidence = rng.uniform(0.5, 1, (len(people), 10))
            aside = np.zeros((10, 2))
            aside[KNEE] = 5, 0

            def label(shift, off=off, confidence=confidence):
                guesses = [
                    Pose(points + shift, np.full(10, 2), confidence=c, score=0.8)
                    for points, c in zip(off, confidence, strict=True)
                ]
                return keypoint_labels.to_keypoints(guesses, size)

            sample.frames[number] = fo.Frame(
                ground_truth=keypoint_labels.to_keypoints(people, size),
                old=label(0.0),
                copy=label(0.0),
                moved=label(aside),
            )
        # Never labelled: these frames must not count.
        sample.frames[FRAMES + 1] = fo.Frame(old=keypoint_labels.to_keypoints([], size))
        made.add_sample(sample)
    return made


def test_a_model_against_itself_shows_no_difference(dataset):
    result = evaluate(dataset, pred_field=["old", "copy"], resamples=200)
    for measure, change in result.changes["copy"].items():
        if change.difference is not None:
            assert change.low <= 0 <= change.high, measure
            assert change.verdict == "no clear difference", measure
    assert result.changed_joints("copy") == {}
    assert result.better("copy") is False


def test_a_displaced_joint_is_found_and_named(dataset):
    result = evaluate(dataset, pred_field=["old", "moved"], resamples=200)
    joints = result.changed_joints("moved")
    assert list(joints) == ["left_knee"]
    assert joints["left_knee"].verdict == "worse"
    assert 1.5 < joints["left_knee"].low <= joints["left_knee"].difference < 5
    assert list(result.changed_joints("moved", "median_leg")) == ["left_knee"]
    assert "left_knee: median error +" in result.summary()
    assert result.changes["moved"]["oks"].verdict == "worse"


def test_the_other_way_round_it_is_better(dataset):
    result = evaluate(dataset, pred_field=["moved", "old"], resamples=200)
    assert result.better("old") is True
    assert result.changed_joints("old")["left_knee"].verdict == "better"


def test_numbers_count_what_was_labelled(dataset, truth):
    result = evaluate(dataset, pred_field="old", resamples=50)
    persons = sum(len(frame) for video in truth for frame in video)
    assert result.counts == {
        "frames": VIDEOS * FRAMES,
        "frames_not_predicted": 0,
        "frames_trained_on": 0,
        "frames_of_known_subjects": 0,
        "persons": persons,
        "groups": VIDEOS,
    }
    values = result.estimates["old"]
    assert values["found"].value == 1
    assert 1 < values["median_px/all/all"].value < 4
    assert values["median_px/all/all"].low <= values["median_px/all/all"].value
    assert values["ap50"].value == pytest.approx(1)
    assert values["pck@0.2/visible/all"].value == pytest.approx(1)
    bins = result.calibration["old"]
    assert sum(bins["count"]) > 100 and bins["correct"][9] == pytest.approx(1)


def test_a_person_on_an_empty_frame_is_one_too_many(dataset, truth):
    sample = dataset.first()
    sample.frames[FRAMES]["old"] = sample.frames[1]["old"]
    sample.save()
    people = len(truth[0][0])
    result = evaluate(dataset, pred_field="old", resamples=20)
    assert result.estimates["old"]["spare"].value == pytest.approx(people / (VIDEOS * FRAMES))
    assert dataset.first().frames[FRAMES]["old_error"] == 1


def test_average_precision_agrees_with_ultralytics(truth):
    """The validator's own matching and AP, given the same sigmas and areas (boxes)."""
    import torch
    from ultralytics.models.yolo.pose import PoseValidator
    from ultralytics.utils.metrics import ap_per_class

    rng = np.random.default_rng(1)
    validator = PoseValidator(args={"task": "pose"})
    validator.sigma = np.array(legs.SIGMAS, np.float32)
    validator.iouv = torch.linspace(0.5, 0.95, 10)
    validator.niou = 10
    rows: dict[str, list[np.ndarray]] = {"tp": [], "conf": [], "pred": [], "target": []}
    people, guesses = [], []
    frames = [frame for video in truth for frame in video] * 3
    for number, frame in enumerate(frames):
        true = np.array([np.column_stack([np.nan_to_num(p.points), p.visibility]) for p in frame])
        found = [p.points + rng.normal(0, 1, (10, 2)) * rng.gamma(2, 4) for p in frame]
        found = [np.nan_to_num(p) for p in found if rng.random() < 0.9]
        score = rng.random(len(found))
        people += [(number, p.points, p.visibility) for p in frame]
        guesses += [(number, p, s) for p, s in zip(found, score, strict=True)]
        true = true.reshape(-1, 10, 3)
        wide = np.sqrt(geometry.areas(true[..., :2], true[..., 2]) / 0.53)
        boxes = np.column_stack([np.zeros((len(true), 2)), wide, wide]).reshape(-1, 4)
        batch = {
            "cls": torch.zeros(len(true)),
            "bboxes": torch.tensor(boxes, dtype=torch.float32),
            "keypoints": torch.tensor(true, dtype=torch.float32),
        }
        spots = np.array([np.column_stack([p, np.ones(10)]) for p in found]).reshape(-1, 10, 3)
        predictions = {
            "cls": torch.zeros(len(found)),
            "conf": torch.tensor(score),
            "bboxes": torch.zeros((len(found), 4)),
            "keypoints": torch.tensor(spots, dtype=torch.float32),
        }
        rows["tp"].append(validator._process_batch(predictions, batch)["tp_p"])
        rows["conf"].append(score)
        rows["pred"].append(np.zeros(len(found)))
        rows["target"].append(np.zeros(len(true)))
    columns = [np.concatenate(rows[name]) for name in ("tp", "conf", "pred", "target")]
    expected = ap_per_class(*columns)[5][0]

    def persons(entries, visibility, score):
        return metrics.Persons(
            frame=np.array([entry[0] for entry in entries]),
            points=np.array([entry[1] for entry in entries]),
            visibility=visibility,
            confidence=np.full((len(entries), 10), np.nan),
            score=score,
        )

    seen = np.array([entry[2] for entry in people])
    scores = np.array([entry[2] for entry in guesses])
    got = metrics.coco_average_precision(
        persons(people, seen, np.full(len(people), np.nan)),
        persons(guesses, np.full((len(guesses), 10), 2), scores),
    )
    assert 0.2 < expected.mean() < 0.9
    assert got["ap50"] == pytest.approx(expected[0], abs=0.01)
    assert got["ap50_95"] == pytest.approx(expected.mean(), abs=0.01)


def test_the_result_is_a_run_that_loads_and_a_second_call_adds_nothing(dataset):
    result = evaluate(dataset, pred_field=["old", "moved"], resamples=50)
    assert list_evaluations(dataset) == [result.key]
    loaded = load_evaluation(dataset, result.key)
    assert loaded.to_json() == result.to_json()
    again = evaluate(dataset, pred_field=["old", "moved"], resamples=50)
    assert again.key == result.key
    assert again.estimates == result.estimates
    assert list_evaluations(dataset) == [result.key]
    info = dataset.get_run_info(result.key)
    assert info.config.fields == {"old": "old", "moved": "moved"}
    with pytest.raises(DatasetError, match="no evaluation 'other'"):
        load_evaluation(dataset, "other")


def test_other_predictions_are_another_run(dataset):
    first = evaluate(dataset, pred_field="old", resamples=20)
    sample = dataset.first()
    sample.frames[1]["old"] = sample.frames[2]["old"]
    sample.save()
    second = evaluate(dataset, pred_field="old", resamples=20)
    assert first.key != second.key
    assert list_evaluations(dataset) == [first.key, second.key]


def test_frames_can_be_sorted_by_their_error(dataset):
    evaluate(dataset, pred_field=["old", "moved"], resamples=20)
    old, moved = dataset.values(["frames.old_error", "frames.moved_error"])
    assert old[0][FRAMES] is None  # never labelled
    assert old[0][FRAMES - 1] == 0  # empty, and nobody predicted
    assert 0 < old[0][0] < moved[0][0] < 0.2
    assert dataset.first()["old_error_of_video"].max == max(v for v in old[0] if v is not None)


def test_frames_outside_the_last_evaluation_have_no_error(dataset):
    evaluate(dataset, pred_field="old", resamples=20)
    part = dataset.match_frames(fo.ViewField("frame_number") <= 3)
    evaluate(part, pred_field="old", resamples=20)
    errors = [frame for video in dataset.values("frames.old_error") for frame in video]
    assert sum(error is not None for error in errors) == 3 * VIDEOS


def test_the_report_holds_numbers_plots_and_pictures(dataset, tmp_path):
    result = evaluate(
        dataset, pred_field=["old", "moved"], resamples=50, report=tmp_path / "r", worst=3
    )
    page = (tmp_path / "r" / "report.html").read_text()
    assert [p.name for p in (tmp_path / "r").iterdir()] == ["report.html"]
    assert page.count("data:image/jpeg") == 3
    assert "moved minus old" in page and "PCK@0.1" in page and "(worse)" in page
    assert "<script src" not in page and "legs_sample" not in page
    result.to_json(tmp_path / "e.json")
    text = json.loads((tmp_path / "e.json").read_text())
    assert text["estimates"]["old"]["oks"]["value"] == result.estimates["old"]["oks"].value


def test_one_video_has_numbers_and_no_intervals(dataset):
    result = evaluate(dataset[:1], pred_field=["old", "moved"], resamples=20)
    assert result.counts["groups"] == 1
    assert result.estimates["old"]["oks"].low is None
    assert result.changes["moved"]["oks"].verdict == "unknown"
    assert result.better("moved") is None


def test_subjects_can_be_drawn_together(dataset):
    dataset.set_values("subject", ["a", "a", "b", None])
    result = evaluate(dataset, pred_field="old", group_by="subject", resamples=20)
    assert result.counts["groups"] == 3
    with pytest.raises(DatasetError, match="no sample field 'ward'"):
        evaluate(dataset, pred_field="old", group_by="ward")


def test_frames_that_one_prediction_lacks_are_left_out_of_all(dataset):
    sample = dataset.first()
    sample.frames[1]["moved"] = None
    sample.save()
    result = evaluate(dataset, pred_field=["old", "moved"], resamples=20)
    assert result.counts["frames"] == VIDEOS * FRAMES - 1
    assert result.counts["frames_not_predicted"] == 1


def test_what_is_missing_is_named(dataset, dataset_name):
    with pytest.raises(DatasetError, match="no labels in field 'other'"):
        evaluate(dataset, pred_field="old", gt_field="other")
    with pytest.raises(DatasetError, match="no keypoints in field 'legpose'"):
        evaluate(dataset)
    dataset.set_values("frames.moved", [[None] * (FRAMES + 1)] * VIDEOS)
    with pytest.raises(DatasetError, match="no labelled frame was predicted in 'moved'"):
        evaluate(dataset, pred_field="moved")
    dataset.set_values("frames.ground_truth", [[None] * (FRAMES + 1)] * VIDEOS)
    with pytest.raises(DatasetError, match="no frame has labels"):
        evaluate(dataset, pred_field="old")


def test_weights_predict_the_labelled_frames_alone(dataset_name, short_clip, tmp_path):
    from fiftyone_legpose import load
    from fiftyone_legpose.zoo.checkpoints import shipped_checkpoint

    dataset = load(short_clip, dataset_name)
    keypoint_labels.declare(dataset, GROUND_TRUTH)
    people = [Pose(np.random.default_rng(0).uniform(20, 250, (10, 2)), np.full(10, 2))]
    sample = dataset.first()
    for number in (2, 5):
        sample.frames[number][GROUND_TRUTH] = keypoint_labels.to_keypoints(people, (304, 264))
    sample.save()
    copy = tmp_path / "copy.pt"
    copy.write_bytes(shipped_checkpoint().read_bytes())
    options = {"imgsz": 320, "resamples": 20, "voting": False}
    result = evaluate(dataset, weights=["legpose-yolov8n", copy], **options)
    assert [name.split()[0].split("@")[0] for name in result.names] == ["1", "copy"]
    assert result.counts["frames"] == 2
    for field in result.fields.values():
        looked_at = dataset.values(f"frames.{field}.keypoints.id")[0]
        assert [i + 1 for i, cell in enumerate(looked_at) if cell is not None] == [2, 5]
    assert result.changed_joints(result.names[1]) == {}
    again = evaluate(dataset, weights=["legpose-yolov8n", copy], **options)
    assert (again.key, again.fields) == (result.key, result.fields)
    bare = dict(zip(result.fields, dataset.values(_ids(result)), strict=True))
    tested = evaluate(dataset, weights=["legpose-yolov8n", copy], flip_test=True, **options)
    assert tested.key != result.key
    assert tested.settings["flip_tested"] == tested.names
    assert tested.cautions() == ["All predictions were made with the flip test."]
    unlike = evaluate(
        dataset, weights=copy, pred_field=next(iter(tested.fields.values())), **options
    )
    [told] = unlike.cautions()
    assert "predicted with the flip test; copy" in told
    assert "voted" not in unlike.settings
    assert told in unlike.summary()
    both = evaluate(dataset, weights=copy, **options | {"flip_test": True, "voting": True})
    assert both.settings["flip_tested"] == both.settings["voted"] == both.names
    assert both.cautions() == ["All predictions were made with the flip test."]  # voting is usual
    [name] = both.names
    assert both.fields[name] == f"{result.fields[name]}_flip_test_voting"
    for name, field in tested.fields.items():
        assert field == f"{result.fields[name]}_flip_test"
        made_by = [key for key in dataset.distinct(f"frames.{field}.made_by") if key]
        assert [dataset.get_run_info(key).config.flip_test for key in made_by] == [True]
    assert dict(zip(result.fields, dataset.values(_ids(result)), strict=True)) == bare


def _ids(evaluation):
    return [f"frames.{field}.keypoints.id" for field in evaluation.fields.values()]


@pytest.fixture
def trained_on(dataset, tmp_path, monkeypatch):
    """A version that was trained on the first six frames of the first video, which `old` is of."""
    monkeypatch.setattr(fo.config, "model_zoo_dir", str(tmp_path / "zoo"))
    with zipfile.ZipFile(tmp_path / "mine.pt", "w") as archive:
        archive.writestr("mine/data.pkl", "never opened here")
    frames = [{"sample": dataset.first().id, "frame": number} for number in range(1, 7)]
    entry = Version("mine", Path(), "", frames={"train": frames})
    version = registry.add_version(tmp_path / "mine.pt", entry)
    run = dataset.init_run(method="legpose/predict", weights_sha256=version.sha256)
    dataset.register_run("predict_mine", run)
    poses_of = dataset.values("frames.old")
    for of_video in poses_of:
        for label in of_video:
            if label is not None:
                label["made_by"] = "predict_mine"
    dataset.set_values("frames.old", poses_of)
    return version


def test_frames_that_weights_were_trained_on_do_not_judge_them(dataset, trained_on):
    result = evaluate(dataset, pred_field=["copy", "old"], resamples=20)
    assert result.counts["frames"] == VIDEOS * FRAMES - 6
    assert result.counts["frames_trained_on"] == 6
    # The other frames of that video are no strangers.
    assert result.counts["frames_of_known_subjects"] == FRAMES - 6
    assert "6 labelled frames are left out" in result.summary()
    assert f"{FRAMES - 6} of the frames show subjects or videos" in result.summary()

    everything = evaluate(dataset, pred_field=["copy", "old"], resamples=20, trained_on=True)
    assert everything.counts["frames"] == VIDEOS * FRAMES
    assert everything.counts["frames_trained_on"] == 0
    assert everything.key != result.key
    # Errors of an evaluation of everything are not those of one that leaves frames out.
    evaluate(dataset, pred_field=["copy", "old"], resamples=20)
    error = dataset.values("frames.old_error")[0]
    assert [value is None for value in error[:FRAMES]] == [True] * 6 + [False] * (FRAMES - 6)
    others = evaluate(dataset, pred_field="copy", resamples=20)
    assert others.counts["frames_trained_on"] == others.counts["frames_of_known_subjects"] == 0
    assert others.cautions() == []


def test_only_frames_that_were_trained_on_are_refused(dataset, trained_on):
    first = dataset.limit(1).match_frames(fo.ViewField("frame_number") <= 6)
    with pytest.raises(DatasetError, match=r"trained on all 6 labelled frames.*--trained-on"):
        evaluate(first, pred_field="old", resamples=20)
    assert evaluate(first, pred_field="old", resamples=20, trained_on=True).counts["frames"] == 6


def test_stills_of_one_walk_are_drawn_together(dataset_name, tmp_path, truth):
    stills = fo.Dataset(dataset_name, media_type="image")
    for field in (GROUND_TRUTH, "old"):
        keypoint_labels.declare(stills, field)
    for number, people in enumerate(truth[0][:6]):
        label = keypoint_labels.to_keypoints(people, (608, 528))
        path = tmp_path / f"{'walk' if number < 4 else 'run'}{number:04d}.jpg"
        metadata = fo.ImageMetadata(width=608, height=528)
        stills.add_sample(
            fo.Sample(str(path), metadata=metadata, ground_truth=label, old=label.copy())
        )
    result = evaluate(stills, pred_field="old", resamples=20)
    assert (result.counts["frames"], result.counts["groups"]) == (6, 2)
