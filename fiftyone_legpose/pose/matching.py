"""Which person of one frame is which of another answer: by number, by track, by place."""

from collections.abc import Sequence

import numpy as np
from scipy.optimize import linear_sum_assignment

from cvat_bridge.poses import Pose

SAME_PX = 0.02
"""Points closer than this are the same: exports round to 0.01 px and shares to six decimals."""

_FAR = 1e9


def match_people(
    before: Sequence[Pose],
    after: Sequence[Pose],
    *,
    before_numbers: Sequence[int | None] = (),
    after_numbers: Sequence[int | None] = (),
) -> list[tuple[int, int]]:
    """Pair the persons of one frame: by number, then by track id, the others by where they are.

    Parameters
    ----------
    before, after
        Persons of one frame.
    before_numbers, after_numbers
        What tells them apart better than track ids, where it is known; as many as persons.

    Returns
    -------
    list of tuple
        (index in `before`, index in `after`). A person who is further from everybody than their
        own size has no partner.
    """
    pairs = _pair_equal(before_numbers, after_numbers)
    left, right = _without(pairs, len(before), len(after))
    tracks = [[before[i].track_id for i in left], [after[j].track_id for j in right]]
    pairs += [(left[i], right[j]) for i, j in _pair_equal(*tracks)]
    left, right = _without(pairs, len(before), len(after))
    if left and right:
        cost = np.array([[_cost(before[i], after[j]) for j in right] for i in left])
        for row, column in zip(*linear_sum_assignment(cost), strict=True):
            if cost[row, column] < _FAR:
                pairs.append((left[row], right[column]))
    return sorted(pairs)


def same_people(before: Sequence[Pose], after: Sequence[Pose]) -> bool:
    """Tell whether two labels of a frame show the same, whatever the order of persons."""
    pairs = match_people(before, after)
    return len(before) == len(after) == len(pairs) and all(
        before[i].matches(after[j], within_px=SAME_PX) for i, j in pairs
    )


def _pair_equal(before: Sequence[int | None], after: Sequence[int | None]) -> list[tuple[int, int]]:
    """Pair by a number that one person alone has on either side."""
    return [
        (i, after.index(number))
        for i, number in enumerate(before)
        if number is not None and before.count(number) == after.count(number) == 1
    ]


def _without(
    pairs: Sequence[tuple[int, int]], before: int, after: int
) -> tuple[list[int], list[int]]:
    """List who has no partner yet, on either side."""
    taken = [{pair[side] for pair in pairs} for side in (0, 1)]
    return (
        [i for i in range(before) if i not in taken[0]],
        [j for j in range(after) if j not in taken[1]],
    )


def _cost(one: Pose, other: Pose) -> float:
    """Mean distance of common points in px; `_FAR` if more than the person's own size."""
    distances = common_distances(one, other)
    if not len(distances):
        # Two persons of whom nothing is known can only be told to be the same.
        return 0.0 if not (one.visibility.any() or other.visibility.any()) else _FAR
    seen = one.points[one.visibility > 0]
    size = float(np.linalg.norm(np.ptp(seen, axis=0)))
    distance = float(distances.mean())
    return distance if distance <= max(size, 1.0) else _FAR


def common_distances(one: Pose, other: Pose) -> np.ndarray:
    """Measure how far apart the points that both persons have are, in px."""
    both = (one.visibility > 0) & (other.visibility > 0)
    return np.linalg.norm(one.points[both] - other.points[both], axis=1)
