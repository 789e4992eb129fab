"""What a reviewer did: poses as they were shown against poses as they came back."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import linear_sum_assignment

from cvat_bridge.poses import Pose
from fiftyone_legpose.poses import PoseTable

SAME_PX = 0.02
"""Points closer than this are the same: exports round to 0.01 px and shares to six decimals."""

_FAR = 1e9


@dataclass
class Corrections:
    """Persons by what became of them, and how far points were moved."""

    changed: int = 0
    """A point was moved, or its visibility set."""
    added: int = 0
    deleted: int = 0
    untouched: int = 0
    moved_px: list[float] = field(default_factory=list)
    """Distance of each point that was moved."""

    @property
    def persons(self) -> int:
        """Persons that came back."""
        return self.changed + self.added + self.untouched

    @property
    def mean_px(self) -> float | None:
        """Mean distance over the points that were moved, or None."""
        return float(np.mean(self.moved_px)) if self.moved_px else None

    @property
    def max_px(self) -> float | None:
        """Longest distance that a point was moved, or None."""
        return max(self.moved_px, default=None)

    def add(self, shown: Sequence[Pose], returned: Sequence[Pose]) -> None:
        """Count the persons of one frame."""
        pairs = match_people(shown, returned)
        self.deleted += len(shown) - len(pairs)
        self.added += len(returned) - len(pairs)
        for before, after in pairs:
            one, other = shown[before], returned[after]
            if one.matches(other, within_px=SAME_PX):
                self.untouched += 1
                continue
            self.changed += 1
            distances = _distances(one, other)
            self.moved_px += distances[distances > SAME_PX].tolist()


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


def people_by_frame(table: PoseTable) -> dict[str, list[Pose]]:
    """Give the persons of each frame of a table, by frame id; nobody is an empty list."""
    people: dict[str, list[Pose]] = {frame_id: [] for frame_id in table.frame_ids}
    known = ~np.isnan(table.confidence).any(axis=-1)
    for i, frame in enumerate(table.pose_frame.tolist()):
        score, track = float(table.score[i]), int(table.track[i])
        people[table.frame_ids[frame]].append(
            Pose(
                table.points[i],
                table.visibility[i],
                confidence=table.confidence[i] if known[i] else None,
                score=None if np.isnan(score) else score,
                track_id=track if track >= 0 else None,
            )
        )
    return people


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
    distances = _distances(one, other)
    if not len(distances):
        # Two persons of whom nothing is known can only be told to be the same.
        return 0.0 if not (one.visibility.any() or other.visibility.any()) else _FAR
    seen = one.points[one.visibility > 0]
    size = float(np.linalg.norm(np.ptp(seen, axis=0)))
    distance = float(distances.mean())
    return distance if distance <= max(size, 1.0) else _FAR


def _distances(one: Pose, other: Pose) -> np.ndarray:
    both = (one.visibility > 0) & (other.visibility > 0)
    return np.linalg.norm(one.points[both] - other.points[both], axis=1)
