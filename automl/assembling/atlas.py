"""What is known of architectures whatever the task: gates, likeness to the surveyed ones, predicted cost, neighbours."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, Final, TypeAlias, final

import numpy as np
from torch import Tensor

from automl.assembling.gates import DimensionGates
from automl.assembling.surrogate import GateRegression
from automl.assembling.survey import Survey
from automl.space import Architecture

__all__ = ["Atlas"]

Rows: TypeAlias = np.ndarray[Any, np.dtype[np.int64]]
Values: TypeAlias = np.ndarray[Any, np.dtype[np.float64]]


@final
class Atlas:
    """Architectures by the row that they have in some arrays, so that many tasks share the work on each.

    The rows depend on the order in which architectures were first seen; nothing that is said of an architecture does.

    Args:
        gates: the gates of the space.
        survey: the surveyed subnetworks.
        shares: their cost shares, ``(n,)``.
        classes: number of all classes; the regression of errors is fitted to their mean error.
    """

    def __init__(self, gates: DimensionGates, survey: Survey, shares: Tensor, classes: int) -> None:
        seen = gates.encode(survey.architectures)
        self._space: Final = gates.space
        self._gates: Final = gates
        self._quality: Final = GateRegression(gates, seen, survey.soft_errors(range(classes)))
        self._cost: Final = GateRegression(gates, seen, shares)
        self._cost_weights: Final = self._cost.weights([shares])
        self._survey: Final = survey
        self._row: Final[dict[Architecture, int]] = {}
        self._near: Final[dict[int, Rows]] = {}
        self.architectures: Final[list[Architecture]] = []
        self.opened: Values = np.empty((0, gates.count))
        self.costs: Values = np.empty(0)
        self._ids: Rows = np.empty(0, dtype=np.int64)
        self._likeness: Values = np.empty((0, len(survey.architectures)))

    def rows(self, architectures: Sequence[Architecture]) -> Rows:
        """Returns the rows of architectures; those that are new get one."""
        new = [a for a in dict.fromkeys(architectures) if a not in self._row]
        if new:
            opened = self._gates.encode(new)
            costs = self._cost.predict(opened, self._cost_weights)
            self.opened = np.concatenate([self.opened, opened.double().numpy()])
            self.costs = np.concatenate([self.costs, costs.numpy()])
            self._ids = np.concatenate([self._ids, np.array([int(a.id, 16) for a in new], dtype=np.int64)])
            self._likeness = np.concatenate([self._likeness, self._quality.likeness(opened).numpy()])
            self._row.update({a: len(self.architectures) + i for i, a in enumerate(new)})
            self.architectures.extend(new)
        return np.array([self._row[a] for a in architectures], dtype=np.int64)

    def neighbours(self, *rows: int) -> Rows:
        """Returns the rows of all architectures that differ from one of some in one dimension, each once."""
        new = [row for row in rows if row not in self._near]
        around = [self._space.neighbours(self.architectures[row]) for row in new]
        found = self.rows(list(itertools.chain.from_iterable(around)))
        ends = np.cumsum([len(near) for near in around])
        self._near.update(zip(new, np.split(found, ends[:-1]), strict=True) if new else ())
        return np.unique(np.concatenate([self._near[row] for row in rows]))

    def error_weights(self, tasks: Sequence[Sequence[int]]) -> list[tuple[Values, float]]:
        """Returns for each task, some classes, what ``errors`` needs."""
        values = [self._survey.soft_errors(classes) for classes in tasks]
        coefficients, means = self._quality.weights(values)
        return list(zip(coefficients.numpy(), means.tolist(), strict=True))

    def errors(self, rows: Rows, weights: tuple[Values, float]) -> Values:
        """Returns the expected soft errors of rows for the task of some weights, ``(n,)``."""
        coefficients, mean = weights
        return self._likeness[rows] @ coefficients + mean

    def front(self, rows: Rows, errors: Values) -> Rows:
        """Returns the positions among ``rows`` of those on the front of cost and error, cheapest first."""
        order = np.lexsort((self._ids[rows], errors, self.costs[rows]))
        lowest = np.minimum.accumulate(errors[order])
        better = np.concatenate([[True], lowest[1:] < lowest[:-1]])
        return np.asarray(order[better])

    def preferred(self, rows: Rows, prices: Values) -> int:
        """Returns the position of the lowest price; of equal ones that of the lowest id."""
        return int(np.lexsort((self._ids[rows], prices))[0])

    def scores(self, rows: Rows, chances: Tensor) -> Values:
        """Returns the mean of ``chances``, one for each gate, over the open gates of rows, ``(n,)``."""
        opened = self.opened[rows]
        return np.asarray((opened @ chances.double().numpy()) / opened.sum(1).clip(min=1))
