import io
import json
import shutil
import sys
import threading
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import fiftyone as fo
import pytest
import typer
from fiftyone.operators.delegated import DelegatedOperationService
from fiftyone.operators.executor import ExecutionError

import fiftyone_legpose
from cvat_bridge.errors import CvatError
from fiftyone_legpose import cli, jobs
from fiftyone_legpose.cvat.results import load_results
from fiftyone_legpose.dataset import fields, frame_review, keypoint_labels
from fiftyone_legpose.dataset.appearance import GROUP
from fiftyone_legpose.errors import TrainingError
from fiftyone_legpose.evaluation import evaluate as evaluation
from fiftyone_legpose.jobs import Outcome
from fiftyone_legpose.operators import OPERATORS, running, worker
from fiftyone_legpose.operators.evaluate import _switch
from fiftyone_legpose.operators.forms import SAMPLE_DATASET, as_path
from fiftyone_legpose.panels.leg_pose import LegPose
from fiftyone_legpose.prediction import predict as prediction
from fiftyone_legpose.review import push
from fiftyone_legpose.rounds import loop as rounds
from fiftyone_legpose.training import train as training
from fiftyone_legpose.zoo import registry
from fiftyone_legpose.zoo.registry import SHIPPED, get_version
from tests.cvat_server import Fault
from tests.fiftyone_legpose import reviewing
from tests.fiftyone_legpose.plugin_fixtures import NAME, app_context, operator, outcome, refusals

FAST = {"backend": "torch", "imgsz": 160, "conf": 0.1}


@pytest.fixture
def loaded(short_clip, dataset_name) -> fo.Dataset:
    return fiftyone_legpose.load(short_clip, dataset_name, progress=False)


@pytest.fixture
def predicted(short_clip, dataset_name) -> fo.Dataset:
    return reviewing.video_dataset(dataset_name, short_clip)


def add_truth(dataset: fo.Dataset, field: str = fields.GROUND_TRUTH) -> None:
    """Take the predictions of every frame for corrections."""
    keypoint_labels.declare(dataset, field)
    for sample in dataset.iter_samples(autosave=True):
        for frame in sample.frames.values():
            frame[field] = frame[fields.PREDICTIONS]


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
        ("deidentify", "Say which videos"),
        ("status", None),
    ],
)
def test_execute_is_off_with_a_reason(predicted, verb, reason):
    told = refusals(verb, predicted)
    assert (told == []) if reason is None else (len(told) == 1 and reason in told[0])


def test_corrections_may_lie_in_another_field(predicted):
    add_truth(predicted, "second_reader")
    for verb in ("train", "evaluate"):
        assert len(refusals(verb, predicted, more=True)) == 1
        assert refusals(verb, predicted, more=True, gt_field="second_reader") == []
    done = outcome(predicted, "evaluate", gt_field="second_reader")
    assert "in 11 frames" in done["headline"]


def test_status_says_whether_select_or_push_comes_next(predicted):
    assert "**Select**" in outcome(predicted, "status")["notes"][0]
    outcome(predicted, "select", count=2)
    told = outcome(predicted, "status")
    assert (told["headline"], told["notes"]) == (
        "Nothing was pushed yet, 2 frames are selected.",
        ["Next: **Push**."],
    )


def test_settings_that_cannot_be_are_refused_in_the_form(loaded):
    assert refusals("predict", loaded, more=True, imgsz=640) == []
    assert refusals("predict", loaded, more=True, imgsz=333) == [
        "Give a multiple of 32, such as 320, 480 or 640"
    ]


@pytest.mark.parametrize(
    ("verb", "given", "said"),
    [
        ("predict", {"every": 1.5}, "whole number"),
        ("predict", {"every": 0}, "1 or more"),
        ("predict", {"conf": 1.5}, "1.0 or less"),
        ("predict", {"device": "banana"}, "auto, cpu"),
        ("predict", {"label_field": "my legs"}, "letters, digits and underscores"),
        ("select", {"count": 2.5}, "whole number"),
        ("train", {"epochs": 2.5}, "whole number"),
        ("train", {"device": "banana"}, "auto, cpu"),
        ("train", {"name": "round 1"}, "letters, digits, dots"),
        ("evaluate", {"device": "banana"}, "auto, cpu"),
        ("loop", {"rounds": 1.5}, "whole number"),
    ],
)
def test_what_a_verb_cannot_take_its_form_refuses(predicted, verb, given, said):
    add_truth(predicted)
    assert refusals(verb, predicted, more=True) == []
    [told] = refusals(verb, predicted, more=True, **given)
    assert said in told


