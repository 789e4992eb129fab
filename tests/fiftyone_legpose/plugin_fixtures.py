"""The plugin as the App sees it: installed, and its operators run by their addresses."""

from pathlib import Path
from typing import Any

import fiftyone.operators as foo
from fiftyone.operators.executor import ExecutionContext, Executor, ValidationContext
from fiftyone.plugins.context import PluginContext, build_plugin_contexts

from fiftyone_legpose.cvat.login import SECRETS
from fiftyone_legpose.plugin_install import install

NAME = "@legpose/legpose"


def installed() -> PluginContext:
    install()
    [context] = [one for one in build_plugin_contexts() if one.name == NAME]
    return context


def operator(verb: str) -> Any:
    installed()
    return foo.get_operator(f"{NAME}/{verb}")


def app_context(dataset: Any, verb: str = "", /, **params: Any) -> ExecutionContext:
    """Build the context of a request as the App sends it."""
    request = {
        "operator_uri": f"{NAME}/{verb}",
        "dataset_name": None if dataset is None else dataset.name,
        "params": params,
    }
    return ExecutionContext(
        request, executor=Executor(), operator_uri=f"{NAME}/{verb}", required_secrets=list(SECRETS)
    )


def refusals(verb: str, dataset: Any, /, **params: Any) -> list[str]:
    """Why Execute is off for a form that is filled in like this."""
    target = operator(verb)
    context = app_context(dataset, verb, **params)
    checked = ValidationContext(context, target.resolve_input(context), target)
    return [error.reason for error in checked.errors]


def outcome(collection: Any, verb: str, /, **params: Any) -> dict[str, Any]:
    """Run a verb from Python, as `foo.get_operator(...)(dataset)` does, and give what it says."""
    return operator(verb)(collection, **params).result


PACKAGE = Path(__file__).resolve().parents[2] / "fiftyone_legpose"
