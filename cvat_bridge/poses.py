"""Poses ⇄ CVAT skeleton shapes and tracks, as plain JSON-ready dictionaries.

Visibility 0 / 1 / 2 stands in CVAT as *outside*, *occluded*, neither. Frames count from 0 within
the task. Elements are keyed by the id of their sublabel, since a server returns them in any order.
"""

import operator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cvat_bridge.errors import PoseError


@dataclass(frozen=True, eq=False)
class Pose:
    """One person on one frame.

    Parameters
    ----------
    points
        (K, 2) x, y in pixels from the top left; finite where ``visibility`` > 0, may lie outside
        the picture. Where ``visibility`` is 0 they mean nothing and may be NaN.
    visibility
        (K,) 0 unknown or cut off, 1 occluded, 2 visible.
    confidence
        (K,) of the model, or None.
    score
        Of the whole person, or None.
    track_id
        Number (from 0) that this person keeps from frame to frame, or None.

    Raises
    ------
    PoseError
        If shapes or values do not fit.

    Notes
    -----
    Two poses are equal if their visibility and the points with ``visibility`` > 0 are.
    """

    points: NDArray[np.float64]
    visibility: NDArray[np.int64]
    confidence: NDArray[np.float64] | None = None
    score: float | None = None
    track_id: int | None = None

    def __post_init__(self) -> None:
        points = _array(self.points, float, "points")
        if points.ndim != 2 or points.shape[1] != 2:
            raise PoseError(f"points must have shape (K, 2), not {points.shape}.")
        raw = _array(self.visibility, float, "visibility")
        if raw.shape != points.shape[:1]:
            raise PoseError(
                f"visibility must have shape ({len(points)},) like the points, not {raw.shape}."
            )
        if np.asarray(self.visibility).dtype == bool:
            # True would be read as 1, occluded, and is mostly meant as visible.
            raise PoseError("visibility is no true or false: use 0 absent, 1 occluded, 2 visible.")
        if not np.isin(raw, (0, 1, 2)).all():
            raise PoseError(f"visibility holds only 0, 1 and 2, not {raw.tolist()}.")
        bad = np.flatnonzero((raw > 0) & ~np.isfinite(points).all(axis=1))
        if len(bad):
            raise PoseError(
                f"Point {bad[0]} is {points[bad[0]].tolist()} with visibility {raw[bad[0]]:.0f}; "
                "give coordinates, or visibility 0."
            )
        object.__setattr__(self, "points", _frozen(points))
        object.__setattr__(self, "visibility", _frozen(raw.astype(np.int64)))
        if self.confidence is not None:
            confidence = _array(self.confidence, float, "confidence")
            if confidence.shape != raw.shape:
                raise PoseError(
                    f"confidence must have shape ({len(points)},), not {confidence.shape}."
                )
            object.__setattr__(self, "confidence", _frozen(confidence))
        if self.track_id is not None:
            object.__setattr__(self, "track_id", _number(self.track_id))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Pose) and self.matches(other)

    __hash__ = None  # type: ignore[assignment]

    def matches(self, other: "Pose", *, within_px: float = 0.0) -> bool:
        """Tell whether `other` has the same visibility and, where seen, the same points.

        `within_px` is the largest difference allowed in x and in y.
        """
        if not np.array_equal(self.visibility, other.visibility):
            return False
        seen = self.visibility > 0
        difference = np.abs(self.points[seen] - other.points[seen])
        return bool((difference <= within_px).all())


def _array(values: ArrayLike, kind: type, what: str) -> NDArray[Any]:
    try:
        return np.array(values, dtype=kind)
    except (TypeError, ValueError) as error:
        raise PoseError(f"{what} must be an array of numbers ({error}).") from None


def _number(track_id: object) -> int:
    try:
        number = operator.index(track_id)  # type: ignore[arg-type]
    except TypeError:
        raise PoseError(f"track_id is a whole number from 0, not {track_id!r}.") from None
    if number < 0:
        raise PoseError(f"track_id counts from 0, it cannot be {number}.")
    return number


def _frozen(array: NDArray[Any]) -> NDArray[Any]:
    array.setflags(write=False)
    return array
