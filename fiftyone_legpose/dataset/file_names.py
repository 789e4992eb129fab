"""The names that users know the files of a dataset by."""

from pathlib import Path
from typing import Any

from fiftyone_legpose.dataset.fields import SOURCE
from fiftyone_legpose.dataset.frames import sample_values


def file_names(collection: Any) -> list[str]:
    """Name the file of each sample, as it was loaded and without its folders.

    A playable copy is named by a hash: nobody knows it by that.
    """
    [paths] = sample_values(collection, "filepath")
    known = collection.has_sample_field(SOURCE)
    sources = sample_values(collection, SOURCE)[0] if known else [None] * len(paths)
    return [Path(source or path).name for source, path in zip(sources, paths, strict=True)]
