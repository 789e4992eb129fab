"""Whoever pushes is told what was refused, and asked, in the shell as in the App."""

import pytest
from typer.testing import CliRunner

from fiftyone_legpose.cli import app
from fiftyone_legpose.cvat.results import load_results
from fiftyone_legpose.privacy.modes import MODE_WORDS
from fiftyone_legpose.privacy.refusals import read_refusal
from fiftyone_legpose.privacy.stills import PrivacyError
from fiftyone_legpose.review.push import push
from tests.fiftyone_legpose.plugin_fixtures import app_context, operator
from tests.fiftyone_legpose.privacy.test_push_gate import dataset  # noqa: F401 - a fixture


@pytest.fixture
def refused(dataset, tmp_path):  # noqa: F811
    with pytest.raises(PrivacyError) as refusal:
        push(dataset.view(), "round1", backup=tmp_path / "round1.zip")
    return dataset, str(refusal.value)


def push_form(dataset):  # noqa: F811
    form = operator("push").resolve_input(app_context(dataset, "push", more=False)).type
    return form.properties


def test_the_form_shows_what_the_last_push_refused_and_asks(refused, tmp_path):
    dataset, told = refused  # noqa: F811
    shown = push_form(dataset)
    assert shown["refused"].view.label == told
    pictures = [name for name in shown if name.startswith("refused_")]
    assert len(pictures) == 3
    assert shown[pictures[0]].default.startswith("data:image/jpeg;base64,")
    assert shown[pictures[0]].view.label == "both.png: face"
    assert [choice.label for choice in shown["privacy"].view.choices] == list(MODE_WORDS.values())
    assert shown["privacy"].default == "refuse"
    push(dataset.view(), "round1", backup=tmp_path / "round1.zip", privacy="blacken")
    assert read_refusal(dataset) is None
    assert "refused" not in push_form(dataset)


def run_push(dataset, path, answer, monkeypatch, *, terminal=True):  # noqa: F811
    dataset.save_view("all", dataset.view(), overwrite=True)
    runner = CliRunner()
    with monkeypatch.context() as patch:
        patch.setattr("fiftyone_legpose.commands.common._is_terminal", lambda: terminal)
        options = ["push", dataset.name, "round1", "--view", "all", "--backup", str(path)]
        return runner.invoke(app, options, input=answer)


def test_the_shell_asks_and_sends_what_it_is_told(refused, tmp_path, monkeypatch):
    dataset, told = refused  # noqa: F811
    path = tmp_path / "round1.zip"
    stopped = run_push(dataset, path, "\n", monkeypatch)
    assert told in stopped.output and not path.exists()
    assert all(words in stopped.output for words in MODE_WORDS.values())
    assert isinstance(stopped.exception, PrivacyError)
    sent = run_push(dataset, path, "blacken\n", monkeypatch)
    assert sent.exit_code == 0 and path.exists()
    assert load_results(dataset, "round1").config.privacy == "blacken"


def test_without_a_terminal_nobody_is_asked(refused, tmp_path, monkeypatch):
    dataset, _ = refused  # noqa: F811
    run = run_push(dataset, tmp_path / "r.zip", "blacken\n", monkeypatch, terminal=False)
    assert isinstance(run.exception, PrivacyError)
    assert not (tmp_path / "r.zip").exists()
