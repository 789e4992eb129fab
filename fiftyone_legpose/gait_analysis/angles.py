"""Angles of the legs over time, and over the gait cycle."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from fiftyone_legpose import legs
from fiftyone_legpose.gait_analysis.bouts import Bout
from fiftyone_legpose.gait_analysis.motion import SIDES, Motion

CYCLE_POINTS: Final = 101
"""Points of a normalised cycle: 0 to 100% from contact to contact of the same foot."""

SAGITTAL: Final = (
    "knee_flexion_deg",
    "ankle_dorsiflexion_deg",
    "thigh_deg",
    "shank_deg",
    "foot_deg",
)
"""Angles that a view from aside shows: knee bent, toes lifted against the shank; thigh and shank
against the vertical, lower end forward; foot against the floor, toes up."""

FRONTAL: Final = ("thigh_out_deg", "shank_out_deg")
"""Angles that a view from before or behind shows: lower end outward against the vertical."""


def joint_angles(motion: Motion, bout: Bout) -> dict[str, dict[str, np.ndarray]]:
    """Measure the angles that the view of a bout can tell.

    Parameters
    ----------
    motion
        Of one person.
    bout
        One of its bouts.

    Returns
    -------
    dict
        By side and name arrays (T,) over all of `motion`, in degrees, NaN where a point is
        unknown: `SAGITTAL` in side and oblique views, `FRONTAL` in front and back views. There is
        no trunk, so there is no hip angle.

    Notes
    -----
    In an oblique view what lies along the walk is stretched by the heading first, as if the person
    were seen from aside.
    """
    return {side: _of_side(motion, bout, side) for side in SIDES}


def _of_side(motion: Motion, bout: Bout, side: str) -> dict[str, np.ndarray]:
    if bout.view not in ("front", "back"):
        return leg_angles(motion.points, side, bout.forward / bout.shortening)
    hip, knee, ankle = (motion.joint(side, name) for name in ("hip", "knee", "ankle"))
    # Somebody who faces the camera has the left leg on the right of the picture.
    outward = (1 if side == "left" else -1) * (1 if bout.view == "front" else -1)
    return {
        "thigh_out_deg": _lean(knee - hip, outward),
        "shank_out_deg": _lean(ankle - knee, outward),
    }


def leg_angles(points: np.ndarray, side: str, stretch: float) -> dict[str, np.ndarray]:
    """Measure the `SAGITTAL` angles of one leg.

    Parameters
    ----------
    points
        Shape (T, K, 2) in px.
    side
        ``left`` or ``right``.
    stretch
        By what the picture's x is multiplied to go forward, as if seen from aside: below 0 where
        the person walks to the left.

    Returns
    -------
    dict
        Shape (T,) in degrees by name.
    """
    hip, knee, ankle, heel, toe = (
        points[:, legs.KEYPOINTS.index(f"{side}_{name}")]
        for name in ("hip", "knee", "ankle", "heel", "foot")
    )
    thigh, shank = _lean(knee - hip, stretch), _lean(ankle - knee, stretch)
    along = toe - heel
    foot = np.degrees(np.arctan2(-along[:, 1], stretch * along[:, 0]))
    return {
        "knee_flexion_deg": thigh - shank,
        "ankle_dorsiflexion_deg": foot - shank,
        "thigh_deg": thigh,
        "shank_deg": shank,
        "foot_deg": foot,
    }


def _lean(vector: np.ndarray, stretch: float) -> np.ndarray:
    """Angle (T,) in degrees of a vector (T, 2) against straight down."""
    return np.asarray(np.degrees(np.arctan2(stretch * vector[:, 0], vector[:, 1])))


def normalise_cycles(
    time_s: np.ndarray, values: np.ndarray, cycles: Sequence[tuple[float, float]]
) -> np.ndarray:
    """Bring cycles to the same 101 points.

    Parameters
    ----------
    time_s
        Shape (T,), rising.
    values
        Shape (T,), NaN where unknown.
    cycles
        Start and end of each cycle in s.

    Returns
    -------
    np.ndarray
        Shape (C, 101). A cycle in which anything is unknown, or that is not wholly within the
        times, is NaN.
    """
    share = np.linspace(0, 1, CYCLE_POINTS)
    curves = np.full((len(cycles), CYCLE_POINTS), np.nan)
    for row, (start, end) in enumerate(cycles):
        first, last = np.searchsorted(time_s, [start, end])
        around = slice(max(0, int(first) - 1), int(last) + 1)
        inside = start >= time_s[0] and end <= time_s[-1]
        if inside and np.isfinite(values[around]).all():
            curves[row] = np.interp(start + share * (end - start), time_s, values)
    return curves
