"""Inputs that more than one form has."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import fiftyone as fo
import fiftyone.operators.types as types

from fiftyone_legpose.cvat.login import Login, login_from_secrets
from fiftyone_legpose.dataset import fields
from fiftyone_legpose.dataset.fields import is_field_name
from fiftyone_legpose.dataset.frames import has_value
from fiftyone_legpose.errors import DatasetError
from fiftyone_legpose.prediction.inference import OPTIONS, Inference, words
from fiftyone_legpose.zoo.devices import is_device

SAMPLE_DATASET = "legpose-demo"
"""What the demo loads its clip into."""

_NO_DATASET = "Name the dataset: one that is there, or a new one."


def weights_choice(inputs: types.Object, name: str = "weights", *, label: str = "Weights") -> None:
    """Offer the versions of the weights; the default is the one in use."""
    from fiftyone_legpose.zoo import registry

    current = registry.current_version()
    choices = types.Dropdown()
    for version in registry.list_versions():
        choices.add_choice(version.name, label=version_label(version, current))
    inputs.enum(name, choices.values(), default=current, view=choices, label=label)


def version_label(version: Any, current: str) -> str:
    """Name a version as the forms do."""
    from fiftyone_legpose.zoo import registry

    shipped = " (came with the plugin)" if version.name == registry.SHIPPED else ""
    return f"{version.name}{shipped}{', in use' if version.name == current else ''}"


def more(ctx: Any, inputs: types.Object) -> bool:
    """Offer the settings that most people leave alone; tell whether they are to be shown."""
    inputs.bool("more", default=False, label="More settings", view=types.SwitchView())
    return bool(ctx.params.get("more", False))


def stated(ctx: Any, name: str) -> Any:
    """Read an option behind `more`; what a closed section holds counts as not given."""
    return None if ctx.params.get("more") is False else ctx.params.get(name)


def path_input(
    inputs: types.Object,
    name: str,
    *,
    label: str,
    description: str,
    choose_dir: bool = False,
) -> None:
    """Ask for a path, typed or picked in the file browser; read it with `given_path`.

    There is no default: the App (1.22) sets a path that was typed back to it.
    """
    inputs.file(
        name,
        label=label,
        description=description,
        view=types.FileExplorerView(choose_dir=choose_dir, choose_button_label="Take this"),
    )


def checkpoint_input(inputs: types.Object, description: str) -> None:
    """Ask for a checkpoint, and whether to trust it; read its path with `given_path`."""
    path_input(inputs, "checkpoint", label="Checkpoint", description=description)
    inputs.bool(
        "trust",
        default=False,
        label="Trust the checkpoint",
        description="One of unknown origin can run code on this machine when it is loaded",
    )


def inference_inputs(
    ctx: Any,
    inputs: types.Object,
    names: Iterable[str],
    *,
    whose: str = "",
    proposed: Inference | None = None,
) -> None:
    """Ask what a network is asked, and on what it runs: options of `Inference` by their names."""
    proposed = proposed or Inference()
    for name in names:
        option, said = OPTIONS[name], words(name)
        kind: Any = option.type
        shown: dict[str, Any] = {"label": said.label, "description": whose + said.description}
        if getattr(proposed, name) is not None:
            shown["default"] = getattr(proposed, name)
        if get_origin(kind) is Literal:
            inputs.enum(name, list(get_args(kind)), **shown)
        elif kind is bool:
            inputs.bool(name, **shown)
        elif kind is float:
            inputs.float(name, min=0.0, max=1.0, **shown)
        elif kind is str:
            inputs.str(name, **shown)
        else:
            _refuse_odd_size(inputs.int(name, **shown), ctx.params.get(name))


def _refuse_odd_size(entry: types.Property, given: int | None) -> None:
    if given is not None and (given < 32 or given % 32):
        entry.invalid = True
        entry.error_message = "Give a multiple of 32, such as 320, 480 or 640"


def refuse_wrong_values(inputs: types.Object, params: Mapping[str, Any]) -> None:
    """Keep a form from being executed with values that no verb can use.

    The App (1.22) hands on a fraction that was typed where a whole number is asked for, and numbers
    out of their range.
    """
    for name, entry in inputs.properties.items():
        given = params.get(name)
        if given in (None, "") or entry.invalid:
            continue
        wrong = _why_wrong(name, entry.type, given)
        if wrong:
            entry.invalid = True
            entry.error_message = wrong


def _why_wrong(name: str, kind: Any, given: Any) -> str | None:
    if isinstance(kind, types.Number):
        if isinstance(given, bool) or not isinstance(given, int | float):
            return "Give a number"
        if kind.int and given != int(given):
            return "Give a whole number"
        if kind.min is not None and given < kind.min:
            return f"Give {kind.min} or more"
        if kind.max is not None and given > kind.max:
            return f"Give {kind.max} or less"
    elif name == "device" and not is_device(given):
        return "Give auto, cpu, mps, 0 or 0,1"
    elif name == "label_field" and not is_field_name(given):
        return "Give letters, digits and underscores, beginning with a letter"
    return None


def given_path(params: dict[str, Any], name: str) -> str | None:
    """Read a path of `path_input`."""
    picked = params.get(name)
    path = (picked.get("absolute_path") or "").strip() if picked else ""
    return os.path.expanduser(path) or None  # noqa: PTH111 - it may be an address or task:12


def as_path(path: str | Path) -> dict[str, str]:
    """Write a path as `path_input` has it."""
    return {"absolute_path": str(path)}


def dataset_input(ctx: Any, inputs: types.Object, description: str) -> None:
    """Ask for the dataset to write to, by default the open one; read it with `given_dataset`.

    Nobody's videos go into the dataset of the sample clip because its name stood there.
    """
    proposed = None if ctx.dataset_name == SAMPLE_DATASET else ctx.dataset_name
    entry = inputs.str("dataset", default=proposed, label="Dataset", description=description)
    given = ctx.params.get("dataset")
    if not (proposed if given is None else given.strip()):
        entry.invalid = True
        entry.error_message = _NO_DATASET


def given_dataset(options: dict[str, Any]) -> str:
    """Read the name of `dataset_input`.

    Raises
    ------
    DatasetError
        There is none.
    """
    name = (options.get("dataset") or "").strip()
    if not name:
        raise DatasetError(_NO_DATASET)
    return name


def cvat_login(ctx: Any) -> Login:
    """Take the CVAT server and account from FiftyOne's secrets; they never enter a form."""
    return login_from_secrets(ctx.secrets.get)


