"""Who is better in a population: feasible before infeasible, then Pareto rank, then crowding."""

from __future__ import annotations

import numpy as np

from automl.search.pareto import FloatMatrix, FloatVector, IntVector, crowding, nondominated_sort

__all__ = ["fitness", "survivors"]


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
    count = len(values)
    ranks = np.zeros(count, dtype=np.int64)
    distances = np.zeros(count)
    worst = violations.max(axis=0, initial=0.0)
    total = (violations / np.where(worst > 0, worst, 1.0)).sum(axis=1)
    feasible = np.flatnonzero(total == 0)
    if feasible.size:
        ranks[feasible] = nondominated_sort(values[feasible])
        for rank in range(int(ranks[feasible].max()) + 1):
            front = feasible[ranks[feasible] == rank]
            distances[front] = crowding(values[front])
    infeasible = np.flatnonzero(total > 0)
    if infeasible.size:
        first = int(ranks[feasible].max()) + 1 if feasible.size else 0
        ranks[infeasible] = first + np.unique(total[infeasible], return_inverse=True)[1]
    return ranks, distances


def survivors(values: FloatMatrix, violations: FloatMatrix, n: int) -> IntVector:
    """Returns the positions of the ``n`` best members, best first; of equals the earlier one."""
    ranks, distances = fitness(values, violations)
    return np.lexsort((-distances, ranks))[:n]
