"""Who is better in a population: feasible before infeasible, then Pareto rank, then how lonely a member is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from automl.search.pareto import FloatMatrix, FloatVector, IntVector, crowding, nondominated_sort
from automl.search.reference_points import niched

__all__ = ["MOST_CROWDED_OBJECTIVES", "fitness", "survivors", "violation_matrix"]

MOST_CROWDED_OBJECTIVES: Final = 3
"""Up to so many objectives crowding decides among equals; with more of them reference points do."""


def violation_matrix(violations: Sequence[Sequence[float]]) -> FloatMatrix:
    """Returns ``(n, constraints)`` violations of ``n`` members; who has none recorded meets the constraint."""
    matrix = np.zeros((len(violations), max(map(len, violations), default=0)))
    for row, own in enumerate(violations):
        matrix[row, : len(own)] = own
    return matrix


def fitness(values: FloatMatrix, violations: FloatMatrix) -> tuple[IntVector, FloatVector]:
    """Ranks a population by constrained domination.

    Feasible members are ranked by Pareto dominance. Infeasible ones come after all of them, ordered by their violations,
    each constraint scaled by its largest violation in the population and then summed; their values do not count.

    Args:
        values: ``(n, objectives)``, finite, minimised.
        violations: ``(n, constraints)``, ≥ 0; no columns without constraints.

    Returns:
        ``(n,)`` ranks, smaller is better, and ``(n,)`` crowding distances within the rank, larger is better.

    Source:
        Deb et al. 2002, NSGA-II, VI. Deviation: violations are scaled, since their units differ.
    """
    ranks, feasible = _constrained_ranks(values, violations)
    distances = np.zeros(len(values))
    if feasible.size:
        for rank in range(int(ranks[feasible].max()) + 1):
            front = feasible[ranks[feasible] == rank]
            distances[front] = crowding(values[front])
    return ranks, distances


def survivors(values: FloatMatrix, violations: FloatMatrix, n: int, ideal: FloatVector | None = None) -> IntVector:
    """Returns the positions of the ``n`` best members, best first; of equals the earlier one.

    By crowding (NSGA-II) for up to three objectives, by reference points (NSGA-III) for more; see ``niched``.

    Args:
        values: ``(m, objectives)``, finite, minimised.
        violations: ``(m, constraints)``, ≥ 0; no columns without constraints.
        n: number of survivors.
        ideal: ``(objectives,)`` smallest feasible values ever found; matters for more than three objectives only.
    """
    if values.shape[1] <= MOST_CROWDED_OBJECTIVES:
        ranks, distances = fitness(values, violations)
        return np.lexsort((-distances, ranks))[:n]
    ranks, feasible = _constrained_ranks(values, violations)
    best = feasible[niched(values[feasible], ranks[feasible], n, ideal)]
    infeasible = np.setdiff1d(np.arange(len(values)), feasible, assume_unique=True)
    rest = infeasible[np.argsort(ranks[infeasible], kind="stable")]
    return np.concatenate([best, rest])[:n]


def _constrained_ranks(values: FloatMatrix, violations: FloatMatrix) -> tuple[IntVector, IntVector]:
    """Ranks by constrained domination, and the positions of the feasible members."""
    ranks = np.zeros(len(values), dtype=np.int64)
    worst = violations.max(axis=0, initial=0.0)
    total = (violations / np.where(worst > 0, worst, 1.0)).sum(axis=1)
    feasible = np.flatnonzero(total == 0)
    if feasible.size:
        ranks[feasible] = nondominated_sort(values[feasible])
    infeasible = np.flatnonzero(total > 0)
    if infeasible.size:
        first = int(ranks[feasible].max()) + 1 if feasible.size else 0
        ranks[infeasible] = first + np.unique(total[infeasible], return_inverse=True)[1]
    return ranks, feasible
