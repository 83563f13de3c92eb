"""Bayesian ridge regression on choices and neighbouring pairs of choices."""

from __future__ import annotations

from typing import ClassVar, Final, final

import numpy as np
from sklearn.linear_model import BayesianRidge

from automl.search.pareto import FloatVector
from automl.search.predictors.features import Features
from automl.search.predictors.folds import folds
from automl.search.predictors.predictor import Predictor
from automl.search.unseen import IndexMatrix

__all__ = ["Ridge"]


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
        self._model = BayesianRidge().fit(inputs, targets)
        self._held_out = np.empty(len(targets))
        for train, test in folds(len(targets)):
            self._held_out[test] = BayesianRidge().fit(inputs[train], targets[train]).predict(inputs[test])

    def predict(self, rows: IndexMatrix) -> tuple[FloatVector, FloatVector]:
        if not len(rows):
            return np.zeros(0), np.zeros(0)
        mean, deviation = self._model.predict(self._features.linear(rows), return_std=True)
        return mean, deviation

    def held_out(self) -> FloatVector:
        return self._held_out
