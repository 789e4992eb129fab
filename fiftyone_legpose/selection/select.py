"""select: which frames deserve a person's minutes."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Literal, get_args

import numpy as np

from fiftyone_legpose.dataset import fields, frame_review
from fiftyone_legpose.dataset.by_name import takes_name
from fiftyone_legpose.dataset.checks import check_whole
from fiftyone_legpose.dataset.fields import VIDEO
from fiftyone_legpose.dataset.frames import (
    frame_ids,
    sample_values,
    source_dataset,
    tag_labels,
    values,
)
from fiftyone_legpose.dataset.groups import sample_groups
from fiftyone_legpose.dataset.pose_table import PoseTable, read_poses
from fiftyone_legpose.dataset.spacing import Timeline
from fiftyone_legpose.dataset.writing_lock import waits_its_turn
from fiftyone_legpose.errors import DatasetError
from fiftyone_legpose.progress import Report, reporting
from fiftyone_legpose.selection import review_score
from fiftyone_legpose.selection.review_score import score_frames
from fiftyone_legpose.selection.strategies import Strategy, choose

Per = Literal["dataset", "video"]

DRAWN = "drawn at random"
"""The reason of a frame that `easy_share` chose."""


@takes_name("dataset_or_view")
@waits_its_turn("dataset_or_view")
def select(
    dataset_or_view: Any,
    *,
    count: int,
    strategy: Strategy = "review",
    per: Per = "dataset",
    min_gap_s: float = 0.3,
    easy_share: float = 0.1,
    tag: str | None = None,
    seed: int = 51,
    field: str = fields.PREDICTIONS,
    disagreement: bool = False,
    weights: str | None = None,
    trust: bool = False,
    progress: Report | bool | None = None,
) -> Any:
    """Choose the frames that a person should correct, from the stored predictions.

    Every frame with predictions gets a score and its reasons in `legpose_review`; the chosen ones
    get the state ``selected``. Frames that are out for review, corrected or already labelled are
    left alone and never chosen. The choice is made anew by each call for the frames of the view, so
    that the same call twice changes nothing.

    Parameters
    ----------
    dataset_or_view
        Videos or images with predictions. Only the view's own frames are scored and chosen; the
        signals look at the whole videos.
    count
        Frames to choose, fewer where there are not enough that are `min_gap_s` apart.
    strategy
        ``review``: high scores, different in pose; ``uncertain``: low mean keypoint confidence;
        ``jump``: keypoints off their path; ``uniform``: evenly in time; ``random``.
    per
        Whether `count` is for the whole view or for each video.
    min_gap_s
        Seconds between two chosen frames of a video, also to frames that are out or corrected.
    easy_share
        Share of `count` that ``review`` draws at random from all frames, whatever their score:
        labels of bad frames alone say nothing about the rest.
    tag
        Tag to put on the `legpose_review` labels of the chosen frames.
    seed
        Of every random draw.
    field
        The predictions.
    disagreement
        Also predict every frame mirrored and count where the two differ: a second pass of the
        model, for what confidence does not tell.
    weights
        Weights for `disagreement`; by default those in use.
    trust
        Load weights of unknown origin, which can run code.
    progress
        See `fiftyone_legpose.progress.reporting`.

    Returns
    -------
    fo.core.view.DatasetView
        The chosen frames of the videos, or the chosen images, highest score first.

    Raises
    ------
    DatasetError
        The view has no predictions, or is cut out of a dataset (frames, clips), or an option is
        none.
    """
    check_whole(dataset_or_view)
    _check_options(count, strategy, per, easy_share)
    whole = _whole_videos(dataset_or_view)
    with reporting("select", progress) as report:
        report(0, 4, "reading predictions")
        table = read_poses(whole, field)
        reviews = frame_review.read(whole)
        own = table.looked_at & np.isin(table.frame_ids, frame_ids(dataset_or_view))
        if not own.any():
            raise DatasetError(
                f"no frame has predictions in field {field!r}; run predict first, or name the field"
            )
        report(1, 4, "scoring")
        strengths = score_frames(table)
        settled = np.isin(reviews.state.astype(str), frame_review.SETTLED) | _labelled(whole)
        free = own & ~settled
        if disagreement:
            from fiftyone_legpose.selection.mirror_disagreement import mirror_signal

            strengths["mirror disagrees"] = mirror_signal(
                whole, table, free, field, weights=weights, trust=trust, report=report
            )
        scores, reasons = review_score.combine(strengths)
        report(2, 4, "choosing")
        ranking, poses = _ranking(strategy, table, strengths, scores), _descriptors(table)
        timeline = Timeline(table.frame_sample, np.nan_to_num(table.time_s), min_gap_s)
        timeline.take(np.flatnonzero(settled | (~own & (reviews.state == fields.SELECTED))))
        rng, easy = np.random.default_rng(seed), round(easy_share * count)
        chosen = np.zeros(len(free), bool)
        for group in _groups(whole, table, per):
            frames = np.flatnonzero(free & group)
            drawn, ranked = choose(strategy, frames, count, easy, timeline, ranking, poses, rng)
            chosen[drawn] = chosen[ranked] = True
            for frame in drawn:
                reasons[frame] = [*reasons[frame], DRAWN]
        report(3, 4, "writing")
        view = _write(whole, reviews, np.flatnonzero(free), chosen, scores, reasons)
        if tag is not None:
            chosen_ids = [table.frame_ids[i] for i in np.flatnonzero(chosen)]
            tag_labels(source_dataset(whole), fields.REVIEW, chosen_ids, tag)
        report(4, 4, f"{int(chosen.sum())} frames")
    return view


def _check_options(count: int, strategy: str, per: str, easy_share: float) -> None:
    if count < 1:
        raise DatasetError(f"count is {count}; ask for at least one frame")
    if not 0 <= easy_share <= 1:
        raise DatasetError(f"easy_share is {easy_share}; give a share between 0 and 1")
    for name, value, kinds in (("strategy", strategy, Strategy), ("per", per, Per)):
        if value not in get_args(kinds):
            known = ", ".join(get_args(kinds))
            raise DatasetError(f"there is no {name} {value!r}; take one of {known}")


def _whole_videos(view: Any) -> Any:
    if view.media_type != "video":
        return view
    return source_dataset(view).select(sample_values(view, "id")[0])


def _labelled(view: Any) -> np.ndarray:
    """Tell the frames (F,) that a person has looked at, by whatever way the labels came in."""
    [kinds] = values(view, f"{fields.GROUND_TRUTH}._cls")
    return np.array([kind is not None for kind in kinds], bool)


def _groups(view: Any, table: PoseTable, per: Per) -> list[np.ndarray]:
    """Masks (F,) of the frames that share one `count`."""
    if per == "dataset":
        return [np.ones(len(table.frame_ids), bool)]
    video = table.frame_sample
    if view.media_type != "video":
        if not view.has_sample_field(VIDEO):
            raise DatasetError(f"images have a video only where a field {VIDEO!r} names it")
        # Videos of one name in several folders, one a patient, are videos of their own.
        video = np.unique(sample_groups(view)[1], return_inverse=True)[1]
    return [video == number for number in np.unique(video)]


def _ranking(
    strategy: Strategy, table: PoseTable, strengths: dict[str, np.ndarray], scores: np.ndarray
) -> np.ndarray:
    """Rank frames (F,) by what the strategy takes the highest of."""
    if strategy == "jump":
        return strengths["jump"].max(axis=1)
    if strategy != "uncertain":
        return scores
    known = ~np.isnan(table.confidence)
    mean = np.where(known, table.confidence, 0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    sure = np.where(known.any(axis=1), mean, np.nan_to_num(table.score, nan=1.0))
    unsure = np.zeros(len(scores))
    np.maximum.at(unsure, table.pose_frame, 1 - sure)
    return unsure


def _descriptors(table: PoseTable) -> np.ndarray:
    """Describe the largest person of each frame by the points about their middle, in leg lengths.

    A frame where nobody was found takes the pose before it, which is what is missing there.
    """
    leg = table.leg
    known = table.visibility > 0
    middle = np.where(known[..., None], table.points, 0).sum(axis=1)
    middle /= np.maximum(known.sum(axis=1), 1)[:, None]
    shape = np.where(known[..., None], table.points - middle[:, None], 0) / leg[:, None, None]
    by_size = np.argsort(leg, kind="stable")
    largest = np.full(len(table.frame_ids), -1)
    largest[table.pose_frame[by_size]] = by_size
    source = np.maximum.accumulate(np.where(largest >= 0, np.arange(len(largest)), -1))
    has_pose = (source >= 0) & (table.frame_sample[source] == table.frame_sample)
    out = np.zeros((len(largest), *shape.shape[1:]))
    out[has_pose] = shape[largest[source[has_pose]]]
    return out.reshape(len(out), -1)


def _write(
    whole: Any,
    reviews: frame_review.Reviews,
    frames: np.ndarray,
    chosen: np.ndarray,
    scores: np.ndarray,
    reasons: Sequence[list[str]],
) -> Any:
    """Write the reviews that differ from what is stored; the view of the chosen frames."""
    dataset = source_dataset(whole)
    frame_review.declare(dataset)
    now = datetime.now(UTC)
    documents = {}
    for i in frames:
        state = fields.SELECTED if chosen[i] else None
        if (reviews.score[i], reviews.reasons[i], reviews.state[i]) != (
            scores[i],
            reasons[i],
            state,
        ):
            by, at = ("select", now) if chosen[i] else (None, None)
            documents[reviews.frame_ids[i]] = frame_review.document(
                float(scores[i]), reasons[i], state, by=by, at=at
            )
    frame_review.write(dataset, documents)
    frame_review.summarize(dataset)
    best = np.flatnonzero(chosen)
    best = best[np.argsort(-scores[best], kind="stable")]
    ids = [reviews.frame_ids[i] for i in best]
    if dataset.media_type == "video":
        return dataset.select_frames(ids)
    return dataset.select(ids, ordered=True)
