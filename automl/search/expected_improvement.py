"""How much hypervolume a candidate is expected to add, given uncertain predictions of its objectives.

Source:
    One objective: Jones, Schonlau, Welch 1998, "Efficient global optimization". Two: the strips of Emmerich, Deutz,
    Klinkenberg 2011, "Hypervolume-based expected improvement". Here predictions are normal on the targets of a ``Scale``, so
    values are log-normal above a floor, and the integrals over one objective have a closed form as well. Three and more: the
    volume is estimated on points spread over the box, as in Bader, Zitzler 2011, "HypE".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from scipy.special import ndtr
from scipy.stats import qmc

from automl.search.pareto import FloatMatrix, FloatVector, pareto_front
from automl.search.predictors.scale import Scale

__all__ = ["ExpectedImprovement"]

_POINTS: Final = 1024
_REACH: Final = 2.0
"""The box of points goes down to where values are expected, less so many standard deviations."""
_SURE: Final = 1e-9
"""Smallest standard deviation; formulas divide by it."""


class ExpectedImprovement:
    """Expected gain in hypervolume of candidates over a front that may grow.

    Args:
        measured: ``(n, objectives)`` values measured so far, scaled to [0, 1].
        reference: ``(objectives,)`` reference point.
        means: for each objective ``(m,)`` predicted targets of the candidates.
        deviations: for each objective ``(m,)`` standard deviations of the targets.
        scales: for each objective the map between targets and scaled values.
    """

    def __init__(
        self,
        measured: FloatMatrix,
        reference: FloatVector,
        means: Sequence[FloatVector],
        deviations: Sequence[FloatVector],
        scales: Sequence[Scale],
    ) -> None:
        self._reference: Final = reference
        self._front = self._sorted(measured)
        # (objectives, m): the logarithm of a value above its floor is normal
        self._means: Final = np.array(means)
        self._deviations: Final = np.maximum(np.array(deviations), _SURE)
        self._floors: Final = np.array([scale.floor for scale in scales])
        self._lowest: Final = [
            scale.value(mean - _REACH * deviation).min(initial=0.0)
            for mean, deviation, scale in zip(means, deviations, scales, strict=True)
        ]
        self._expected: Final = np.stack([scale.value(mean) for mean, scale in zip(means, scales, strict=True)], axis=1)
        self._box, self._volume = self._points() if len(reference) > 2 else (np.zeros((0, len(reference))), 0.0)

    def gains(self) -> FloatVector:
        """Returns ``(m,)`` expected gains."""
        if len(self._reference) == 1:
            best = min(float(self._front.min(initial=np.inf)), float(self._reference[0]))
            return self._below(0, best)
        if len(self._reference) == 2:
            return self._strips()
        covered = (self._front[None] <= self._box[:, None]).all(axis=-1)
        free = self._box[~np.any(covered, axis=1)]
        gains: FloatVector = self._reach(free).sum(axis=1) * (self._volume / len(self._box))
        return gains

    def believe(self, candidate: int) -> None:
        """Takes a candidate's expected values as measured, so that the next one is chosen to complement it."""
        self._front = self._sorted(np.vstack([self._front, self._expected[candidate]]))

    @property
    def expected(self) -> FloatMatrix:
        """``(m, objectives)`` values at the predicted targets."""
        return self._expected

    def _strips(self) -> FloatVector:
        """Between two neighbours on the front the room below is a rectangle; sum over them."""
        rights = [*self._front[:, 0], self._reference[0]]
        tops = [self._reference[1], *self._front[:, 1]]
        gains, left = np.zeros(len(self._expected)), np.zeros(len(self._expected))
        for right, top in zip(rights, tops, strict=True):
            here = self._below(0, right)
            gains += (here - left) * self._below(1, top)
            left = here
        return gains

    def _below(self, objective: int, bound: float) -> FloatVector:
        """``E[max(bound - value, 0)]``."""
        mean, deviation, room = self._means[objective], self._deviations[objective], bound - self._floors[objective]
        if room <= 0:
            return np.zeros(len(mean))
        place = (np.log(room) - mean) / deviation
        result: FloatVector = room * ndtr(place) - np.exp(mean + deviation**2 / 2) * ndtr(place - deviation)
        return np.maximum(result, 0.0)

    def _reach(self, points: FloatMatrix) -> FloatMatrix:
        """``(m, points)`` probability that a candidate dominates a point; objectives are independent."""
        result = np.ones((len(self._expected), len(points)))
        for mean, deviation, floor, bound in zip(self._means, self._deviations, self._floors, points.T, strict=True):
            room = np.log(np.maximum(bound - floor, np.finfo(np.float64).tiny))
            result = result * ndtr((room - mean[:, None]) / deviation[:, None])
        return result

    def _points(self) -> tuple[FloatMatrix, float]:
        lowest = np.minimum(self._front.min(axis=0, initial=0.0), self._lowest)
        unit = qmc.Sobol(len(self._reference), rng=np.random.default_rng(0)).random(_POINTS)
        return lowest + unit * (self._reference - lowest), float(np.prod(self._reference - lowest))

    def _sorted(self, values: FloatMatrix) -> FloatMatrix:
        inside = values[(values < self._reference).all(axis=1)]
        front = inside[pareto_front(inside)] if len(inside) else inside
        return np.unique(front, axis=0).reshape(-1, len(self._reference))
