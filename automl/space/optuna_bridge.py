"""A space as Optuna sees it.

Ordinal dimensions with evenly spaced whole numbers become integer distributions, so samplers that know order can use it;
all others become categorical distributions over their real values, so Optuna's own plots and dashboard stay readable.
"""

from __future__ import annotations

from collections.abc import Mapping

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution
from optuna.trial import BaseTrial

from automl.space.dimensions import Dimension, Ordinal
from automl.space.structure import INACTIVE, Structure

__all__ = ["distribution_of", "suggest_positions"]


def distribution_of(dimension: Dimension) -> BaseDistribution:
    """Returns the Optuna distribution over the choices of a dimension."""
    choices = dimension.choices
    if isinstance(dimension, Ordinal) and all(isinstance(c, int) for c in choices):
        low, high = int(choices[0]), int(choices[-1])
        step = (high - low) // max(1, len(choices) - 1)
        if step and choices == tuple(range(low, high + 1, step)):
            return IntDistribution(low, high, step=step)
    return CategoricalDistribution(choices)


def suggest_positions(trial: BaseTrial, dimensions: Mapping[str, Dimension], structure: Structure) -> list[int]:
    """Asks a trial for every active dimension, parents first, and returns positions.

    Raises:
        optuna.TrialPruned: the combination is forbidden.
    """
    positions: list[int] = []
    for number, (name, dimension) in enumerate(dimensions.items()):
        if not structure.exists(number, positions):
            positions.append(INACTIVE)
            continue
        distribution = distribution_of(dimension)
        if isinstance(distribution, IntDistribution):
            value: object = trial.suggest_int(name, distribution.low, distribution.high, step=distribution.step)
        else:
            value = trial.suggest_categorical(name, dimension.choices)
        positions.append(dimension.position(value))
    if not structure.allows(positions):
        raise optuna.TrialPruned(f"a forbidden combination: {trial.params}")
    return positions
