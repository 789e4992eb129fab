"""Frames of a collection as bare documents, one by one."""

from collections.abc import Iterator, Sequence
from typing import Any


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
