"""Where each frame stands between select, push and pull: the only place that writes it.

`legpose_review` is a `fo.Classification`, because the App draws and filters labels of video frames:
its ``label`` shows the state and its ``confidence`` the score. Code reads ``score``, ``reasons``,
``state``, ``key``, ``by`` and ``at``.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import fiftyone as fo
import numpy as np
from bson import ObjectId

from fiftyone_legpose.dataset.fields import CORRECTED, EMPTY, OUT, REVIEW, SELECTED
from fiftyone_legpose.dataset.frames import documents_by_id, source_dataset, values
from fiftyone_legpose.errors import DatasetError

STATES: Final = (SELECTED, OUT, CORRECTED, EMPTY)

SETTLED: Final = (OUT, CORRECTED, EMPTY)
"""States that `select` never changes and never chooses."""

IMPORTED: Final = ((CORRECTED, None), (EMPTY, None))
"""State and key of a frame that belongs to no run, because somebody imported its labels."""

SCORED: Final = "scored"
"""What the App shows on a frame that has a score and no state."""

SUMMARY: Final = f"{REVIEW}_score"
"""Sample field of a video: the lowest (``min``) and highest (``max``) score of its frames."""

_ATTRIBUTES: Final = {
    "score": fo.FloatField,
    "state": fo.StringField,
    "key": fo.StringField,
    "by": fo.StringField,
    "at": fo.DateTimeField,
}

_EMPTY: Final = fo.Classification().to_dict()


@dataclass(frozen=True)
class Reviews:
    """The review of every frame of a collection, in the order of `poses.read_poses`."""

    frame_ids: list[str]
    """Ids of frame documents, or of samples for images."""
    score: np.ndarray
    """(F,): NaN where a frame has none."""
    reasons: list[list[str]]
    """F lists of what looks wrong, worst first."""
    state: np.ndarray
    """(F,) of object: one of `STATES`, or None."""
    key: np.ndarray
    """(F,) of object: the review run that a frame went out in, or None."""

    def ids(self, *states: str) -> list[str]:
        """List the ids of the frames in any of these states."""
        inside = np.isin(self.state.astype(str), states)
        return [self.frame_ids[i] for i in np.flatnonzero(inside)]


def declare(dataset: fo.Dataset) -> None:
    """Declare `legpose_review` and its attributes on an image or video dataset."""
    add = dataset.add_frame_field if dataset.media_type == "video" else dataset.add_sample_field
    add(REVIEW, fo.EmbeddedDocumentField, embedded_doc_type=fo.Classification)
    for name, kind in _ATTRIBUTES.items():
        add(f"{REVIEW}.{name}", kind)
    add(f"{REVIEW}.reasons", fo.ListField, subfield=fo.StringField)


def read(view: Any) -> Reviews:
    """Read where the frames of an image or video collection stand.

    Parameters
    ----------
    view
        Image or video collection, also one that was never reviewed.

    Returns
    -------
    Reviews
    """
    names = ("score", "reasons", "state", "key")
    frame_ids, *cells = values(view, "id", *(f"{REVIEW}.{name}" for name in names))
    columns = dict(zip(names, cells, strict=True))
    return Reviews(
        frame_ids=frame_ids,
        score=np.array([np.nan if s is None else s for s in columns["score"]], float),
        reasons=[reasons or [] for reasons in columns["reasons"]],
        state=np.array(columns["state"], object),
        key=np.array(columns["key"], object),
    )


def mark(
    dataset_or_view: Any,
    frame_ids: Iterable[str],
    *,
    state: str,
    key: str | None = None,
    by: str | None = None,
    at: datetime | None = None,
) -> None:
    """Set the state of frames; their score and reasons stay.

    Parameters
    ----------
    dataset_or_view
        Image or video collection that holds the frames.
    frame_ids
        Ids of frame documents, or of samples for images.
    state
        One of `STATES`.
    key
        The review run that the frames belong to.
    by
        Who did it.
    at
        When; now where not given.

    Raises
    ------
    ValueError
        The state is none of `STATES`.
    DatasetError
        A frame is not in the dataset; nothing is written then.
    """
    if state not in STATES:
        raise ValueError(f"{state!r} is no review state; use one of {', '.join(STATES)}")
    dataset = source_dataset(dataset_or_view)
    frame_ids = list(dict.fromkeys(frame_ids))
    if not frame_ids:
        return
    declare(dataset)
    at = at or datetime.now(UTC)
    known = documents_by_id(dataset, frame_ids, [REVIEW])
    unknown = [frame_id for frame_id in frame_ids if frame_id not in known]
    if unknown:
        raise DatasetError(
            f"{len(unknown)} of {len(frame_ids)} frames are not in dataset {dataset.name!r}, "
            f"the first is {unknown[0]}; they were deleted or belong to another dataset"
        )
    documents = {}
    for frame_id, old in known.items():
        label = old.get(REVIEW) or {}
        score, reasons = label.get("score"), label.get("reasons") or []
        documents[frame_id] = document(score, reasons, state, key=key, by=by, at=at)
    write(dataset, documents)


def recall(dataset: fo.Dataset, key: str) -> None:
    """Let the frames that are out under a run wait for a reviewer again."""
    reviews = read(dataset)
    pairs = zip(reviews.frame_ids, reviews.state, reviews.key, strict=True)
    out = [frame_id for frame_id, state, of in pairs if state == OUT and of == key]
    mark(dataset, out, state=SELECTED)


def rename_key(dataset: fo.Dataset, key: str, new_key: str) -> None:
    """Let the frames of a review run bear the run's new key."""
    reviews = read(dataset)
    prefix = "frames." if dataset.media_type == "video" else ""
    ids = [i for i, of in zip(reviews.frame_ids, reviews.key, strict=True) if of == key]
    if ids:
        renamed = dict.fromkeys(ids, new_key)
        dataset.set_values(f"{prefix}{REVIEW}.key", renamed, key_field=f"{prefix}id")


def document(
    score: float | None,
    reasons: list[str],
    state: str | None,
    *,
    key: str | None = None,
    by: str | None = None,
    at: datetime | None = None,
) -> dict[str, Any]:
    """Build the review of one frame as the document that the database holds.

    Parameters
    ----------
    score
        0 (nothing looks wrong) to 1, or None.
    reasons
        What looks wrong, worst first.
    state
        One of `STATES`, or None.
    key, by, at
        See `mark`.

    Returns
    -------
    dict
        A serialized `fo.Classification`; building and checking 3,600 objects instead takes 2 s.
    """
    return {
        **_EMPTY,
        "_id": ObjectId(),
        "label": state or SCORED,
        "confidence": score,
        "score": score,
        "reasons": reasons,
        "state": state,
        "key": key,
        "by": by,
        "at": at,
    }


def write(dataset: fo.Dataset, documents: Mapping[str, dict[str, Any]]) -> None:
    """Write reviews (see `document`) by the ids of frame documents, or of samples for images."""
    prefix = "frames." if dataset.media_type == "video" else ""
    if documents:
        dataset.set_values(
            f"{prefix}{REVIEW}",
            dict(documents),
            key_field=f"{prefix}id",
            expand_schema=False,
            validate=False,
        )


def summarize(dataset: fo.Dataset) -> None:
    """Bring the summary of each video, `SUMMARY`, up to date; images have none."""
    if dataset.media_type != "video":
        return
    if dataset.has_sample_field(SUMMARY):
        dataset.update_summary_field(SUMMARY)
        return
    dataset.create_summary_field(f"frames.{REVIEW}.score", field_name=SUMMARY)