@pytest.mark.parametrize(
    ("verb", "given", "meant"),
    [
        ("select", {"coutn": 3}, "count"),
        ("predict", {"weigths": "1"}, "weights"),
        ("evaluate", {"stord": True}, "stored"),
        ("push", {"foldr": "x"}, "folder"),
    ],
)
def test_a_name_that_a_script_has_mistyped_is_refused(predicted, verb, given, meant):
    add_truth(predicted)
    frame_review.mark(predicted, reviewing.frame_ids(predicted)[:2], state=fields.SELECTED)
    with pytest.raises(ExecutionError, match=f"Did you mean {meant!r}"):
        outcome(predicted, verb, **given)
    assert frame_review.read(predicted).ids(fields.SELECTED) == reviewing.frame_ids(predicted)[:2]


def stop_at(monkeypatch, module, verb: str) -> dict:
    """End an operator with the error "enough" at the verb that it calls; with what, fills in."""
    told: dict = {}

    def note(_, **options):
        told.update(options)
        raise TrainingError("enough")

    monkeypatch.setattr(module, verb, note)
    return told


@pytest.mark.parametrize(("given", "taken"), [("auto", "auto"), ("3", 3), ("-1", -1)])
def test_train_takes_pictures_a_step_and_optimizer(predicted, monkeypatch, given, taken):
    add_truth(predicted)
    told = stop_at(monkeypatch, training, "train")
    with pytest.raises(ExecutionError, match="enough"):
        outcome(predicted, "train", name="a", more=True, batch=given, optimizer="SGD")
    assert (told["batch"], told["optimizer"]) == (taken, "SGD")
    assert told["progress"] is None
    assert "threads" not in told


def test_a_name_that_contradicts_the_format_is_refused_in_the_form(predicted):
    assert refusals("export", predicted, format="parquet", path="/x/legs.parquet") == []
    [told] = refusals("export", predicted, format="parquet", path="/x/legs.csv")
    assert "end in .parquet" in told


def test_settings_of_a_closed_section_do_not_count(predicted):
    hidden = {"conf": 0.9, "overwrite": True, "every": 10}
    closed = app_context(predicted, "predict", more=False, weights=SHIPPED, **hidden)
    options = operator("predict").options(closed)
    switches = {"close_look": False, "voting": True, "flip_test": False}
    assert options == {"weights": SHIPPED, "more": False} | switches
    shown = operator("predict").options(app_context(predicted, "predict", more=True, **hidden))
    assert shown.items() >= hidden.items()
    said = operator("predict").options(app_context(predicted, "predict", **hidden))
    assert said.items() >= hidden.items()
    add_truth(predicted, "second_reader")
    assert refusals("evaluate", predicted, more=True, gt_field="second_reader") == []
    assert len(refusals("evaluate", predicted, more=False, gt_field="second_reader")) == 1


def test_evaluate_takes_another_field_and_a_checkpoint(predicted, monkeypatch, tmp_path):
    add_truth(predicted)
    told = stop_at(monkeypatch, evaluation, "evaluate")
    checkpoint, others = str(tmp_path / "w.pt"), {"imgsz": 320, "device": "cpu", "trust": True}
    others |= {"backend": "torch", "flip_test": True, "voting": True}
    with pytest.raises(ExecutionError, match="enough"):
        outcome(predicted, "evaluate", pred_field="second", checkpoint=checkpoint, **others)
    assert (told["weights"], told["pred_field"]) == ([checkpoint], "second")
    assert told.items() >= others.items()


@pytest.mark.parametrize(("module", "verb"), [(prediction, "predict"), (rounds, "loop")])
def test_voting_and_the_flip_test_reach_the_verb(loaded, monkeypatch, tmp_path, module, verb):
    told = stop_at(monkeypatch, module, verb)
    for asked in ({"voting": False, "flip_test": True}, {"voting": True, "flip_test": False}):
        with pytest.raises(ExecutionError, match="enough"):
            more = {"handover": str(tmp_path), "rounds": 1, "count": 2} if verb == "loop" else {}
            outcome(loaded, verb, **asked, **more)
        assert told.items() >= asked.items()


