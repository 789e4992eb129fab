import json
import os
import signal
import subprocess
import sys
from types import SimpleNamespace

import fiftyone as fo
import pytest

from cvat_bridge.errors import AddressError, FormatError
from fiftyone_legpose.cli import main
from fiftyone_legpose.dataset import fields, frame_review
from fiftyone_legpose.errors import DatasetError
from fiftyone_legpose.review.handover import handover_name
from fiftyone_legpose.review.pull import pull
from fiftyone_legpose.review.push import push
from fiftyone_legpose.rounds import loop as loop_module
from fiftyone_legpose.rounds import standing
from fiftyone_legpose.rounds.loop import loop
from fiftyone_legpose.rounds.standing import loop_state
from fiftyone_legpose.training.trainer_run import training_folder
from fiftyone_legpose.videos.load import load
from fiftyone_legpose.zoo import registry
from tests.conftest import make_clip
from tests.cvat_server import CvatServer
from tests.fiftyone_legpose.reviewing import snapshot, video_dataset

OPTIONS = {
    "count": 6,
    "prediction": {"imgsz": 96, "backend": "torch"},
    "training": {"epochs": 2, "imgsz": 64, "batch": 4, "threads": 1, "mosaic": 0.0},
    "progress": False,
}


@pytest.fixture
def zoo(tmp_path, monkeypatch):
    monkeypatch.setattr(fo.config, "model_zoo_dir", str(tmp_path / "zoo"))
    return tmp_path / "zoo"


@pytest.fixture
def server(cvat_server, monkeypatch):
    monkeypatch.setenv("FIFTYONE_CVAT_URL", cvat_server.url)
    monkeypatch.setenv("FIFTYONE_CVAT_TOKEN", cvat_server.token)
    return cvat_server


@pytest.fixture
def cvat_elsewhere():
    """Another server with the same login, and no task of ours."""
    with CvatServer() as other:
        yield other


@pytest.fixture
def walks(dataset_name, sample_clip, tmp_path):
    """Two seconds of video of each of two subjects: room for two rounds, whatever they choose."""
    folder = tmp_path / "videos"
    folder.mkdir()
    for number, name in enumerate(("anna_walk.mp4", "bert_walk.mp4")):
        options = ["-ss", str(number * 2), "-frames:v", "40", "-vf", "scale=304:264"]
        make_clip(sample_clip, folder / name, *options)
    return load(folder, dataset_name, subject=r"^([a-z]+)_", progress=False)


@pytest.fixture
def foretold(dataset_name, short_clip, monkeypatch):
    """Two clips that need no model, for what is about the reviewer alone."""
    monkeypatch.setattr(loop_module, "predict", lambda *_, **__: SimpleNamespace(failures=[]))
    return video_dataset(dataset_name, short_clip, short_clip)


def finish(server):
    for task in server.tasks:
        server.complete_jobs(task)


def everything(dataset):
    """What a second call must leave as it is."""
    stored = [snapshot(dataset, field) for field in (fields.PREDICTIONS, fields.REVIEW)]
    if dataset.has_frame_field(fields.GROUND_TRUTH):
        stored.append(snapshot(dataset, fields.GROUND_TRUTH))
    runs = sorted([*dataset.list_runs(), *dataset.list_annotation_runs()])
    return stored, runs, [version.name for version in registry.list_versions()]


