"""Walks whose every contact, toe-off and joint angle is known: postures over time, made by steps.

The feet come first: each stands still on the floor from its contact to its toe-off, rolling from
the heel over the sole to the toes, and swings to the next contact. The pelvis moves between them,
and the joint angles follow from both (planar inverse kinematics). Metres; y up, z forward, walking
along +z.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.interpolate import PchipInterpolator
from scipy.ndimage import gaussian_filter1d

_FLAT_AFTER: Final = 0.15
"""Share of stance after which the sole is on the floor (Perry & Burnfield 2010: 12% of the
cycle)."""

_HEEL_UP_FROM: Final = 0.5
"""Share of stance from which the heel rises (31% of the cycle)."""

_EXTENDED: Final = 0.985
"""Longest distance from hip to ankle as a share of the leg."""

_RATE_HZ: Final = 240.0


@dataclass(frozen=True)
class Legs:
    """What the joints of both legs move, at rest: (y, z) vectors in m, foot flat."""

    thigh: np.ndarray
    """Hip to knee."""
    shank: np.ndarray
    """Knee to ankle."""
    heel: np.ndarray
    """Ankle to heel."""
    toe: np.ndarray
    """Ankle to the tip of the toes."""
    half_width: float
    """Of the pelvis, m."""


ADULT: Final = Legs(
    thigh=np.array([-0.42, 0.01]),
    shank=np.array([-0.41, -0.02]),
    heel=np.array([-0.05, -0.06]),
    toe=np.array([-0.065, 0.17]),
    half_width=0.085,
)
"""Somebody of 1.72 m."""


@dataclass(frozen=True)
class Style:
    """How somebody walks; of two values the first is the left leg's."""

    stride_time_s: float = 1.1
    stride_length_m: float = 1.3
    step_share: tuple[float, float] = (0.5, 0.5)
    """Share of the stride's time that ends with this foot's contact."""
    length_share: tuple[float, float] = (0.5, 0.5)
    """Share of the stride's length that ends with this foot's contact."""
    double_support: tuple[float, float] = (0.12, 0.12)
    """Share of the stride's time that this foot stays down after the other's contact."""
    strike: tuple[float, float] = (0.3, 0.3)
    """Pitch of the foot at contact in rad, toes up; 0 is flat."""
    push: tuple[float, float] = (1.0, 1.0)
    """Pitch of the foot at toe-off in rad, toes down."""
    clearance_m: tuple[float, float] = (0.03, 0.03)
    """How high the toes swing."""
    step_width_m: float = 0.1
    """Between the ankles; below 0 the legs cross."""
    unsteady: float = 0.0
    """Standard deviation of each step's time, length and width as a share of it."""


STYLES: Final = {
    "normal": Style(),
    "scissor": Style(1.25, 0.85, step_width_m=-0.06, double_support=(0.15, 0.15)),
    "dragging": Style(
        1.3, 0.95, step_share=(0.53, 0.47), strike=(0.3, -0.05), clearance_m=(0.03, 0.005),
        push=(1.0, 0.7), double_support=(0.16, 0.13),
    ),
    "shuffling": Style(
        1.0, 0.55, strike=(0.0, 0.0), push=(0.5, 0.5), clearance_m=(0.01, 0.01),
        double_support=(0.19, 0.19),
    ),
    "reeling": Style(1.25, 1.0, unsteady=0.1, step_width_m=0.2, double_support=(0.15, 0.15)),
    "limping": Style(
        1.2, 1.0, step_share=(0.57, 0.43), length_share=(0.46, 0.54),
        double_support=(0.1, 0.15), push=(0.7, 1.0),
    ),
}  # fmt: skip
"""Healthy walking and five disorders as they are acted in teaching videos."""


@dataclass(frozen=True)
class Walk:
    """A walk at N times."""

    time_s: np.ndarray
    """(N,)"""
    hips: np.ndarray
    """(N, 3) m: the middle of both hips."""
    hip_flexion: np.ndarray
    knee_flexion: np.ndarray
    ankle_dorsiflexion: np.ndarray
    """(N, 2) rad each: left, right."""
    abduction: np.ndarray
    """(N, 2) rad: outward lean of each leg."""
    keypoints: np.ndarray
    """(N, 10, 3) m in the order of `legs.KEYPOINTS`."""
    contacts_s: tuple[np.ndarray, np.ndarray]
    """Times of initial contact, left and right."""
    toe_offs_s: tuple[np.ndarray, np.ndarray]
    """Times of toe-off, left and right."""
    speed_m_s: float
    """Mean over the walk."""


@dataclass(frozen=True)
class _Step:
    side: int
    contact_s: float
    toe_off_s: float
    place_m: np.ndarray
    """(2,): x and z of the heel."""


