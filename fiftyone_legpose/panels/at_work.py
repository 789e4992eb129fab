"""What is at work on a dataset: how far it is, a button that stops it, and what was done last."""

from collections.abc import Callable
from typing import Any

import fiftyone.operators.types as types

from fiftyone_legpose import jobs
from fiftyone_legpose.jobs import Job

_EVERY_MS = 1000
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
        Method of the panel that is called while something is at work; it calls `has_changed`.
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
    if at_work:
        panel.view("watch", types.TimerView(interval=_EVERY_MS, on_interval=tick))
    elif last := jobs.last_ended(ctx.dataset_name):
        panel.md(f"**Last:** {last.outcome.headline}", name="last_outcome")


def has_changed(ctx: Any) -> bool:
    """Bring the bars up to date; tell whether the jobs are others since they were drawn."""
    at_work = jobs.running(ctx.dataset_name)
    ctx.panel.state.set(_told(at_work))
    return bool(_names(at_work) != ctx.panel.state.get(_VERBS))


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
