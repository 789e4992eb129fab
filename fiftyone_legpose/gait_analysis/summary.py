"""Parameters of a bout, or of several: means, variability, and left against right."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from fiftyone_legpose.gait_analysis.motion import SIDES
from fiftyone_legpose.gait_analysis.scale import Scale
from fiftyone_legpose.gait_analysis.strides import MEASURES, Stride

COMPARED: Final = ("step_time_s", "stance_s", "swing_s", "step_length_leg")
"""Measures of which left and right are compared."""

_IN_METRES: Final = {
    "step_length_leg": "step_length_m",
    "stride_length_leg": "stride_length_m",
    "speed_leg_s": "speed_m_s",
    "step_width_leg": "step_width_m",
}


def summarise(strides: Sequence[Stride], scale: Scale | None) -> dict[str, Any]:
    """Summarise strides.

    Parameters
    ----------
    strides
        Of one person.
    scale
        What a leg length is, if it is known.

    Returns
    -------
    dict
        ``strides`` (their number) and ``cadence_spm`` (steps per minute, 120 / mean stride time);
        by measure, also in metres where there is a scale, ``both``, ``left`` and ``right``: each
        with ``mean``, ``sd``, ``cv`` (SD / mean) and ``n``. ``symmetry_index``: by measure,
        Robinson's index (Robinson et al. 1987, J. Manipulative Physiol. Ther. 10), 100 (left -
        right) / mean of both, 0 where they are equal. What is not known is None.
    """
    values = {name: [getattr(stride, name) for stride in strides] for name in MEASURES}
    for name, in_metres in _IN_METRES.items():
        if scale is not None:
            values[in_metres] = [
                None if value is None else value * scale.m_per_leg for value in values[name]
            ]
    side = np.array([stride.side for stride in strides])
    measures = {
        name: {"both": _spread(found)}
        | {one: _spread([v for v, s in zip(found, side, strict=True) if s == one]) for one in SIDES}
        for name, found in values.items()
    }
    stride_time = measures["stride_time_s"]["both"]["mean"]
    return {
        "strides": len(strides),
        "cadence_spm": 120 / stride_time if stride_time else None,
        "measures": measures,
        "symmetry_index": {name: _symmetry(measures[name]) for name in COMPARED},
    }


def _spread(values: Sequence[float | None]) -> dict[str, float | int | None]:
    known = np.array([value for value in values if value is not None], float)
    count = len(known)
    mean = float(known.mean()) if count else None
    sd = float(known.std(ddof=1)) if count > 1 else None
    cv = sd / mean if sd is not None and mean else None
    return {"mean": mean, "sd": sd, "cv": cv, "n": count}


def _symmetry(measure: Mapping[str, Mapping[str, Any]]) -> float | None:
    left, right = (measure[side]["mean"] for side in SIDES)
    if left is None or right is None or left + right == 0:
        return None
    return float(100 * (left - right) / ((left + right) / 2))