def simulate_walk(legs: Legs, style: Style, time_s: np.ndarray, rng: np.random.Generator) -> Walk:
    """Let somebody walk.

    Parameters
    ----------
    legs
        Their legs.
    style
        How they walk.
    time_s
        Shape (N,), rising from 0 on; the walk is under way before and after.
    rng
        Draws where in the stride it begins, and unsteadiness.

    Returns
    -------
    Walk
    """
    fine_s = np.arange(-1.0, time_s[-1] + 1.0, 1 / _RATE_HZ)
    steps = _plan(style, float(fine_s[-1]), rng)
    feet = [_move_foot(legs, style, [s for s in steps if s.side == i], fine_s) for i in (0, 1)]
    hips = _carry_pelvis(legs, steps, feet, fine_s)
    angles, abduction, points = _bend(legs, hips, feet)
    inside = (time_s[0], time_s[-1])

    def at(values: np.ndarray) -> np.ndarray:
        flat = values.reshape(len(values), -1)
        columns = [np.interp(time_s, fine_s, column) for column in flat.T]
        return np.stack(columns, axis=1).reshape(len(time_s), *values.shape[1:])

    moved = at(hips)
    return Walk(
        time_s=time_s,
        hips=moved,
        hip_flexion=at(angles[0]),
        knee_flexion=at(angles[1]),
        ankle_dorsiflexion=at(angles[2]),
        abduction=at(abduction),
        keypoints=at(points),
        contacts_s=_times(steps, "contact_s", inside),
        toe_offs_s=_times(steps, "toe_off_s", inside),
        speed_m_s=float((moved[-1, 2] - moved[0, 2]) / (time_s[-1] - time_s[0])),
    )


def _times(
    steps: Sequence[_Step], name: str, inside: tuple[float, float]
) -> tuple[np.ndarray, np.ndarray]:
    left, right = (np.array([getattr(s, name) for s in steps if s.side == i]) for i in (0, 1))
    return tuple(t[(t >= inside[0]) & (t <= inside[1])] for t in (left, right))  # type: ignore[return-value]


def _plan(style: Style, end_s: float, rng: np.random.Generator) -> list[_Step]:
    """Place the feet, from before the walk to after it."""
    when = -3.0 * style.stride_time_s - rng.uniform(0, style.stride_time_s)
    where, side = -3.0 * style.stride_length_m, int(rng.integers(2))
    landed: list[tuple[int, float, np.ndarray]] = []
    while when < end_s + 3 * style.stride_time_s:
        time, length, width = 1 + style.unsteady * rng.normal(0, (0.7, 1, 2), 3).clip(-2.5, 2.5)
        when += style.stride_time_s * style.step_share[side] * time
        where += style.stride_length_m * style.length_share[side] * length
        across = (0.5 if side == 0 else -0.5) * style.step_width_m * width
        landed.append((side, when, np.array([across, where])))
        side = 1 - side
    return [
        _Step(side, contact, following[1] + style.double_support[side] * style.stride_time_s, place)
        for (side, contact, place), following in itertools.pairwise(landed)
    ]


