"""Where to look closer in a frame, and one answer from all that was seen there.

Boxes are (N, 4): x1, y1, x2, y2 in px of the frame.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np
from scipy.optimize import linear_sum_assignment

from fiftyone_legpose.prediction.flip_test import join, pick
from fiftyone_legpose.prediction.raw_poses import nobody

if TYPE_CHECKING:
    from fiftyone_legpose.prediction.raw_poses import RawPoses

FRAMES_APART: Final = 8
"""Frames from one look at the whole frame to the next; between them people walk half a leg."""

_SIDE: Final = 1.5
"""Side of a cutting, in longer sides of the person's box; from 1.2 to 2 it makes no difference."""

INPUT_SHARE: Final = 0.75
"""Input size of a cutting, in trained sizes: a leg is then as long as `person_scale.LARGE_SHARE` of
a whole input and more, from where larger inputs find nothing better."""

_FARTHEST: Final = 1.0
"""Longer sides of the box that somebody may have moved from one whole look to the next."""

_OTHER_SIZE: Final = 1.6
"""Times by which the same person's box may grow or shrink meanwhile: legs open and close."""

_SURELY_FROM: Final = 0.5
"""Box confidence of a person for whom, come, gone or lost, the whole frame is worth a look."""

_SAME_IOU: Final = 0.6
"""Overlap from which two poses of neighbouring cuttings are one person seen twice."""

_EXPECTED_IOU: Final = 0.2
"""Overlap that somebody needs with the box at which they are expected."""


def whole_looks(numbers: Sequence[int]) -> list[int]:
    """Choose the frames that are looked at as a whole: the first of each stretch, then every 8th.

    They depend on what was asked for, and not on what of it is done already: so an interrupted
    prediction goes on with what it would have found.

    Parameters
    ----------
    numbers
        Frame numbers that are asked for, rising.
    """
    chosen: list[int] = []
    for i, number in enumerate(numbers):
        following = numbers[i + 1] if i + 1 < len(numbers) else None
        due = not chosen or following is None or following - chosen[-1] > FRAMES_APART
        if due or number - chosen[-1] >= FRAMES_APART:
            chosen.append(number)
    return chosen


def needed_frames(numbers: Sequence[int], todo: Sequence[int]) -> list[int]:
    """List the frames to decode for those that are left: with the whole looks around each."""
    anchors = np.array(whole_looks(numbers))
    before = np.searchsorted(anchors, todo, side="right") - 1
    after = np.minimum(np.searchsorted(anchors, todo, side="left"), len(anchors) - 1)
    return sorted({*todo, *anchors[before].tolist(), *anchors[after].tolist()})


def expected_boxes(
    before: "RawPoses", after: "RawPoses", share: float
) -> tuple[np.ndarray, np.ndarray] | None:
    """Tell where people are, this share of the way from one whole look to the next.

    Parameters
    ----------
    before, after
        Who was found in the two looks.
    share
        From 0 to 1.

    Returns
    -------
    boxes : np.ndarray
        Shape (N, 4): of those who are in both, on the straight way; of those who are in one alone
        and hardly a person, as there, on the half that is nearer to it.
    sure : np.ndarray
        Shape (N,) of bool: who was surely there in both looks.

    None where somebody who is surely a person has come or gone.
    """
    rows, columns = _same_people(before.boxes, after.boxes)
    both = before.boxes[rows] + (after.boxes[columns] - before.boxes[rows]) * share
    sure = (before.scores[rows] >= _SURELY_FROM) & (after.scores[columns] >= _SURELY_FROM)
    boxes = [both]
    for raw, paired, near in ((before, rows, share < 0.5), (after, columns, share >= 0.5)):
        alone = np.setdiff1d(np.arange(len(raw.scores)), paired)
        if (raw.scores[alone] >= _SURELY_FROM).any():
            return None
        if near:
            boxes.append(raw.boxes[alone])
    together = np.concatenate(boxes)
    return together, np.pad(sure, (0, len(together) - len(sure)))


def _same_people(before: np.ndarray, after: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pair the boxes (N, 4) and (M, 4) of the same people in two whole looks."""
    size, other = ((boxes[:, 2:] - boxes[:, :2]).max(axis=1) for boxes in (before, after))
    middles = [(boxes[:, :2] + boxes[:, 2:]) / 2 for boxes in (before, after)]
    way = np.linalg.norm(middles[0][:, None] - middles[1][None], axis=-1) / size[:, None]
    change = np.abs(np.log(other[None] / size[:, None]))
    rows, columns = linear_sum_assignment(way + change)
    same = (way <= _FARTHEST)[rows, columns] & (change <= np.log(_OTHER_SIZE))[rows, columns]
    return rows[same], columns[same]


def cuttings(boxes: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Cut a square with some room around each box, as far as the frame reaches.

    Parameters
    ----------
    boxes
        Shape (N, 4).
    shape
        Height and width of the frame in px.

    Returns
    -------
    np.ndarray
        Shape (N, 4) of int, each at least 2 px wide and high.
    """
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2
    half = (boxes[:, 2:] - boxes[:, :2]).max(axis=1, keepdims=True) * _SIDE / 2
    limit = np.array(shape[::-1])
    low = np.clip(np.floor(middle - half), 0, limit - 2)
    high = np.clip(np.ceil(middle + half), low + 2, limit)
    return np.concatenate([low, high], axis=1).astype(int)


def moved(raw: "RawPoses", corner: np.ndarray) -> "RawPoses":
    """Turn what was found in a cutting into px of the frame; `corner` (2,) is its upper left."""
    return replace(raw, boxes=raw.boxes + np.tile(corner, 2), points=raw.points + corner)


def take_expected(
    seen: Sequence["RawPoses"], expected: np.ndarray
) -> tuple["RawPoses", np.ndarray]:
    """Take from each cutting the person that it was cut around.

    Parameters
    ----------
    seen
        What was found in each of N cuttings, in px of the frame.
    expected
        Shape (N, 4): the boxes that they were cut around.

    Returns
    -------
    persons : RawPoses
        By falling box confidence, at most one per cutting. Whoever is seen in two cuttings counts
        in one of them.
    missing : np.ndarray
        Shape (N,) of bool: in whose cutting nobody is left.
    """
    taken: list[RawPoses] = []
    missing = np.ones(len(expected), bool)
    for _, cutting, person in sorted(_choices(seen, expected), key=lambda choice: -choice[0]):
        one = pick(seen[cutting], [person])
        again = any(overlap(one.boxes, other.boxes)[0, 0] >= _SAME_IOU for other in taken)
        if missing[cutting] and not again:
            taken.append(one)
            missing[cutting] = False
    if not taken:
        return nobody(), missing
    together = join(*taken)
    return pick(together, np.argsort(-together.scores, kind="stable")), missing


def _choices(seen: Sequence["RawPoses"], expected: np.ndarray) -> Iterator[tuple[float, int, int]]:
    for cutting, raw in enumerate(seen):
        near = overlap(expected[[cutting]], raw.boxes)[0]
        for person in np.flatnonzero(near >= _EXPECTED_IOU).tolist():
            yield float(near[person] * raw.scores[person]), cutting, person


def overlap(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Compute the intersection over union (N, M) of boxes (N, 4) and (M, 4)."""
    low = np.maximum(boxes[:, None, :2], others[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    common = np.clip(high - low, 0, None).prod(axis=-1)
    areas = [(each[:, 2:] - each[:, :2]).prod(axis=-1) for each in (boxes, others)]
    return common / np.maximum(areas[0][:, None] + areas[1][None] - common, 1e-9)
