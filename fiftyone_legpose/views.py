"""Datasets and views: what stands behind a collection that a verb was given."""

from typing import Any

import fiftyone as fo


def source_dataset(collection: Any) -> fo.Dataset:
    """Give the dataset that a view, or a view of frames or clips, was made from."""
    if isinstance(collection, fo.Dataset):
        return collection
    return fo.load_dataset(collection.dataset_name)
