"""Which frames a call of predict is to look at, and which of them are done."""

from dataclasses import dataclass
from typing import Any

import fiftyone as fo

from fiftyone_legpose.dataset.fields import SOURCE
from fiftyone_legpose.dataset.frames import count_frames, frame_documents, sample_values


@dataclass(frozen=True)
class Batch:
    """The frames of one video, or all pictures of a collection."""

    filepaths: list[str]
    """One of a video, or one a picture."""
    source: str
    """The video that `filepaths` may hold a playable copy of."""
    sample_id: str | None
    numbers: list[int]
    """Frame numbers asked for, from 1 and rising; of pictures their position."""
    ids: dict[int, str]
    """Frame id, or sample id of a picture, by number."""
    todo: list[int]


def ensure_frames(dataset: fo.Dataset) -> None:
    """Give every frame a document, also in datasets that `load` did not make."""
    if None in dataset.values("metadata.total_frame_count"):
        dataset.compute_metadata(progress=False)
    expected = sum(count or 0 for count in dataset.values("metadata.total_frame_count"))
    if count_frames(dataset) < expected:
        dataset.ensure_frames()


def video_batches(view: Any, field: str, key: str, *, every: int, overwrite: bool) -> list[Batch]:
    """List the frames of each video of a view, those that `key` has predicted as done.

    Parameters
    ----------
    view
        The videos.
    field
        Bare name of the field of the predictions.
    key
        Of the run that predicts now.
    every
        Take every n-th frame alone.
    overwrite
        Take what is done as not done.
    """
    batches = []
    frames: dict[str, list[tuple[int, str, bool]]] = {}
    for sample_id, frame in frame_documents(view, [f"{field}.made_by"]):
        done = not overwrite and (frame.get(field) or {}).get("made_by") == key
        frames.setdefault(sample_id, []).append((frame["frame_number"], str(frame["_id"]), done))
    source_field = SOURCE if view.has_sample_field(SOURCE) else "filepath"
    rows = zip(*sample_values(view, "id", "filepath", source_field), strict=True)
    for sample_id, filepath, source in rows:
        chosen = [row for row in frames.get(sample_id, []) if (row[0] - 1) % every == 0]
        batches.append(
            Batch(
                filepaths=[filepath],
                source=source or filepath,
                sample_id=sample_id,
                numbers=[number for number, _, _ in chosen],
                ids={number: frame_id for number, frame_id, _ in chosen},
                todo=[number for number, _, done in chosen if not done],
            )
        )
    return batches


def image_batch(view: Any, field: str, key: str, *, overwrite: bool) -> Batch:
    """List the pictures of a view, those that `key` has predicted as done; see `video_batches`."""
    ids, filepaths, made_by = view.values(["id", "filepath", f"{field}.made_by"])
    return Batch(
        filepaths=filepaths,
        source=filepaths[0],
        sample_id=None,
        numbers=list(range(len(ids))),
        ids=dict(enumerate(ids)),
        todo=[i for i, maker in enumerate(made_by) if overwrite or maker != key],
    )
