"""The panel opens by itself with a dataset of ours, so that nobody has to look for it."""

from typing import Any

import fiftyone as fo
import fiftyone.operators as foo

from fiftyone_legpose.dataset import fields
from fiftyone_legpose.dataset.frames import path
from fiftyone_legpose.panels.leg_pose import NAME
from fiftyone_legpose.videos.load import is_loaded

_OURS = (fields.PREDICTIONS, fields.GROUND_TRUTH, fields.REVIEW)


class ShowPanel(foo.Operator):
    """Open the panel beside the videos whenever the App opens a dataset of ours."""

    @property
    def config(self) -> foo.OperatorConfig:
        """FiftyOne's description of the operator."""
        return foo.OperatorConfig(
            name="show_panel",
            label="Show the panel Leg pose",
            unlisted=True,
            on_dataset_open=True,
        )

    def execute(self, ctx: Any) -> None:
        """Open it."""
        if ctx.dataset is not None and is_ours(ctx.dataset):
            ctx.ops.open_panel(NAME, layout="horizontal")


def is_ours(dataset: fo.Dataset) -> bool:
    """Tell whether a dataset was loaded or predicted here."""
    known = any(dataset.get_field(path(dataset, name)) is not None for name in _OURS)
    return known or is_loaded(dataset)