def test_round_after_round_until_all_are_done(walks, zoo, server):
    state = loop(walks, rounds=2, **OPTIONS)
    assert [(r.number, r.stage, r.corrected + r.empty) for r in state.rounds] == [(1, "review", 0)]
    assert state.rounds[0].out == len(frame_review.read(walks).ids(fields.OUT)) > 3
    assert "0 of" in state.next_step
    before = everything(walks)
    assert loop(walks, rounds=2, **OPTIONS) == state
    assert everything(walks) == before
    assert len(server.tasks) == 1

    finish(server)
    state = loop(walks, rounds=2, **OPTIONS)
    first, second = state.rounds
    assert (first.stage, first.out, second.stage) == ("done", 0, "review")
    assert first.corrected + first.empty > 3
    version = registry.get_version(first.version)
    labelled = {(f["sample"], f["frame"]) for side in version.frames.values() for f in side}
    assert len(labelled) == first.corrected + first.empty
    [run] = [key for key in walks.list_runs() if key.startswith("train_")]
    promoted = walks.get_run_info(run).config.promoted
    assert state.weights == (first.version if promoted else "1")

    finish(server)
    state = loop(walks, rounds=2, **OPTIONS)
    assert [r.stage for r in state.rounds] == ["done", "done"]
    assert state.next_step == "all 2 rounds are done"
    assert len(registry.get_version(state.rounds[1].version).frames["train"]) > 0
    before = everything(walks)
    assert loop(walks, rounds=2, **OPTIONS) == state
    assert everything(walks) == before


def test_watching_goes_on_when_the_person_is_done(walks, zoo, server, monkeypatch):
    naps = []

    def review(seconds):
        naps.append(seconds)
        finish(server)

    monkeypatch.setattr(loop_module, "sleep", review)
    state = loop(walks, rounds=2, train=False, watch=True, poll_s=7, **OPTIONS)
    assert naps == [7, 7]
    assert [(r.stage, r.version) for r in state.rounds] == [("done", None)] * 2
    assert [version.name for version in registry.list_versions()] == ["1"]


def test_frames_deleted_in_cvat_are_not_waited_for(foretold, zoo, server):
    options = OPTIONS | {"rounds": 2, "train": False}
    loop(foretold, **options)
    [task] = server.tasks
    out = set(frame_review.read(foretold).ids(fields.OUT))
    server.delete_frame(task, 0)
    server.delete_frame(task, 1)
    # Others may still come back, so that the reviewer can restore these.
    state = loop(foretold, **options)
    assert "when the rest of the round is back" in state.notes[0]
    assert set(frame_review.read(foretold).ids(fields.OUT)) == out

    finish(server)
    state = loop(foretold, **options)
    first, second = state.rounds
    assert (first.stage, first.corrected + first.empty) == ("done", len(out) - 2)
    assert second.stage == "review"
    [note] = state.notes
    assert "2 frames of" in note
    assert "deleted in CVAT and are to be selected again." in note
    # They were free for the second round, and nothing else of the first one was.
    sent = set(foretold.load_annotation_view(second.key).values("frames.id", unwind=True))
    settled = set(frame_review.read(foretold).ids(fields.CORRECTED, fields.EMPTY))
    assert len(settled) == len(out) - 2
    assert not settled & sent
    assert loop(foretold, **options).notes == ()


def test_a_task_that_is_gone_is_not_waited_for(foretold, zoo, server):
    options = OPTIONS | {"rounds": 2}
    loop(foretold, **options)
    out = frame_review.read(foretold).ids(fields.OUT)
    server.tasks.clear()
    state = loop(foretold, **options)
    first, second = state.rounds
    # Nothing came back, so that there is nothing to train on.
    assert (first.stage, first.out, first.corrected, first.version) == ("done", 0, 0, None)
    assert second.stage == "review"
    [note] = state.notes
    assert f"is gone: its {len(out)} frames of loop_round1 are to be selected again." in note
    assert len(server.tasks) == 1


def test_a_task_that_may_be_elsewhere_is_waited_for(foretold, zoo, server, cvat_elsewhere):
    options = OPTIONS | {"rounds": 1}
    loop(foretold, **options)
    out = frame_review.read(foretold).ids(fields.OUT)
    [task] = server.tasks.values()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FIFTYONE_CVAT_URL", cvat_elsewhere.url)
        state = loop(foretold, **options)
    assert state.rounds[0].stage == "review"
    assert "Set FIFTYONE_CVAT_URL" in state.notes[0]
    # As after "Create from backup": the same task under another number.
    server.tasks.clear()
    task.id += 1
    server.tasks[task.id] = task
    state = loop(foretold, **options)
    assert "has its name" in state.notes[0]
    assert frame_review.read(foretold).ids(fields.OUT) == out


