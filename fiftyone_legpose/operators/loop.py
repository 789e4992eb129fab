"""The operator loop."""

from pathlib import Path
from typing import Any

import fiftyone.operators.types as types
from fiftyone.operators.types import RiskLevel

from fiftyone_legpose.dataset import fields
from fiftyone_legpose.jobs import Outcome
from fiftyone_legpose.operators.forms import (
    cvat_login,
    cvat_missing,
    given_path,
    handover_folder,
    inference_inputs,
    more,
    path_input,
)
from fiftyone_legpose.operators.select import STRATEGIES
from fiftyone_legpose.operators.verb import Verb, refuse
from fiftyone_legpose.prediction.inference import SWITCHES
from fiftyone_legpose.prediction.kept_settings import settings_of
from fiftyone_legpose.progress import Report

OPTIONS = (
    "rounds",
    "count",
    "strategy",
    "epochs",
    "allow_shared_subjects",
    "imgsz",
    *SWITCHES,
    "plain",
    "project",
    "as_tracks",
    "train",
    "min_new",
    "promote",
)


class Loop(Verb):
    """Do all that can be done now of a loop of rounds."""

    verb = "loop"
    title = "Run the loop"
    description = "Predict, select and push; or pull what is done, train, and begin the next round"
    submit = "Go on"
    icon = "loop"
    paths = ("handover",)
    risk = RiskLevel.HIGH
    place = types.Places.SAMPLES_GRID_SECONDARY_ACTIONS
    can_delegate = True
    on_view = False
    needs_predictions = False

    def is_long(self, ctx: Any) -> bool:
        """Say yes: a call can predict all videos and train."""
        return True

    def form(self, ctx: Any, inputs: types.Object) -> None:
        """Add how many rounds of how many frames."""
        inputs.int("rounds", min=1, default=3, label="Rounds in all")
        inputs.int("count", min=1, default=20, label="Frames a round")
        inputs.enum(
            "strategy",
            list(STRATEGIES),
            default=self.default("strategy"),
            label="Strategy of select",
        )
        inputs.int("epochs", min=1, default=self.default("epochs"), label="Epochs of each training")
        inputs.bool(
            "allow_shared_subjects",
            default=self.default("allow_shared_subjects"),
            label="Accept one subject on both sides of the training",
        )
        missing = cvat_missing(ctx)
        path_input(
            inputs,
            "handover",
            label="Folder to exchange files through",
            description=(
                f"Empty: {handover_folder()}" if missing else "Empty: by way of the CVAT server"
            ),
            choose_dir=True,
        )
        if more(ctx, inputs):
            self._add_more(ctx, inputs)
        if not len(ctx.dataset):
            refuse(inputs, "There is nothing to look at: load videos or pictures first.")

    def call(self, ctx: Any, options: dict[str, Any], report: Report | None) -> Outcome:
        """Go on with the loop."""
        from fiftyone_legpose.rounds.loop import loop

        folder: str | Path | None = given_path(options, "handover")
        if folder is None and cvat_missing(ctx):
            folder = handover_folder()
        given = {name: options[name] for name in OPTIONS if options.get(name) not in (None, "")}
        state = loop(ctx.dataset, **given, handover=folder, login=cvat_login(ctx), progress=report)
        facts = {
            f"Round {one.number}": (
                f"{one.out} out, {one.corrected} corrected, {one.empty} empty"
                + (f", weights {one.version}" if one.version else "")
            )
            for one in state.rounds
        }
        facts["Weights in use"] = state.weights
        return Outcome(f"The loop stands here: {state.next_step}.", facts, list(state.notes))

    def _add_more(self, ctx: Any, inputs: types.Object) -> None:
        inputs.int(
            "imgsz",
            min=32,
            label="Size of the model's input in each training (px)",
            description="Empty is the size that the weights in use were trained at",
        )
        before = settings_of(ctx.dataset, fields.PREDICTIONS)
        inference_inputs(ctx, inputs, (*SWITCHES, "plain"), proposed=before.inference)
        inputs.str("project", label="CVAT project", description="Made where there is none")
        inputs.bool("as_tracks", default=self.default("as_tracks"), label="Push persons as tracks")
        inputs.bool("train", default=self.default("train"), label="Train after each round")
        inputs.int(
            "min_new",
            min=1,
            label="Reviewed frames that are enough to train on",
            description="Empty is all frames of the round",
        )
        inputs.bool(
            "promote", default=self.default("promote"), label="Use new weights that are better"
        )
