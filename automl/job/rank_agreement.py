"""How well one set of errors orders what another set measures: rank correlations with bootstrap intervals.

Source:
    Kendall 1938 (tau, here tau-b, which allows ties); Spearman 1904 (rho); Efron 1979 (bootstrap, percentile interval).
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from scipy import stats

__all__ = ["RankCorrelation", "rank_correlation"]

_RESAMPLES: Final = 1000


@dataclass(frozen=True)
class RankCorrelation:
    """A rank correlation and its 95 % interval; ``nan`` where one side does not vary.

    Attributes:
        value: 1 for equal orders, 0 for no relation, -1 for opposite orders.
        low: lower end of the interval.
        high: upper end.
    """

    value: float
    low: float
    high: float


def rank_correlation(
    first: Sequence[float], second: Sequence[float], kind: Literal["kendall", "spearman"], *, seed: int
) -> RankCorrelation:
    """Returns the rank correlation of paired values.

    The interval speaks about which pairs were drawn, not about the noise of each value. Resamples in which one side does not
    vary say nothing and are left out.

    Args:
        first: values, at least 3.
        second: as many values, in the same order.
        kind: Kendall's tau-b or Spearman's rho.
        seed: of the resampling.
    """

    def statistic(a: Any, b: Any) -> float:
        if kind == "kendall":
            return float(stats.kendalltau(a, b, method="asymptotic").statistic)  # quickest; says how p-values are found
        return float(np.corrcoef(stats.rankdata(a), stats.rankdata(b))[0, 1])

    with warnings.catch_warnings(), np.errstate(invalid="ignore"):
        warnings.simplefilter("ignore")  # about resamples that do not vary
        value = statistic(first, second)
        drawn = stats.bootstrap(
            (first, second),
            statistic,
            paired=True,
            vectorized=False,
            n_resamples=_RESAMPLES,
            method="percentile",
            rng=np.random.default_rng(seed),
        ).bootstrap_distribution
        low, high = np.nanquantile(drawn, [0.025, 0.975])
    return RankCorrelation(value, float(low), float(high))
