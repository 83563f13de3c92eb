"""Bayesian ridge regression on choices and neighbouring pairs of choices."""

from __future__ import annotations

from typing import ClassVar, Final, final

import numpy as np
from sklearn.linear_model import BayesianRidge

from automl.search.pareto import FloatMatrix, FloatVector
from automl.search.predictors.features import Features
from automl.search.predictors.folds import folds
from automl.search.predictors.predictor import Predictor
from automl.search.unseen import IndexMatrix

__all__ = ["Ridge", "RotatedRidge"]


@final
class Ridge(Predictor):
    """Linear in choices and pairs; the strength of the penalty and the noise come from the evidence.

    Args:
        features: views of the space.

    Source:
        Ridge on one-hot choices: Sarah et al. 2022, "A hardware-aware system for accelerating deep neural network
        optimization" (DyNAS-T), section 3. Deviations: features of inactive dimensions are masked, pairs are added, and
        scikit-learn's ``BayesianRidge`` replaces the grid of penalties because it states an uncertainty.
    """

    name: ClassVar[str] = "ridge"

    def __init__(self, features: Features) -> None:
        self._features: Final = features

    def fit(self, rows: IndexMatrix, targets: FloatVector) -> None:
        inputs = self._features.linear(rows)
        self._model = RotatedRidge(inputs, targets)
        self._held_out = np.empty(len(targets))
        for train, test in folds(len(targets)):
            self._held_out[test], _ = RotatedRidge(inputs[train], targets[train]).predict(inputs[test])

    def predict(self, rows: IndexMatrix) -> tuple[FloatVector, FloatVector]:
        if not len(rows):
            return np.zeros(0), np.zeros(0)
        return self._model.predict(self._features.linear(rows))

    def held_out(self) -> FloatVector:
        return self._held_out


@final
class RotatedRidge:
    """Bayesian ridge regression in the directions that the inputs span, of which there are at most as many as inputs.

    The penalty is the same in every direction, so a rotation changes nothing. Directions that no input shows keep their prior:
    they add nothing to the mean, and to the variance the prior's. A space with a hundred dimensions has thousands of pairs, on
    which scikit-learn takes the time of their number cubed.

    Args:
        inputs: ``(n, features)``.
        targets: ``(n,)``.
        tolerance: change of the coefficients at which the search for the evidence's maximum ends.
        iterations: most steps of this search.
    """

    def __init__(
        self, inputs: FloatMatrix, targets: FloatVector, *, tolerance: float = 1e-3, iterations: int = 300
    ) -> None:
        self._mean: Final = inputs.mean(axis=0)
        centred = inputs - self._mean
        _, strength, axes = np.linalg.svd(centred, full_matrices=False)
        spanned = strength > strength.max(initial=0.0) * max(inputs.shape) * np.finfo(np.float64).eps
        spanned[0] = True  # the model needs a direction, even if all inputs are equal
        self._axes: Final = axes[spanned].T
        self._model: Final = BayesianRidge(tol=tolerance, max_iter=iterations).fit(centred @ self._axes, targets)

    def predict(self, inputs: FloatMatrix) -> tuple[FloatVector, FloatVector]:
        """Returns mean and standard deviation, ``(m,)`` each, of inputs ``(m, features)``."""
        centred = inputs - self._mean
        rotated = centred @ self._axes
        mean, deviation = self._model.predict(rotated, return_std=True)
        unseen = np.maximum((centred**2).sum(axis=1) - (rotated**2).sum(axis=1), 0.0)
        return mean, np.sqrt(deviation**2 + unseen / self._model.lambda_)