def _move_foot(
    legs: Legs, style: Style, steps: Sequence[_Step], time_s: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return ankle (N, 3) m and pitch (N,) rad of one foot."""
    side = steps[0].side
    ankle, pitch = np.full((len(time_s), 3), np.nan), np.zeros(len(time_s))
    strike, push = style.strike[side], style.push[side]
    for step, following in itertools.pairwise(steps):
        rows = np.flatnonzero((time_s >= step.contact_s) & (time_s < step.toe_off_s))
        share = (time_s[rows] - step.contact_s) / (step.toe_off_s - step.contact_s)
        heel_on = share < _FLAT_AFTER
        landing = strike * (1 - _ease(share / _FLAT_AFTER))
        rising = -push * _rise((share - _HEEL_UP_FROM) / (1 - _HEEL_UP_FROM))
        pitch[rows] = np.where(heel_on, landing, rising)
        heel = np.array([0, step.place_m[1]])
        toe = heel + [legs.toe[0] - legs.heel[0], legs.toe[1] - legs.heel[1]]
        by_heel = heel - _turn(legs.heel, pitch[rows])
        by_toe = toe - _turn(legs.toe, pitch[rows])
        ankle[rows, 1:] = np.where(heel_on[:, None], by_heel, by_toe)
        ankle[rows, 0] = step.place_m[0]
        rows = np.flatnonzero((time_s >= step.toe_off_s) & (time_s < following.contact_s))
        share = (time_s[rows] - step.toe_off_s) / (following.contact_s - step.toe_off_s)
        forward = (1 - np.cos(np.pi * share)) / 2
        pitch[rows] = -push + (push + strike) * _ease(share)
        landing_toe = (
            np.array([0, following.place_m[1]])
            + _turn(legs.toe, np.array([strike]))[0]
            - _turn(legs.heel, np.array([strike]))[0]
        )
        path = toe + forward[:, None] * (landing_toe - toe)
        path[:, 0] += 4 * style.clearance_m[side] * share * (1 - share)
        ankle[rows, 1:] = path - _turn(legs.toe, pitch[rows])
        ankle[rows, 0] = step.place_m[0] + forward * (following.place_m[0] - step.place_m[0])
    return ankle, pitch


def _ease(share: np.ndarray) -> np.ndarray:
    """Go from 0 to 1 with the least jerk (Flash & Hogan 1985)."""
    s = np.clip(share, 0, 1)
    return np.asarray(s**3 * (10 - 15 * s + 6 * s**2))


def _rise(share: np.ndarray) -> np.ndarray:
    """Go from 0 to 1 ever faster, as a heel leaves the floor."""
    return np.asarray(np.clip(share, 0, 1) ** 2)


def _turn(vector: np.ndarray, pitch: np.ndarray) -> np.ndarray:
    """Turn a (y, z) vector by pitches (N,), toes up; (N, 2)."""
    c, s = np.cos(pitch), np.sin(pitch)
    y, z = vector
    return np.stack([c * y + s * z, -s * y + c * z], axis=1)


def _carry_pelvis(
    legs: Legs,
    steps: Sequence[_Step],
    feet: Sequence[tuple[np.ndarray, np.ndarray]],
    time_s: np.ndarray,
) -> np.ndarray:
    """Carry the pelvis (N, 3) between the feet, as high as the legs reach."""
    when = np.array([s.contact_s for s in steps])
    place = np.stack([s.place_m for s in steps])
    middle = (place[1:] + place[:-1]) / 2
    # At a contact the pelvis is behind the middle of both heels by what the foot is longer before.
    along = PchipInterpolator(when[1:], middle[:, 1] + legs.toe[1] / 2)(time_s)
    along = gaussian_filter1d(along, 0.1 * _RATE_HZ)
    across = gaussian_filter1d(PchipInterpolator(when, place[:, 0])(time_s), 0.12 * _RATE_HZ)
    reach = _EXTENDED * (np.linalg.norm(legs.thigh) + np.linalg.norm(legs.shank))
    heights = [
        ankle[:, 1] + np.sqrt(np.maximum(reach**2 - (along - ankle[:, 2]) ** 2, 0.01))
        for ankle, _ in feet
    ]
    highest = np.fmin(*heights)
    highest = np.where(np.isnan(highest), np.nanmin(highest), highest)
    height = gaussian_filter1d(highest, 0.06 * _RATE_HZ)
    height -= max(0.0, float(np.nanquantile(height - highest, 0.995)))
    return np.stack([0.3 * across, height, along], axis=1)


def _bend(
    legs: Legs, hips: np.ndarray, feet: Sequence[tuple[np.ndarray, np.ndarray]]
) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
    """Return the angles [(N, 2)] x 3 and abduction (N, 2) in rad, and keypoints (N, 10, 3) m."""
    upper, lower = np.linalg.norm(legs.thigh), np.linalg.norm(legs.shank)
    rest = [np.arctan2(v[1], -v[0]) for v in (legs.thigh, legs.shank)]
    angles = [np.zeros((len(hips), 2)) for _ in range(3)]
    abduction, points = np.zeros((len(hips), 2)), np.zeros((len(hips), 10, 3))
    for i, (ankle, pitch) in enumerate(feet):
        outward = 1 if i == 0 else -1
        hip = hips + [outward * legs.half_width, 0, 0]
        down, forth = hip[:, 1] - ankle[:, 1], ankle[:, 2] - hip[:, 2]
        far = np.clip(np.hypot(down, forth), abs(upper - lower) + 0.01, 0.9999 * (upper + lower))
        bent = np.arccos(np.clip((upper**2 + far**2 - lower**2) / (2 * upper * far), -1, 1))
        thigh = np.arctan2(forth, down) + bent
        shank = np.arctan2(forth - upper * np.sin(thigh), down - upper * np.cos(thigh))
        angles[0][:, i] = thigh - rest[0]
        angles[1][:, i] = (thigh - rest[0]) - (shank - rest[1])
        angles[2][:, i] = pitch - (shank - rest[1])
        abduction[:, i] = outward * np.arctan2(ankle[:, 0] - hip[:, 0], down)
        sideways = (ankle[:, 0] - hip[:, 0])[:, None]
        knee = hip + _in_space(upper * np.stack([-np.cos(thigh), np.sin(thigh)], axis=1))
        foot = hip + _in_space(np.stack([-down, forth], axis=1))
        for joint, (place, share) in enumerate(
            (
                (hip, 0.0),
                (knee, 0.5),
                (foot, 1.0),
                (foot + _in_space(_turn(legs.heel, pitch)), 1.0),
                (foot + _in_space(_turn(legs.toe, pitch)), 1.0),
            )
        ):
            points[:, 2 * joint + i] = place + share * sideways * [1, 0, 0]
    return angles, abduction, points


def _in_space(vectors: np.ndarray) -> np.ndarray:
    """Give (y, z) vectors (N, 2) an x of 0."""
    return np.concatenate([np.zeros((len(vectors), 1)), vectors], axis=1)
