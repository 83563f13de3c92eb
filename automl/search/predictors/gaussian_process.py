"""Gaussian process on the tree of a space: additive and interacting effects of choices, and of how often they occur.

    k(a, b) = sum_d w_d (1 - D_d) + s exp(-sum_d l_d D_d) + sum_c u_c f_c(a) f_c(b) + t exp(-sum_c m_c |f_c(a) - f_c(b)|)

with the distance ``D_d`` of dimension ``d`` (see ``Features.distances``: Hamming for unordered choices, and an inactive
dimension is a choice of its own, which makes the kernel one on the tree) and the share ``f_c`` of dimensions that
made the choice ``c``. The first two terms are main effects and interactions of choices where they are, the others of choices
wherever they are: two networks with the same blocks in another order are alike. All weights are positive and found by
maximum a posteriori; the priors keep single weights from overfitting ten measurements.

Source:
    Rasmussen, Williams 2006, "Gaussian processes for machine learning", chapter 5 (evidence and its gradient) and 5.4.2
    (leave-one-out predictions in closed form). Kernels on conditional spaces: Hutter, Osborne 2013, "A kernel for
    hierarchical parameter spaces", arXiv:1310.5738. Additive and full interactions: Duvenaud, Nickisch, Rasmussen 2011,
    "Additive Gaussian processes". scikit-learn's process has no kernel of this kind with a gradient.
"""

from __future__ import annotations

from typing import ClassVar, Final, final

import numpy as np
import numpy.typing as npt
from scipy.linalg import cho_solve, solve_triangular
from scipy.optimize import minimize

from automl.search.pareto import FloatMatrix, FloatVector
from automl.search.predictors.features import Features
from automl.search.predictors.predictor import Predictor
from automl.search.unseen import IndexMatrix

__all__ = ["GaussianProcess"]

_JITTER: Final = 1e-6
_WORST: Final = 1e12
_CHUNK: Final = 512


@final
class GaussianProcess(Predictor):
    """Gaussian process with the kernel above; cubic in the number of measurements.

    Held-out predictions leave one measurement out, but the weights have seen all of them. So their rank correlation is a little
    too good: on 40 to 80 measurements of the tests' problem by 0.05 to 0.1, on pure noise by 0.15.

    Args:
        features: views of the space.
        start: logarithms of weights to start the fit from, such as ``weights`` of an earlier one on fewer measurements.
        iterations: most steps of the fit; with a good start few are enough.

    Attributes:
        weights: ``(weights,)`` logarithms that the fit found.
    """

    name: ClassVar[str] = "gaussian process"

    def __init__(self, features: Features, *, start: FloatVector | None = None, iterations: int = 60) -> None:
        self._features: Final = features
        self._iterations: Final = iterations
        self.weights: FloatVector | None = start

    def fit(self, rows: IndexMatrix, targets: FloatVector) -> None:
        self._rows, self._shares = rows, self._features.occurrences(rows)
        self._mean, self._deviation = float(targets.mean()), float(targets.std()) or 1.0
        standard = (targets - self._mean) / self._deviation
        distances = np.array([self._features.distances(rows, rows, d) for d in range(self._features.dimensions)])
        distances = distances.reshape(-1, len(rows), len(rows))
        shares = self._shares.T
        parts = (
            1 - distances,
            distances,
            shares[:, :, None] * shares[:, None, :],
            np.abs(shares[:, :, None] - shares[:, None, :]),
        )
        prior, width = self._prior(len(distances), len(shares))
        start = prior if self.weights is None or self.weights.shape != prior.shape else self.weights
        result = minimize(
            _negative_evidence,
            start,
            args=(parts, standard, prior, width),
            jac=True,
            method="L-BFGS-B",
            options={"maxiter": self._iterations},
        )
        self.weights = result.x
        covariance = sum(_terms(result.x, parts)) + _noise(result.x) * np.eye(len(rows))
        self._factor = np.linalg.cholesky(covariance)
        self._solved = cho_solve((self._factor, True), standard)
        precision = np.diag(cho_solve((self._factor, True), np.eye(len(rows))))
        self._held_out = (standard - self._solved / precision) * self._deviation + self._mean

    def predict(self, rows: IndexMatrix) -> tuple[FloatVector, FloatVector]:
        chunks = [self._predict(rows[i : i + _CHUNK]) for i in range(0, len(rows), _CHUNK)] or [(np.zeros(0),) * 2]
        mean, deviation = (np.concatenate(columns) for columns in zip(*chunks, strict=True))
        return mean * self._deviation + self._mean, deviation * self._deviation

    def held_out(self) -> FloatVector:
        held_out: FloatVector = self._held_out
        return held_out

    def _predict(self, rows: IndexMatrix) -> tuple[FloatVector, FloatVector]:
        assert self.weights is not None
        dimensions, shares = self._features.dimensions, self._features.occurrences(rows)
        additive, lengths, linear, rates, scales = _split(np.exp(self.weights), dimensions, shares.shape[1])
        shape = len(rows), len(self._rows)
        same, apart, far = np.full(shape, additive.sum()), np.zeros(shape), np.zeros(shape)
        for d in range(dimensions):
            distance = self._features.distances(rows, self._rows, d)
            same -= additive[d] * distance
            apart += lengths[d] * distance
        for c in range(shares.shape[1]):
            far += rates[c] * np.abs(shares[:, None, c] - self._shares[None, :, c])
        covariance = same + scales[0] * np.exp(-apart) + (shares * linear) @ self._shares.T + scales[1] * np.exp(-far)
        prior = additive.sum() + scales[0] + scales[1] + (shares**2) @ linear
        explained = solve_triangular(self._factor, covariance.T, lower=True)
        variance = np.maximum(prior - (explained**2).sum(axis=0), 1e-12)
        return covariance @ self._solved, np.sqrt(variance)

    @staticmethod
    def _prior(dimensions: int, shares: int) -> tuple[FloatVector, FloatVector]:
        """Centres and widths of normal priors on the logarithms, for standardised targets."""
        centres = np.concatenate(
            [
                np.full(dimensions, np.log(0.3 / max(dimensions, 1))),
                np.full(dimensions, np.log(min(0.7, 4.0 / max(dimensions, 1)))),
                np.full(shares, np.log(1.2 / max(shares, 1))),
                np.full(shares, np.log(0.6)),
                [np.log(0.4), np.log(0.4), np.log(0.01)],
            ]
        )
        widths = np.concatenate(
            [np.full(dimensions, 1.5), np.ones(dimensions), np.full(shares, 1.5), np.ones(shares), [1.0, 1.0, 2.0]]
        )
        return centres, widths


