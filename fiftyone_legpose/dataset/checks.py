"""What a verb was given: refused where it is no collection that the verb can work on."""

from typing import Any

import fiftyone as fo
import numpy as np

from fiftyone_legpose import legs
from fiftyone_legpose.dataset.frames import is_cut_out, source_dataset
from fiftyone_legpose.errors import DatasetError


def check_collection(given: Any) -> None:
    """Refuse what is no dataset or view.

    Raises
    ------
    DatasetError
    """
    if not isinstance(given, fo.core.collections.SampleCollection):
        raise DatasetError(f"a FiftyOne dataset, its name or a view is needed, not {given!r}")
    check_no_groups(given)


def check_no_groups(collection: Any) -> None:
    """Refuse a grouped dataset, such as one of several cameras, and views of it.

    FiftyOne keeps the fields of all slices in one place and writes to one slice at a time, so that
    labels would come to the wrong camera, or nowhere.

    Raises
    ------
    DatasetError
        Telling how a dataset is made of one slice or of all.
    """
    dataset = source_dataset(collection)
    if dataset.media_type != "group":
        return
    slices = list(dataset.group_slices)
    raise DatasetError(
        f"dataset {dataset.name!r} is grouped ({', '.join(slices)}), and labels are written to "
        "datasets that are not: make one of a slice, or of all, with "
        f"dataset.select_group_slices({slices}).clone({dataset.name + '-flat'!r}), and give that"
    )


def check_dataset(given: Any) -> None:
    """Refuse what is no whole dataset.

    Raises
    ------
    DatasetError
    """
    check_collection(given)
    if not isinstance(given, fo.Dataset):
        raise DatasetError(
            "a whole dataset is needed, not a view of one: pass "
            f"fo.load_dataset({given.dataset_name!r})"
        )


def check_whole(collection: Any) -> None:
    """Refuse what is no collection of whole videos or images.

    Raises
    ------
    DatasetError
        It is something else, or a view of frames or clips that were cut out of videos: what stands
        before and after them would be missing.
    """
    check_collection(collection)
    if collection.media_type not in ("video", "image"):
        raise DatasetError(f"videos or images are needed, not {collection.media_type or 'nothing'}")
    if is_cut_out(collection):
        raise DatasetError(
            "this view holds frames or clips cut out of videos; pass the videos themselves, for "
            "example dataset.match_frames(...)"
        )


def check_legs(points: np.ndarray, field: str) -> None:
    """Refuse poses (N, K, 2) of a field that are not of the ten keypoints of the legs.

    Raises
    ------
    DatasetError
    """
    if points.shape[1] != len(legs.KEYPOINTS):
        raise DatasetError(
            f"the poses in {field!r} have {points.shape[1]} keypoints, the legs have "
            f"{len(legs.KEYPOINTS)}: name a field that predict, pull or import_labels wrote"
        )
