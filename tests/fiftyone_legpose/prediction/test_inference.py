import dataclasses
import inspect
from types import SimpleNamespace

import pytest

from fiftyone_legpose.cvat_function import create
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
