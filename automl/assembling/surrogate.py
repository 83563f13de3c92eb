"""Differentiable stand-ins for the supernet: expected error of a task and cost of a gate vector, from the survey."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Final, final

import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel
from torch import Tensor

from automl.assembling.gates import DimensionGates

__all__ = ["GateRegression"]


@final
class GateRegression:
    """Mean of a Gaussian process over gate vectors, differentiable in the gates.

    The kernel is fitted once, to typical values. The values themselves are given later: those of any task made of the surveyed
    classes are one linear solve away.

    Args:
        gates: the gates of the space.
        seen: gates of the surveyed subnetworks, ``(n, count)``.
        typical: values that the kernel is fitted to, ``(n,)``.

    Source:
        Rasmussen, Williams 2006, Gaussian Processes for Machine Learning, equation 2.25, fitted by scikit-learn.
    """

    def __init__(self, gates: DimensionGates, seen: Tensor, typical: Tensor) -> None:
        self._matrix: Final = gates.features.double()
        features = seen.double() @ self._matrix
        spread = float(typical.std()) or 1.0
        kernel = ConstantKernel(1.0, (1e-2, 1e3)) * RBF(2.0, (0.3, 30.0)) + WhiteKernel(1e-2, (1e-6, 1.0))
        fitted = GaussianProcessRegressor(kernel, random_state=0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # a bound that is reached is a fit all the same
            fitted.fit(features.numpy(), ((typical.double() - typical.mean()) / spread).numpy())
        self._scale: Final = float(fitted.kernel_.k1.k1.constant_value)
        self._length: Final = float(fitted.kernel_.k1.k2.length_scale)
        noise = float(fitted.kernel_.k2.noise_level)
        self._features: Final = features
        covariance = self._kernel(features) + noise * torch.eye(len(features), dtype=torch.float64)
        self._factor: Final = torch.linalg.cholesky(covariance)

    def weights(self, values: Sequence[Tensor] | Tensor) -> tuple[Tensor, Tensor]:
        """Returns what ``predict`` needs for given values of the surveyed subnetworks.

        Shape:
            values: ``(tasks, n)``. Returns ``(tasks, n)`` and ``(tasks,)``.
        """
        stacked = torch.stack(list(values)).double()
        means = stacked.mean(1)
        return torch.cholesky_solve((stacked - means[:, None]).T, self._factor).T, means

    def predict(self, gates: Tensor, weights: tuple[Tensor, Tensor]) -> Tensor:
        """Returns the predicted values, row ``i`` of the gates under task ``i`` (or all under one task), ``(n,)``."""
        coefficients, means = weights
        return (self.likeness(gates) * coefficients).sum(1) + means

    def likeness(self, gates: Tensor) -> Tensor:
        """Returns the covariance with each surveyed subnetwork, ``(n, surveyed)``; what ``predict`` weighs."""
        return self._kernel(gates.double() @ self._matrix)

    def _kernel(self, features: Tensor) -> Tensor:
        distances = (features[:, None] - self._features[None]).square().sum(-1)
        return self._scale * torch.exp(-0.5 * distances / self._length**2)
