"""Frames of videos and images alike: their paths, ids, documents, and writing to many at once.

"Video or image?" is asked here, and FiftyOne's private attributes are used here alone.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import fiftyone as fo
from bson import ObjectId


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
    frames/s. A view that names frames has MongoDB hold all of a video, up to 100 MB: of longer
    ones the frames are read in pages.
    """
    video = is_video(view)
    prefix = "frames." if video else ""
    wanted = ("_id", *(["frame_number"] if video else []), *fields)
    # Unwound directly behind the lookup, MongoDB never holds all frames of a video at once.
    unwind = [{"$unwind": "$frames"}] if video else []
    pipeline = [*unwind, {"$project": {f"{prefix}{path}": True for path in wanted}}]
    pages = _pages(view)
    if not pages:
        for row in view._aggregate(attach_frames=video, post_pipeline=pipeline):
            yield str(row["_id"]), row["frames"] if video else row
        return
    for sample_id in _sample_ids(view, pages):
        one = view.select(sample_id)
        for page in pages:
            for row in one._aggregate(attach_frames=True, support=page, post_pipeline=pipeline):
                yield str(row["_id"]), row["frames"]


_PAGE = 4000
"""Frames of a video that are read at once: of six persons about 50 MB."""

_PAGEABLE = (fo.SelectFrames, fo.ExcludeFrames, fo.MatchFrames)


def _pages(view: Any) -> list[tuple[int, int]]:
    """List the spans of frame numbers to read one after the other; none where one query does."""
    if not is_video(view) or isinstance(view, fo.Dataset) or is_cut_out(view):
        return []
    dataset = source_dataset(view)
    asking = [stage for stage in view._stages if stage._needs_frames(dataset)]
    if not asking or not all(isinstance(stage, _PAGEABLE) for stage in asking):
        return []
    count = "metadata.total_frame_count"
    longest = dataset._sample_collection.find_one({}, {count: True}, sort=[(count, -1)])
    frames = _cell(longest, count) or 0
    starts = range(1, frames + 1, _PAGE) if frames > _PAGE else []
    return [(first, first + _PAGE - 1) for first in starts]


def _sample_ids(view: Any, pages: Sequence[tuple[int, int]]) -> list[str]:
    """List the ids of a view's videos in its order, without holding all frames of one."""
    dataset = source_dataset(view)
    whole = dataset.view()
    for stage in view._stages:
        if not stage._needs_frames(dataset):
            whole = whole.add_stage(stage)
    pipeline = [{"$project": {"_id": True}}]
    there = {
        str(row["_id"])
        for page in pages
        for row in view._aggregate(attach_frames=True, support=page, post_pipeline=pipeline)
    }
    return [sample_id for sample_id in whole.values("id") if sample_id in there]


def sample_values(view: Any, *fields: str) -> list[list[Any]]:
    """Read fields of samples, never of frames: a list for each field.

    `view.values()` fetches all frames of a video where the view names some of them.
    """
    pages = _pages(view)
    if pages:
        view = source_dataset(view).select(_sample_ids(view, pages), ordered=True)
    return [list(column) for column in view.values(list(fields))]


def values(view: Any, *fields: str) -> list[list[Any]]:
    """Read bare fields of every frame, or of every image: a flat list for each field.

    What is a document, such as a label, comes as MongoDB holds it.
    """
    columns: list[list[Any]] = [[] for _ in fields]
    for _, document in frame_documents(view, [field for field in fields if field != "id"]):
        for column, field in zip(columns, fields, strict=True):
            column.append(str(document["_id"]) if field == "id" else _cell(document, field))
    return columns


def _cell(value: Any, path: str) -> Any:
    """Read a path below a document; of a list, the path below each of its items."""
    for position, name in enumerate(path.split(".")):
        if isinstance(value, list):
            rest = ".".join(path.split(".")[position:])
            return [_cell(item, rest) for item in value]
        value = value.get(name) if isinstance(value, dict) else None
    return value


def tag_labels(dataset: fo.Dataset, field: str, ids: Sequence[str], tag: str) -> None:
    """Tag the labels of a bare field on some frames, or images, by their ids."""
    chosen = {"_id": {"$in": [ObjectId(i) for i in ids]}}
    raw(dataset).update_many(chosen, {"$addToSet": {f"{field}.tags": tag}})
    dataset.reload()


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


def write_all_frames(
    dataset: fo.Dataset, sample_id: str, field: str, values: Sequence[Any]
) -> None:
    """Write a bare declared field of all frames of one video, in order, inside of the database.

    An update per frame takes half a minute for a quarter of an hour of video.
    """
    numbered = {"$toInt": {"$add": ["$before", 1]}}
    dataset._sample_collection.aggregate(
        [
            {"$match": {"_id": ObjectId(sample_id)}},
            {"$project": {"values": {"$literal": list(values)}}},
            {"$unwind": {"path": "$values", "includeArrayIndex": "before"}},
            {
                "$project": {
                    "_id": 0,
                    "_sample_id": "$_id",
                    "frame_number": numbered,
                    field: "$values",
                }
            },
            {
                "$merge": {
                    "into": dataset._frame_collection_name,
                    "on": ["_sample_id", "frame_number"],
                    "whenMatched": "merge",
                    "whenNotMatched": "discard",
                }
            },
        ]
    )
    fo.core.frame.Frame._reload_docs(dataset._frame_collection_name)


def raw(dataset: fo.Dataset) -> Any:
    """Give the MongoDB collection that holds the frame documents, or the samples of images."""
    return dataset._frame_collection if is_video(dataset) else dataset._sample_collection


def count_frames(dataset: fo.Dataset) -> int:
    """Count the frame documents, or the images, of a dataset."""
    return int(raw(dataset).count_documents({}))


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
        chosen = {"_id": {"$in": [ObjectId(i) for i in frame_ids]}}
        found = source_dataset(dataset)._frame_collection.find(chosen, {field: True})
        known = ((str(frame["_id"]), frame.get(field)) for frame in found)
        return {i: None if label is None else fo.Keypoints.from_dict(label) for i, label in known}
    ids, labels = dataset.select(frame_ids).values(["id", field])
    return dict(zip(ids, labels, strict=True))


def documents_by_id(
    dataset: fo.Dataset, ids: Sequence[str], fields: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """Read some fields of frames, or of images, as MongoDB holds them, by id."""
    chosen = {"_id": {"$in": [ObjectId(i) for i in ids]}}
    found = raw(dataset).find(chosen, dict.fromkeys(fields, True))
    return {str(document["_id"]): document for document in found}
