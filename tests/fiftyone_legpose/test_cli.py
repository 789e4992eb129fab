import re
import subprocess
import sys
from pathlib import Path

import fiftyone as fo
import pytest
import typer
from typer.testing import CliRunner

from fiftyone_legpose import doctor
from fiftyone_legpose.cli import app, main
from fiftyone_legpose.commands.learning import _pass_through
from fiftyone_legpose.errors import TrainingError
from fiftyone_legpose.evaluation import evaluate as evaluation
from fiftyone_legpose.prediction import predict as prediction
from fiftyone_legpose.rounds import loop as rounds
from fiftyone_legpose.training import train as training
from fiftyone_legpose.videos import load as videos

FAST = ["--backend", "torch", "--imgsz", "160", "--conf", "0.1"]


def run(*words: object):
    return CliRunner().invoke(app, [str(word) for word in words])


def in_a_process(*words: object) -> subprocess.CompletedProcess[str]:
    code = "from fiftyone_legpose.cli import main; main()"
    command = [sys.executable, "-c", code, *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_load_predict_select_and_export(short_clip, dataset_name, tmp_path):
    loaded = run("load", short_clip, tmp_path / "gone.mp4", "-d", dataset_name, "--subject", "eve")
    assert loaded.exit_code == 0, loaded.output
    assert "1 added" in loaded.output
    assert "gone.mp4: there is no such file" in loaded.output
    predicted = run("predict", dataset_name, *FAST)
    assert predicted.exit_code == 0, predicted.output
    assert "12 frames" in predicted.output
    assert "Nothing to do" in run("predict", dataset_name, *FAST).output
    assert "Next: legpose select" in run("status", dataset_name).output
    assert "2 frames selected" in run("select", dataset_name, "--count", 2).output
    assert "Next: legpose push" in run("status", dataset_name).output
    exported = run("export", dataset_name, tmp_path / "gait.csv")
    assert exported.exit_code == 0, exported.output
    assert (tmp_path / "gait.csv").read_text().startswith('"video","subject","frame"')


def test_a_saved_view_is_honoured(short_clip, dataset_name):
    run("load", short_clip, "-d", dataset_name)
    dataset = fo.load_dataset(dataset_name)
    view = dataset.match_frames(fo.ViewField("frame_number") <= 3)
    dataset.save_view("start", view)
    assert "3 frames" in run("predict", dataset_name, "--view", "start", *FAST).output


def test_errors_are_one_line_and_exit_status_1(dataset_name, tmp_path):
    missing = in_a_process("predict", "no-such-dataset")
    assert missing.returncode == 1
    assert "There is no dataset 'no-such-dataset'" in missing.stderr
    assert "Traceback" not in missing.stderr
    nothing = in_a_process("load", tmp_path, "-d", dataset_name)
    assert nothing.returncode == 1
    assert "holds no videos and no images" in nothing.stderr


def test_a_file_that_cannot_be_written_is_one_line_too(tmp_path, monkeypatch, capsys):
    taken = tmp_path / "taken"
    taken.write_text("a file")
    monkeypatch.setattr(sys, "argv", ["legpose", "weights", "export", "1", str(taken / "w.pt")])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 1
    assert f"Error: {taken}" in capsys.readouterr().err.replace("\n", "")


def test_ctrl_c_says_that_the_same_command_goes_on(monkeypatch, capsys):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(videos, "load", interrupted)
    monkeypatch.setattr(sys, "argv", ["legpose", "load", "a.mp4", "-d", "x"])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 130
    assert "the same command goes on" in capsys.readouterr().err


def test_further_arguments_of_train_reach_ultralytics():
    words = ["--lr0", "0.001", "mosaic=0", "--freeze", "[1, 2]", "--cos-lr", "true"]
    assert _pass_through(words) == {"lr0": 0.001, "mosaic": 0, "freeze": [1, 2], "cos_lr": True}
    assert _pass_through(["--lr0", "1e-4", "cache=ram"]) == {"lr0": 1e-4, "cache": "ram"}


@pytest.mark.parametrize("words", [["--cos-lr"], ["0.1", "0.2"], ["epochs=3"], ["box_margin=1"]])
def test_further_arguments_that_cannot_be_are_refused(words):
    with pytest.raises(typer.BadParameter, match=re.escape(words[0])):
        _pass_through(words)


def test_what_train_is_told_reaches_the_verb(dataset_name, monkeypatch):
    fo.Dataset(dataset_name)
    told = {}

    def note(_, **options):
        told.update(options)
        raise TrainingError("enough")

    monkeypatch.setattr(training, "train", note)
    words = ["--threads", "1", "--box-margin", "0.2", "--no-validate", "--gt-field", "seen"]
    run("train", dataset_name, "--name", "a", "--verbose", "--batch", "3", "--val", "tag", *words)
    expected = {"threads": 1, "box_margin": 0.2, "validate": False, "gt_field": "seen"}
    assert told.items() >= (expected | {"verbose": True, "batch": 3, "val": "tag"}).items()


@pytest.mark.parametrize(
    ("module", "verb", "words"),
    [
        (prediction, "predict", []),
        (evaluation, "evaluate", ["--backend", "torch"]),
        (rounds, "loop", ["--rounds", "1", "--count", "2"]),
    ],
)
def test_voting_and_the_flip_test_reach_the_verb(dataset_name, monkeypatch, module, verb, words):
    fo.Dataset(dataset_name)
    told = {}

    def note(_, **options):
        told.update(options)
        raise TrainingError("enough")

    monkeypatch.setattr(module, verb, note)
    for asked in ([], ["--flip-test"], ["--no-voting"]):
        told.clear()
        run(verb, dataset_name, *words, *asked)
        assert told.get("flip_test", False) is ("--flip-test" in asked)
        assert told.get("voting", True) is ("--no-voting" not in asked)
    assert verb != "evaluate" or told["backend"] == "torch"


@pytest.mark.parametrize(
    ("module", "verb", "words"),
    [(prediction, "predict", []), (rounds, "loop", ["--rounds", "1", "--count", "2"])],
)
def test_predict_is_told_what_was_typed_and_nothing_else(
    dataset_name, monkeypatch, module, verb, words
):
    fo.Dataset(dataset_name)
    told = {}
    monkeypatch.setattr(module, verb, lambda _, **options: told.update(options))
    run(verb, dataset_name, *words)
    assert not {"flip_test", "voting", "conf", "track", "repair_swaps"} & set(told)
    run(verb, dataset_name, *words, "--no-flip-test", "--voting")
    assert (told["flip_test"], told["voting"]) == (False, True)


def test_doctor_names_what_is_missing(monkeypatch):
    monkeypatch.setenv("PATH", "")
    result = run("doctor")
    assert result.exit_code == 1
    assert "FAIL ffmpeg" in result.output
    assert "Run:" in result.output


def test_doctor_logs_in_to_cvat_as_push_does(monkeypatch, tmp_path):
    monkeypatch.setenv("FIFTYONE_CVAT_URL", "https://127.0.0.1:1")
    assert "set FIFTYONE_CVAT_TOKEN" in doctor._cvat()[0].detail
    monkeypatch.setenv("FIFTYONE_CVAT_TOKEN", "secret")
    monkeypatch.setenv("FIFTYONE_CVAT_CA_FILE", str(tmp_path / "clinic.pem"))
    [finding] = doctor._cvat()
    assert finding.good is False
    assert "clinic.pem" in finding.detail
    assert "secret" not in finding.detail


def test_weights_are_listed(tmp_path: Path):
    listed = run("weights", "list")
    assert listed.exit_code == 0
    assert listed.output.startswith("* 1")


def test_load_tells_of_files_without_a_subject(short_clip, dataset_name):
    loaded = run("load", short_clip, "-d", dataset_name, "--subject", r"(Patient\d+)")
    assert f"1 file without a subject: {short_clip}" in " ".join(loaded.output.split())
