"""What a clinician reads of an evaluation; the term of the field stands behind each measure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from fiftyone_legpose.evaluation.intervals import Estimate


@dataclass(frozen=True)
class Words:
    """How a measure is told."""

    plain: str
    term: str
    """What the field calls it, and how it is defined."""
    unit: str
    """``%`` for shares, ``px``, or nothing."""


WORDS: Final[Mapping[str, Words]] = {
    "oks": Words(
        "Agreement with the corrections, 0 to 1",
        "mean OKS: object keypoint similarity, near 1 where points lie as people place them",
        "",
    ),
    "ap50_95": Words(
        "Agreement with the corrections, with persons missed and invented, 0 to 1",
        "OKS-mAP 50-95: mean average precision at object keypoint similarities of 0.50 to 0.95",
        "",
    ),
    "pck@0.1/all/all": Words(
        "Points within a tenth of a leg length",
        "PCK@0.1: percentage of correct keypoints",
        "%",
    ),
    "median_px/all/all": Words(
        "Half of the points are nearer than", "median distance to the corrected point", "px"
    ),
    "p95_px/all/all": Words(
        "19 of 20 points are nearer than", "95th percentile of the distance", "px"
    ),
    "found": Words("Persons that the model found", "recall, a person counted in each frame", "%"),
    "swapped/all": Words("Persons with left and right exchanged", "share of persons found", "%"),
}
"""The measures that panel and forms show."""


def tell(measure: str, estimate: Estimate) -> str:
    """Write a value with its unit and its 95% interval."""
    if estimate.value is None:
        return "nothing to measure"
    unit = WORDS[measure].unit
    scale, digits = (100, 0) if unit == "%" else (1, 1 if unit else 2)
    value, *interval = (
        f"{number * scale:.{digits}f}"
        for number in (estimate.value, estimate.low, estimate.high)
        if number is not None
    )
    told = f"{value} {unit}".strip()
    return f"{told} ({' to '.join(interval)})" if interval else told
