"""What a reviewer did: poses as they were shown against poses as they came back."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from cvat_bridge.poses import Pose
from fiftyone_legpose.pose.matching import SAME_PX, common_distances, match_people


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
            distances = common_distances(one, other)
            self.moved_px += distances[distances > SAME_PX].tolist()