@pytest.mark.parametrize(("said", "meant"), [("", None), ("yes", True), ("no", False)])
def test_train_takes_a_checkpoint_and_resume(predicted, monkeypatch, tmp_path, said, meant):
    add_truth(predicted)
    told = stop_at(monkeypatch, training, "train")
    checkpoint = str(tmp_path / "w.pt")
    with pytest.raises(ExecutionError, match="enough"):
        outcome(predicted, "train", checkpoint=checkpoint, trust=True, resume=said)
    assert (told["base"], told["trust"], told["resume"]) == (checkpoint, True, meant)


def test_export_takes_corrections_of_another_field(predicted, tmp_path):
    add_truth(predicted, "second_reader")
    target = str(tmp_path / "legs.csv")
    facts = outcome(predicted, "export", path=target, gt_field="second_reader")["facts"]
    assert facts["Frames that a person has looked at"] == 11


def test_pictures_a_step_that_cannot_be_are_refused_in_the_form(predicted):
    add_truth(predicted)
    assert refusals("train", predicted, more=True, batch="8") == []
    for wrong in ("0", "-2", "many"):
        [told] = refusals("train", predicted, more=True, batch=wrong)
        assert "number of pictures" in told


def test_what_the_command_line_has_the_forms_have_too(predicted):
    """Apart from what a form asks in another way, or FiftyOne's own form asks."""
    command = typer.main.get_command(cli.app)
    asked_otherwise = {
        "load": {"sources", "dataset"},
        "predict": set(),
        "select": set(),
        "push": {"backup"},
        "import_labels": set(),
        "train": {"verbose"},
        "evaluate": {"weights", "json"},
        "export": {"format_"},
    }
    fiftyones = {"dataset", "view", "url", "organization"}
    for verb, otherwise in asked_otherwise.items():
        asked: set[str] = set()
        for way in ("file", "server"):
            context = app_context(predicted, verb, more=True, way=way, disagreement=True)
            asked |= set(operator(verb).resolve_input(context).type.properties)
        options = {one.name for one in command.commands[verb].params} - {"help"}
        assert options - otherwise - fiftyones <= asked, verb


def test_a_load_without_a_name_is_refused_in_words(short_clip, dataset_name):
    for nothing in ("", "  "):
        [told] = refusals("load", fo.Dataset(), sources=as_path(short_clip), dataset=nothing)
        assert told == "Name the dataset: one that is there, or a new one."
        here = fo.Dataset()
        shown = messages("load", here, sources=as_path(short_clip), dataset=nothing)[-1]
        assert shown["headline"] == told


def test_patients_are_not_proposed_to_go_into_the_sample(short_clip, dataset_name):
    for name, proposed in ((SAMPLE_DATASET, None), (dataset_name, dataset_name)):
        if fo.dataset_exists(name):
            fo.delete_dataset(name)
        context = app_context(fo.Dataset(name), "load", sources=as_path(short_clip))
        form = operator("load").resolve_input(context).type.properties["dataset"]
        assert (form.default, form.invalid) == (proposed, proposed is None)
        fo.delete_dataset(name)


def test_a_new_dataset_is_in_order_when_the_app_opens_it(short_clip, dataset_name):
    here = fo.Dataset(dataset_name)
    there = f"{dataset_name}-other"
    messages("load", here, sources=as_path(short_clip), dataset=there)
    groups = fo.load_dataset(there).app_config.sidebar_groups
    assert GROUP in [group.name for group in groups]


def test_an_app_without_a_dataset_can_load(short_clip, dataset_name):
    [told] = refusals("load", None, sources=as_path(short_clip))
    assert "Name the dataset" in told
    assert refusals("load", None, sources=as_path(short_clip), dataset=dataset_name) == []


def test_repair_of_swaps_needs_tracks(loaded):
    assert refusals("predict", loaded, more=True, repair_swaps=True) == []
    [told] = refusals("predict", loaded, more=True, repair_swaps=True, track=False)
    assert "follow persons" in told