def _split(
    weights: FloatVector, dimensions: int, shares: int
) -> tuple[FloatVector, FloatVector, FloatVector, FloatVector, FloatVector]:
    ends = np.cumsum([dimensions, dimensions, shares, shares])
    additive, lengths, linear, rates, scales = np.split(weights, ends)
    return additive, lengths, linear, rates, scales


def _noise(logarithms: FloatVector) -> float:
    return float(np.exp(logarithms[-1])) + _JITTER


_Parts = tuple[npt.NDArray[np.float64], ...]


def _terms(logarithms: FloatVector, parts: _Parts) -> tuple[FloatMatrix, FloatMatrix, FloatMatrix, FloatMatrix]:
    additive, lengths, linear, rates, scales = _split(np.exp(logarithms), len(parts[0]), len(parts[2]))
    return (
        np.tensordot(additive, parts[0], 1),
        scales[0] * np.exp(-np.tensordot(lengths, parts[1], 1)),
        np.tensordot(linear, parts[2], 1),
        scales[1] * np.exp(-np.tensordot(rates, parts[3], 1)),
    )


def _negative_evidence(
    logarithms: FloatVector, parts: _Parts, targets: FloatVector, prior: FloatVector, width: FloatVector
) -> tuple[float, FloatVector]:
    """Negative log posterior of the weights and its gradient (Rasmussen, Williams, equations 5.8 and 5.9).

    A line search may try weights that are beyond all numbers; those are as bad as any.
    """
    identity = np.eye(len(targets))
    with np.errstate(over="ignore", invalid="ignore"):
        terms = _terms(logarithms, parts)
        covariance = sum(terms) + _noise(logarithms) * identity
    try:
        factor = np.linalg.cholesky(covariance)
    except np.linalg.LinAlgError:
        return _WORST, np.zeros_like(logarithms)
    if not np.isfinite(factor).all():
        return _WORST, np.zeros_like(logarithms)
    solved = cho_solve((factor, True), targets)
    value = 0.5 * targets @ solved + np.log(np.diag(factor)).sum()
    slope = 0.5 * (cho_solve((factor, True), identity) - np.outer(solved, solved))
    additive, lengths, linear, rates, _ = _split(np.exp(logarithms), len(parts[0]), len(parts[2]))
    near, alike = slope * terms[1], slope * terms[3]
    gradient = np.concatenate(
        [
            np.tensordot(parts[0], slope, 2) * additive,
            -np.tensordot(parts[1], near, 2) * lengths,
            np.tensordot(parts[2], slope, 2) * linear,
            -np.tensordot(parts[3], alike, 2) * rates,
            [near.sum(), alike.sum(), np.trace(slope) * np.exp(logarithms[-1])],
        ]
    )
    off = (logarithms - prior) / width
    return float(value + 0.5 * off @ off), gradient + off / width
