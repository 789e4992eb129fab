import inspect
import json
import threading

import fiftyone as fo
import pytest
from fiftyone.operators.delegated import DelegatedOperationService
from fiftyone.operators.executor import ExecutionError

import fiftyone_legpose
from cvat_bridge.errors import CvatError
from fiftyone_legpose import fields, review, review_state
from fiftyone_legpose.errors import DatasetError
from fiftyone_legpose.operators import OPERATORS
from fiftyone_legpose.operators.running import Outcome, run
from tests.cvat_server import Fault
from tests.fiftyone_legpose import reviewing
from tests.fiftyone_legpose.plugin_fixtures import app_context, operator, outcome, refusals

FAST = {"backend": "torch", "imgsz": 160, "conf": 0.1}

CHOSEN_BY_THE_FORM = {
    "load": {"dataset", "sources"},
    "select": {"count"},
    "push": {"key"},
    "pull": {"key", "export"},
    "status": set(),
    "import_labels": {"source", "keypoint_order"},
    # The verb's own base has to be fetched; the form proposes the weights that are there.
    "train": {"name", "base"},
    "evaluate": {"report"},
    "export": {"path", "format"},
    "loop": {"rounds", "count", "handover"},
    # None means the default version, which the form names.
    "predict": {"weights"},
}


@pytest.fixture
def loaded(short_clip, dataset_name) -> fo.Dataset:
    return fiftyone_legpose.load(short_clip, dataset_name, progress=False)


@pytest.fixture
def predicted(short_clip, dataset_name) -> fo.Dataset:
    return reviewing.video_dataset(dataset_name, short_clip)


@pytest.mark.parametrize("cls", OPERATORS, ids=lambda cls: cls.verb)
def test_forms_propose_what_the_verbs_do_by_default(cls, predicted):
    verb = inspect.signature(getattr(fiftyone_legpose, cls.verb))
    target = operator(cls.verb)
    form = target.resolve_input(app_context(predicted, cls.verb, more=True)).type
    for name in set(form.properties) & set(verb.parameters) - CHOSEN_BY_THE_FORM[cls.verb]:
        assert form.properties[name].default == verb.parameters[name].default, name


@pytest.mark.parametrize("cls", OPERATORS, ids=lambda cls: cls.verb)
def test_every_operator_explains_itself(cls, predicted):
    target = operator(cls.verb)
    config = target.config.to_json()
    assert config["description"]
    assert config["icon"]
    assert config["risk_level"] != "dangerous"
    placement = target.resolve_placement(app_context(predicted, cls.verb)).to_json()
    assert placement["view"]["icon"]
    assert placement["view"]["label"] == cls.title


def test_buttons_stay_away_from_other_datasets(dataset_name):
    other = fo.Dataset(dataset_name)
    other.media_type = "image"
    shown = [
        cls.verb
        for cls in OPERATORS
        if operator(cls.verb).resolve_placement(app_context(other, cls.verb))
    ]
    assert shown == ["load", "predict", "loop"]


@pytest.mark.parametrize(
    ("verb", "reason"),
    [
        ("load", "Say which folder"),
        ("select", None),
        ("push", "No frame is selected"),
        ("pull", "Nothing was pushed yet"),
        ("import_labels", "Say what to import"),
        ("train", "No frame is corrected yet"),
        ("evaluate", "No frame is corrected yet"),
        ("export", None),
        ("status", None),
    ],
)
def test_execute_is_off_with_a_reason(predicted, verb, reason):
    told = refusals(verb, predicted)
    assert (told == []) if reason is None else (len(told) == 1 and reason in told[0])


def test_settings_that_cannot_be_are_refused_in_the_form(loaded):
    assert refusals("predict", loaded, more=True, imgsz=640) == []
    assert refusals("predict", loaded, more=True, imgsz=333) == [
        "Give a multiple of 32, such as 320, 480 or 640"
    ]


def test_the_server_is_offered_only_with_a_login(predicted, monkeypatch):
    review_state.mark(predicted, reviewing.frame_ids(predicted)[:2], state=fields.SELECTED)
    assert refusals("push", predicted) == []
    [told] = refusals("push", predicted, way="server")
    assert "FIFTYONE_CVAT_URL" in told
    monkeypatch.setenv("FIFTYONE_CVAT_URL", "http://127.0.0.1:9")
    [told] = refusals("push", predicted, way="server")
    assert "FIFTYONE_CVAT_TOKEN" in told
    monkeypatch.setenv("FIFTYONE_CVAT_TOKEN", "s3cret")
    assert refusals("push", predicted, way="server") == []
    form = operator("push").resolve_input(app_context(predicted, "push", way="server"))
    assert "s3cret" not in json.dumps(form.to_json(), default=str)


def test_an_interrupted_push_is_completed_through_the_form(predicted, cvat_server, monkeypatch):
    review_state.mark(predicted, reviewing.frame_ids(predicted)[:2], state=fields.SELECTED)
    monkeypatch.setenv("FIFTYONE_CVAT_URL", cvat_server.url)
    monkeypatch.setenv("FIFTYONE_CVAT_TOKEN", cvat_server.token)
    cvat_server.arm({6: Fault(500)})
    with pytest.raises(CvatError):
        review.push(predicted, "first")
    form = operator("push").resolve_input(app_context(predicted, "push")).to_json()
    assert form["type"]["properties"]["key"]["default"] == "first"
    assert refusals("push", predicted, key="first") == []
    review.push(predicted, "first")
    review_state.mark(predicted, reviewing.frame_ids(predicted)[4:5], state=fields.SELECTED)
    [told] = refusals("push", predicted, key="first")
    assert "already" in told


