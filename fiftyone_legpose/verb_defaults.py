"""The defaults of the verbs, as shell and App show them.

They are read from the verbs' source, because to import a verb takes seconds: `legpose --help` shows
every command, and a command its defaults, before anything of FiftyOne or torch is loaded.
"""

import ast
from functools import cache
from importlib.util import find_spec
from typing import Any

from fiftyone_legpose import HOMES
from fiftyone_legpose.cvat.login import Account
from fiftyone_legpose.prediction.inference import OPTIONS


def default_of(verb: str, option: str) -> Any:
    """Read the default of an option in a verb's signature.

    Parameters
    ----------
    verb
        Name of a function that `fiftyone_legpose` gives.
    option
        Name of one of its parameters, also of those behind ``**inference`` and ``**account``.

    Raises
    ------
    LookupError
        The verb has no such option, or none with a default.
    """
    home = f"fiftyone_legpose.{HOMES[verb]}"
    arguments = _function(home, verb).args
    named = [*arguments.posonlyargs, *arguments.args]
    found = {
        argument.arg: default
        for argument, default in [
            *zip(named[::-1], arguments.defaults[::-1], strict=False),
            *zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True),
        ]
    }
    further = arguments.kwarg.arg if arguments.kwarg is not None else None
    if option not in found and further == "inference" and option in OPTIONS:
        return OPTIONS[option].default
    if option not in found and further == "account" and option in Account.__annotations__:
        return None
    node = found.get(option)
    if node is None:
        raise LookupError(f"{verb} has no option {option!r} with a default")
    return _value(node, home)


def options_of(verb: str) -> set[str]:
    """Name the options in a verb's signature, with those behind ``**inference`` and ``**account``.

    Parameters
    ----------
    verb
        Name of a function that `fiftyone_legpose` gives.
    """
    arguments = _function(f"fiftyone_legpose.{HOMES[verb]}", verb).args
    named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    behind = {"inference": set(OPTIONS), "account": set(Account.__annotations__)}
    further = arguments.kwarg.arg if arguments.kwarg is not None else ""
    return {argument.arg for argument in named} | behind.get(further, set())


@cache
def _source(module: str) -> ast.Module:
    spec = find_spec(module)
    if spec is None or spec.loader is None:
        raise LookupError(f"there is no module {module}")
    return ast.parse(spec.loader.get_source(module))  # type: ignore[attr-defined]


def _function(module: str, name: str) -> ast.FunctionDef:
    for node in _source(module).body:
        if isinstance(node, ast.FunctionDef) and node.name == name:
            return node
    raise LookupError(f"{module} has no function {name}")


def _value(node: ast.expr, module: str) -> Any:
    """Read a literal, or follow the name of a constant to where it is set."""
    if isinstance(node, ast.Name):
        return _constant(node.id, module)
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        return _constant(node.attr, ".".join(_imported(node.value.id, module)))
    return ast.literal_eval(node)


def _constant(name: str, module: str) -> Any:
    for node in _source(module).body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if any(isinstance(target, ast.Name) and target.id == name for target in targets):
                return _value(node.value, module)
    home, original = _imported(name, module)
    return _constant(original, home)


def _imported(name: str, module: str) -> tuple[str, str]:
    """Tell from which module a name comes, and what it is called there."""
    for node in _source(module).body:
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                if (alias.asname or alias.name) == name:
                    return node.module, alias.name
    raise LookupError(f"{module} has no constant {name}, and imports none")
