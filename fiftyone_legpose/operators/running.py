"""Run a verb from the App, from Python or from a queue, with progress each of them can show."""

from collections.abc import Callable, Iterator
from typing import Any

import fiftyone.operators.types as types
from fiftyone.operators.executor import ExecutionResult
from fiftyone.operators.message import GeneratedMessage, MessageType

from fiftyone_legpose import jobs
from fiftyone_legpose.jobs import Job, Outcome, share_of
from fiftyone_legpose.panels.at_work import show_outcome
from fiftyone_legpose.panels.leg_pose import NAME as PANEL
from fiftyone_legpose.panels.leg_pose import STOP
from fiftyone_legpose.progress import Report

_REFRESH_S = 1.0
_SOON_S = 2.0
"""Work that ends within it needs no panel."""

Work = Callable[[Report | None], Outcome]


def run(ctx: Any, verb: str, work: Work) -> Iterator[GeneratedMessage] | dict[str, Any]:
    """Run a verb and show its progress where it was started.

    Parameters
    ----------
    ctx
        FiftyOne's execution context.
    verb
        Its name; of one verb only one run at a time works on a dataset.
    work
        Calls the verb with the progress callback that it is given.

    Returns
    -------
    iterator or dict
        For the App messages with progress and then the outcome. For Python and for delegated
        operations, to which a generator's result would be lost, the outcome itself.
    """
    if is_app(ctx):
        return _stream(ctx, verb)
    report: Report | None = None
    if ctx.delegated:

        def report(done: float, total: float, message: str) -> None:
            ctx.set_progress(progress=share_of(done, total), label=f"{verb}: {message}")

    return work(report).to_json()


def is_app(ctx: Any) -> bool:
    """Tell whether a person has filled in the form, in the App."""
    # Only the App's requests carry the operator's address; calls from Python pass it separately.
    return not ctx.delegated and "operator_uri" in ctx.request_params


def _stream(ctx: Any, verb: str) -> Iterator[GeneratedMessage]:
    """Run a verb as a job of its own, and close the form once it is clear that it takes long.

    The App covers the page as long as an operator runs. The panel shows how far the job is, in
    every page, and tells what became of it.
    """
    job = jobs.start(ctx.dataset_name, verb, {**ctx.request_params, "params": ctx.params})
    if job is None:
        reason = f"{verb} is already at work on this dataset: wait until it is done."
        yield from _finish(ctx, verb, Outcome(reason, failed=True))
    elif ctx.dataset is None or not len(ctx.dataset):
        yield from _watch(ctx, job)
        yield from _finish(ctx, verb, job.outcome)
    elif job.done.wait(_SOON_S):
        yield from _finish(ctx, verb, job.outcome)
    else:
        yield ctx.ops.open_panel(PANEL, layout="horizontal")
        job.handed_over = True
        at_work = Outcome(f"{verb} is at work: the panel Leg pose shows how far it is.")
        yield GeneratedMessage(MessageType.SUCCESS, cls=ExecutionResult, body=at_work)


def _watch(ctx: Any, job: Job) -> Iterator[GeneratedMessage]:
    """Show how far a job is in a window: the page of an empty dataset has no panels."""
    shown: tuple[float, str] | None = None
    while not job.done.wait(_REFRESH_S):
        if (job.share, job.message) == shown:
            continue
        shown = job.share, job.message
        layout = types.Object()
        layout.md(f"**{job.verb}:** {job.message}", name="message")
        layout.float("share", default=job.share, view=types.ProgressView())
        layout.btn("stop", label="Stop", on_click=STOP, params={"verb": job.verb})
        yield ctx.ops.show_output(types.Property(layout).to_json(), {})


def _finish(ctx: Any, verb: str, outcome: Outcome) -> Iterator[GeneratedMessage]:
    yield from show_outcome(ctx, verb, outcome)
    yield GeneratedMessage(MessageType.SUCCESS, cls=ExecutionResult, body=outcome)
