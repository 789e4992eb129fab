"""Datasets by their names, as everybody types them in the shell."""

import functools
import inspect
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from fiftyone_legpose.errors import DatasetError

_Parameters = ParamSpec("_Parameters")
_Result = TypeVar("_Result")


def open_dataset(name: str) -> Any:
    """Load a dataset.

    Raises
    ------
    DatasetError
        There is none of that name.
    """
    import fiftyone as fo

    if not fo.dataset_exists(name):
        known = ", ".join(fo.list_datasets()) or "none yet"
        raise DatasetError(
            f"There is no dataset {name!r} (there are: {known}). "
            f"Make it with: legpose load VIDEOS --dataset {name}"
        )
    return fo.load_dataset(name)


def takes_name(
    parameter: str,
) -> Callable[[Callable[_Parameters, _Result]], Callable[_Parameters, _Result]]:
    """Let a verb take the name of a dataset where it takes the dataset itself.

    Parameters
    ----------
    parameter
        Name of the verb's parameter that is the dataset.
    """

    def decorate(verb: Callable[_Parameters, _Result]) -> Callable[_Parameters, _Result]:
        signature = inspect.signature(verb)

        @functools.wraps(verb)
        def opened(*args: _Parameters.args, **kwargs: _Parameters.kwargs) -> _Result:
            given = signature.bind(*args, **kwargs)
            if isinstance(name := given.arguments.get(parameter), str):
                given.arguments[parameter] = open_dataset(name)
            return verb(*given.args, **given.kwargs)

        return opened

    return decorate
