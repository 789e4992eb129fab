import ast
import inspect
from pathlib import Path
from typing import Any

import pytest

import fiftyone_legpose
from cvat_bridge.errors import CvatError
from fiftyone_legpose.commands import learning, looking, reviewing, walking
from fiftyone_legpose.errors import DatasetError, LegposeError
from fiftyone_legpose.operators import OPERATORS
from fiftyone_legpose.verb_defaults import default_of
from fiftyone_legpose.zoo import registry
from fiftyone_legpose.zoo.bases import find_base
from fiftyone_legpose.zoo.checkpoints import NAME
from tests.fiftyone_legpose import reviewing as reviews
from tests.fiftyone_legpose.plugin_fixtures import app_context, operator

COMMANDS = {
    "load": looking.load_command,
    "extract_frames": looking.frames_command,
    "predict": looking.predict_command,
    "export": looking.export_command,
    "deidentify": looking.deidentify_command,
    "select": reviewing.select_command,
    "push": reviewing.push_command,
    "status": reviewing.status_command,
    "pull": reviewing.pull_command,
    "import_labels": reviewing.import_labels_command,
    "train": learning.train_command,
    "evaluate": learning.evaluate_command,
    "smooth": walking.smooth_command,
    "gait": walking.gait_command,
    "loop": learning.loop_command,
}

RENAMED = {"extract_frames": {"folder": "out"}}
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
    "deidentify": {"trust"},  # the form offers registered weights alone
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
    # Of the base None means the version in use, which the form names; of resume it has a word.
    "train": {"name", "base", "resume"},
    # None means the field of the predictions, which the form names.
    "evaluate": {"report", "pred_field"},
    "export": {"path", "format"},
    # None means the default version, which the form names.
    "deidentify": {"videos", "folder", "weights"},
    "loop": {"rounds", "count", "handover"},
    # None means the default version, which the form names, and what was predicted with before.
    "predict": {"weights", "track", "repair_swaps"},
    "smooth": set(),
    # The form has a word for the verb's None.
    "gait": {"method"},
}


def parameters(verb: str) -> dict[str, Any]:
    """Give the options of a verb with their defaults, without what every front end has itself."""
    signature = inspect.signature(getattr(fiftyone_legpose, verb)).parameters
    own = COLLECTIONS - ({"dataset"} if verb in ("load", "extract_frames") else set())
    skipped = own | {"progress"} | LOGIN
    return {name: entry.default for name, entry in signature.items() if name not in skipped}


@pytest.mark.parametrize(
    ("verb", "given"),
    [
        ("predict", {"conf": 2.0}),
        ("select", {"count": 3}),
        ("push", {"key": "round1"}),
        ("status", {}),
        ("pull", {"key": "round1"}),
        ("train", {"name": "a", "base": "1", "gt_field": "none"}),
        ("evaluate", {}),
        ("export", {"path": "x.csv"}),
        ("loop", {"rounds": 0, "count": 1}),
        ("loop_state", {}),
    ],
)
def test_a_dataset_can_be_given_by_its_name(
    verb, given, dataset_name, short_clip, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    function = getattr(fiftyone_legpose, verb)
    with pytest.raises(DatasetError, match="There is no dataset 'nowhere'"):
        function("nowhere", **given)
    dataset = reviews.video_dataset(dataset_name, short_clip)

    def told(collection: Any) -> str:
        try:
            return str(function(collection, **given))
        except (LegposeError, CvatError) as error:
            return str(error)

    assert told(dataset_name) == told(dataset)


def test_every_verb_has_a_command_and_a_form():
    verbs = set(fiftyone_legpose.HOMES) - {"loop_state"}
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


@pytest.mark.parametrize("verb", COMMANDS)
def test_defaults_read_from_the_source_are_those_of_the_function(verb):
    for name, default in parameters(verb).items():
        if default is not inspect.Parameter.empty and name != "ultralytics_arguments":
            assert default_of(verb, name) == default, name


def test_training_starts_from_the_weights_in_use_wherever_it_is_called(
    short_clip, dataset_name, monkeypatch
):
    assert default_of("train", "base") is None
    monkeypatch.setattr(registry, "current_version", lambda: registry.SHIPPED)
    dataset = reviews.video_dataset(dataset_name, short_clip)
    form = operator("train").resolve_input(app_context(dataset, "train")).type
    assert form.properties["base"].default == find_base(NAME).name == registry.SHIPPED


def test_an_option_without_a_default_has_none_to_read():
    with pytest.raises(LookupError, match="select has no option 'count' with a default"):
        default_of("select", "count")
    with pytest.raises(LookupError, match="'voting'"):
        default_of("select", "voting")


@pytest.mark.parametrize("cls", OPERATORS, ids=lambda cls: cls.verb)
def test_no_form_types_a_default_of_its_verb_again(cls):
    options = set(parameters(cls.verb)) - CHOSEN_BY_THE_FORM[cls.verb]
    source = Path(inspect.getfile(cls)).read_text(encoding="utf-8")
    for call in (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)):
        named = [a.value for a in call.args if isinstance(a, ast.Constant)]
        for keyword in call.keywords:
            if keyword.arg == "default" and options & set(named):
                assert ast.unparse(keyword.value) == f"self.default({named[0]!r})"


@pytest.mark.parametrize("verb", COMMANDS)
def test_no_command_types_a_default_of_its_verb_again(verb):
    [function] = ast.parse(inspect.getsource(COMMANDS[verb])).body
    named = [argument.arg for argument in function.args.args]
    with_default = named[len(named) - len(function.args.defaults) :]
    assert not set(with_default) & set(parameters(verb))
    assert not function.args.kwonlyargs


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