def test_predict_writes_annotated_videos_and_takes_a_checkpoint(loaded, tmp_path):
    checkpoint = tmp_path / "somebodys.pt"
    shutil.copy(get_version(SHIPPED).path, checkpoint)
    done = outcome(
        loaded,
        "predict",
        **FAST,
        checkpoint=str(checkpoint),
        save_video=str(tmp_path / "drawn"),
        label_field="mine",
    )
    [video] = (tmp_path / "drawn").glob("*.mp4")
    assert f"Annotated video: {video}" in done["notes"]
    assert loaded.count("frames.mine") == 12


def test_the_newest_round_that_is_out_is_offered(predicted, tmp_path):
    frames = frame_review.read(predicted).frame_ids
    for number in (1, 9, 10, 2):
        view = predicted.select_frames([frames[number]])
        push.push(view, f"round{number}", backup=tmp_path / f"{number}.zip")
    form = operator("pull").resolve_input(app_context(predicted, "pull")).type
    assert form.properties["key"].default == "round2"
    state = fields.CORRECTED
    frame_review.mark(predicted, [frames[2]], state=state, key="round2")
    form = operator("pull").resolve_input(app_context(predicted, "pull")).type
    assert form.properties["key"].type.values == ["round10", "round9", "round1", "round2"]
    assert form.properties["key"].default == "round10"


def test_frames_go_out_again_only_when_it_is_said(predicted, tmp_path):
    frame_review.mark(predicted, reviewing.frame_ids(predicted)[:2], state=fields.SELECTED)
    outcome(predicted, "push", key="round1", way="file", folder=str(tmp_path))
    predicted.save_view("again", predicted.match_frames(fo.ViewField("frame_number") <= 2))
    assert refusals("push", predicted) != []
    assert refusals("push", predicted, more=True, view="again") == []
    second = {"key": "round2", "way": "file", "folder": str(tmp_path), "view": "again"}
    with pytest.raises(ExecutionError, match="2 are out in run 'round1'"):
        outcome(predicted, "push", **second)
    assert outcome(predicted, "push", **second, again=True)["facts"]["Frames"] == 2
    [told] = refusals("push", predicted, more=True, view="again", key="round2")
    assert "already" in told


def test_push_draws_the_keypoints_that_were_chosen(predicted, tmp_path):
    predicted.clone_frame_field(fields.PREDICTIONS, "other")
    frame_review.mark(predicted, reviewing.frame_ids(predicted)[:2], state=fields.SELECTED)
    form = operator("push").resolve_input(app_context(predicted, "push", more=True)).type
    assert form.properties["label_field"].type.values == [fields.PREDICTIONS, "other"]
    way = {"key": "round1", "way": "file", "folder": str(tmp_path)}
    outcome(predicted, "push", **way, label_field="other")
    assert load_results(predicted, "round1").config.predictions == "other"


def test_files_of_two_datasets_in_one_folder_are_both_there(short_clip, dataset_name, tmp_path):
    for name in (dataset_name, f"{dataset_name}-other"):
        dataset = reviewing.video_dataset(name, short_clip)
        frame_review.mark(dataset, reviewing.frame_ids(dataset)[:2], state=fields.SELECTED)
        outcome(dataset, "push", key="round1", way="file", folder=str(tmp_path))
    assert len(list(tmp_path.glob("round1-*.zip"))) == 2


def test_labels_make_a_dataset_of_their_pictures(predicted, tmp_path, cvat_server, dataset_name):
    frame_review.mark(predicted, reviewing.frame_ids(predicted)[:2], state=fields.SELECTED)
    outcome(predicted, "push", key="round1", way="file", folder=str(tmp_path))
    new, pictures = f"{dataset_name}-new", tmp_path / "pictures"
    [source] = tmp_path.glob("round1-*.zip")
    form = {"source": as_path(source), "dataset": new, "more": True}
    assert refusals("import_labels", predicted, **form) == []
    [told] = refusals("import_labels", predicted, **form, fps=0.0)
    assert "above 0" in told
    given = {"source": str(source), "dataset": new, "unfinished": True}
    done = outcome(predicted, "import_labels", **given, media_dir=str(pictures))
    assert done["dataset"] == new
    made = fo.load_dataset(new)
    assert len(made) == 2
    assert len(list(pictures.iterdir())) == 2
    mine = next(group for group in made.app_config.sidebar_groups if group.name == GROUP)
    assert fields.GROUND_TRUTH in mine.paths