def cvat_missing(ctx: Any) -> str | None:
    """Say what is missing to log in to CVAT, or None."""
    login = cvat_login(ctx)
    if not login.url:
        return "No CVAT server is set up: set FIFTYONE_CVAT_URL, or exchange files."
    if not login.token and not (login.user and login.password):
        return (
            "No CVAT account is set up: set FIFTYONE_CVAT_TOKEN, or FIFTYONE_CVAT_USERNAME and "
            "FIFTYONE_CVAT_PASSWORD, or exchange files."
        )
    return None


def way(ctx: Any, inputs: types.Object, server: str, file: str) -> str:
    """Offer CVAT's server or a file; the file is the default where no server is set up."""
    choices = types.TabsView()
    choices.add_choice("file", label=file)
    choices.add_choice("server", label=server)
    default = "file" if cvat_missing(ctx) else "server"
    inputs.enum("way", choices.values(), default=default, view=choices, label="By way of")
    return ctx.params.get("way") or default


def privacy_choice(ctx: Any, inputs: types.Object, default: str) -> None:
    """Show what the last push refused, and ask what stills may show."""
    from fiftyone_legpose.privacy.modes import MODE_WORDS
    from fiftyone_legpose.privacy.refusals import read_refusal

    refused = read_refusal(ctx.dataset)
    if refused is not None:
        inputs.view("refused", types.Warning(label=refused["told"]))
        for number, picture in enumerate(refused["pictures"]):
            inputs.str(
                f"refused_{number}",
                label=picture["label"],
                default=f"data:image/jpeg;base64,{picture['jpeg']}",
                view=types.ImageView(),
            )
    inputs.enum(
        "privacy",
        list(MODE_WORDS),
        default=default,
        label="What stills may show",
        view=types.RadioGroup(
            choices=[types.Choice(mode, label=words) for mode, words in MODE_WORDS.items()]
        ),
    )


def next_key(dataset: Any) -> str:
    """Propose a name for the next review run."""
    taken = set(dataset.list_annotation_runs())
    number = 1
    while f"round{number}" in taken:
        number += 1
    return f"round{number}"


def keypoints_choice(
    ctx: Any, inputs: types.Object, name: str, *, label: str, default: str = fields.PREDICTIONS
) -> None:
    """Offer the keypoint fields of the dataset."""
    video = ctx.dataset.media_type == "video"
    schema = ctx.dataset.get_frame_field_schema if video else ctx.dataset.get_field_schema
    found = dict.fromkeys([default, *schema(embedded_doc_type=fo.Keypoints)])
    choices = types.Dropdown()
    for field in found:
        choices.add_choice(field, label=field)
    inputs.enum(name, choices.values(), default=default, view=choices, label=label)


def view_choice(ctx: Any, inputs: types.Object, name: str, *, label: str, none: str) -> None:
    """Offer the saved views of the dataset, or none of them."""
    choices = types.Dropdown()
    choices.add_choice("", label=none)
    for saved in ctx.dataset.list_saved_views():
        choices.add_choice(saved, label=saved)
    inputs.enum(name, choices.values(), default="", view=choices, label=label)


def handover_folder() -> Path:
    """Give the folder for files to hand over that the forms propose."""
    return Path.home() / "legpose"


def is_labelled(ctx: Any) -> bool:
    """Tell whether a frame has corrections in the field that the form names, or the default one."""
    field = stated(ctx, "gt_field") or fields.GROUND_TRUTH
    return has_value(ctx.dataset, field)
