import dataclasses
import inspect
from pathlib import Path
from types import SimpleNamespace

import fiftyone as fo
import pytest

import fiftyone_legpose as lp
from fiftyone_legpose.cvat_function import create
from fiftyone_legpose.dataset import fields, keypoint_labels
from fiftyone_legpose.evaluation.evaluate import evaluate
from fiftyone_legpose.prediction.inference import (
    OPTIONS,
    SWITCHES,
    Inference,
    InferenceOptions,
    words,
)
from fiftyone_legpose.prediction.predict import predict
from fiftyone_legpose.rounds.loop import loop
from fiftyone_legpose.zoo.weights import Weights

WEIGHTS = Weights(Path("/nowhere/legs.pt"), "ab" * 32, "legs", right_first=False, trusted=True)
KEYS = {
    "predict_legpose_8616e2ec727f": {},
    "predict_legpose_cdcb593145e5": {
        "conf": 0.4,
        "imgsz": 320,
        "track": False,
        "flip_test": True,
        "voting": True,
    },
    "predict_legpose_3917170f173d": {
        "conf": 0.4,
        "imgsz": 320,
        "track": "botsort",
        "flip_test": True,
        "voting": True,
        "repair_swaps": True,
    },
}
"""Keys of runs as the first release made them, by the settings that it was given."""


def test_what_the_first_release_predicted_is_done(short_clip, dataset_name):
    dataset = lp.load(short_clip, dataset_name)
    keypoint_labels.declare(dataset, fields.PREDICTIONS, boxes=True)
    for key, settings in KEYS.items():
        nobody = [[fo.Keypoints(made_by=key) for _ in range(12)]]
        dataset.set_values(f"frames.{fields.PREDICTIONS}", nobody)
        again = predict(dataset, weights=WEIGHTS, **settings, backend="torch", device="cpu")
        assert (again.run_key, again.frames, again.skipped) == (key, 0, 12)


def test_the_keywords_are_the_fields():
    assert set(InferenceOptions.__annotations__) == set(OPTIONS)
    for name, annotation in InferenceOptions.__annotations__.items():
        assert annotation == OPTIONS[name].type, name


@pytest.mark.parametrize(
    ("verb", "missing"),
    [
        (predict, set()),
        (create, set()),
        (evaluate, {"conf"}),
        (loop, {"conf", "imgsz", "backend", "device"}),
    ],
)
def test_signature_and_help_of_a_verb_show_its_options(verb, missing):
    shown = inspect.signature(verb).parameters
    defaults = {name: shown[name].default for name in OPTIONS if name in shown}
    expected = {name: option.default for name, option in OPTIONS.items() if name not in missing}
    # The loop has a size of its own: that of the trainings.
    assert {**defaults, "imgsz": None} == {**expected, "imgsz": None}
    assert "inference" not in shown
    help_text = inspect.getdoc(verb)
    assert "**inference" not in help_text
    for name in expected:
        assert f"\n{name}\n    " in help_text, name


@pytest.mark.parametrize("verb", [predict, evaluate, loop, create])
def test_an_unknown_keyword_is_refused_by_naming_the_known_ones(verb):
    required = {"rounds": 1, "count": 1} if verb is loop else {}
    with pytest.raises(TypeError, match=r"'flip_tset'; it takes .*flip_test") as told:
        verb(None, **required, flip_tset=True)
    assert str(told.value).startswith(f"{verb.__name__}()")


def test_evaluate_and_loop_refuse_what_they_choose_themselves():
    with pytest.raises(TypeError, match=r"evaluate\(\) .* 'conf'"):
        evaluate(None, conf=0.5)
    with pytest.raises(TypeError, match=r"loop\(\) .* 'device'"):
        loop(None, rounds=1, count=1, device="cpu")


def test_every_switch_has_words_for_reports():
    told = [words(name) for name in SWITCHES]
    assert all(switch.way and switch.evaluated for switch in told)
    assert len({switch.evaluated for switch in told}) == len(SWITCHES)


def test_a_stored_run_says_what_was_asked():
    asked = Inference(conf=0.4, imgsz=320, voting=True)
    run = SimpleNamespace(conf=0.4, imgsz=320, voting=True)
    assert Inference.of_run(run) == asked
    with pytest.raises(dataclasses.FrozenInstanceError):
        asked.conf = 0.5
