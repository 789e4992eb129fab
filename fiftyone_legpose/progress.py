"""Progress of long work: one callback, drawn as a bar in the shell or sent to the App."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

Report = Callable[[float, float, str], None]
"""Called with the work done, the work in all (same unit) and a short message."""


class Cancelled(KeyboardInterrupt):
    """What a callback raises to stop the work that reports to it, as Ctrl-C does in the shell."""


def ignore(done: float, total: float, message: str) -> None:
    """Report to nobody."""


@contextmanager
def reporting(title: str, progress: Report | bool | None = None) -> Iterator[Report]:
    """Give a callback to report progress to.

    Parameters
    ----------
    title
        What is being done, for example ``predict``.
    progress
        A callback to pass on to, True or False for a bar or none; None asks FiftyOne's
        ``show_progress_bars``.

    Yields
    ------
    Report
    """
    if callable(progress):
        yield progress
        return
    if progress is None:
        import fiftyone as fo

        progress = bool(fo.config.show_progress_bars)
    if not progress:
        yield ignore
        return
    with _bar(title) as report:
        yield report


@contextmanager
def _bar(title: str) -> Iterator[Report]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[message]}"),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(title, total=None, message="")
        yield lambda done, total, message: bar.update(
            task, completed=done, total=total, message=message
        )
