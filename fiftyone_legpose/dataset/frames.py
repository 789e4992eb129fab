"""Frames of videos and images alike: their paths, ids, documents, and writing to many at once.

"Video or image?" is asked here, and FiftyOne's private attributes are used here alone.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import fiftyone as fo


def source_dataset(collection: Any) -> fo.Dataset:
    """Give the dataset that a view, or a view of frames or clips, was made from."""
    if isinstance(collection, fo.Dataset):
        return collection
    return fo.load_dataset(collection.dataset_name)


def is_video(collection: Any) -> bool:
    """Tell whether a collection holds videos, whose frames have documents of their own."""
    return bool(collection.media_type == "video")


def path(collection: Any, field: str) -> str:
    """Give the path of a bare field of frames, or of images, as FiftyOne's methods take it."""
    return f"frames.{field}" if is_video(collection) else field


def frame_documents(view: Any, fields: Sequence[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Read some fields of every frame, or of every image, of a collection.

    Parameters
    ----------
    view
        Image or video collection; of a video view only its own frames are read.
    fields
        Bare paths below a frame or image, such as ``legpose.keypoints.points``.

    Yields
    ------
    sample_id : str
        Samples come in the order of the collection, their frames by number.
    document : dict
        As MongoDB holds it: ``_id``, ``frame_number`` of a video's frame, and of the fields what
        is set.

    Notes
    -----
    `view.values()` puts all frames of a video into one document, and MongoDB allows one 16 MB: with
    the columns that a table of poses needs that is a quarter of an hour of one person at 30
    frames/s.
    """
    video = is_video(view)
    prefix = "frames." if video else ""
    wanted = ("_id", *(["frame_number"] if video else []), *fields)
    # Unwound directly behind the lookup, MongoDB never holds all frames of a video at once.
    unwind = [{"$unwind": "$frames"}] if video else []
    pipeline = [*unwind, {"$project": {f"{prefix}{path}": True for path in wanted}}]
    for row in view._aggregate(attach_frames=video, post_pipeline=pipeline):
        yield str(row["_id"]), row["frames"] if video else row


def values(view: Any, *fields: str) -> list[list[Any]]:
    """Read bare fields of every frame, or of every image: a flat list for each field."""
    if not is_video(view):
        return [list(column) for column in view.values(list(fields))]
    columns = view.values([f"frames.{field}" for field in fields])
    return [[cell for sample in column for cell in sample or []] for column in columns]


def frame_ids(view: Any) -> list[str]:
    """List the ids of frame documents, or of samples for images, also of a view of frames."""
    [ids] = values(plain_view(view), "id")
    return ids


def select(dataset: fo.Dataset, ids: Sequence[str], *, ordered: bool = False) -> Any:
    """Give a view of some frames, or images, by their ids; images in that order where asked."""
    return dataset.select_frames(ids) if is_video(dataset) else dataset.select(ids, ordered=ordered)


def write(dataset: fo.Dataset, field: str, values_by_id: Mapping[str, Any]) -> None:
    """Write values of a declared field by the ids of frame documents, or of samples for images.

    Values are not checked: checking labels that this package made takes longer than writing them.
    """
    if values_by_id:
        dataset.set_values(
            path(dataset, field),
            dict(values_by_id),
            key_field=path(dataset, "id"),
            expand_schema=False,
            validate=False,
        )


def raw(dataset: fo.Dataset) -> Any:
    """Give the MongoDB collection that holds the frame documents, or the samples of images."""
    return dataset._frame_collection if is_video(dataset) else dataset._sample_collection


def has_value(dataset: fo.Dataset, field: str) -> bool:
    """Tell whether a bare field is set on any frame, or on any image."""
    return raw(dataset).find_one({field: {"$ne": None}}, {"_id": 1}) is not None


def dataset_id(collection: Any) -> str:
    """Give the id of the dataset behind a collection, which tells it from others of its name."""
    return str(source_dataset(collection)._doc.id)


def is_cut_out(view: Any) -> bool:
    """Tell whether a view holds frames, clips or patches that were cut out of its videos."""
    return bool(view._is_generated)


def names_frames(view: Any) -> bool:
    """Tell whether a view says which frames it means, not only which videos."""
    if isinstance(view, fo.Dataset):
        return False
    if not is_video(view) or is_cut_out(view):
        return True
    said = (fo.SelectFrames, fo.ExcludeFrames, fo.MatchFrames)
    return any(isinstance(stage, said) for stage in view._stages)


def plain_view(collection: Any) -> Any:
    """Turn a view of clips or of frames into one of the videos that shows the same frames."""
    if not (collection._is_frames or collection._is_clips):
        return collection
    ids = collection.values("id" if collection._is_frames else "frames.id")
    if collection._is_clips:
        ids = [frame_id for clip in ids for frame_id in clip or []]
    return source_dataset(collection).select_frames(ids)


def without_clips(collection: Any) -> Any:
    """Turn a view of clips into one of the videos that shows the same frames."""
    return plain_view(collection) if collection._is_clips else collection


def labels_by_frame(
    dataset: fo.Dataset, frame_ids: list[str], field: str
) -> dict[str, fo.Keypoints | None]:
    """Read the labels of some frames of an image or video dataset, by frame id.

    Of a grouped dataset, of all of its slices.
    """
    if dataset.media_type == "group":
        dataset = dataset.select_group_slices(_allow_mixed=True)
    if dataset._has_frame_fields() and dataset._is_frame_field(f"frames.{field}"):
        columns = dataset.select_frames(frame_ids).values(["frames.id", f"frames.{field}"])
        ids, labels = ([cell for sample in column for cell in sample] for column in columns)
    else:
        ids, labels = dataset.select(frame_ids).values(["id", field])
    return dict(zip(ids, labels, strict=True))
