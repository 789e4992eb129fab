"""What is at work on a dataset: how far it is, a button that stops it, and what was done last."""

from collections.abc import Callable
from typing import Any

import fiftyone.operators.types as types
from fiftyone.operators.message import GeneratedMessage

from fiftyone_legpose import jobs
from fiftyone_legpose.jobs import Job, Outcome

_EVERY_MS = 1000
_IDLE_EVERY_MS = 3000
_VERBS = "verbs_at_work"


def render_jobs(panel: types.Object, ctx: Any, *, tick: Callable, cancel: Callable) -> None:
    """Lay out the jobs of the open dataset.

    Parameters
    ----------
    panel
        Of the App.
    ctx
        FiftyOne's execution context.
    tick
        Method of the panel that is called again and again; it calls `has_changed`.
    cancel
        Method of the panel that is called with the ``verb`` to stop.
    """
    at_work = jobs.running(ctx.dataset_name)
    ctx.panel.state.set({_VERBS: _names(at_work), **_told(at_work)})
    for job in at_work:
        panel.str(_message_of(job), view=types.MarkdownView())
        line = panel.h_stack(f"work_{job.verb}", gap=2, align_y="center", width="100%")
        line.btn(
            f"cancel_{job.verb}",
            label="Stopping ..." if job.stopping else f"Stop {job.verb}",
            variant="outlined",
            disabled=job.stopping,
            on_click=cancel,
            params={"verb": job.verb},
        )
        panel.float(_share_of(job), view=types.ProgressView())
    # Also where nothing is at work: what begins, perhaps in another page, is shown here too.
    every_ms = _EVERY_MS if at_work else _IDLE_EVERY_MS
    panel.view("watch", types.TimerView(interval=every_ms, on_interval=tick))
    if not at_work and (last := jobs.last_ended(ctx.dataset_name)):
        panel.md(f"**Last:** {last.outcome.headline}", name="last_outcome")


def has_changed(ctx: Any) -> bool:
    """Bring the bars up to date; tell whether the jobs are others since they were drawn."""
    at_work = jobs.running(ctx.dataset_name)
    if at_work:
        ctx.panel.state.set(_told(at_work))
    return bool(_names(at_work) != ctx.panel.state.get(_VERBS, ""))


def show_outcome(ctx: Any, verb: str, outcome: Outcome) -> list[GeneratedMessage]:
    """Show in the page what a verb has done.

    Returns
    -------
    list of fiftyone.operators.message.GeneratedMessage
        For the App, in order; a panel has sent them by calling this, an operator yields them.
    """
    elsewhere = outcome.dataset is not None and outcome.dataset != ctx.dataset_name
    told = []
    if not outcome.failed and not elsewhere:
        told.append(ctx.ops.reload_dataset())
        if outcome.dataset is not None:
            told.append(ctx.trigger("reset_color_scheme"))  # the page keeps its first one
    told.append(ctx.ops.show_output(_layout(verb, outcome), {}))
    if elsewhere:
        told.append(ctx.ops.open_dataset(outcome.dataset))
    return told


def _layout(verb: str, outcome: Outcome) -> dict[str, Any]:
    """Lay out headline, numbers and notes."""
    outputs = types.Object()
    severity = "error" if outcome.failed else "warning" if outcome.stopped else "success"
    outputs.view("headline", types.AlertView(severity=severity, label=outcome.headline))
    if outcome.facts:
        rows = "\n".join(f"| {label} | {value} |" for label, value in outcome.facts.items())
        outputs.md(f"| {verb} | |\n|---|---:|\n{rows}", name="facts")
    if outcome.notes:
        outputs.md("\n".join(f"- {note}" for note in outcome.notes), name="notes")
    return types.Property(outputs, view=types.View(label=verb)).to_json()


def _names(at_work: list[Job]) -> str:
    return " ".join(f"{job.verb}{' stopping' if job.stopping else ''}" for job in at_work)


def _told(at_work: list[Job]) -> dict[str, Any]:
    told: dict[str, Any] = {}
    for job in at_work:
        told[_share_of(job)] = job.share
        told[_message_of(job)] = f"**At work:** {job.verb}: {job.message}"
    return told


def _share_of(job: Job) -> str:
    return f"share_{job.verb}"


def _message_of(job: Job) -> str:
    return f"message_{job.verb}"