def test_versions_that_differ_in_a_dot_have_switches_of_their_own():
    names = ["a.b", "a-b", "a_b", "ab", "1"]
    assert len({_switch(name) for name in names}) == len(names)


def test_the_server_is_offered_only_with_a_login(predicted, monkeypatch):
    frame_review.mark(predicted, reviewing.frame_ids(predicted)[:2], state=fields.SELECTED)
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
    frame_review.mark(predicted, reviewing.frame_ids(predicted)[:2], state=fields.SELECTED)
    monkeypatch.setenv("FIFTYONE_CVAT_URL", cvat_server.url)
    monkeypatch.setenv("FIFTYONE_CVAT_TOKEN", cvat_server.token)
    cvat_server.arm({6: Fault(500)})
    with pytest.raises(CvatError):
        push.push(predicted, "first")
    form = operator("push").resolve_input(app_context(predicted, "push")).to_json()
    assert form["type"]["properties"]["key"]["default"] == "first"
    assert refusals("push", predicted, key="first") == []
    push.push(predicted, "first")
    frame_review.mark(predicted, reviewing.frame_ids(predicted)[4:5], state=fields.SELECTED)
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
    assert done["facts"]["Frames"] == 2
    [handover] = tmp_path.glob("round1-*.zip")
    assert outcome(dataset, "status")["facts"] == {"round1": "2 out"}

    back = {"key": "round1", "way": "file", "export": str(handover)}
    with pytest.raises(ExecutionError, match="nobody has corrected it"):
        outcome(dataset, "pull", **back)
    task = cvat_server.restore_backup(handover.read_bytes())
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


@pytest.mark.parametrize(
    ("verb", "params", "long"),
    [
        ("train", {}, True),
        ("loop", {}, True),
        ("evaluate", {"weights_1": True}, True),
        ("evaluate", {"weights_1": False, "stored": True}, False),
        ("select", {}, False),
        ("export", {}, False),
    ],
)
def test_long_work_is_scheduled_by_default_where_that_can_be(
    predicted, monkeypatch, verb, params, long
):
    def default() -> bool:
        context = app_context(predicted, verb, **params)
        options = operator(verb).resolve_execution_options(context)
        assert options.allow_immediate_execution
        return options.default_choice_to_delegated

    assert not default()
    monkeypatch.setattr(fo.config, "allow_legacy_orchestrators", True)
    assert default() == long


@pytest.mark.parametrize(
    ("verb", "options", "said"),
    [
        ("train", {"name": "queued", "base": "1", "epochs": 1, "imgsz": 64}, "Version queued is"),
        ("loop", {"rounds": 1, "count": 2}, "The loop stands here"),
        ("evaluate", {}, "persons in 11 frames compared"),
    ],
)
def test_long_work_that_is_scheduled_is_done(predicted, monkeypatch, tmp_path, verb, options, said):
    monkeypatch.setattr(fo.config, "model_zoo_dir", str(tmp_path / "zoo"))
    monkeypatch.setattr(fo.config, "allow_legacy_orchestrators", True)
    add_truth(predicted)
    if verb == "train":
        options = options | {"allow_shared_subjects": True, "batch": "4", "threads": 1}
    if verb == "loop":
        # All frames are labelled, so that none is left to choose.
        options = options | {"handover": str(tmp_path)}
        monkeypatch.setattr(rounds, "predict", lambda *_, **__: SimpleNamespace(failures=[]))
    queued = operator(verb)(predicted, delegate=True, **options)
    assert queued.delegated
    service = DelegatedOperationService()
    service.execute_queued_operations(limit=1, log=False)
    ran = service.get(queued.result["id"])
    assert ran.run_state == "completed", ran.result
    assert said in ran.result.result["headline"]
    assert (verb == "train") == registry.has_version("queued")


