"""Run a verb from the App, from Python or from a queue, with progress each of them can show."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

import fiftyone.operators.types as types
from fiftyone.operators.executor import ExecutionResult
from fiftyone.operators.message import GeneratedMessage, MessageType

from fiftyone_legpose.progress import Report

_REFRESH_S = 0.3
_WORKER = [sys.executable, "-m", "fiftyone_legpose.operators.worker"]
_RUNNING: set[tuple[str | None, str]] = set()
_LOCK = threading.Lock()


@dataclass(frozen=True)
class Outcome:
    """What a verb did, in the words that a form shows."""

    headline: str
    facts: dict[str, Any] = field(default_factory=dict)
    """Numbers and names by label."""
    notes: list[str] = field(default_factory=list)
    """Files that were skipped and why, links, what to do next."""
    failed: bool = False
    """Nothing was done; the headline says why."""
    dataset: str | None = None
    """A dataset that the App should open now."""

    def to_json(self) -> dict[str, Any]:
        """Give the dictionary that the App hands on."""
        return asdict(self)


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
    if _is_app(ctx):
        return _stream(ctx, verb)
    report: Report | None = None
    if ctx.delegated:

        def report(done: float, total: float, message: str) -> None:
            ctx.set_progress(progress=_share(done, total), label=f"{verb}: {message}")

    return work(report).to_json()


def is_running(ctx: Any, verb: str) -> bool:
    """Tell whether this server is at work with a verb on the dataset of a context."""
    return (ctx.dataset_name, verb) in _RUNNING


def _is_app(ctx: Any) -> bool:
    # Only the App's requests carry the operator's address; calls from Python pass it separately.
    return not ctx.delegated and "operator_uri" in ctx.request_params


def _stream(ctx: Any, verb: str) -> Iterator[GeneratedMessage]:
    """Run a verb in a process of its own and yield its progress.

    Not in the App's server: it makes a new object of a dataset each time that one is loaded, so
    that what a verb declares on one is missing on the next. The process goes on when the page is
    closed: what it does is kept, and calling the verb again finds it done.
    """
    key = (ctx.dataset_name, verb)
    with _LOCK:
        busy = key in _RUNNING
        _RUNNING.add(key)
    if busy:
        reason = f"{verb} is already at work on this dataset: wait until it is done."
        yield from _finish(ctx, verb, Outcome(reason, failed=True))
        return
    job = _Job({**ctx.request_params, "params": ctx.params}, lambda: _RUNNING.discard(key))
    shown: tuple[float, str] | None = None
    while not job.done.wait(_REFRESH_S):
        if job.state != shown:
            shown = job.state
            yield ctx.ops.set_progress(label=f"{verb}: {shown[1]}", progress=shown[0])
    outcome = job.outcome
    elsewhere = outcome.dataset is not None and outcome.dataset != ctx.dataset_name
    if not outcome.failed and not elsewhere:
        yield ctx.ops.reload_dataset()
        if outcome.dataset is not None:
            yield ctx.trigger("reset_color_scheme")  # the page keeps the one that it opened with
    yield from _finish(ctx, verb, outcome)
    if elsewhere:
        yield ctx.ops.open_dataset(outcome.dataset)


def _finish(ctx: Any, verb: str, outcome: Outcome) -> Iterator[GeneratedMessage]:
    # Shown where the progress was: an operator's own output would open a second window under it.
    yield ctx.ops.show_output(_layout(verb, outcome), {})
    yield GeneratedMessage(MessageType.SUCCESS, cls=ExecutionResult, body=outcome)


def _layout(verb: str, outcome: Outcome) -> dict[str, Any]:
    """Lay out headline, numbers and notes."""
    outputs = types.Object()
    severity = "error" if outcome.failed else "success"
    outputs.view("headline", types.AlertView(severity=severity, label=outcome.headline))
    if outcome.facts:
        rows = "\n".join(f"| {label} | {value} |" for label, value in outcome.facts.items())
        outputs.md(f"| {verb} | |\n|---|---:|\n{rows}", name="facts")
    if outcome.notes:
        outputs.md("\n".join(f"- {note}" for note in outcome.notes), name="notes")
    return types.Property(outputs, view=types.View(label=verb)).to_json()


def _share(done: float, total: float) -> float:
    return min(1.0, done / total) if total else 0.0


def _environment() -> dict[str, str]:
    """Give the environment of a process that is not the App's server, so one object a dataset."""
    return {name: value for name, value in os.environ.items() if name != "FIFTYONE_SERVER"}


class _Job:
    """A verb at work in a process of its own; see `fiftyone_legpose.operators.worker`."""

    def __init__(self, request: dict[str, Any], at_end: Callable[[], None]):
        self.state: tuple[float, str] = (0.0, "starting")
        self.outcome = Outcome(
            "The work ended without a word; the App's log has more.", failed=True
        )
        self.done = threading.Event()
        threading.Thread(target=self._follow, args=(request, at_end), daemon=True).start()

    def _follow(self, request: dict[str, Any], at_end: Callable[[], None]) -> None:
        try:
            with subprocess.Popen(
                _WORKER,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env=_environment(),
            ) as process:
                assert process.stdin is not None and process.stdout is not None
                with process.stdin:
                    json.dump(request, process.stdin)
                for line in process.stdout:
                    told = json.loads(line)
                    if "outcome" in told:
                        self.outcome = Outcome(**told["outcome"])
                    else:
                        self.state = (_share(told["done"], told["total"]), told["message"])
        finally:
            at_end()
            self.done.set()
