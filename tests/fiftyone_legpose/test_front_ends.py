import inspect
from typing import Any

import pytest

import fiftyone_legpose
from fiftyone_legpose.commands import learning, looking, reviewing
from fiftyone_legpose.operators import OPERATORS
from tests.fiftyone_legpose import reviewing as reviews
from tests.fiftyone_legpose.plugin_fixtures import app_context, operator

COMMANDS = {
    "load": looking.load_command,
    "extract_frames": looking.frames_command,
    "predict": looking.predict_command,
    "export": looking.export_command,
    "select": reviewing.select_command,
    "push": reviewing.push_command,
    "status": reviewing.status_command,
    "pull": reviewing.pull_command,
    "import_labels": reviewing.import_labels_command,
    "train": learning.train_command,
    "evaluate": learning.evaluate_command,
    "loop": learning.loop_command,
}

RENAMED = {"extract_frames": {"folder": "out"}, "export": {"format": "format_"}}
"""What the shell calls an option of a verb by another name."""

LOGIN = {"login", "account"}
"""Nobody types a login into a shell, which keeps what was typed; a form takes it from secrets."""

NOT_IN_THE_SHELL = {
    "train": {"ultralytics_arguments"},  # the shell passes them on without naming them
    "evaluate": {"sigmas", "resamples", "seed", "worst"},
    "loop": {"prediction", "training"},
}

OTHERWISE_IN_THE_SHELL = {
    "extract_frames": {"folder": "frames"},
    "train": {"val": "0.2"},  # a share or a tag: Typer gives texts
    "predict": {"weights": None},
}

COLLECTIONS = {"dataset", "dataset_or_view", "view"}
"""What a verb calls the collection that it works on; the shell names a dataset and a view of it."""

NOT_IN_THE_FORM = {
    "predict": {"save_video"},  # a path without a default, as all paths
    "push": {"backup"},  # the form's folder, and a name that is given
    "train": {"verbose", "ultralytics_arguments"},
    "evaluate": {"weights", "sigmas", "resamples", "seed", "worst"},  # weights are switches
    "loop": {"watch", "poll_s", "prediction", "training"},  # the form does not stay open
    "status": {"key"},
}

CHOSEN_BY_THE_FORM = {
    "load": {"dataset", "sources"},
    # Of the weights None means the default version, which the form names.
    "select": {"count", "weights"},
    # Of push the frames, in the form the name of a saved view.
    "push": {"key", "view"},
    "pull": {"key", "export"},
    "status": set(),
    # The form has a word for the verb's None.
    "import_labels": {"dataset", "source", "keypoint_order", "confirm_empty"},
    # The verb's own base has to be fetched; the form proposes the weights that are there.
    # A word for None here too.
    "train": {"name", "base", "resume"},
    # None means the field of the predictions, which the form names.
    "evaluate": {"report", "pred_field"},
    "export": {"path", "format"},
    "loop": {"rounds", "count", "handover"},
    # None means the default version, which the form names.
    "predict": {"weights"},
}


def parameters(verb: str) -> dict[str, Any]:
    """Give the options of a verb with their defaults, without what every front end has itself."""
    signature = inspect.signature(getattr(fiftyone_legpose, verb)).parameters
    own = COLLECTIONS - ({"dataset"} if verb in ("load", "extract_frames") else set())
    skipped = own | {"progress"} | LOGIN
    return {name: entry.default for name, entry in signature.items() if name not in skipped}


def test_every_verb_has_a_command_and_a_form():
    verbs = set(fiftyone_legpose.__all__) - {"loop_state"}
    assert verbs == set(COMMANDS)
    assert verbs - {"extract_frames"} == {cls.verb for cls in OPERATORS}


@pytest.mark.parametrize("verb", COMMANDS)
def test_the_shell_has_every_option_of_the_verb_with_its_default(verb):
    shell = inspect.signature(COMMANDS[verb]).parameters
    renamed, missing = RENAMED.get(verb, {}), NOT_IN_THE_SHELL.get(verb, set())
    options = parameters(verb)
    assert missing <= set(options), "an exception that is none any more"
    for name, default in options.items():
        if name in missing:
            continue
        there = shell[renamed.get(name, name)].default
        otherwise = OTHERWISE_IN_THE_SHELL.get(verb, {})
        expected = otherwise.get(name, default)
        assert (str(there) if name in otherwise and there is not None else there) == expected, name


@pytest.mark.parametrize("cls", OPERATORS, ids=lambda cls: cls.verb)
def test_the_form_has_every_option_of_the_verb_with_its_default(
    cls, short_clip, dataset_name, tmp_path
):
    dataset = reviews.video_dataset(dataset_name, short_clip)
    if cls.verb == "pull":
        fiftyone_legpose.select(dataset, count=1, progress=False)
        fiftyone_legpose.push(dataset, "round1", backup=tmp_path / "r.zip", progress=False)
    options = parameters(cls.verb)
    seen: dict[str, Any] = {}
    # Some options are for a server alone, some for a second look alone.
    for extra in ({}, {"way": "server"}, {"way": "file"}, {"disagreement": True}):
        context = app_context(dataset, cls.verb, more=True, **extra)
        form = operator(cls.verb).resolve_input(context).type
        seen |= {name: entry.default for name, entry in form.properties.items()}
    missing = NOT_IN_THE_FORM.get(cls.verb, set())
    absent = set(options) - set(seen)
    assert absent <= missing, "options that no form has"
    for name in set(seen) & set(options) - CHOSEN_BY_THE_FORM[cls.verb]:
        assert seen[name] == options[name], name
