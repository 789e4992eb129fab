"""Joint angles of legs that walk, stand, sit and step, healthy and not."""

from dataclasses import dataclass
from typing import Final

import numpy as np

SHARES: Final = {"walk": 0.52, "stand": 0.11, "sit": 0.09, "step": 0.1, "lift": 0.18}
"""How often each kind of posture is drawn; walking is what clinics film."""


@dataclass(frozen=True)
class Posture:
    """Joint angles in rad, each (2,): left, right. Zero is standing upright."""

    hip_flexion: np.ndarray
    knee_flexion: np.ndarray
    ankle_dorsiflexion: np.ndarray
    hip_abduction: np.ndarray
    toe_out: np.ndarray
    toe_extension: np.ndarray
    trunk_lean: float
    """Forward lean of all that is above the hips."""


def draw_posture(rng: np.random.Generator) -> Posture:
    """Return a random posture of a random kind (`SHARES`)."""
    kind = rng.choice(list(SHARES), p=list(SHARES.values()))
    draw = {"walk": _walk, "stand": _stand, "sit": _sit, "step": _step, "lift": _lift}[kind]
    hip, knee, ankle = draw(rng)
    spread = 0.15 if kind in ("sit", "step", "lift") else 0.05
    abduction = rng.normal(0.03, spread, 2)
    if kind == "lift":
        abduction[rng.integers(2)] += rng.uniform(0.2, 1.4)
    return Posture(
        hip_flexion=hip,
        knee_flexion=knee,
        ankle_dorsiflexion=ankle,
        hip_abduction=abduction,
        toe_out=rng.normal(0.12, 0.13, 2),
        toe_extension=np.where(ankle < -0.1, rng.uniform(0, 0.4, 2), 0.0),
        trunk_lean=rng.normal(0.04, 0.06) + (rng.uniform(0, 0.5) if rng.random() < 0.1 else 0),
    )


def gait_angles(phase: np.ndarray) -> np.ndarray:
    """Return hip flexion, knee flexion and ankle dorsiflexion (3, N) rad of normal walking.

    Parameters
    ----------
    phase : (N,) array
        Share of the gait cycle from 0 (heel strike) to 1.

    Notes
    -----
    Bumps set to the peaks of level walking: hip 30 to -12 degrees, knee 18 in loading and 60 in
    swing, ankle 10 before and -18 at push-off.
    Source: Perry & Burnfield 2010, "Gait Analysis: Normal and Pathological Function", ch. 3-6.
    """
    hip = 9 + 21 * np.cos(2 * np.pi * (phase + 0.04))
    knee = 5 + 13 * _bump(phase, 0.14, 0.06) + 55 * _bump(phase, 0.73, 0.09)
    ankle = (
        10 * _bump(phase, 0.44, 0.1) - 4 * _bump(phase, 0.07, 0.04) - 20 * _bump(phase, 0.63, 0.05)
    )
    return np.radians([hip, knee, ankle])


def _bump(phase: np.ndarray, peak: float, width: float) -> np.ndarray:
    """Return a bell of height 1 that repeats with every cycle."""
    apart = (phase - peak + 0.5) % 1 - 0.5
    return np.exp(-((apart / width) ** 2))


Angles = tuple[np.ndarray, np.ndarray, np.ndarray]


def _walk(rng: np.random.Generator) -> Angles:
    start = rng.random()
    phases = np.array([start, start + 0.5 + rng.normal(0, 0.03)]) % 1
    hip, knee, ankle = gait_angles(phases)
    stride, bend = rng.uniform(0.4, 1.3), rng.uniform(0.6, 1.2)
    hip, knee, ankle = hip * stride, knee * bend, ankle * stride
    affected = rng.integers(2)
    match rng.choice(
        ["none", "stiff", "drop foot", "crouch", "toe"], p=[0.6, 0.12, 0.1, 0.1, 0.08]
    ):
        case "stiff":
            knee[affected] *= rng.uniform(0.1, 0.4)
        case "drop foot":  # the knee lifts higher so that the hanging foot clears the floor
            ankle[affected] = -rng.uniform(0.2, 0.5)
            knee[affected] += rng.uniform(0.1, 0.6)
            hip[affected] += rng.uniform(0.1, 0.4)
        case "crouch":
            depth = rng.uniform(0.2, 0.7)
            hip, knee, ankle = hip + depth * 0.7, knee + depth, ankle + depth * 0.3
        case "toe":
            ankle -= rng.uniform(0.3, 0.6)
    return hip, knee, ankle


def _stand(rng: np.random.Generator) -> Angles:
    return rng.normal(0, 0.12, 2), np.abs(rng.normal(0, 0.12, 2)), rng.normal(0, 0.1, 2)


def _sit(rng: np.random.Generator) -> Angles:
    """Anything between a bent knee and a chair, both legs alike."""
    depth = rng.uniform(0.2, 1.6)
    hip, knee, ankle = (depth * share + rng.normal(0, 0.06, 2) for share in (0.9, 1.15, 0.15))
    return hip, np.maximum(knee, 0), ankle


def _step(rng: np.random.Generator) -> Angles:
    """Let one leg do anything that joints allow while the other stands: stairs, kicks, turns."""
    hip = np.array([rng.uniform(-0.5, 1.5), rng.uniform(-0.4, 0.6)])
    knee = np.array([rng.uniform(0, 1.9), rng.uniform(0, 0.6)])
    ankle = np.array([rng.uniform(-0.5, 0.4), rng.uniform(-0.2, 0.3)])
    order = [0, 1] if rng.random() < 0.5 else [1, 0]
    return hip[order], knee[order], ankle[order]


def _lift(rng: np.random.Generator) -> Angles:
    """Stand on one leg; `draw_posture` lifts the other one to the side, as exercises ask for."""
    return rng.normal(0, 0.3, 2), np.abs(rng.normal(0, 0.3, 2)), rng.normal(0, 0.2, 2)