def messages(verb: str, dataset: Any, /, **params: Any) -> list[dict[str, Any]]:
    """Give what the App is told when a form is executed and stays open until the end."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(running, "_SOON_S", 120.0)
        context = app_context(dataset, verb, **params)
        return [message.to_json()["body"] for message in operator(verb).execute(context)]


def handed_over(verb: str, dataset: fo.Dataset, /, **params: Any) -> jobs.Job:
    """Execute a form whose work takes long: it closes, and the panel is opened."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(running, "_SOON_S", 0.0)
        told = list(operator(verb).execute(app_context(dataset, verb, **params)))
    assert names([message.to_json()["body"] for message in told]) == ["open_panel", None]
    [job] = jobs.running(dataset.name)
    return job


def names(told: list[dict[str, Any]]) -> list[str | None]:
    return [one.get("operator_uri") for one in told]


def test_the_app_shows_the_outcome(loaded):
    told = messages("predict", loaded, **FAST)
    assert names(told) == ["reload_dataset", "show_output", None]
    assert "Frames predicted" in json.dumps(told[-2])
    assert told[-1]["facts"]["Frames predicted"] == 12
    loaded.reload()
    assert loaded.count(f"frames.{fields.PREDICTIONS}") == 12


def test_a_load_into_another_dataset_opens_it(short_clip, dataset_name):
    here = fo.Dataset(dataset_name)
    told = messages("load", here, sources=as_path(short_clip), dataset=f"{dataset_name}-other")
    assert names(told)[-3:] == ["show_output", "open_dataset", None]
    assert told[-2]["params"] == {"dataset": f"{dataset_name}-other"}


def test_an_error_is_shown_as_it_is_and_nothing_is_reloaded(predicted):
    told = messages("load", predicted, sources={"absolute_path": "/nowhere/at/all.mp4"})
    assert set(names(told)) <= {"show_output", None}
    assert told[-1]["failed"]
    assert told[-1]["headline"].startswith("Nothing could be loaded")
    assert "there is no such file" in told[-1]["headline"]


def ended_work(verb: str) -> Outcome:
    """Call the work of a verb as its worker does."""
    return worker.work({"operator_uri": f"{NAME}/{verb}"}, io.StringIO(), threading.Event())


def test_a_fault_of_ours_says_so(predicted, monkeypatch):
    def fail(*_):
        raise ZeroDivisionError("a leg is missing")

    monkeypatch.setattr(OPERATORS[0], "work", fail)
    told = ended_work(OPERATORS[0].verb)
    assert told.failed
    assert "ZeroDivisionError: a leg is missing. This is a fault of the plugin" in told.headline


def test_a_file_that_cannot_be_read_is_no_fault_of_ours(predicted, monkeypatch):
    def fail(*_):
        raise PermissionError(13, "Permission denied", "/ward/gait.mp4")

    monkeypatch.setattr(OPERATORS[0], "work", fail)
    told = ended_work(OPERATORS[0].verb)
    assert told.failed
    assert told.headline == "/ward/gait.mp4 cannot be read or written: Permission denied."


def test_a_worker_that_dies_is_reported(predicted, monkeypatch):
    monkeypatch.setattr(jobs, "_WORKER", [sys.executable, "-c", "raise SystemExit(3)"])
    told = messages("select", predicted)
    assert told[-1]["failed"]
    assert "without a word" in told[-1]["headline"]
    assert refusals("select", predicted) == []


def test_one_verb_runs_once_at_a_time_on_a_dataset(predicted, monkeypatch, tmp_path):
    may_end = tmp_path / "may-end"
    waits = (
        "import pathlib, sys, time; sys.stdin.readline()\n"
        f"while not pathlib.Path({str(may_end)!r}).exists(): time.sleep(0.02)\n"
        """print('{"outcome": {"headline": "done"}}')"""
    )
    monkeypatch.setattr(jobs, "_WORKER", [sys.executable, "-c", waits])
    job = handed_over("select", predicted)
    assert "at work" in refusals("select", predicted)[0]
    assert "at work" in messages("select", predicted)[-1]["headline"]
    may_end.touch()
    job.done.wait(60)
    assert job.outcome.headline == "done"
    assert refusals("select", predicted) == []


def wait_until(happened: Callable[[], bool]) -> None:
    for _ in range(1200):
        if happened():
            return
        time.sleep(0.05)
    raise AssertionError("it did not happen within a minute")


