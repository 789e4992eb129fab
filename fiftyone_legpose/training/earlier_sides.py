"""Which subjects and videos earlier trainings had, and on which side: they stay there."""

from collections.abc import Collection, Mapping
from typing import Any

from fiftyone_legpose.dataset.frames import source_dataset
from fiftyone_legpose.dataset.groups import sample_groups
from fiftyone_legpose.training.splits import Side
from fiftyone_legpose.zoo import registry
from fiftyone_legpose.zoo.bases import Base
from fiftyone_legpose.zoo.registry import Version

_SIDES: tuple[Side, ...] = ("val", "train")


def names_of(*collections: Any) -> dict[str, tuple[str, str]]:
    """Name the group and the video of every sample of the collections' datasets."""
    found: dict[str, tuple[str, str]] = {}
    for dataset in map(source_dataset, collections):
        names = zip(*sample_groups(dataset), strict=True)
        found.update(zip(dataset.values("id"), names, strict=True))
    return found


def earlier_sides(names: Mapping[str, tuple[str, str]]) -> dict[str, Side]:
    """Tell which groups earlier versions trained on or were validated with."""
    sides: dict[str, Side] = {}
    # Training comes last and wins: what was trained on once is no stranger again.
    for side in _SIDES:
        for version in registry.list_versions():
            sides |= {names[sample][0]: side for sample in _samples(version, side, names)}
    return sides


def seen_in_training(names: Mapping[str, tuple[str, str]], start: Base, judge: bool) -> set[str]:
    """Name the groups and videos that the base, or what it came from, was trained on.

    A comparison with the default must be fair to both.
    """
    ancestors = {start.sha256}
    if judge:
        ancestors.add(registry.get_version(registry.current_version()).sha256)
    return {
        name
        for version in registry.lineage(*ancestors)
        for sample in _samples(version, "train", names)
        for name in names[sample]
    }


def _samples(version: Version, side: Side, known: Collection[str]) -> set[str]:
    return {frame["sample"] for frame in version.frames.get(side, ())} & set(known)
