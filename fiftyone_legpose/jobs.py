"""Verbs at work for the App, each in a process of its own that can be watched and stopped.

Not in the App's server: it makes a new object of a dataset each time that one is loaded, so that
what a verb declares on one is missing on the next. A job goes on when the page is closed.
"""

import contextlib
import json
import os
import subprocess
import sys
import threading
from dataclasses import asdict, dataclass, field
from typing import Any

_WORKER = [sys.executable, "-m", "fiftyone_legpose.operators.worker"]
CANCEL = "cancel"
"""The line that asks a worker to stop."""

_LOCK = threading.Lock()
_RUNNING: "dict[tuple[str | None, str], Job]" = {}
_ENDED: "dict[str | None, Job]" = {}


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
    stopped: bool = False
    """A person stopped it; what was finished before is kept."""
    dataset: str | None = None
    """A dataset that the App should open now."""

    def to_json(self) -> dict[str, Any]:
        """Give the dictionary that the App hands on."""
        return asdict(self)


class Job:
    """A verb at work; see `fiftyone_legpose.operators.worker`."""

    def __init__(self, dataset: str | None, verb: str, request: dict[str, Any]):
        self.dataset = dataset
        """Name of the dataset that was open when it began."""
        self.verb = verb
        self.share = 0.0
        """How much of the work is done, 0 to 1."""
        self.message = "starting"
        self.stopping = False
        """Whether somebody has asked it to stop."""
        self.outcome = Outcome(
            "The work ended without a word; the App's log has more.", failed=True
        )
        self.handed_over = False
        """Whether the form has closed and the panel is to tell what becomes of it."""
        self.done = threading.Event()
        self._process = subprocess.Popen(
            _WORKER,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=_environment(),
        )
        threading.Thread(target=self._follow, args=(request,), daemon=True).start()

    def cancel(self) -> None:
        """Ask it to stop; it does when it next reports progress, and keeps what is finished."""
        self.stopping = True
        self._tell(CANCEL)

    def _tell(self, line: str) -> None:
        assert self._process.stdin is not None
        # It may have ended meanwhile.
        with contextlib.suppress(BrokenPipeError, ValueError):
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()

    def _hang_up(self) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()

    def _follow(self, request: dict[str, Any]) -> None:
        assert self._process.stdout is not None
        try:
            with self._process:
                self._tell(json.dumps(request))
                for line in self._process.stdout:
                    told = json.loads(line)
                    if "outcome" in told:
                        self.outcome = Outcome(**told["outcome"])
                        self._hang_up()
                    else:
                        self.share = share_of(told["done"], told["total"])
                        self.message = told["message"]
        finally:
            with _LOCK:
                _RUNNING.pop((self.dataset, self.verb), None)
                _ENDED[self.dataset] = self
            self.done.set()


def start(dataset: str | None, verb: str, request: dict[str, Any]) -> Job | None:
    """Start a verb.

    Parameters
    ----------
    dataset
        Name of the open dataset.
    verb
        Its name; of one verb only one job at a time works on a dataset.
    request
        Of the App.

    Returns
    -------
    Job or None
        None where the verb is at work on the dataset already.
    """
    with _LOCK:
        if (dataset, verb) in _RUNNING:
            return None
        job = _RUNNING[dataset, verb] = Job(dataset, verb, request)
    return job


def running(dataset: str | None) -> list[Job]:
    """List what this server has at work on a dataset."""
    with _LOCK:
        return [job for (name, _), job in _RUNNING.items() if name == dataset]


def last_ended(dataset: str | None) -> Job | None:
    """Give what this server did last on a dataset."""
    with _LOCK:
        return _ENDED.get(dataset)


def take_ended(dataset: str | None) -> Job | None:
    """Give what was handed over and has ended since; only the first to ask is told."""
    with _LOCK:
        job = _ENDED.get(dataset)
        if job is None or not job.handed_over:
            return None
        job.handed_over = False
        return job


def share_of(done: float, total: float) -> float:
    """Give the share that is done, 0 to 1."""
    return min(1.0, done / total) if total else 0.0


def _environment() -> dict[str, str]:
    """Give the environment of a process that is not the App's server, so one object a dataset."""
    return {name: value for name, value in os.environ.items() if name != "FIFTYONE_SERVER"}
