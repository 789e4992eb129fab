"""Intervals: how far a number would move if other videos had been filmed.

A paired bootstrap by group: videos (or subjects) are drawn with replacement, the same draws for
every set of predictions, because frames of one video are no independent witnesses.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from fiftyone_legpose.evaluation.comparison import Comparison, summarize

Verdict = Literal["better", "worse", "no clear difference", "unknown"]

_HIGHER_IS_BETTER: Final = ("ap50", "ap50_95", "oks", "found", "pck")


@dataclass(frozen=True)
class Estimate:
    """A measure with its 95% interval; None where nothing was there to measure."""

    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Change:
    """A measure minus the same measure of the baseline, with its 95% interval."""

    difference: float | None
    low: float | None
    high: float | None
    verdict: Verdict
    """Unknown with fewer than two groups: then there is no interval."""


def estimate(
    compared: Mapping[str, Comparison], group: np.ndarray, resamples: int, seed: int
) -> tuple[dict[str, dict[str, Estimate]], dict[str, dict[str, Change]]]:
    """Estimate every measure of `comparison.summarize`, and its change from the first comparison.

    Parameters
    ----------
    compared
        Comparisons on the same frames; the first is the baseline.
    group
        Shape (F,): the group of each frame, from 0.
    resamples
        Bootstrap draws.
    seed
        Of the draws.

    Returns
    -------
    estimates : dict
        By comparison and measure.
    changes : dict
        By comparison, without the first, and measure.
    """
    groups = int(group.max(initial=0)) + 1
    values = {name: summarize(c, group) for name, c in compared.items()}
    weights = resample(groups, resamples, seed)
    drawn = {name: summarize(c, group, weights) for name, c in compared.items()}
    estimates: dict[str, dict[str, Estimate]] = {}
    changes: dict[str, dict[str, Change]] = {}
    baseline = next(iter(compared))
    for name in compared:
        estimates[name] = {}
        for measure, value in values[name].items():
            low, high = interval(drawn[name][measure]) if groups > 1 else (np.nan, np.nan)
            estimates[name][measure] = Estimate(_known(value[0]), _known(low), _known(high))
        if name == baseline:
            continue
        changes[name] = {}
        for measure, value in values[name].items():
            difference = value[0] - values[baseline][measure][0]
            spread = drawn[name][measure] - drawn[baseline][measure]
            low, high = interval(spread) if groups > 1 else (np.nan, np.nan)
            changes[name][measure] = Change(
                _known(difference), _known(low), _known(high), _verdict(measure, low, high)
            )
    return estimates, changes


def resample(groups: int, resamples: int, seed: int) -> np.ndarray:
    """Draw groups with replacement, as a bootstrap by video does.

    Parameters
    ----------
    groups
        How many there are.
    resamples
        How many draws, R.
    seed
        Of numpy's generator.

    Returns
    -------
    np.ndarray
        Shape (R, groups): how often each group was drawn.
    """
    rng = np.random.default_rng(seed)
    return rng.multinomial(groups, np.full(groups, 1 / groups), size=resamples).astype(float)


def interval(values: np.ndarray, level: float = 0.95) -> tuple[float, float]:
    """Cut the percentile interval out of bootstrap values.

    Parameters
    ----------
    values
        Shape (R,); NaN is left out.
    level
        Share of the values inside.

    Returns
    -------
    tuple of float
        (NaN, NaN) where no value is known.
    """
    known = values[np.isfinite(values)]
    if not len(known):
        return (np.nan, np.nan)
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _verdict(measure: str, low: float, high: float) -> Verdict:
    if np.isnan(low):
        return "unknown"
    if low <= 0 <= high:
        return "no clear difference"
    rises = low > 0
    return "better" if rises == measure.startswith(_HIGHER_IS_BETTER) else "worse"


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
