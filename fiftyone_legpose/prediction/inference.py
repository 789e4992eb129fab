"""What a network is asked, and on what it runs: one value that everybody who asks hands on.

A further switch is one field of `Inference` and one entry of `SwitchOptions`. Verbs, the shell, the
App, the zoo's model, CVAT's function, stored runs and reports take both from here.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import Field, dataclass, field, fields
from functools import wraps
from typing import Any, Literal, ParamSpec, Self, TypedDict, TypeVar, get_args

from fiftyone_legpose.errors import DatasetError

Backend = Literal["auto", "torch", "openvino", "onnx", "tensorrt"]

_P = ParamSpec("_P")
_R = TypeVar("_R")

_PLACEHOLDER = "**inference"
"""How verbs call these options in their signature, and the entry of them in their docstring."""


@dataclass(frozen=True)
class Words:
    """What the front ends and reports say of an option."""

    help: str
    """After the option of a command."""
    label: str
    """Over the input of a form."""
    description: str
    """Under the input of a form."""
    way: str = ""
    """Of a switch: what reports call predictions that were made with it."""
    evaluated: str = ""
    """Of a switch: the setting of stored evaluations that lists the predictions made with it."""


@dataclass(frozen=True)
class Inference:
    """What a network is asked, and on what it runs. The weights stand beside it.

    Attributes
    ----------
    conf
        Lowest box confidence of a person, 0 to 1.
    imgsz
        Longer side of the model's input in px; None is the size the weights were trained at.
    close_look
        Look for people at several input sizes, and again at each one who is too small for the
        trained one, in a cutting of the frame (`looking.Looker`). Where people are large already,
        one look is enough. Off with `imgsz`. It is for whole frames with small people: where legs
        are just too short for one look, parts of a leg can be taken for people of their own.
    voting
        Average everything that the network says of a person (`voting.vote`), of which it otherwise
        keeps the surest alone, as ultralytics does: better points, and a confidence that tells
        better which are right, for hardly any time. It is a little lower: predict a dataset in one
        way, or the frames with voting look more doubtful.
    flip_test
        Look at every frame mirrored too and average both (`flip_test.merge`): better points and
        confidence for twice the network's time. `conf` is then that of the mean, in which somebody
        who is found in one picture alone counts half.
    plain
        Answer what ultralytics answers: one look, of which nothing is averaged. It turns
        `close_look` and `voting` off.
    backend
        Runtime of the model; ``auto`` takes TensorRT or torch on a GPU, and OpenVINO, ONNX or torch
        on a CPU, the first that is installed.
    device
        ``auto``, ``cpu``, or a torch device such as ``0`` or ``mps``. OpenVINO runs on the CPU.
    """

    conf: float = field(
        default=0.25,
        metadata={
            "words": Words(
                help="Lowest box confidence of a person.",
                label="Lowest confidence of a person",
                description="Raise it where the model sees persons who are not there",
            )
        },
    )
    imgsz: int | None = field(
        default=None,
        metadata={
            "words": Words(
                help="Longer side of the model's input in px; by default as trained.",
                label="Size of the model's input (px)",
                description="Longer side, a multiple of 32; empty is the size of the training",
            )
        },
    )
    close_look: bool = field(
        default=False,
        metadata={
            "words": Words(
                help="Look again, closer, at people who are small in the picture.",
                label="Look closer at people who are small in the picture",
                description="For whole frames with small people; off where a size is given",
                way="a closer look",
                evaluated="looked_closer",
            )
        },
    )
    voting: bool = field(
        default=True,
        metadata={
            "words": Words(
                help="Average all that the model says of a person: better.",
                label="Average everything that the model says of a person",
                description="Better points and confidence, at nearly the same speed",
                way="voting",
                evaluated="voted",
            )
        },
    )
    flip_test: bool = field(
        default=False,
        metadata={
            "words": Words(
                help="Look at every frame mirrored too: slower and better.",
                label="Look at every frame mirrored too",
                description="Better points and confidence, for twice the model's time",
                way="the flip test",
                evaluated="flip_tested",
            )
        },
    )
    plain: bool = field(
        default=False,
        metadata={
            "words": Words(
                help="Answer what ultralytics answers: one look, nothing averaged.",
                label="Answer what ultralytics answers",
                description="One look at each frame, of which nothing is averaged",
            )
        },
    )
    backend: Backend = field(
        default="auto",
        metadata={
            "words": Words(
                help=", ".join(get_args(Backend)) + ".",
                label="Runtime",
                description="auto takes the fastest one installed",
            )
        },
    )
    device: str = field(
        default="auto",
        metadata={
            "words": Words(
                help="auto, cpu, mps, 0 or 0,1.",
                label="Device",
                description="auto, cpu, mps, 0, ...",
            )
        },
    )

    def __post_init__(self) -> None:
        """Turn off what cannot go together with what was asked."""
        if self.plain and self.flip_test:
            raise DatasetError(
                "plain answers what ultralytics answers, which knows no flip test: leave out one "
                "of plain and flip_test."
            )
        if self.plain:
            object.__setattr__(self, "voting", False)
        if self.plain or self.imgsz is not None:
            object.__setattr__(self, "close_look", False)

    @classmethod
    def of_run(cls, run: Any) -> Self:
        """Take what a stored run of `predict` was asked; where it ran does not matter any more."""
        # Runs note a switch only where it is on.
        switches: dict[str, Any] = {name: getattr(run, name, False) for name in SWITCHES}
        return cls(conf=run.conf, imgsz=run.imgsz, **switches)

    def switches(self) -> dict[str, bool]:
        """Give every switch by its name."""
        return {name: getattr(self, name) for name in SWITCHES}

    @property
    def on(self) -> list[str]:
        """Names of the switches that are on, in alphabetical order, in which they are stored."""
        return sorted(name for name, on in self.switches().items() if on)


OPTIONS: Mapping[str, "Field[Any]"] = {option.name: option for option in fields(Inference)}
"""The fields of `Inference`, in the order in which front ends show them."""

SWITCHES = tuple(name for name, option in OPTIONS.items() if option.metadata["words"].way)
"""Names of the options that are on or off, and are stored with what was predicted."""


def words(name: str) -> Words:
    """Look up what is said of an option."""
    found: Words = OPTIONS[name].metadata["words"]
    return found


class SwitchOptions(TypedDict, total=False):
    """Keywords of a verb that chooses the sizes and the weights itself."""

    close_look: bool
    voting: bool
    flip_test: bool
    plain: bool


class NetworkOptions(SwitchOptions, total=False):
    """Keywords of a verb that chooses itself who counts as a person."""

    imgsz: int | None
    backend: Backend
    device: str


class InferenceOptions(NetworkOptions, total=False):
    """All of `Inference` as keywords."""

    conf: float


def option_names(keywords: type) -> list[str]:
    """Name the options in one of the sets above, in the order in which front ends show them."""
    return [name for name in OPTIONS if name in keywords.__annotations__]


def takes_inference(verb: Callable[_P, _R]) -> Callable[_P, _R]:
    """Show the options behind a verb's ``**inference`` in its signature and docstring.

    Parameters
    ----------
    verb
        A function with ``**inference: Unpack[...]`` of one of the sets of options above, whose
        docstring has an entry ``**inference``.

    Returns
    -------
    callable
        The same, but a keyword that it lacks is a TypeError that names those it has.
    """
    [options] = get_args(verb.__annotations__[_PLACEHOLDER.lstrip("*")])
    names = option_names(options)
    signature = inspect.signature(verb)
    own = [p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD]
    shown = [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=OPTIONS[name].default,
            annotation=OPTIONS[name].type,
        )
        for name in names
    ]
    signature = signature.replace(parameters=own + shown)

    @wraps(verb)
    def checked(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        for name in kwargs:
            if name not in signature.parameters:
                raise TypeError(
                    f"{verb.__name__}() got an unexpected keyword argument {name!r}; it takes "
                    f"{', '.join(signature.parameters)}."
                )
        return verb(*args, **kwargs)

    checked.__signature__ = signature  # type: ignore[attr-defined]
    if verb.__doc__:  # python -OO leaves none
        checked.__doc__ = _describe(inspect.cleandoc(verb.__doc__), names)
    return checked


def _describe(docstring: str, names: list[str]) -> str:
    """Put the entries of options in place of the placeholder's."""
    told = _entries(inspect.cleandoc(Inference.__doc__ or ""))
    lines = docstring.split("\n")
    start = lines.index(_PLACEHOLDER)
    end = start + 1
    while lines[end].startswith(" "):
        end += 1
    return "\n".join([*lines[:start], *(told[name] for name in names), *lines[end:]])


def _entries(docstring: str) -> dict[str, str]:
    """Read the entries of a docstring's only section by their names."""
    _, _, section = docstring.partition("----------\n")
    found: dict[str, str] = {}
    for line in section.split("\n"):
        if line and not line.startswith(" "):
            name = line
            found[name] = line
        else:
            found[name] += f"\n{line}"
    return found
