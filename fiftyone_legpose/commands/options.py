"""Options of a command that are those of its verb: named once, with the verb's own defaults."""

import inspect
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal, TypeVar, get_origin

import typer

from fiftyone_legpose.prediction.inference import OPTIONS, option_names, words
from fiftyone_legpose.verb_defaults import default_of

_Command = TypeVar("_Command", bound=Callable[..., None])


def verb_options(verb: str, /, **options: Any) -> Callable[[_Command], _Command]:
    """Give a command options of its verb, which it takes together as ``**options``.

    Parameters
    ----------
    verb
        The verb's name.
    **options
        For each option, by the name that the verb has for it, its type as Typer reads it:
        ``Annotated[int, typer.Option(help="Passes over the training frames.")]``.

    Returns
    -------
    callable
        A decorator for the command. What the verb has a default for keeps it.
    """

    def add(command: _Command) -> _Command:
        signature = inspect.signature(command)
        own = [p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD]
        shown = [
            inspect.Parameter(
                name,
                inspect.Parameter.KEYWORD_ONLY,
                default=default_of(verb, name),
                annotation=annotation,
            )
            for name, annotation in options.items()
        ]
        command.__signature__ = signature.replace(parameters=own + shown)  # type: ignore[attr-defined]
        return command

    return add


def typed(context: typer.Context, options: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what nobody has typed, for verbs that know better than the defaults shown."""
    return {name: value for name, value in options.items() if _is_typed(context, name)}


def _is_typed(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name != "DEFAULT"


def inference_options(keywords: type, *, whose: str = "") -> dict[str, Any]:
    """Describe to `verb_options` what a network is asked.

    Parameters
    ----------
    keywords
        The set of options that the verb takes, such as
        `fiftyone_legpose.prediction.inference.InferenceOptions`.
    whose
        Said before what each option is for.
    """
    return {name: _inference_option(name, whose) for name in option_names(keywords)}


def _inference_option(name: str, whose: str) -> Any:
    said, kind = whose + words(name).help, OPTIONS[name].type
    if kind is bool:
        flag = name.replace("_", "-")
        return Annotated[bool, typer.Option(f"--{flag}/--no-{flag}", help=said)]
    # Who types a word that is none is told so by the verb, which knows what to do about it.
    kind = str if get_origin(kind) is Literal else kind
    return Annotated[kind, typer.Option(help=said)]  # type: ignore[valid-type]
