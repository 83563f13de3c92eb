"""Pareto dominance: fronts, ranks, crowding and the knee of sets of objective vectors. Everything is minimised.

A row dominates another where it is nowhere larger and somewhere smaller, so equal rows do not dominate each other. A
row that holds NaN was not measured: it dominates nothing and is on no front. Infinities are ordinary large or small
numbers.

Source:
    Two objectives by one sorted sweep: Kung, Luccio, Preparata 1975, "On finding the maxima of a set of vectors". Ranks of
    two objectives by binary search over the fronts built so far: Jensen 2003, "Reducing the run-time complexity of
    multiobjective EAs". Crowding: Deb et al. 2002, "A fast and elitist multiobjective genetic algorithm: NSGA-II", III-B.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = ["FloatMatrix", "FloatVector", "IntVector", "crowding", "knee", "nondominated_sort", "pareto_front"]

FloatMatrix: TypeAlias = npt.NDArray[np.float64]
FloatVector: TypeAlias = npt.NDArray[np.float64]
IntVector: TypeAlias = npt.NDArray[np.int64]

_BLOCK: Final = 256
_DENSE_ROWS: Final = 2048


def pareto_front(values: npt.ArrayLike) -> IntVector:
    """Returns the rows that no other row dominates, in increasing order; of equal rows all or none.

    ``O(n log n)`` for one or two objectives, ``O(n f)`` with ``f`` rows on the front for more.

    Args:
        values: ``(n, objectives)``, minimised.

    Raises:
        ValueError: ``values`` is not a matrix.

    Example:
        >>> pareto_front([[1.0, 4.0], [2.0, 2.0], [3.0, 3.0], [2.0, 2.0]]).tolist()
        [0, 1, 3]
    """
    matrix = _as_matrix(values)
    measured = np.flatnonzero(~np.isnan(matrix).any(axis=1))
    if not measured.size:
        return measured
    rows, inverse = _unique_rows(matrix[measured])
    kept = np.zeros(len(rows), dtype=np.bool_)
    kept[_front_of_sorted(rows)] = True
    return measured[kept[inverse]]


def nondominated_sort(values: npt.ArrayLike) -> IntVector:
    """Returns the rank of every row: 0 on the front, 1 on the front of the rest, and so on.

    ``O(n log n)`` for one or two objectives. Rows with NaN share the rank after the last one.

    Args:
        values: ``(n, objectives)``, minimised.

    Returns:
        ``(n,)`` ranks.

    Example:
        >>> nondominated_sort([[1.0, 4.0], [2.0, 2.0], [3.0, 3.0]]).tolist()
        [0, 0, 1]
    """
    matrix = _as_matrix(values)
    ranks = np.zeros(len(matrix), dtype=np.int64)
    measured = ~np.isnan(matrix).any(axis=1)
    if measured.any():
        rows, inverse = _unique_rows(matrix[measured])
        if rows.shape[1] == 1:
            unique_ranks = np.arange(len(rows))
        elif rows.shape[1] == 2:
            unique_ranks = _ranks_of_pairs(rows)
        else:
            unique_ranks = _ranks_by_peeling(rows)
        ranks[measured] = unique_ranks[inverse]
        ranks[~measured] = unique_ranks.max() + 1
    return ranks


def crowding(values: npt.ArrayLike) -> FloatVector:
    """Returns the crowding distance of each member of one front; infinite at the ends of each objective.

    The distance is the sum over objectives of the gap between the two neighbours, relative to the span of the front.

    Args:
        values: ``(n, objectives)``, one front without NaN.

    Returns:
        ``(n,)`` distances; larger is lonelier.
    """
    matrix = _as_matrix(values)
    count = len(matrix)
    distance = np.zeros(count)
    if count <= 2:
        return np.full(count, np.inf)
    order = np.argsort(matrix, axis=0, kind="stable")
    ordered = np.take_along_axis(matrix, order, axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        gaps = (ordered[2:] - ordered[:-2]) / (ordered[-1] - ordered[0])
    # 0 ÷ 0 is an objective on which all agree; ∞ − ∞ a gap between two unusable values. Neither tells members apart.
    gaps[np.isnan(gaps)] = 0.0
    for objective in range(matrix.shape[1]):
        distance[order[1:-1, objective]] += gaps[:, objective]
    distance[order[[0, -1]]] = np.inf
    return distance


def knee(values: npt.ArrayLike) -> int:
    """Returns the row of the front with the best compromise: the one farthest below the line through its ends.

    Objectives are scaled to ``[0, 1]`` over the front; the knee has the smallest sum. For two objectives that is the
    largest distance to the straight line through the two ends of the front (Das 1999, "On characterizing the knee of
    the Pareto curve"). The first of several equals is returned.

    Args:
        values: ``(n, objectives)``, minimised; rows that are dominated or not finite are left out.

    Raises:
        ValueError: no row is finite.

    Example:
        >>> knee([[0.0, 10.0], [1.0, 2.0], [8.0, 1.0], [9.0, 0.5]])
        1
    """
    matrix = _as_matrix(values)
    finite = np.flatnonzero(np.isfinite(matrix).all(axis=1))
    if not finite.size:
        raise ValueError("the knee needs at least one row of finite values.")
    members = finite[pareto_front(matrix[finite])]
    front = matrix[members]
    low, span = front.min(axis=0), np.ptp(front, axis=0)
    scaled = (front - low) / np.where(span > 0, span, 1.0)
    return int(members[np.argmin(scaled.sum(axis=1))])


def _as_matrix(values: npt.ArrayLike) -> FloatMatrix:
    matrix = np.asarray(values, dtype=np.float64)
    if matrix.ndim == 1 and not matrix.size:
        return matrix.reshape(0, 1)
    if matrix.ndim != 2 or not matrix.shape[1]:
        raise ValueError(f"objective values must be a matrix (n, objectives), got shape {matrix.shape}.")
    return matrix


def _unique_rows(matrix: FloatMatrix) -> tuple[FloatMatrix, IntVector]:
    """Distinct rows in lexicographic order, where no row is dominated by a later one, and where each row went."""
    order = np.lexsort(matrix.T[::-1])
    ordered = matrix[order]
    new = np.ones(len(ordered), dtype=np.bool_)
    np.any(ordered[1:] != ordered[:-1], axis=1, out=new[1:])
    inverse = np.empty(len(ordered), dtype=np.int64)
    inverse[order] = np.cumsum(new) - 1
    return ordered[new], inverse


def _front_of_sorted(rows: FloatMatrix) -> IntVector:
    """Positions of the non-dominated rows among distinct, lexicographically ordered ones."""
    if rows.shape[1] == 1:
        return np.zeros(1, dtype=np.int64)
    if rows.shape[1] == 2:
        second = rows[:, 1]
        best_before = np.concatenate([[np.inf], np.minimum.accumulate(second)[:-1]])
        kept = second < best_before
        kept[0] = True  # infinite second values: the first row is never dominated
        return np.flatnonzero(kept)
    members = np.zeros(0, dtype=np.int64)
    for start in range(0, len(rows), _BLOCK):
        block = np.arange(start, min(start + _BLOCK, len(rows)))
        block = block[~_below(rows[members], rows[block]).any(axis=0)]
        within = _below(rows[block], rows[block])
        np.fill_diagonal(within, val=False)
        members = np.concatenate([members, block[~within.any(axis=0)]])
    return members


def _below(lower: FloatMatrix, upper: FloatMatrix) -> npt.NDArray[np.bool_]:
    """``(len(lower), len(upper))``: nowhere larger; between distinct rows this is dominance."""
    result = np.ones((len(lower), len(upper)), dtype=np.bool_)
    for objective in range(lower.shape[1]):
        result &= lower[:, None, objective] <= upper[None, :, objective]
    return result


def _ranks_of_pairs(rows: FloatMatrix) -> IntVector:
    """Each row joins the first front whose smallest second value is above its own; those values grow with the rank."""
    smallest: list[float] = []
    ranks = np.empty(len(rows), dtype=np.int64)
    for position, second in enumerate(rows[:, 1].tolist()):
        rank = bisect_right(smallest, second)
        if rank == len(smallest):
            smallest.append(second)
        else:
            smallest[rank] = second
        ranks[position] = rank
    return ranks


def _ranks_by_peeling(rows: FloatMatrix) -> IntVector:
    ranks = np.empty(len(rows), dtype=np.int64)
    left = np.arange(len(rows))
    rank = 0
    while len(left) > _DENSE_ROWS:
        front = _front_of_sorted(rows[left])
        ranks[left[front]] = rank
        left = np.delete(left, front)
        rank += 1
    above = _below(rows[left], rows[left])
    np.fill_diagonal(above, val=False)
    dominators = above.sum(axis=0)
    while len(left):
        front_mask = dominators == 0
        ranks[left[front_mask]] = rank
        dominators = (dominators - above[front_mask].sum(axis=0))[~front_mask]
        above = above[np.ix_(~front_mask, ~front_mask)]
        left = left[~front_mask]
        rank += 1
    return ranks
