"""What a field was predicted with: `predict` keeps it unless somebody says otherwise."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import fiftyone as fo

from fiftyone_legpose.dataset.frames import raw
from fiftyone_legpose.prediction.inference import OPTIONS, Inference
from fiftyone_legpose.prediction.tracking import Tracker


@dataclass(frozen=True)
class Settings:
    """All that changes what `predict` finds, but for the weights."""

    inference: Inference = field(default_factory=Inference)
    track: Tracker | None = "bytetrack"
    repair_swaps: bool = False


def settings_of(dataset: fo.Dataset, label_field: str) -> Settings:
    """Read what most frames of a field were predicted with.

    A trial on a few frames, with other settings, does not count.

    Parameters
    ----------
    dataset
        Image or video dataset.
    label_field
        Bare name of the keypoint field.

    Returns
    -------
    Settings
        The defaults where nothing was predicted.
    """
    collection = raw(dataset)
    count = [{"$group": {"_id": f"${label_field}.made_by", "frames": {"$sum": 1}}}]
    rows = [] if collection is None else list(collection.aggregate(count))
    known = [row for row in rows if row["_id"] is not None and dataset.has_run(row["_id"])]
    if not known:
        return Settings()
    run = dataset.get_run_info(max(known, key=lambda row: row["frames"])["_id"]).config
    return Settings(Inference.of_run(run), run.track, getattr(run, "repair_swaps", False))


def settle(
    before: Settings,
    inference: Mapping[str, Any],
    track: Tracker | bool | None,
    repair_swaps: bool | None,
) -> tuple[Settings, tuple[str, ...]]:
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
    kept : tuple of str
        Names of the settings that were taken over and are none of the defaults.
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
    settings = Settings(replace(before.inference, **inference), tracker, repair)
    default = Settings()
    kept = [
        name
        for name in OPTIONS
        if name not in inference
        and getattr(settings.inference, name) != getattr(default.inference, name)
    ]
    kept += ["track"] if track is None and settings.track != default.track else []
    kept += ["repair_swaps"] if repair_swaps is None and repair else []
    return settings, tuple(kept)
