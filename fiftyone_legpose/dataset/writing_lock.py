"""What writes to one dataset does so one after the other, whatever process it runs in."""

import functools
import inspect
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ParamSpec, TypeVar

import fiftyone as fo

from cvat_bridge.one_at_a_time import one_at_a_time
from fiftyone_legpose.dataset.frames import source_dataset
from fiftyone_legpose.progress import Report

logger = logging.getLogger(__name__)

_Parameters = ParamSpec("_Parameters")
_Result = TypeVar("_Result")


def waits_its_turn(
    parameter: str,
) -> Callable[[Callable[_Parameters, _Result]], Callable[_Parameters, _Result]]:
    """Let a verb wait until no other verb of the same user writes to its dataset.

    Two loads of one folder at once would store each file twice, and two pushes of one key could
    make a second task.

    Parameters
    ----------
    parameter
        Name of the verb's parameter that is the dataset: its name, itself, or a view of it. A verb
        that was given none of these runs at once.
    """

    def decorate(verb: Callable[_Parameters, _Result]) -> Callable[_Parameters, _Result]:
        known = inspect.signature(verb)

        @functools.wraps(verb)
        def alone(*args: _Parameters.args, **kwargs: _Parameters.kwargs) -> _Result:
            given = known.bind(*args, **kwargs).arguments
            target, progress = given.get(parameter), given.get("progress")
            if not isinstance(target, str | fo.core.collections.SampleCollection):
                return verb(*args, **kwargs)
            with writing_to(target, verb.__name__, progress if callable(progress) else None):
                return verb(*args, **kwargs)

        return alone

    return decorate


@contextmanager
def writing_to(dataset: Any, work: str, report: Report | None = None) -> Iterator[None]:
    """Write to a dataset alone, and wait for another process of the same user that does.

    Processes on other machines that share a database do not wait for each other.

    Parameters
    ----------
    dataset
        Its name, itself, or a view of it.
    work
        What is being done, in words that whoever waits is shown.
    report
        Told who is at work while this waits; without it, a warning is logged.
    """
    name = dataset if isinstance(dataset, str) else source_dataset(dataset).name

    def tell(holder: str) -> None:
        told = f"waiting for another one at work on dataset {name!r} ({holder})"
        if report is not None:
            report(0, 1, told)
        else:
            logger.warning("%s: %s", work, told)

    place = f"{fo.config.database_uri} {fo.config.database_name} {name}"
    with one_at_a_time(place, work, tell) as waited:
        if waited and not isinstance(dataset, str):
            # The other one may have added fields, which this process would not know.
            source_dataset(dataset).reload()
        yield
