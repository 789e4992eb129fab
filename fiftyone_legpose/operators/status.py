"""The operator status."""

from typing import Any

import fiftyone.operators.types as types
from fiftyone.operators.types import RiskLevel

from fiftyone_legpose.jobs import Outcome
from fiftyone_legpose.operators.forms import cvat_login
from fiftyone_legpose.operators.verb import Verb
from fiftyone_legpose.progress import Report


class Status(Verb):
    """Tell where the frames are that went out."""

    verb = "status"
    title = "Status of reviews"
    description = "How many frames of each round are new, in progress, completed or back"
    submit = "Ask"
    icon = "pending_actions"
    risk = RiskLevel.LOW
    place = types.Places.SAMPLES_GRID_SECONDARY_ACTIONS
    on_view = False

    def form(self, ctx: Any, inputs: types.Object) -> None:
        """Say what will be asked."""
        inputs.view("what", types.Notice(label="Asks CVAT about every round that is not done."))

    def call(self, ctx: Any, options: dict[str, Any], report: Report | None) -> Outcome:
        """Ask."""
        from fiftyone_legpose.review.status import count_selected, status

        rounds = status(ctx.dataset, login=cvat_login(ctx))
        if not rounds and (selected := count_selected(ctx.dataset)):
            return Outcome(
                f"Nothing was pushed yet, {selected} frames are selected.",
                notes=["Next: **Push**."],
            )
        if not rounds:
            return Outcome("Nothing was pushed yet.", notes=["**Select** frames, then **Push**."])
        facts, notes = {}, []
        for one in rounds:
            told = ", ".join(f"{count} {state}" for state, count in one.by_state.items() if count)
            facts[one.key] = told
            notes += [f"{one.key}: [task]({link})" for link in one.links]
            notes += [f"{one.key}: {link} is gone" for link in one.gone]
            if one.begun:
                notes.append(f"{one.key} was interrupted: push it again to complete it")
        ready = sum(one.to_pull for one in rounds)
        done = sum(one.done for one in rounds)
        return Outcome(
            f"{done} of {len(rounds)} rounds are done, {ready} frames are ready to pull.",
            facts,
            notes,
        )