def test_a_video_goes_through_the_buttons_from_file_to_table(
    short_clip, dataset_name, tmp_path, cvat_server
):
    done = outcome(None, "load", sources=str(short_clip), dataset=dataset_name, subject="eve")
    assert done["facts"]["Added"] == 1
    assert done["dataset"] == dataset_name
    dataset = fo.load_dataset(dataset_name)
    assert dataset.values(fields.SUBJECT) == ["eve"]

    done = outcome(dataset, "predict", **FAST)
    assert done["facts"]["Frames predicted"] == 12
    assert dataset.count(f"frames.{fields.PREDICTIONS}") == 12

    done = outcome(dataset, "select", count=2)
    assert done["facts"]["Frames selected"] == 2

    done = outcome(dataset, "push", key="round1", way="file", folder=str(tmp_path))
    assert (done["facts"]["Frames"], (tmp_path / "round1.zip").is_file()) == (2, True)
    assert outcome(dataset, "status")["facts"] == {"round1": "2 out"}

    back = {"key": "round1", "way": "file", "export": str(tmp_path / "round1.zip")}
    with pytest.raises(ExecutionError, match="nobody has corrected it"):
        outcome(dataset, "pull", **back)
    task = cvat_server.restore_backup((tmp_path / "round1.zip").read_bytes())
    (tmp_path / "export.zip").write_bytes(cvat_server.export(task.id))
    back["export"] = str(tmp_path / "export.zip")
    done = outcome(dataset, "pull", **back)
    assert done["facts"]["Frames written"] == 2
    assert done["notes"][0] == f"All frames of {tmp_path / 'export.zip'} counted as completed."
    assert outcome(dataset, "pull", **back)["facts"]["Frames that were back before"] == 2

    done = outcome(dataset, "evaluate")
    assert "in 2 frames" in done["headline"]
    done = outcome(dataset, "export", path=str(tmp_path / "gait.csv"))
    assert done["facts"]["Frames that a person has looked at"] == 2


def test_a_view_is_honoured(loaded):
    view = loaded.match_frames(fo.ViewField("frame_number") <= 2)
    assert outcome(view, "predict", **FAST)["facts"]["Frames predicted"] == 2


def test_errors_reach_python_with_their_message(predicted):
    with pytest.raises(ExecutionError, match="no such file"):
        outcome(predicted, "load", sources="/nowhere/at/all.mp4")


def test_the_queue_runs_a_verb_and_shows_its_progress(loaded):
    queued = operator("predict")(loaded, delegate=True, **FAST)
    assert queued.delegated
    service = DelegatedOperationService()
    service.execute_queued_operations(limit=1, log=False)
    ran = service.get(queued.result["id"])
    assert ran.run_state == "completed", ran.result
    assert ran.status.progress == 1
    assert "predict" in ran.status.label
    assert ran.result.result["facts"]["Frames predicted"] == 12
    assert loaded.count(f"frames.{fields.PREDICTIONS}") == 12


def messages(dataset, work, verb="predict"):
    return [m.to_json() for m in run(app_context(dataset, verb), verb, work)]


def test_the_app_sees_progress_then_the_outcome(predicted):
    shown = threading.Event()

    def work(report):
        report(3, 12, "6.0 frames/s")
        assert shown.wait(10)
        return Outcome("12 frames", {"Frames": 12}, ["Next"])

    told = []
    for message in run(app_context(predicted), "predict", work):
        told.append(message.to_json()["body"])
        if told[-1].get("params", {}).get("progress") == 0.25:
            shown.set()
    names = [one.get("operator_uri") for one in told]
    assert names[-3:] == ["reload_dataset", "show_output", None]
    assert told[-4]["params"]["label"] == "predict: 6.0 frames/s"
    assert "12 frames" in json.dumps(told[-2])
    assert told[-1]["facts"] == {"Frames": 12}


def test_an_error_is_shown_as_it_is_and_nothing_is_reloaded(predicted):
    def work(report):
        raise DatasetError("Frame 3 has no legs: film lower.")

    told = messages(predicted, work)
    assert [one["body"].get("operator_uri") for one in told] == ["show_output", None]
    assert told[-1]["body"]["failed"]
    assert told[-1]["body"]["headline"] == "Frame 3 has no legs: film lower."


def test_a_fault_of_ours_says_so(predicted):
    told = messages(predicted, lambda report: 1 / 0)
    assert "fault of the plugin" in told[-1]["body"]["headline"]


def test_one_verb_runs_once_at_a_time_on_a_dataset(predicted):
    release = threading.Event()

    def work(report):
        assert release.wait(10)
        return Outcome("done")

    first = run(app_context(predicted), "select", work)
    next(first)
    assert "at work" in messages(predicted, work, "select")[-1]["body"]["headline"]
    assert "at work" in refusals("select", predicted)[0]
    release.set()
    assert list(first)[-1].to_json()["body"]["headline"] == "done"
    assert refusals("select", predicted) == []
