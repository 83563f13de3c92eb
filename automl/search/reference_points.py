"""Survival by reference points (NSGA-III): who represents which direction of a front of many objectives.

Crowding says little once there are four objectives or more, since nearly everybody is then at some end of the front.
NSGA-III spreads directions evenly over the normalised objectives instead and keeps, for each, who lies closest.

Source:
    Deb, Jain 2014, "An evolutionary many-objective optimization algorithm using reference-point-based nondominated sorting
    approach, part I", IV. Points: Das, Dennis 1998, "Normal-boundary intersection". Deviations: where the paper draws
    lots between equally empty directions or members of one, the smallest distance decides, so nothing is random here;
"""

from __future__ import annotations

import itertools
from functools import lru_cache
from math import comb
from typing import Final

import numpy as np

from automl.search.pareto import FloatMatrix, FloatVector, IntVector

__all__ = ["associate", "das_dennis", "niched", "normalised", "reference_points"]

_OFF_AXIS: Final = 1e-6
_SMALLEST_INTERCEPT: Final = 1e-6


def das_dennis(objectives: int, divisions: int) -> FloatMatrix:
    """Returns all points of the unit simplex whose coordinates are multiples of ``1 / divisions``.

    Args:
        objectives: number of coordinates, at least 2.
        divisions: parts into which each edge is divided, at least 1.

    Returns:
        ``(comb(objectives + divisions - 1, divisions), objectives)``, rows sum to 1, in lexicographic order.

    Example:
        >>> das_dennis(2, 2).tolist()
        [[0.0, 1.0], [0.5, 0.5], [1.0, 0.0]]
    """
    # Stars and bars: the bars cut a row of stars into as many parts as there are objectives.
    slots = objectives + divisions - 1
    bars = np.array(list(itertools.combinations(range(slots), objectives - 1)), dtype=np.int64)
    bars = bars.reshape(-1, objectives - 1)
    walls = np.hstack([np.full((len(bars), 1), -1), bars, np.full((len(bars), 1), slots)])
    points: FloatMatrix = (np.diff(walls, axis=1) - 1) / divisions
    return points


@lru_cache(maxsize=32)
def reference_points(objectives: int, limit: int) -> FloatMatrix:
    """Returns evenly spread directions, as many as a population can represent.

    The finest simplex of at most ``limit`` points. If its points all lie on the border (fewer divisions than objectives),
    a second layer, moved half-way to the centre, fills up as far as the limit allows (V of the paper).

    Args:
        objectives: number of objectives, at least 2.
        limit: size of the population; the ``objectives`` corners are returned in any case.

    Returns:
        ``(points, objectives)``, rows sum to 1; not to be changed.
    """
    outer = _finest(objectives, limit)
    points = das_dennis(objectives, max(outer, 1))
    if outer < objectives and (inner := _finest(objectives, limit - len(points))):
        points = np.concatenate([points, 0.5 / objectives + 0.5 * das_dennis(objectives, inner)])
    points.flags.writeable = False
    return points


def normalised(values: FloatMatrix, ideal: FloatVector, first: FloatMatrix) -> FloatMatrix:
    """Scales objectives so that the ideal point is 0 and the hyperplane through the extreme points cuts each axis at 1.

    Args:
        values: ``(n, objectives)`` members under consideration, the first front among them.
        ideal: ``(objectives,)`` smallest values found so far.
        first: ``(k, objectives)`` the first front, k ≥ 1.

    Returns:
        ``(n, objectives)``.
    """
    shifted = values - ideal
    nadir = _intercepts(shifted)
    if nadir is None:
        nadir = (first - ideal).max(axis=0)
    scaled: FloatMatrix = shifted / np.where(nadir > _SMALLEST_INTERCEPT, nadir, 1.0)
    return scaled


def associate(scaled: FloatMatrix, points: FloatMatrix) -> tuple[IntVector, FloatVector]:
    """Returns for each member the reference line that is nearest, and its perpendicular distance from it.

    Args:
        scaled: ``(n, objectives)`` normalised members.
        points: ``(points, objectives)`` reference points; lines go from 0 through them.

    Returns:
        ``(n,)`` positions of points and ``(n,)`` distances ≥ 0.
    """
    directions = points / np.linalg.norm(points, axis=1, keepdims=True)
    along = scaled @ directions.T
    squares = np.maximum((scaled**2).sum(axis=1, keepdims=True) - along**2, 0.0)
    nearest = squares.argmin(axis=1)
    return nearest, np.sqrt(squares[np.arange(len(scaled)), nearest])


def niched(values: FloatMatrix, ranks: IntVector, n: int, ideal: FloatVector | None = None) -> IntVector:
    """Returns the positions of ``n`` survivors, best first: by rank, then members of empty niches first.

    Args:
        values: ``(m, objectives)``, minimised, finite.
        ranks: ``(m,)`` Pareto ranks from 0.
        n: number of survivors, also the limit for the number of reference points.
        ideal: ``(objectives,)`` smallest values ever found; those of ``values`` where left out.
    """
    if not len(values) or n < 1:
        return np.zeros(0, dtype=np.int64)
    last = np.sort(ranks)[min(n, len(ranks)) - 1]
    considered = np.flatnonzero(ranks <= last)
    lowest = values.min(axis=0) if ideal is None else np.minimum(ideal, values.min(axis=0))
    scaled = normalised(values[considered], lowest, values[ranks == 0])
    points = reference_points(values.shape[1], n)
    niche, distance = associate(scaled, points)
    counts = np.zeros(len(points), dtype=np.int64)
    chosen: list[IntVector] = []
    for rank in range(int(last) + 1):
        members = np.flatnonzero(ranks[considered] == rank)
        # The k-th closest of a niche is taken when the niche holds k more than before this rank: emptiest niche first.
        by_niche = members[np.lexsort((distance[members], niche[members]))]
        starts = np.searchsorted(niche[by_niche], niche[by_niche], side="left")
        turn = counts[niche[by_niche]] + np.arange(len(by_niche)) - starts
        order = by_niche[np.lexsort((distance[by_niche], turn))]
        chosen.append(considered[order])
        counts += np.bincount(niche[order], minlength=len(points))
    return np.concatenate(chosen)[:n]


def _finest(objectives: int, limit: int) -> int:
    """Largest number of divisions with at most ``limit`` points; 0 if not even the corners fit."""
    divisions = 0
    while comb(objectives + divisions, divisions + 1) <= limit:
        divisions += 1
    return divisions


def _intercepts(shifted: FloatMatrix) -> FloatVector | None:
    """Where the hyperplane through the extreme points cuts the axes; ``None`` where there is none that does."""
    objectives = shifted.shape[1]
    weights = np.full((objectives, objectives), _OFF_AXIS)
    np.fill_diagonal(weights, 1.0)
    # An extreme point of an axis has the smallest achievement: the largest of its coordinates, the other axes weighing most.
    achievements = (shifted[:, None, :] / weights[None, :, :]).max(axis=2)
    extremes = shifted[achievements.argmin(axis=0)]
    try:
        inverse = np.linalg.solve(extremes, np.ones(objectives))
    except np.linalg.LinAlgError:
        return None
    if not np.isfinite(inverse).all() or (inverse <= 0).any():
        return None
    intercepts: FloatVector = np.minimum(1.0 / inverse, shifted.max(axis=0))
    return intercepts if (intercepts > _SMALLEST_INTERCEPT).all() else None
