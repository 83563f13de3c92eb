"""What predictors know about architectures: choices, neighbouring pairs of choices, how often a choice occurs, costs.

Architectures are rows of positions, -1 where a dimension is inactive (see ``SearchSpace.to_indices``), so two rows that
differ in switched-off dimensions only are one row, and have the same features.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations
from typing import Final, TypeAlias

import numpy as np

from automl.search.pareto import FloatMatrix
from automl.search.unseen import IndexMatrix
from automl.space import Architecture, Ordinal, SearchSpace

__all__ = ["Costs", "Features"]

Costs: TypeAlias = Callable[[Sequence[Architecture]], FloatMatrix]
"""Analytic costs: ``(n, costs)`` for ``n`` architectures, such as parameters and multiply-accumulates; exact and cheap."""

_ALL_PAIRS: Final = 8
"""Spaces of at most so many dimensions have all pairs as features, larger ones those of neighbours."""


class Features:
    """Views of one space's architectures as numbers.

    Args:
        space: the search space.
        costs: analytic costs, if there are any.

    Attributes:
        dimensions: number of dimensions.
    """

    def __init__(self, space: SearchSpace, costs: Costs | None = None) -> None:
        self._space: Final = space
        self._costs: Final = costs
        kinds = list(space.dimensions.values())
        self.dimensions: Final = len(kinds)
        self._counts: Final = [len(kind.choices) for kind in kinds]
        self._ordered: Final = [isinstance(kind, Ordinal) for kind in kinds]
        alike: dict[tuple[bool, tuple[object, ...]], list[int]] = {}
        for number, kind in enumerate(kinds):
            alike.setdefault((isinstance(kind, Ordinal), tuple(kind.choices)), []).append(number)
        self._alike: Final = [numbers for numbers in alike.values() if len(numbers) > 1]
        self._pairs: Final = self._neighbours()

    def one_hot(self, rows: IndexMatrix) -> FloatMatrix:
        """Returns ``(n, sum of choices)`` indicators; all zero for an inactive dimension."""
        blocks = [self._indicators(rows, d) for d in range(self.dimensions)]
        return np.hstack([np.zeros((len(rows), 0)), *blocks])

    def linear(self, rows: IndexMatrix) -> FloatMatrix:
        """Returns ``(n, features)`` for linear models: indicators, their products for neighbouring dimensions, costs.

        Neighbours are dimensions that follow each other in the space, and a dimension with those whose existence it
        decides; in a space of at most 8 dimensions, all are neighbours.
        """
        blocks = [self._indicators(rows, d) for d in range(self.dimensions)]
        products = [
            (blocks[a][:, :, None] * blocks[b][:, None, :]).reshape(len(rows), self._counts[a] * self._counts[b])
            for a, b in self._pairs
        ]
        return np.hstack([np.zeros((len(rows), 0)), *blocks, *products, self.sizes(rows)])

    def flat(self, rows: IndexMatrix) -> FloatMatrix:
        """Returns ``(n, features)`` for trees: ordered positions as they are, indicators of the others, counts, costs."""
        blocks = [
            rows[:, [d]].astype(np.float64) if ordered else self._indicators(rows, d)
            for d, ordered in enumerate(self._ordered)
        ]
        return np.hstack([np.zeros((len(rows), 0)), *blocks, self.occurrences(rows), self.sizes(rows)])

    def occurrences(self, rows: IndexMatrix) -> FloatMatrix:
        """Returns ``(n, features)`` shares: how often each choice occurs among dimensions with the same choices."""
        blocks = [
            (rows[:, numbers, None] == np.arange(self._counts[numbers[0]])).sum(axis=1) / len(numbers)
            for numbers in self._alike
        ]
        return np.hstack([np.zeros((len(rows), 0)), *blocks])

    def sizes(self, rows: IndexMatrix) -> FloatMatrix:
        """Returns ``(n, features)``: share of active dimensions (depth), mean relative position, and analytic costs."""
        active = rows >= 0
        relative = np.where(active, rows, 0) / np.maximum(np.array(self._counts) - 1, 1)
        ordered = np.array(self._ordered, dtype=np.bool_)
        share = active.mean(axis=1) if self.dimensions else np.zeros(len(rows))
        mean = relative[:, ordered].sum(axis=1) / max(int(ordered.sum()), 1)
        columns = [share[:, None], mean[:, None]]
        if self._costs is not None and len(rows):
            columns.append(np.log1p(np.asarray(self._costs(self._space.from_indices(rows)), dtype=np.float64)))
        return np.hstack(columns)

    def distances(self, first: IndexMatrix, second: IndexMatrix, dimension: int) -> FloatMatrix:
        """Returns ``(n, m)`` distances in one dimension, from 0 to 1.

        Ordered positions are as far as they are apart, different unordered ones 1. An active and an inactive one are 1
        apart, two inactive ones 0.
        """
        a, b = first[:, None, dimension], second[None, :, dimension]
        if not self._ordered[dimension]:
            return np.not_equal(a, b).astype(np.float64)
        apart = np.abs(a - b) / max(self._counts[dimension] - 1, 1)
        distances: FloatMatrix = np.where((a < 0) != (b < 0), 1.0, apart)
        return distances

    def _indicators(self, rows: IndexMatrix, dimension: int) -> FloatMatrix:
        """``(n, choices)``: 1 for the choice made, all 0 for an inactive dimension."""
        return np.equal.outer(rows[:, dimension], np.arange(self._counts[dimension])).astype(np.float64)

    def _neighbours(self) -> list[tuple[int, int]]:
        if self.dimensions <= _ALL_PAIRS:
            return list(combinations(range(self.dimensions), 2))
        numbers = {name: number for number, name in enumerate(self._space.names)}
        pairs = {(number, number + 1) for number in range(self.dimensions - 1)}
        pairs |= {(numbers[parent], numbers[child]) for parent, child in self._space.graph.edges}
        return sorted(pairs)
