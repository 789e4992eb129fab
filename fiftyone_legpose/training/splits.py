"""Training and validation frames, parted by subject so that validation sees strangers."""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from fiftyone_legpose.errors import DatasetError

Side = Literal["train", "val"]


@dataclass(frozen=True)
class Split:
    """Which frames are trained on and which are only looked at to judge.

    Attributes
    ----------
    train, val
        Indices of frames, in order.
    shared
        Subjects and videos that are on both sides, or in validation though earlier weights were
        trained on them; empty unless the caller allowed it.
    """

    train: np.ndarray
    val: np.ndarray
    shared: tuple[str, ...]


def split_frames(
    groups: Sequence[str],
    *,
    share: float = 0.2,
    seed: int = 0,
    fixed: Mapping[str, Side] | None = None,
    seen: Collection[str] = (),
    allow_shared_subjects: bool = False,
) -> Split:
    """Part frames into training and validation, a subject (or video) on one side only.

    Parameters
    ----------
    groups
        (F,) subject, or video where the subject is not known, of each frame in order of time.
    share
        Wanted share of validation frames, between 0 and 1. Whole groups are taken, so that it is
        met only roughly.
    seed
        Which groups are drawn; the same seed draws the same ones. It does not move those in
        `fixed`.
    fixed
        Sides that groups had before: earlier weights have seen their training side, so a
        comparison with them is fair only if no group changes sides.
    seen
        Groups that the weights to start from, or to compare with, were trained on: they are no
        strangers to validate with.
    allow_shared_subjects
        Where there is only one group, take its last frames for validation; where all are seen,
        take one of them.

    Returns
    -------
    Split

    Raises
    ------
    DatasetError
        If there are fewer than two frames, or only one group, or all are seen, and that is not
        allowed.
    """
    if not 0 < share < 1:
        raise DatasetError(f"The share of validation frames must be between 0 and 1, not {share}.")
    if len(groups) < 2:
        raise DatasetError(
            f"{len(groups)} frame(s) with ground truth: training needs at least two, one of them "
            "to validate with. Review more frames first."
        )
    names, frame_group = np.unique(
        np.asarray(groups, dtype=object).astype(str), return_inverse=True
    )
    if len(names) > 1:
        split = _whole_groups(names, frame_group, share, seed, fixed or {}, frozenset(seen))
        if split.shared and not allow_shared_subjects:
            raise DatasetError(
                "The weights that this training starts from or is compared with were trained on "
                f"all subjects and videos with ground truth ({_some(names.tolist())}): validation "
                "on them would flatter. Review frames of others, start from another base, or say "
                "allow_shared_subjects=True (--allow-shared-subjects) and do not trust the figures."
            )
        return split
    if not allow_shared_subjects:
        raise DatasetError(
            f"All frames with ground truth are of one subject or video ({names[0]}): validation "
            "would be of the same. Review frames of another one, give val=, set the field subject "
            "(or video) where they are of several, or say "
            "allow_shared_subjects=True (--allow-shared-subjects) and do not trust the figures."
        )
    cut = len(groups) - min(max(round(share * len(groups)), 1), len(groups) - 1)
    order = np.arange(len(groups))
    return Split(order[:cut], order[cut:], (str(names[0]),))


def check_split(
    train: Sequence[int],
    val: Sequence[int],
    groups: Sequence[str],
    videos: Sequence[str],
    *,
    seen: Collection[str] = (),
    allow_shared_subjects: bool = False,
) -> Split:
    """Check a split that the caller made.

    Parameters
    ----------
    train, val
        Indices of frames.
    groups, videos
        (F,) subject and video of each frame.
    seen
        Subjects and videos that earlier weights were trained on; see `split_frames`.
    allow_shared_subjects
        Whether subjects and videos may be on both sides, or in validation though they are seen.

    Returns
    -------
    Split

    Raises
    ------
    DatasetError
        If a side is empty, or a subject or a video is on both or seen and that is not allowed.
    """
    for side, frames in (("training", train), ("validation", val)):
        if len(frames) == 0:
            raise DatasetError(f"No frame with ground truth on the {side} side: review some first.")
    shared, known = [], []
    for of_frame in (groups, videos):
        judged = {of_frame[i] for i in val}
        shared += sorted(judged & {of_frame[i] for i in train})
        known += sorted(judged & set(seen))
    if shared and not allow_shared_subjects:
        raise DatasetError(
            f"On both sides of the split: {_some(shared)}. Weights that have seen a person are "
            "judged too well on the same person. Choose other validation frames, or say "
            "allow_shared_subjects=True (--allow-shared-subjects), which the report will tell."
        )
    if known and not allow_shared_subjects:
        raise DatasetError(
            f"The weights that this training starts from or is compared with were trained on "
            f"{_some(known)}, so validation on that would flatter. Choose other validation frames "
            "or another base, or say allow_shared_subjects=True (--allow-shared-subjects), which "
            "the report will tell."
        )
    unique = tuple(dict.fromkeys(shared + known))
    return Split(np.asarray(train, int), np.asarray(val, int), unique)


def _whole_groups(
    names: np.ndarray,
    frame_group: np.ndarray,
    share: float,
    seed: int,
    fixed: Mapping[str, Side],
    seen: frozenset[str],
) -> Split:
    """Add groups to validation in a drawn order as long as that brings it closer to its share."""
    counts = np.bincount(frame_group, minlength=len(names))
    wanted = share * counts.sum()
    drawn = sorted(range(len(names)), key=lambda i: _draw(str(names[i]), seed))
    val = {i for i in drawn if fixed.get(names[i]) == "val" and names[i] not in seen}
    strangers = [i for i in drawn if names[i] not in seen]
    free = [i for i in strangers if names[i] not in fixed]
    taken = sum(counts[i] for i in val)
    # Where unrelated weights were trained on everything, their training side may validate these.
    for i in free if free or val else strangers:
        if abs(taken + counts[i] - wanted) < abs(taken - wanted):
            val.add(i)
            taken += counts[i]
    if not val:
        # Every group is larger than the share asked for: the smallest one that may be taken.
        val = {min(free or strangers or drawn, key=lambda i: counts[i])}
    if len(val) == len(names):
        val.remove(max(val, key=lambda i: counts[i]))
    is_val = np.isin(frame_group, list(val))
    known = tuple(sorted(str(names[i]) for i in val if names[i] in seen))
    return Split(np.flatnonzero(~is_val), np.flatnonzero(is_val), known)


def _draw(name: str, seed: int) -> bytes:
    # A hash instead of a shuffle: a group that is added later leaves the order of the others.
    return hashlib.sha256(f"{seed}:{name}".encode()).digest()


def _some(names: Sequence[str], limit: int = 5) -> str:
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more
