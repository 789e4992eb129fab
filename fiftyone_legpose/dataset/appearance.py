"""How a dataset looks in the App: colours, field descriptions, sidebar groups, saved views."""

from collections.abc import Iterable
from typing import Any, Final

import fiftyone as fo
from fiftyone import ViewField

from fiftyone_legpose import legs
from fiftyone_legpose.dataset import fields, frame_review

PREDICTION_COLOR: Final = "#ffd60a"
CORRECTION_COLOR: Final = "#34c759"
SMOOTH_COLOR: Final = "#5ac8fa"
_QUIET_COLOR: Final = "#8e8e93"
_REVIEW_COLOR: Final = "#bf5af2"

GROUP: Final = "leg pose"
"""Sidebar group of everything that the loop reads and writes."""

_ASIDE: Final = {"evaluations": "eval_", "rounds": "legpose_out_"}
"""Collapsed sidebar groups, by how the names of their fields begin: what evaluate predicted, and
what each push has shown to the reviewer."""

_COLORS: Final = {
    fields.PREDICTIONS: PREDICTION_COLOR,
    fields.GROUND_TRUTH: CORRECTION_COLOR,
    fields.SMOOTH: SMOOTH_COLOR,
    fields.REVIEW: _REVIEW_COLOR,
    fields.BOXES: _QUIET_COLOR,
}
"""Colour of the edges of each field's skeletons; the points show the side (see `legs.COLORS`)."""

_SHOWN: Final = (fields.PREDICTIONS, fields.GROUND_TRUTH, fields.REVIEW)
"""Fields that are drawn unless the user says otherwise: boxes hide what they frame."""

_DESCRIPTIONS: Final = {
    fields.PREDICTIONS: (
        "Predicted leg keypoints. Of each point: confidence, and visible (2 seen, 1 occluded, "
        "0 cut off)"
    ),
    fields.BOXES: "Box around each predicted person, with the confidence that it is one",
    fields.GROUND_TRUTH: (
        "Keypoints that a person corrected. Nothing: nobody has looked at the frame; without "
        "anyone in it: confirmed to show nobody"
    ),
    fields.SMOOTH: (
        "Clean path of each point over time; its source is predicted, corrected, filled or missing"
    ),
    fields.EVENTS: (
        "Stance and swing of each foot; move, add or delete them, then run gait again: yours win"
    ),
    fields.GAIT: "Parameters of the gait of who walks most; what is not known is empty",
    fields.REVIEW: (
        "Where the frame stands: scored, selected, out (with the reviewer), corrected or empty; "
        "score from 0 to 1 and the reasons for it"
    ),
    frame_review.SUMMARY: "Lowest and highest review score of the video's frames",
    "source": "The file as it was loaded; the filepath may be a playable copy of it",
    fields.SUBJECT: "The person filmed; training never has one subject on both sides of a split",
}

_VIEWS: Final = {
    "selected frames": (fields.SELECTED, "Frames that wait to be pushed, worst first", "yellow"),
    "out for review": (fields.OUT, "Frames that are with the reviewer", "purple"),
    "corrected frames": (fields.CORRECTED, "Frames that came back corrected", "green"),
}


def dress(dataset: fo.Dataset) -> None:
    """Set colours, descriptions, sidebar groups and saved views, for a dataset of any origin.

    What the user has set stays. Called again, it adds what new fields need.

    Parameters
    ----------
    dataset
        Image or video dataset.
    """
    if dataset.media_type not in ("video", "image"):
        return
    frame_review.declare(dataset)
    _describe(dataset)
    config = dataset.app_config
    config.color_scheme = _with_colors(config.color_scheme, dataset)
    config.sidebar_groups = _with_groups(dataset)
    if config.active_fields is None:
        paths = [path for name in _SHOWN if (path := _path(dataset, name))]
        config.active_fields = fo.ActiveFields(exclude=False, paths=paths)
    dataset.save()
    _save_views(dataset)


def _path(dataset: fo.Dataset, name: str) -> str | None:
    """Give the path of a field where the dataset has it, on its frames or its samples."""
    prefix = "frames." if dataset.media_type == "video" else ""
    for path in (prefix + name, name):
        if dataset.get_field(path) is not None:
            return path
    return None


