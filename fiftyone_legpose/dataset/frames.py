"""Frames of a collection as bare documents, one by one."""

from collections.abc import Iterator, Sequence
from typing import Any

import fiftyone as fo

from fiftyone_legpose.dataset.checks import source_dataset


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
    video = view.media_type == "video"
    prefix = "frames." if video else ""
    wanted = ("_id", *(["frame_number"] if video else []), *fields)
    # Unwound directly behind the lookup, MongoDB never holds all frames of a video at once.
    unwind = [{"$unwind": "$frames"}] if video else []
    pipeline = [*unwind, {"$project": {f"{prefix}{path}": True for path in wanted}}]
    for row in view._aggregate(attach_frames=video, post_pipeline=pipeline):
        yield str(row["_id"]), row["frames"] if video else row


def plain_view(collection: Any) -> Any:
    """Turn a view of clips or of frames into one of the videos that shows the same frames."""
    if not (collection._is_frames or collection._is_clips):
        return collection
    ids = collection.values("id" if collection._is_frames else "frames.id")
    if collection._is_clips:
        ids = [frame_id for clip in ids for frame_id in clip or []]
    return source_dataset(collection).select_frames(ids)


def write_labels(dataset: fo.Dataset, field: str, labels: dict[str, fo.Keypoints | None]) -> None:
    """Write labels of a declared field by the ids of frame documents, or of samples for images."""
    prefix = "frames." if dataset.media_type == "video" else ""
    if labels:
        # Labels made by `poses` need no second look, which takes longer than the writing.
        dataset.set_values(
            f"{prefix}{field}",
            labels,
            key_field=f"{prefix}id",
            expand_schema=False,
            validate=False,
        )


def frame_ids(view: Any) -> list[str]:
    """List the ids of frame documents, or of samples for images, also of a view of frames."""
    plain = plain_view(view)
    if plain.media_type != "video":
        return list(plain.values("id"))
    return [frame_id for sample in plain.values("frames.id") for frame_id in sample or []]