def test_frames_that_an_export_leaves_out_are_not_waited_for(foretold, zoo, tmp_path, cvat_server):
    options = OPTIONS | {"rounds": 1, "train": False, "handover": tmp_path / "handover"}
    key = loop(foretold, **options).rounds[0].key
    out = frame_review.read(foretold).ids(fields.OUT)
    name = handover_name(foretold, key)
    task = cvat_server.restore_backup((tmp_path / "handover" / f"{name}.zip").read_bytes())
    cvat_server.delete_frame(task.id, 2)
    (tmp_path / "handover" / f"{name}-export.zip").write_bytes(cvat_server.export(task.id))
    state = loop(foretold, **options)
    [done] = state.rounds
    assert (done.stage, done.out, done.corrected + done.empty) == ("done", 0, len(out) - 1)
    assert "1 frames of loop_round1 are not in" in state.notes[0]
    assert frame_review.read(foretold).ids(fields.SELECTED) == [out[2]]


def test_a_tilde_is_the_home_folder(foretold, zoo, tmp_path, monkeypatch, cvat_server):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    key = loop(foretold, rounds=1, train=False, handover="~/handover", **OPTIONS).rounds[0].key
    backup = tmp_path / "handover" / f"{handover_name(foretold, key)}.zip"
    again = push(foretold, key, backup=f"~/handover/{backup.name}")
    assert again.backup == str(backup)
    task = cvat_server.restore_backup(backup.read_bytes())
    (tmp_path / "export.zip").write_bytes(cvat_server.export(task.id))
    assert pull(foretold, key, export="~/export.zip").waiting == 0
    assert sorted(p.name for p in tmp_path.iterdir() if p.name != "zoo") == [
        "export.zip",
        "handover",
    ]


def test_watching_waits_for_the_rest_of_a_file(
    foretold, zoo, tmp_path, cvat_server, monkeypatch, caplog
):
    options = OPTIONS | {"rounds": 1, "train": False, "handover": tmp_path / "handover"}
    name = handover_name(foretold, loop(foretold, **options).rounds[0].key)
    task = cvat_server.restore_backup((tmp_path / "handover" / f"{name}.zip").read_bytes())
    whole, exported = cvat_server.export(task.id), tmp_path / "handover" / f"{name}-export.zip"
    exported.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(FormatError):
        loop(foretold, **options)
    naps = []

    def wait(seconds):
        naps.append(seconds)
        if len(naps) == 3:
            exported.write_bytes(whole)

    monkeypatch.setattr(loop_module, "sleep", wait)
    state = loop(foretold, watch=True, poll_s=5, **options)
    assert state.rounds[0].stage == "done"
    assert naps == [5, 5, 5]
    assert len([line for line in caplog.messages if "may not be copied whole yet" in line]) == 1


def test_watching_rides_out_a_server_that_is_away(foretold, zoo, server, monkeypatch, caplog):
    naps = []

    def wait(seconds):
        naps.append(seconds)
        if len(naps) == 1:
            monkeypatch.setenv("FIFTYONE_CVAT_URL", "http://127.0.0.1:9")
        if len(naps) == 3:
            monkeypatch.setenv("FIFTYONE_CVAT_URL", server.url)
        if len(naps) == 5:
            finish(server)

    monkeypatch.setattr(loop_module, "sleep", wait)
    state = loop(foretold, rounds=1, train=False, watch=True, poll_s=400, **OPTIONS)
    assert state.rounds[0].stage == "done"
    assert naps == [400, 800, 900, 400, 400]
    away = [line for line in caplog.messages if "nobody listens at http://127.0.0.1:9" in line]
    assert [line.rpartition(" in ")[2] for line in away] == ["800 s.", "900 s."]
    assert server.token not in caplog.text


