import zipfile
from dataclasses import replace
from pathlib import Path

import fiftyone as fo
import pytest

from fiftyone_legpose.dataset import fields, frame_review
from fiftyone_legpose.evaluation.intervals import Change
from fiftyone_legpose.evaluation.result import Evaluation, store_evaluation
from fiftyone_legpose.panels.leg_pose import LegPose
from fiftyone_legpose.rounds.standing import Standing, next_step, read_standing
from fiftyone_legpose.rounds.verdict import Verdict
from fiftyone_legpose.zoo import registry
from fiftyone_legpose.zoo.registry import SHIPPED, Version
from tests.fiftyone_legpose import reviewing
from tests.fiftyone_legpose.plugin_fixtures import app_context, operator

BETTER = Verdict("round1", SHIPPED, "better", 6)
WORSE = replace(BETTER, outcome="worse")


@pytest.fixture
def video(dataset_name, short_clip, tmp_path, monkeypatch) -> fo.Dataset:
    monkeypatch.setattr(fo.config, "model_zoo_dir", str(tmp_path / "zoo"))
    return reviewing.video_dataset(dataset_name, short_clip)


def mark(dataset: fo.Dataset, state: str, *positions: int) -> None:
    ids = reviewing.frame_ids(dataset)
    frame_review.mark(dataset, [ids[i] for i in positions], state=state)


def train(dataset: fo.Dataset, name: str, folder: Path, *numbers: int) -> Version:
    """Register what a training on some frames of the first video would leave."""
    checkpoint = folder / f"{name}.pt"
    with zipfile.ZipFile(checkpoint, "w") as archive:
        archive.writestr("weights/data.pkl", name)
    sample = dataset.first().id
    frames = {"train": [{"sample": sample, "frame": number} for number in numbers], "val": []}
    version = Version(name=name, path=Path(), sha256="", dataset=dataset.name, frames=frames)
    return registry.add_version(checkpoint, version)


def predict(dataset: fo.Dataset, field: str, version: str) -> None:
    """Note on the dataset that a version predicted a field."""
    config = dataset.init_run(
        method="legpose/predict",
        label_field=field,
        weights=version,
        weights_sha256=registry.get_version(version).sha256,
    )
    dataset.register_run(f"predict_{field}_{version}".replace("-", "_"), config)


def compare(dataset: fo.Dataset, *fields_of: str, verdict: str, **settings) -> None:
    """Store an evaluation of predictions; the verdict is of the second against the first."""
    change = Change(0.1, 0.05, 0.2, verdict)
    store_evaluation(
        dataset,
        Evaluation(
            key=f"evaluation_{len(dataset.list_runs())}",
            date="2026-11-30T12:00:00+00:00",
            fields={name: name for name in fields_of},
            settings=settings,
            counts={"frames": 6, "persons": 6},
            estimates={},
            changes={name: {"oks": change} for name in fields_of[1:]},
            calibration={},
        ),
    )


def test_the_counts_are_those_of_the_dataset(video):
    mark(video, fields.SELECTED, 0, 1)
    mark(video, fields.OUT, 2)
    mark(video, fields.CORRECTED, 4)
    mark(video, fields.EMPTY, 5, 6)
    seen = read_standing(video)
    assert (seen.samples, seen.frames, seen.predicted) == (1, 12, 11)
    assert (seen.selected, seen.out, seen.corrected, seen.empty) == (2, 1, 1, 2)
    assert seen.weights == SHIPPED


def test_pictures_are_counted_too(dataset_name, tmp_path):
    seen = read_standing(reviewing.image_dataset(dataset_name, tmp_path))
    assert (seen.media, seen.samples, seen.frames, seen.predicted) == ("image", 4, 4, 4)


def test_an_empty_dataset_asks_for_videos(dataset_name):
    assert next_step(read_standing(fo.Dataset(dataset_name))).verb == "load"


@pytest.mark.parametrize(
    ("counts", "verb"),
    [
        ({"samples": 0}, "load"),
        ({}, "predict"),
        ({"predicted": 9}, "select"),
        ({"predicted": 9, "selected": 2}, "push"),
        ({"predicted": 9, "selected": 2, "out": 3}, "pull"),
        ({"predicted": 9, "corrected": 3, "unlearned": 3}, "evaluate"),
        ({"predicted": 9, "empty": 3, "unlearned": 3}, "evaluate"),
        ({"predicted": 9, "corrected": 3, "unlearned": 3, "evaluations": 1}, "train"),
        ({"predicted": 9, "corrected": 3, "newest": "round1", "evaluations": 1}, "evaluate"),
        ({"predicted": 9, "newest": "round1", "verdict": BETTER}, "use"),
        (
            {"predicted": 9, "newest": "round1", "verdict": replace(BETTER, outcome="worse")},
            "select",
        ),
        ({"predicted": 9, "newest": "round1", "unlearned": 2, "verdict": BETTER}, "train"),
        (
            {"predicted": 9, "newest": "a", "weights": "a", "predicted_by": SHIPPED},
            "predict",
        ),
        ({"predicted": 9, "newest": "a", "weights": "a", "predicted_by": "a"}, "select"),
    ],
)
def test_the_button_is_what_comes_next(counts, verb):
    nothing = dict.fromkeys(("predicted", "selected", "out", "corrected", "empty"), 0)
    base = {"media": "video", "samples": 1, "frames": 9, "weights": SHIPPED, **nothing}
    step = next_step(Standing(**{**base, **counts}))
    assert step.verb == verb
    assert step.label
    assert step.reason