def asked_by_tick(page: Any) -> list[str]:
    """Give what a page does when its panel asks how far the work is, but for its bars."""
    before = len(page.executor._requests)
    LegPose().tick(page)
    asked = [one.operator_uri for one in page.executor._requests[before:]]
    return [name for name in asked if name != "patch_panel_state"]


def test_work_that_is_stopped_keeps_what_is_finished(short_clip, dataset_name, tmp_path):
    for name in ("a", "b", "c", "d"):
        shutil.copy(short_clip, tmp_path / f"{name}.mp4")
    dataset = fiftyone_legpose.load(tmp_path, dataset_name, progress=False)
    job = handed_over("predict", dataset, **FAST)
    wait_until(lambda: 0 < job.share < 1 or job.done.is_set())
    context = app_context(dataset, "leg_pose", panel_id="p", panel_state={}, verb="predict")
    LegPose().cancel(context)
    job.done.wait(60)
    assert job.outcome.stopped
    assert "What was finished is kept" in job.outcome.headline
    dataset.reload()
    assert 0 < dataset.count(f"frames.{fields.PREDICTIONS}") < 48
    assert outcome(dataset, "predict", **FAST)["facts"]["Frames done before"] > 0
    assert dataset.count(f"frames.{fields.PREDICTIONS}") == 48


def test_the_panel_tells_how_far_a_running_verb_is_in_every_page(predicted, monkeypatch, tmp_path):
    may_end = tmp_path / "may-end"
    half = '{"done": 1, "total": 2, "message": "halfway"}'
    waits = (
        f"import pathlib, sys, time; sys.stdin.readline(); print('{half}', flush=True)\n"
        f"while not pathlib.Path({str(may_end)!r}).exists(): time.sleep(0.02)\n"
        """print('{"outcome": {"headline": "ten frames"}}')"""
    )
    monkeypatch.setattr(jobs, "_WORKER", [sys.executable, "-c", waits])
    # A panel that was open when the work began.
    early = app_context(predicted, "leg_pose", panel_id="p", panel_state={})
    assert "work_select" not in LegPose().render(early).to_json()["type"]["properties"]
    job = handed_over("select", predicted)
    wait_until(lambda: job.message == "halfway")
    assert asked_by_tick(early) == ["show_panel_output"]
    # A page that was opened later: nothing of the first one is known to it.
    page = app_context(predicted, "leg_pose", panel_id="p", panel_state={})
    layout = LegPose().render(page).to_json()["type"]["properties"]
    assert page.panel.state.share_select == 0.5
    assert "halfway" in page.panel.state.message_select
    assert "cancel_select" in layout["work_select"]["type"]["properties"]
    assert layout["watch"]["view"]["on_interval"].endswith("#tick")
    assert asked_by_tick(page) == []
    may_end.touch()
    job.done.wait(60)
    assert asked_by_tick(page) == ["reload_dataset", "show_output", "show_panel_output"]
    # Only one page tells of the outcome; the others are drawn anew.
    assert asked_by_tick(early) == ["show_panel_output"]
    assert asked_by_tick(page) == []
    layout = LegPose().render(page).to_json()["type"]["properties"]
    assert "work_select" not in layout
    assert layout["last_outcome"]["default"] == "**Last:** ten frames"


def test_thirty_files_that_are_skipped_are_one_line(short_clip, dataset_name, tmp_path):
    shutil.copy(short_clip, tmp_path / "walk.mp4")
    for number in range(30):
        (tmp_path / f"empty{number:02}.mp4").touch()
    options = {"sources": as_path(tmp_path), "dataset": dataset_name}
    notes = operator("load").call(None, options, None).notes
    [skipped] = [note for note in notes if note.startswith("Skipped")]
    assert skipped.startswith("Skipped: empty00.mp4 and 29 more: ")


def test_load_tells_of_files_without_a_subject(short_clip, dataset_name):
    options = {
        "sources": as_path(short_clip),
        "dataset": dataset_name,
        "subject": r"(Patient\d+)",
    }
    notes = operator("load").call(None, options, None).notes
    assert f"1 file without a subject: {short_clip}" in notes
