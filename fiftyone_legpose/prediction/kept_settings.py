"""What a field was predicted with: `predict` keeps it unless somebody says otherwise."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import fiftyone as fo

from fiftyone_legpose.dataset.frames import path, raw, source_dataset
from fiftyone_legpose.prediction.inference import OPTIONS, Inference
from fiftyone_legpose.prediction.tracking import Tracker


@dataclass(frozen=True)
class Settings:
    """All that changes what `predict` finds, but for the weights."""

    inference: Inference = field(default_factory=Inference)
    track: Tracker | None = "bytetrack"
    repair_swaps: bool = False


def settings_of(collection: Any, label_field: str) -> Settings:
    """Read what most frames of a field were predicted with.

    A trial on a few frames, with other settings, does not count.

    Parameters
    ----------
    collection
        Image or video dataset, or a view: its own frames count first, else those of its dataset.
    label_field
        Bare name of the keypoint field.

    Returns
    -------
    Settings
        The defaults where nothing was predicted.
    """
    dataset = source_dataset(collection)
    if dataset.get_field(path(dataset, label_field)) is None:
        return Settings()
    runs = [] if collection is dataset else _runs(dataset, _count(collection, label_field))
    runs = runs or _runs(dataset, _count_all(dataset, label_field))
    if not runs:
        return Settings()
    _, _, run = max(runs, key=lambda run: run[:2])
    return Settings(Inference.of_run(run), run.track, getattr(run, "repair_swaps", False))


def _runs(dataset: fo.Dataset, frames: Mapping[str | None, int]) -> list[tuple[int, str, Any]]:
    """Give frames, time and description of each run that made some of the frames."""
    known = {key: n for key, n in frames.items() if key is not None and dataset.has_run(key)}
    told = {key: dataset.get_run_info(key).config for key in known}
    return [(n, told[key].started, told[key]) for key, n in known.items()]


def _count(view: Any, label_field: str) -> dict[str | None, int]:
    made_by = f"{path(view, label_field)}.made_by"
    return dict(view.count_values(made_by))


def _count_all(dataset: fo.Dataset, label_field: str) -> dict[str | None, int]:
    # Over the bare documents, because a form asks at every key that is pressed.
    count = [{"$group": {"_id": f"${label_field}.made_by", "frames": {"$sum": 1}}}]
    return {row["_id"]: row["frames"] for row in raw(dataset).aggregate(count)}


def settle(
    before: Settings,
    inference: Mapping[str, Any],
    track: Tracker | bool | None,
    repair_swaps: bool | None,
) -> tuple[Settings, dict[str, Any]]:
    """Put what a call says over what there was before.

    Parameters
    ----------
    before
        From `settings_of`.
    inference
        Options of `Inference` that the call names.
    track, repair_swaps
        Of `predict`; None where the call does not name them.

    Returns
    -------
    settings : Settings
    kept : dict
        The settings that were taken over and are none of the defaults, by their names.
    """
    tracker: Tracker | None
    if track is None:
        tracker = before.track
    elif track is True:
        tracker = before.track or "bytetrack"
    else:
        tracker = track or None
    # Whoever wants no tracks any more wants nothing that looks at them.
    repair = (before.repair_swaps and tracker is not None) if repair_swaps is None else repair_swaps
    settings = Settings(
        replace(before.inference, **_implied(before, inference), **inference), tracker, repair
    )
    default = Settings()
    # What follows from a size that was given is not kept for its own sake.
    usual = replace(default.inference, imgsz=settings.inference.imgsz)
    kept = {
        name: value
        for name in OPTIONS
        if name not in inference
        and (value := getattr(settings.inference, name))
        != getattr(default.inference if name == "imgsz" else usual, name)
    }
    if track is None and settings.track != default.track:
        kept["track"] = settings.track
    if repair_swaps is None and repair:
        kept["repair_swaps"] = True
    return settings, kept


def _implied(before: Settings, inference: Mapping[str, Any]) -> dict[str, Any]:
    """Tell what a call means by the options that it names, beyond them."""
    if inference.get("plain") and before.inference.flip_test and "flip_test" not in inference:
        return {"flip_test": False}
    return {}
