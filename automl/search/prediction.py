"""What the measurements of a search say about one more architecture: a value and an interval for each objective."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from automl.errors import RunError
from automl.search.measurement import Measurement
from automl.search.predictors import Costs, Features, Scale, Score, choose
from automl.space import Architecture, SearchSpace

__all__ = ["LEAST_MEASURED", "PredictedValue", "predict"]

LEAST_MEASURED: Final = 10
"""Complete measurements without which nothing is predicted: two for each fold of the cross-validation."""
_TWO_SIDED: Final = 1.959964
"""A normal variable is within so many standard deviations of its mean in 95 % of cases."""


@dataclass(frozen=True)
class PredictedValue:
    """One objective of one architecture, as the predictors see it.

    Attributes:
        value: predicted value: the median of what is thought possible, in the unit of the objective.
        low: lower end of the 95 % interval.
        high: upper end of the 95 % interval.
        score: how well the predictors of this objective rank measurements that they had not seen.
    """

    value: float
    low: float
    high: float
    score: Score


def predict(
    space: SearchSpace,
    measurements: Sequence[Measurement],
    architecture: Architecture,
    *,
    costs: Costs | None = None,
) -> list[PredictedValue]:
    """Predicts every objective of an architecture from what was measured.

    Failures and estimates of candidates that were stopped early are left out, and so is the architecture itself if it is among
    the measurements: the answer is that for a network nobody has measured. The interval is at least as wide as the errors on
    held-out measurements are on average, because single predictors may be too sure.

    Args:
        space: the search space.
        measurements: history of a search in that space.
        architecture: one of the space.
        costs: analytic costs that become features.

    Raises:
        RunError: fewer than 10 other architectures were measured in full.
    """
    known = [m for m in measurements if m.complete and m.architecture != architecture]
    if len(known) < LEAST_MEASURED:
        raise RunError(
            f"{len(known)} other architectures were measured in full; a prediction needs at least {LEAST_MEASURED}."
        )
    features = Features(space, costs)
    rows = space.to_indices([m.architecture for m in known])
    row = space.to_indices([architecture])
    predicted: list[PredictedValue] = []
    for column in np.array([m.values for m in known], dtype=np.float64).T:
        scale = Scale(column)
        targets = scale.target(column)
        committee, score = choose(features, rows, targets)
        mean, deviation = committee.predict(row)
        typical = np.sqrt(np.mean((committee.held_out() - targets) ** 2))
        reach = _TWO_SIDED * np.maximum(deviation, typical)
        low, value, high = (float(scale.value(target)[0]) for target in (mean - reach, mean, mean + reach))
        predicted.append(PredictedValue(value, low, high, score))
    return predicted
