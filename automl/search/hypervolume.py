"""Hypervolume: the volume that a set of objective vectors dominates, up to a reference point. Exact.

Source:
    Two objectives: one sorted sweep. Three: a sweep along the third objective over a staircase of the first two, after
    Fonseca, Paquete, López-Ibáñez 2006, "An improved dimension-sweep algorithm for the hypervolume indicator". More:
    the recursion over exclusive volumes of While, Bradstreet, Barone 2012, "A fast way of calculating exact hypervolumes"
    (WFG), whose cost grows exponentially with the number of objectives. Deviation: no reduction of a dimension at a
    time, so keep fronts of five and more objectives below some hundred members.
"""

from __future__ import annotations

from bisect import bisect_left

import numpy as np
import numpy.typing as npt

from automl.search.pareto import FloatMatrix, FloatVector, pareto_front

__all__ = ["hypervolume"]


def hypervolume(values: npt.ArrayLike, reference: npt.ArrayLike) -> float:
    """Returns the volume between the rows and the reference point, in the product of the objectives' units.

    Args:
        values: ``(n, objectives)``, minimised. Dominated rows, rows with NaN and rows that are not below the reference
            in every objective add nothing.
        reference: ``(objectives,)``, finite.

    Raises:
        ValueError: shapes disagree, or the reference is not finite.

    Example:
        >>> hypervolume([[1.0, 2.0], [2.0, 1.0]], [3.0, 3.0])
        3.0
    """
    point = np.asarray(reference, dtype=np.float64)
    matrix = np.asarray(values, dtype=np.float64)
    if not matrix.size:
        matrix = matrix.reshape(0, point.size)
    if point.ndim != 1 or matrix.ndim != 2 or matrix.shape[1] != point.size or not point.size:
        raise ValueError(
            f"the reference must hold one number per objective: values {matrix.shape}, reference {point.shape}."
        )
    if not np.isfinite(point).all():
        raise ValueError(f"the reference must be finite, got {point.tolist()}.")
    inside = matrix[(matrix < point).all(axis=1)]
    if np.isneginf(inside).any():
        return float("inf")
    front = np.unique(inside[pareto_front(inside)], axis=0) if len(inside) else inside
    return _volume(front, point) if len(front) else 0.0


def _volume(front: FloatMatrix, reference: FloatVector) -> float:
    """Volume of distinct, mutually non-dominated rows in lexicographic order, all below the reference."""
    if len(front) == 1 or len(reference) == 1:
        return float(np.prod(reference - front[0]))
    if len(reference) == 2:
        heights = np.concatenate([[reference[1]], front[:-1, 1]]) - front[:, 1]
        return float(np.sum((reference[0] - front[:, 0]) * heights))
    if len(reference) == 3:
        return _volume_of_three(front, reference)
    return _volume_by_exclusion(front, reference)


def _volume_of_three(front: FloatMatrix, reference: FloatVector) -> float:
    right, top, end = (float(bound) for bound in reference)
    xs: list[float] = []
    ys: list[float] = []
    volume = area = 0.0
    level = end
    for x, y, z in front[np.argsort(front[:, 2], kind="stable")].tolist():
        volume += area * (z - level)
        level = z
        position = bisect_left(xs, x)
        if (position and ys[position - 1] <= y) or (position < len(xs) and xs[position] == x and ys[position] <= y):
            continue  # in the shadow of steps that reach deeper
        height = ys[position - 1] if position else top
        stop, start = position, x
        while stop < len(xs) and ys[stop] >= y:
            area += (xs[stop] - start) * (height - y)
            start, height = xs[stop], ys[stop]
            stop += 1
        area += ((xs[stop] if stop < len(xs) else right) - start) * (height - y)
        xs[position:stop] = [x]
        ys[position:stop] = [y]
    return volume + area * (end - level)


def _volume_by_exclusion(front: FloatMatrix, reference: FloatVector) -> float:
    # Worst rows of one objective first: the sets that later rows are limited to shrink fastest.
    ordered = front[np.argsort(-front[:, -1], kind="stable")]
    total = 0.0
    for position, row in enumerate(ordered):
        total += float(np.prod(reference - row))
        rest = np.maximum(ordered[position + 1 :], row)
        if len(rest):
            limited = np.unique(rest[pareto_front(rest)], axis=0)
            total -= _volume(limited, reference)
    return total
