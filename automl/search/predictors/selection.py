"""Which predictor to trust: the best by cross-validated rank correlation, or several that are about as good."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from scipy.stats import kendalltau

from automl.search.pareto import FloatVector
from automl.search.predictors.boosting import Boosting
from automl.search.predictors.features import Features
from automl.search.predictors.gaussian_process import GaussianProcess
from automl.search.predictors.predictor import Predictor
from automl.search.predictors.ridge import Ridge
from automl.search.predictors.size_only import SizeOnly
from automl.search.unseen import IndexMatrix

__all__ = ["KINDS", "Committee", "Score", "choose", "rank_correlation"]

KINDS: Final[dict[str, Callable[[Features], Predictor]]] = {
    kind.name: kind for kind in (GaussianProcess, Ridge, Boosting)
}
_CLOSE: Final = 0.03
"""Predictors whose rank correlation is so close to the best one's are averaged with it."""
_SLOW: Final = Boosting.name
"""Takes many times longer to fit than the others, so it must be better than they are by that much, and then stays alone."""


@dataclass(frozen=True)
class Score:
    """How well predictors did on measurements that they had not seen.

    Attributes:
        chosen: names of the predictors that are averaged.
        correlation: Kendall's tau of the chosen ones' held-out predictions.
        each: Kendall's tau by name of the predictor, the size-only baseline among them.
    """

    chosen: tuple[str, ...]
    correlation: float
    each: dict[str, float]

    def to_json(self) -> dict[str, Any]:
        """Returns the score as a JSON object."""
        return {"chosen": list(self.chosen), "correlation": self.correlation, "each": self.each}


class Committee:
    """Fitted predictors that are averaged with equal weight.

    Args:
        members: fitted predictors.
    """

    def __init__(self, members: Sequence[Predictor]) -> None:
        self.members: Final = tuple(members)

    def predict(self, rows: IndexMatrix) -> tuple[FloatVector, FloatVector]:
        """Returns mean and standard deviation; disagreement of the members adds to their own uncertainty."""
        answers = [member.predict(rows) for member in self.members]
        means = np.array([mean for mean, _ in answers])
        variances = np.array([deviation**2 for _, deviation in answers])
        return means.mean(axis=0), np.sqrt(variances.mean(axis=0) + means.var(axis=0))

    def held_out(self) -> FloatVector:
        """Returns the mean of the members' held-out predictions."""
        result: FloatVector = np.mean([member.held_out() for member in self.members], axis=0)
        return result


def choose(features: Features, rows: IndexMatrix, targets: FloatVector) -> tuple[Committee, Score]:
    """Fits every predictor and keeps the best, with those that are about as good and as fast.

    Args:
        features: views of the space.
        rows: ``(n, dimensions)`` canonical positions, at least 4 rows.
        targets: ``(n,)`` finite targets.
    """
    fitted: dict[str, Predictor] = {name: kind(features) for name, kind in KINDS.items()}
    baseline = SizeOnly(features)
    for predictor in (*fitted.values(), baseline):
        predictor.fit(rows, targets)
    each = {p.name: rank_correlation(p.held_out(), targets) for p in (*fitted.values(), baseline)}
    best = max(each[name] for name in fitted if name != _SLOW)
    close = tuple(name for name in fitted if name != _SLOW and each[name] >= best - _CLOSE)
    chosen = (_SLOW,) if each[_SLOW] > best + _CLOSE else close
    committee = Committee([fitted[name] for name in chosen])
    return committee, Score(chosen, rank_correlation(committee.held_out(), targets), each)


def rank_correlation(first: FloatVector, second: FloatVector) -> float:
    """Returns Kendall's tau-b, 0 where one side is constant."""
    tau = float(kendalltau(first, second).statistic)
    return round(tau, 4) if np.isfinite(tau) else 0.0
