"""Inputs that more than one form has."""

from typing import Any

import fiftyone.operators.types as types


def weights_choice(inputs: types.Object, name: str = "weights") -> None:
    """Offer the versions of the weights; the default is the one in use."""
    from fiftyone_legpose.zoo import registry

    current = registry.current_version()
    choices = types.Dropdown()
    for version in registry.list_versions():
        choices.add_choice(version.name, label=version_label(version, current))
    inputs.enum(name, choices.values(), default=current, view=choices, label="Weights")


def version_label(version: Any, current: str) -> str:
    """Name a version as the forms do."""
    from fiftyone_legpose.zoo import registry

    shipped = " (came with the plugin)" if version.name == registry.SHIPPED else ""
    return f"{version.name}{shipped}{', in use' if version.name == current else ''}"


def more(ctx: Any, inputs: types.Object) -> bool:
    """Offer the settings that most people leave alone; tell whether they are to be shown."""
    inputs.bool("more", default=False, label="More settings", view=types.SwitchView())
    return bool(ctx.params.get("more", False))
