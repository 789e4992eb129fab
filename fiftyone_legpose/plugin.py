"""The plugin's entry: FiftyOne executes this file on every call, so it only registers."""

from typing import Any

from fiftyone_legpose.operators import OPERATORS
from fiftyone_legpose.panels import PANELS


def register(plugin: Any) -> None:
    """Register every operator and panel that fiftyone.yml lists."""
    for cls in (*OPERATORS, *PANELS):
        plugin.register(cls)