def _describe(dataset: fo.Dataset) -> None:
    for name, text in _DESCRIPTIONS.items():
        path = _path(dataset, name)
        field = dataset.get_field(path) if path else None
        if field is not None and not field.description and not field.read_only:
            field.description = text
            field.save()


def _with_colors(scheme: fo.ColorScheme | None, dataset: fo.Dataset) -> fo.ColorScheme:
    if scheme is None:
        scheme = fo.ColorScheme(
            color_by="field",
            # The App colours the n-th point with the n-th colour of the pool, over and over: of
            # two colours the first is that of all left points, the second that of all right ones.
            color_pool=[legs.LEFT_COLOR, legs.RIGHT_COLOR],
            multicolor_keypoints=True,
            show_skeletons=True,
            opacity=0.9,
        )
    known = {entry["path"] for entry in scheme.fields or []}
    # In views of single frames, which users can make, the fields lose their prefix.
    paths = {
        path: color
        for name, color in _COLORS.items()
        if (full := _path(dataset, name))
        for path in (full, name)
    }
    added = [
        {"path": path, "fieldColor": color} for path, color in paths.items() if path not in known
    ]
    scheme.fields = [*(scheme.fields or []), *added]
    return scheme


def _with_groups(dataset: fo.Dataset) -> list[fo.SidebarGroupDocument]:
    """Put what the loop uses into groups of its own, and leave the others as they are."""
    default = fo.DatasetAppConfig.default_sidebar_groups(dataset)
    groups = list(dataset.app_config.sidebar_groups or default)
    ours = [path for name in _DESCRIPTIONS if (path := _path(dataset, name))]
    ours += [p for p in _paths(dataset) if p.endswith("_error") and not _is_aside(p)]
    tags = 1 if groups and groups[0].name == "tags" else 0
    groups = _with_group(groups, GROUP, ours, place=tags)
    for name, start in _ASIDE.items():
        paths = [path for path in _paths(dataset) if _bare(path).startswith(start)]
        groups = _with_group(groups, name, paths, expanded=False)
    for group in groups:
        if group.name == "metadata":
            group.expanded = False
    return [group for group in groups if group.paths]


def _with_group(
    groups: list[fo.SidebarGroupDocument],
    name: str,
    paths: list[str],
    *,
    place: int | None = None,
    expanded: bool = True,
) -> list[fo.SidebarGroupDocument]:
    """Move paths into a group; it is made where there is none, at a place or at the end."""
    mine = next((group for group in groups if group.name == name), None)
    new = [path for path in paths if mine is None or path not in mine.paths]
    for group in groups:
        if group is not mine:
            group.paths = [path for path in group.paths if path not in new]
    if mine is None:
        mine = fo.SidebarGroupDocument(name=name, paths=[], expanded=expanded)
        at = len(groups) if place is None else place
        groups = [*groups[:at], mine, *groups[at:]]
    mine.paths = [*mine.paths, *new]
    return groups


def _paths(dataset: fo.Dataset) -> Iterable[str]:
    """List all fields, those of the frames with their prefix."""
    frames = dataset.get_frame_field_schema() if dataset.media_type == "video" else {}
    return [*(f"frames.{name}" for name in frames), *dataset.get_field_schema()]


def _bare(path: str) -> str:
    return path.removeprefix("frames.")


def _is_aside(path: str) -> bool:
    return _bare(path).startswith(tuple(_ASIDE.values()))


def _save_views(dataset: fo.Dataset) -> None:
    saved = dataset.list_saved_views()
    for name, (state, text, color) in _VIEWS.items():
        if name not in saved:
            dataset.save_view(name, _frames_in(dataset, state), description=text, color=color)


def _frames_in(dataset: fo.Dataset, state: str) -> Any:
    """View the frames in a state, the highest score first; it stays up to date."""
    inside = ViewField(f"{fields.REVIEW}.state") == state
    score = f"{fields.REVIEW}.score"
    if dataset.media_type != "video":
        return dataset.match(inside).sort_by(score, reverse=True)
    # Neither clips, which FiftyOne freezes when it saves them, nor a view of frames, for which it
    # wants every frame as a file.
    found = dataset.match_frames(inside)
    return found.sort_by(ViewField(f"frames.{score}").max(), reverse=True)
