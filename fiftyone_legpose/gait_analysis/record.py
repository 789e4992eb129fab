"""What a dataset keeps of the gait in a video, and tables of it."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Final

import fiftyone as fo
import numpy as np

from fiftyone_legpose.gait_analysis.event_edits import Edit, ShownPhase
from fiftyone_legpose.gait_analysis.motion import SIDES
from fiftyone_legpose.gait_analysis.person import BoutGait, PersonGait
from fiftyone_legpose.gait_analysis.strides import Stride
from fiftyone_legpose.gait_analysis.summary import summarise

_DIGITS: Final = 5

HEADLINES: Final = (
    "stride_time_s",
    "step_time_s",
    "stance_share",
    "double_support_s",
    "step_length_leg",
    "step_length_m",
    "speed_leg_s",
    "speed_m_s",
)
"""Means that the sidebar shows, beside ``cadence_spm``."""


def to_record(
    made_by: str,
    people: Sequence[PersonGait],
    edits: Sequence[Edit],
    written: Sequence[ShownPhase],
) -> dict[str, Any]:
    """Build the dictionary that a video keeps.

    Parameters
    ----------
    made_by
        Key of the run.
    people
        All tracks of the video.
    edits
        Events that a person set or took away, so that later calls know of them.
    written
        The phases that are on the timeline now.

    Returns
    -------
    dict
        ``people``: by person ``track``, ``corrected_share`` and ``bouts``, each with its view,
        events, strides, parameters (`summary.summarise`) and cycles (mean and SD of 101 points in
        degrees). ``edits`` and ``written`` are for the next call.
    """
    record = {
        "made_by": made_by,
        "people": [
            {
                "track": person.track,
                "corrected_share": person.corrected_share,
                "bouts": [_bout(found) for found in person.bouts],
            }
            for person in people
        ],
        "edits": [edit.to_json() for edit in edits],
        "written": [asdict(phase) for phase in written],
    }
    plain: dict[str, Any] = _plain(record)
    return plain


def _bout(found: BoutGait) -> dict[str, Any]:
    bout = found.bout
    return {
        "start_s": bout.start_s,
        "end_s": bout.end_s,
        "view": bout.view,
        "heading_deg": bout.heading_deg,
        "surface": bout.surface,
        "scale": None if found.scale is None else asdict(found.scale),
        "warnings": found.warnings,
        "events": [asdict(event) for event in found.events],
        "strides": [asdict(stride) for stride in found.strides],
        "parameters": summarise(found.strides, found.scale),
        "cycles": {
            side: {name: _curve(curves) for name, curves in found.cycles[side].items()}
            for side in SIDES
        },
    }


def _curve(curves: np.ndarray) -> dict[str, Any]:
    """Give mean and SD (101,) of cycles (C, 101), None where there are too few."""
    whole = curves[np.isfinite(curves).all(axis=1)]
    return {
        "mean": whole.mean(axis=0) if len(whole) else None,
        "sd": whole.std(axis=0, ddof=1) if len(whole) > 1 else None,
        "n": len(whole),
    }


def _plain(value: Any) -> Any:
    """Turn arrays, tuples and numpy's numbers into what a database holds; NaN becomes None."""
    if isinstance(value, dict):
        return {str(name): _plain(entry) for name, entry in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [_plain(entry) for entry in value]
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    if isinstance(value, (int, np.integer)):
        return int(value)
    if isinstance(value, (float, np.floating)):
        return round(float(value), _DIGITS) if np.isfinite(value) else None
    return value


def to_summary(people: Sequence[PersonGait], made_by: str) -> Any:
    """Build the label of the sidebar: the parameters of the person with the most strides.

    Returns
    -------
    fo.DynamicEmbeddedDocument
        What is not known is None.
    """
    person = max(people, key=_strides, default=None)
    bouts = person.bouts if person else []
    strides: list[Stride] = [stride for found in bouts for stride in found.strides]
    scales = [found.scale for found in bouts if found.scale is not None]
    found = summarise(strides, scales[0] if scales else None)
    means = {
        name: found["measures"][name]["both"]["mean"] if name in found["measures"] else None
        for name in HEADLINES
    }
    plain = _plain({"cadence_spm": found["cadence_spm"], **means})
    return fo.DynamicEmbeddedDocument(
        track=person.track if person else None,
        strides=len(strides),
        bouts=len(bouts),
        walking_s=round(sum(found.bout.end_s - found.bout.start_s for found in bouts), 3),
        view=_common([found.bout.view for found in bouts]),
        surface=_common([found.bout.surface for found in bouts]),
        warnings=[warning for found in bouts for warning in found.warnings],
        made_by=made_by,
        **plain,
    )


def _strides(person: PersonGait) -> int:
    return sum(len(found.strides) for found in person.bouts)


def _common(names: Sequence[str]) -> str | None:
    """Give the one name, ``mixed`` where there are several."""
    return None if not names else names[0] if len(set(names)) == 1 else "mixed"


def read_edits(record: Any) -> tuple[list[Edit], list[ShownPhase]]:
    """Read the edits and the phases that an earlier call has kept."""
    if not record:
        return [], []
    edits = [Edit(**edit) for edit in record.get("edits", [])]
    written = [
        ShownPhase(**{**phase, "found": tuple(phase["found"]) if phase["found"] else None})
        for phase in record.get("written", [])
    ]
    return edits, written