def test_watching_does_not_wait_for_a_server_that_never_answered(foretold, zoo, monkeypatch):
    monkeypatch.setenv("FIFTYONE_CVAT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("FIFTYONE_CVAT_TOKEN", "token")
    monkeypatch.setattr(loop_module, "sleep", lambda seconds: pytest.fail("it waits"))
    with pytest.raises(AddressError, match="nobody listens"):
        loop(foretold, rounds=1, watch=True, **OPTIONS)
    with pytest.raises(DatasetError, match="poll_s is 0"):
        loop(foretold, rounds=1, watch=True, poll_s=0, **OPTIONS)


def test_ctrl_c_ends_watching(foretold, zoo, server, monkeypatch, capsys):
    def interrupt(seconds):
        raise KeyboardInterrupt

    loop(foretold, rounds=1, **OPTIONS)
    monkeypatch.setattr(loop_module, "sleep", interrupt)
    words = ["--rounds", "1", "--count", "6", "--watch"]
    monkeypatch.setattr(sys, "argv", ["legpose", "loop", foretold.name, *words])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 130
    assert "the same command goes on" in capsys.readouterr().err


def test_an_interrupted_push_goes_on_with_its_frames(walks, zoo, server, monkeypatch):
    def cut(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr("fiftyone_legpose.review.push.send", cut)
    with pytest.raises(KeyboardInterrupt):
        loop(walks, rounds=1, **OPTIONS)
    [begun] = loop_state(walks).rounds
    assert begun.stage == "push"
    chosen = walks.load_annotation_view(begun.key).values("frames.id", unwind=True)
    monkeypatch.undo()
    monkeypatch.setattr(fo.config, "model_zoo_dir", str(zoo))
    monkeypatch.setenv("FIFTYONE_CVAT_URL", server.url)
    monkeypatch.setenv("FIFTYONE_CVAT_TOKEN", server.token)
    state = loop(walks, rounds=1, **OPTIONS)
    assert state.rounds[0].stage == "review"
    assert sorted(frame_review.read(walks).ids(fields.OUT)) == sorted(chosen)


_KILLED = """
import json, os, signal, sys
import fiftyone as fo
from fiftyone_legpose.rounds.loop import loop
fo.config.model_zoo_dir = sys.argv[1]
def die(done, total, message):
    if message.startswith("epoch 2/"):
        os.kill(os.getpid(), signal.SIGKILL)
options = json.loads(sys.argv[4]) | {"progress": die}
loop(fo.load_dataset(sys.argv[2]), handover=sys.argv[3], **options)
"""


def test_files_go_to_and_fro_and_a_killed_loop_goes_on(walks, zoo, tmp_path, cvat_server):
    handover = tmp_path / "handover"
    options = OPTIONS | {"rounds": 1, "promote": False}
    state = loop(walks, handover=handover, **options)
    name = handover_name(walks, state.rounds[0].key)
    backup = handover / f"{name}.zip"
    assert backup.is_file()
    assert loop(walks, handover=handover, **options) == state

    task = cvat_server.restore_backup(backup.read_bytes())
    exported = handover / f"{name}-export.zip"
    exported.write_bytes(cvat_server.export(task.id))
    killed = subprocess.run(
        [sys.executable, "-c", _KILLED, str(zoo), walks.name, str(handover), json.dumps(options)],
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    walks.reload()
    [cut] = loop_state(walks).rounds
    assert (cut.stage, cut.out, cut.version) == ("train", 0, None)
    assert [version.name for version in registry.list_versions()] == ["1"]

    state = loop(walks, handover=handover, **options)
    assert [r.stage for r in state.rounds] == ["done"]
    assert registry.has_version(state.rounds[0].version)
    assert state.weights == "1"
    # Not promoted, but compared all the same.
    [run] = [key for key in walks.list_runs() if key.startswith("train_")]
    assert walks.get_run_info(run).config.promoted is None
    assert walks.has_run(walks.get_run_info(run).config.evaluation)


def test_part_of_a_round_is_enough_where_that_is_said(walks, zoo):
    ids = frame_review.read(walks).frame_ids
    key = standing._KEY.format(1)
    frame_review.mark(walks, ids[:3], state=fields.CORRECTED, key=key)
    frame_review.mark(walks, ids[3:8], state=fields.OUT, key=key)
    assert loop_state(walks).rounds[0].stage == "review"
    assert loop_state(walks, min_new=4).rounds[0].stage == "review"
    assert loop_state(walks, min_new=3).rounds[0].stage == "train"
    assert loop_state(walks, min_new=3, train=False, rounds=2).rounds[-1].stage == "push"
    assert "3 of 8" in loop_state(walks).next_step


def test_what_the_loop_is_told_of_training_reaches_it(walks, zoo, monkeypatch):
    told = []

    def note(_, **options):
        told.append(options)
        raise KeyboardInterrupt

    monkeypatch.setattr(loop_module, "train_verb", note)
    ids = frame_review.read(walks).frame_ids
    frame_review.mark(walks, ids[:3], state=fields.CORRECTED, key=standing._KEY.format(1))
    for given in ({}, {"imgsz": 320, "epochs": 3}, {"training": {"lr0": 0.1}}):
        with pytest.raises(KeyboardInterrupt):
            loop(walks, rounds=1, count=3, **given)
    # The base is left to train, which takes the weights in use.
    assert [(t.get("base"), t["imgsz"], t["epochs"]) for t in told] == [
        (None, None, 200),
        (None, 320, 3),
        (None, None, 200),
    ]
    assert told[2]["lr0"] == 0.1


def test_what_the_loop_is_told_of_predictions_reaches_them(walks, zoo, monkeypatch, tmp_path):
    told = []

    def note(_, **options):
        told.append({k: v for k, v in options.items() if k != "progress"})
        raise KeyboardInterrupt

    monkeypatch.setattr(loop_module, "predict", note)
    for given in ({}, {"flip_test": True, "voting": True, "prediction": {"imgsz": 96}}):
        with pytest.raises(KeyboardInterrupt):
            loop(walks, rounds=1, count=3, handover=tmp_path, **given)
    assert told == [
        {},
        {"flip_test": True, "voting": True, "imgsz": 96},
    ]


def test_a_training_that_was_interrupted_goes_on_before_more_is_pulled(walks, zoo, monkeypatch):
    done = []

    def cut(_, **options):
        done.append("train")
        raise KeyboardInterrupt

    monkeypatch.setattr(loop_module, "train_verb", cut)
    monkeypatch.setattr(loop_module, "_pull", lambda *_: done.append("pull") or [])
    ids, key = frame_review.read(walks).frame_ids, standing._KEY.format(1)
    frame_review.mark(walks, ids[:3], state=fields.CORRECTED, key=key)
    frame_review.mark(walks, ids[3:8], state=fields.OUT, key=key)
    options = {"rounds": 1, "count": 3, "min_new": 3}
    with pytest.raises(KeyboardInterrupt):
        loop(walks, **options)
    assert done == ["pull", "train"]
    # What is pulled changes the labels, and with other labels the training would start anew.
    with training_folder(standing.version_name(walks, 1), {"labels": "as they were"}, None):
        pass
    done.clear()
    with pytest.raises(KeyboardInterrupt):
        loop(walks, **options)
    assert done == ["train"]


def test_a_video_that_cannot_be_read_is_told(foretold, zoo, server, monkeypatch):
    failures = [{"path": "/videos/gone.mp4", "reason": "the file is gone"}]
    monkeypatch.setattr(loop_module, "predict", lambda *_, **__: SimpleNamespace(failures=failures))
    state = loop(foretold, rounds=1, train=False, **OPTIONS)
    assert state.rounds[0].stage == "review"
    assert state.notes == ("/videos/gone.mp4 was left out: the file is gone.",)


def test_files_of_two_datasets_in_one_folder_are_told_apart(dataset_name):
    name = f"{dataset_name}-of-mrs-smith"
    names = [handover_name(fo.Dataset(name), "loop_round1")]
    fo.delete_dataset(name)
    names.append(handover_name(fo.Dataset(name), "loop_round1"))
    assert len(set(names)) == 2
    assert not any("smith" in name for name in names)


def test_versions_of_datasets_with_like_names_are_told_apart(dataset_name):
    names = [f"{dataset_name}-{end}" for end in "abc"]  # alike in their first 40 letters
    versions = [standing.version_name(fo.Dataset(name), 1) for name in names]
    fo.delete_dataset(names[0])
    versions.append(standing.version_name(fo.Dataset(names[0]), 1))
    assert len(set(versions)) == 4
    assert all(registry.check_name(version) for version in versions)


def test_a_dataset_that_was_renamed_keeps_the_weights_of_its_rounds(walks, zoo, monkeypatch):
    ids = frame_review.read(walks).frame_ids
    frame_review.mark(walks, ids[:3], state=fields.CORRECTED, key=standing._KEY.format(1))
    trained = standing.version_name(walks, 1)
    begun = standing.version_name(walks, 2)
    path = registry.get_version(registry.SHIPPED).path
    version = registry.Version(name=trained, path=path, sha256="", dataset=walks.name)
    registry.add_version(path, version)
    walks.register_run(standing.run_key_of(trained), walks.init_run(method="test"))
    with training_folder(begun, {"labels": "as they were"}, None):
        pass
    before = walks.name
    walks.name = f"2024-{before}"
    [done] = loop_state(walks).rounds
    assert (done.stage, done.version) == ("done", trained)
    assert standing.version_name(walks, 2) == begun
    assert standing.version_name(walks, 3).startswith("2024-")
    walks.name = before  # which is deleted after the test


def test_options_that_cannot_be_are_refused_before_anything_is_predicted(
    foretold, zoo, monkeypatch, tmp_path
):
    monkeypatch.setattr(loop_module, "predict", lambda *_, **__: pytest.fail("it predicts"))
    taken = tmp_path / "taken"
    taken.write_text("a file")
    handover = {"rounds": 1, "count": 3, "handover": tmp_path / "handover"}
    with pytest.raises(DatasetError, match="no strategy 'foo'; take one of review"):
        loop(foretold, **handover, strategy="foo")
    with pytest.raises(DatasetError, match="taken cannot be written: File exists"):
        loop(foretold, **handover | {"handover": taken})
    with pytest.raises(AddressError, match="No CVAT server is given"):
        loop(foretold, rounds=1, count=3)
    with pytest.raises(DatasetError, match=r"pass fo\.load_dataset"):
        loop(foretold.limit(1), **handover)
    with pytest.raises(DatasetError, match=f"no dataset '{foretold.name}-gone'"):
        loop(f"{foretold.name}-gone", **handover)
    assert loop_state(foretold).rounds == ()


def test_a_loop_that_cannot_begin_says_why(walks, zoo, tmp_path):
    with pytest.raises(DatasetError, match="rounds=0"):
        loop(walks, rounds=0, count=5)
    with pytest.raises(DatasetError, match="min_new is 0"):
        loop(walks, rounds=3, count=5, min_new=0)
    assert loop_state(walks).rounds == ()
    frame_review.mark(walks, frame_review.read(walks).frame_ids, state=fields.OUT, key="other")
    options = OPTIONS | {"handover": tmp_path / "handover"}
    assert "load more videos" in loop(walks, rounds=1, **options).next_step
    assert os.environ.get("FIFTYONE_CVAT_URL") is None