def test_one_round_goes_from_evaluation_to_new_weights_without_turning_back(video, tmp_path):
    def comes_next() -> str:
        return next_step(read_standing(video)).verb

    predict(video, fields.PREDICTIONS, SHIPPED)
    mark(video, fields.CORRECTED, 0, 1, 4)
    assert comes_next() == "evaluate"
    compare(video, fields.PREDICTIONS, verdict="unknown")
    assert comes_next() == "train"
    train(video, "round1", tmp_path, 1, 2, 5)
    assert comes_next() == "evaluate"
    compare(video, fields.PREDICTIONS, verdict="unknown")
    assert comes_next() == "evaluate"  # the stored predictions alone say nothing of new weights
    predict(video, "eval_round1", "round1")
    compare(video, fields.PREDICTIONS, "eval_round1", verdict="better")
    assert comes_next() == "use"
    registry.use_version("round1")
    assert comes_next() == "predict"
    predict(video, fields.PREDICTIONS, "round1")
    assert comes_next() == "select"
    mark(video, fields.CORRECTED, 7)
    assert comes_next() == "train"


@pytest.mark.parametrize(
    ("order", "said", "outcome", "sentence"),
    [
        ((0, 1), "better", "better", "round1 is better than 1, on 6 frames."),
        ((1, 0), "better", "worse", "round1 is worse than 1, on 6 frames."),
        (
            (0, 1),
            "unknown",
            "cannot be told",
            "Whether round1 is better than 1 cannot be told from 6 frames.",
        ),
        ((1, 0), "no clear difference", "cannot be told", None),
    ],
)
def test_the_verdict_is_the_newest_versions(video, tmp_path, order, said, outcome, sentence):
    train(video, "round1", tmp_path)
    predict(video, "eval_1", SHIPPED)
    predict(video, "eval_round1", "round1")
    compared = ("eval_1", "eval_round1")
    compare(video, *(compared[i] for i in order), verdict=said)
    verdict = read_standing(video).verdict
    assert (verdict.version, verdict.other, verdict.outcome) == ("round1", SHIPPED, outcome)
    assert sentence in (None, str(verdict))


def test_the_form_proposes_to_compare_new_weights_with_those_in_use(video, tmp_path):
    def proposed() -> set[str]:
        form = operator("evaluate").resolve_input(app_context(video, "evaluate")).type
        names = ("stored", "weights_1", "weights_round1")
        return {name for name in names if name in form.properties and form.properties[name].default}

    assert proposed() == {"stored"}
    train(video, "round1", tmp_path)
    assert proposed() == {"weights_1", "weights_round1"}
    predict(video, "eval_1", SHIPPED)
    predict(video, "eval_round1", "round1")
    compare(video, "eval_1", "eval_round1", verdict="worse")
    assert proposed() == {"stored"}


def test_predictions_made_in_different_ways_give_no_verdict(video, tmp_path):
    train(video, "round1", tmp_path)
    predict(video, "eval_1", SHIPPED)
    predict(video, "eval_round1", "round1")
    compare(video, "eval_1", "eval_round1", verdict="better", flip_tested=["eval_1"], voted=[])
    assert read_standing(video).verdict is None


def test_the_panels_button_makes_a_version_the_one_in_use_and_back(video, tmp_path):
    train(video, "round1", tmp_path)
    predict(video, "eval_1", SHIPPED)
    predict(video, "eval_round1", "round1")
    compare(video, "eval_1", "eval_round1", verdict="better")

    def panel(**params):
        context = app_context(video, "leg_pose", panel_id="p", panel_state={}, **params)
        context.request_params["current_sample"] = video.first().id  # hides the comparison
        return context

    def buttons() -> dict:
        layout = LegPose().render(panel()).to_json()["type"]["properties"]
        return layout["steps"]["type"]["properties"]

    assert buttons()["next"]["view"]["label"] == "Use round1"
    LegPose().use(panel(**buttons()["next"]["view"]["params"]))
    assert registry.current_version() == "round1"
    assert "use_round1" not in buttons()
    LegPose().use(panel(**buttons()[f"use_{SHIPPED}"]["view"]["params"]))
    assert registry.current_version() == SHIPPED
