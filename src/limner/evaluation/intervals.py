"""How sure a figure is: 95 % confidence intervals of a mean over queries that may come in groups."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from scipy import stats

__all__ = ["Estimate", "estimate_errors_removed", "estimate_gain", "estimate_mean", "wilson_interval"]

Values = Float[np.ndarray, " queries"]
Groups = Int[np.ndarray, " queries"]


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A mean, or what is said to be estimated, and the interval that covers the true one with the asked confidence."""

    mean: float
    low: float
    high: float


def estimate_mean(
    values: Values, groups: Groups | None = None, *, confidence: float = 0.95, num_resamples: int = 1000
) -> Estimate:
    """Return the mean of values in [0, 1] with its interval; values of one group are not independent.

    Zeros and ones get Wilson's interval at the effective sample size (Kish, n over the design effect); other values
    get the percentile bootstrap over whole groups, seeded.
    """
    if not len(values):
        raise ValueError("there are no values to average")
    if groups is None:
        groups = np.arange(len(values))
    places = np.unique(groups, return_inverse=True)[1]
    counts = np.bincount(places).astype(np.float64)
    sums = np.bincount(places, weights=values)
    mean = float(values.mean())
    if len(counts) == 1:
        low, high = (0.0, 1.0) if len(values) > 1 else wilson_interval(mean, 1.0, confidence=confidence)
    elif np.isin(values, (0, 1)).all():
        low, high = wilson_interval(mean, _effective_size(mean, sums, counts), confidence=confidence)
    else:
        low, high = _bootstrap(sums, counts, confidence, num_resamples)
    return Estimate(mean=mean, low=min(low, mean), high=max(high, mean))


def estimate_gain(before: Values, after: Values, groups: Groups) -> Estimate:
    """Return the mean of `after - before` of the same queries, in [-1, 1], by the paired bootstrap over groups."""
    return _estimate_ratio(after - before, np.ones(len(before)), groups)


def estimate_errors_removed(before: Values, after: Values, groups: Groups) -> Estimate:
    """Return the share of the errors of `before` that `after` has less, by the paired bootstrap over groups.

    Values are 1 where a query is answered and 0 where not, or means of these over several runs. Below 0 there are more
    errors than before; without any errors before, nothing is removed, and the share is 0.
    """
    return _estimate_ratio(after - before, 1 - before, groups)


def wilson_interval(proportion: float, size: float, *, confidence: float = 0.95) -> tuple[float, float]:
    """Return Wilson's score interval of a proportion seen among `size` trials (JASA 22:158, 1927)."""
    z = float(stats.norm.ppf(0.5 + confidence / 2))
    centre = (proportion + z**2 / (2 * size)) / (1 + z**2 / size)
    half = z / (1 + z**2 / size) * math.sqrt(proportion * (1 - proportion) / size + z**2 / (4 * size**2))
    return max(0.0, centre - half), min(1.0, centre + half)


def _estimate_ratio(values: Values, weights: Values, groups: Groups) -> Estimate:
    """Return the sum of values over that of weights; of one group alone, which tells no spread, from -1 to 1."""
    if not len(values):
        raise ValueError("there are no values to compare")
    places = np.unique(groups, return_inverse=True)[1]
    sums, counts = np.bincount(places, weights=values), np.bincount(places, weights=weights)
    mean = _ratio(sums, counts, 0)
    low, high = _bootstrap(sums, counts, 0.95, 1000) if len(sums) > 1 else (-1.0, 1.0)
    return Estimate(mean=float(mean), low=min(low, float(mean)), high=max(high, float(mean)))


def _ratio(sums: np.ndarray, counts: np.ndarray, axis: int) -> Any:
    """Return sums over counts along an axis; 0 where there is nothing to divide by."""
    total = counts.sum(axis=axis)
    return sums.sum(axis=axis) / np.where(total == 0, 1, total)


def _effective_size(mean: float, sums: Values, counts: Values) -> float:
    """Return n over the design effect: the variance of the mean between groups over that of independent trials."""
    size, num_groups = counts.sum(), len(counts)
    if mean in (0.0, 1.0):
        return float(num_groups)
    between = ((sums - mean * counts) ** 2).sum() * num_groups / (num_groups - 1) / size**2
    independent = mean * (1 - mean) / size
    return float(size / max(1.0, between / independent))


def _bootstrap(sums: Values, counts: Values, confidence: float, num_resamples: int) -> tuple[float, float]:
    result = stats.bootstrap(
        (sums, counts),
        _ratio,
        paired=True,
        vectorized=True,
        n_resamples=num_resamples,
        batch=max(1, 2_000_000 // len(sums)),
        confidence_level=confidence,
        method="percentile",
        rng=np.random.default_rng(0),
    )
    return float(result.confidence_interval.low), float(result.confidence_interval.high)
