"""Imports point down: no circle between modules, no folder that knows one above it."""

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
PACKAGES = ("fiftyone_legpose", "cvat_bridge")

LEVELS = (
    {"legs", "errors", "progress"},
    {"files", "jobs"},
    {"pose"},
    {"dataset"},
    {"zoo"},
    {"privacy"},
    {"videos"},
    {"prediction", "trajectories"},
    {"selection", "cvat", "evaluation", "gait_analysis"},
    {"exports"},
    {"label_formats"},
    {"review", "training"},
    {"rounds"},
    {"panels", "verb_defaults"},
    {"operators", "plugin_install"},
    {"plugin"},
    {"demo", "doctor", "cvat_function"},
    {"commands"},
    {"cli"},
)
"""Folders and files of `fiftyone_legpose`, the lowest first; a room may know those below it."""

FORMER_PLACES = {"former_places", "annotation_backend", "annotation_results", "yolo_pose_dataset"}
"""Modules that only hand on what has moved, because datasets and scripts name them."""

HIGHEST = {room: level for level, rooms in enumerate(LEVELS) for room in rooms}


def modules() -> dict[str, Path]:
    """Give the file of every module of the two packages, by dotted name."""
    files = [file for name in PACKAGES for file in (REPOSITORY / name).rglob("*.py")]
    names = [".".join(file.relative_to(REPOSITORY).with_suffix("").parts) for file in files]
    return {name.removesuffix(".__init__"): file for name, file in zip(names, files, strict=True)}


def imports(name: str, file: Path, known: dict[str, Path]) -> Iterator[str]:
    """Yield the modules that a module imports, anywhere in it, for types alone too."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            # What is imported may be a module of a package, or something in a module.
            parts = [f"{node.module}.{alias.name}" for alias in node.names]
            found = [part if part in known else node.module for part in parts]
        else:
            continue
        yield from (one for one in found if one in known and one != name)


def graph() -> dict[str, set[str]]:
    known = modules()
    return {name: set(imports(name, file, known)) for name, file in known.items()}


def room(module: str) -> str | None:
    """Name the folder, or the file beside the folders, that a module of our package lies in."""
    package, _, rest = module.partition(".")
    return rest.partition(".")[0] if package == "fiftyone_legpose" and rest else None


def test_no_module_imports_itself_by_way_of_others():
    try:
        list(TopologicalSorter(graph()).static_order())
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_every_room_has_a_level():
    rooms = {room(module) for module in modules()} - {None} - FORMER_PLACES
    assert rooms == set(HIGHEST)


def test_no_room_knows_one_above_it():
    upward = [
        f"{module} imports {other}"
        for module, others in graph().items()
        for other in others
        if (here := room(module)) in HIGHEST
        and (there := room(other)) is not None
        and here != there
        and HIGHEST.get(there, len(LEVELS)) >= HIGHEST[here]
    ]
    assert not upward
