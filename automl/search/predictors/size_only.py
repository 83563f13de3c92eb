"""The baseline that every predictor has to beat: larger networks are better, and slower."""

from __future__ import annotations

from typing import ClassVar, Final, final

import numpy as np
from sklearn.linear_model import LinearRegression

from automl.search.pareto import FloatVector
from automl.search.predictors.features import Features
from automl.search.predictors.folds import folds
from automl.search.predictors.predictor import Predictor
from automl.search.unseen import IndexMatrix

__all__ = ["SizeOnly"]


@final
class SizeOnly(Predictor):
    """Linear in depth, mean relative position of ordered dimensions, and analytic costs.

    Args:
        features: views of the space.

    Source:
        Ning et al. 2021, "Evaluating efficient performance estimators of neural architectures", NeurIPS: parameters and
        operations alone rank many spaces as well as elaborate estimators do.
    """

    name: ClassVar[str] = "size only"

    def __init__(self, features: Features) -> None:
        self._features: Final = features

    def fit(self, rows: IndexMatrix, targets: FloatVector) -> None:
        inputs = self._features.sizes(rows)
        self._model = LinearRegression().fit(inputs, targets)
        self._held_out = np.empty(len(targets))
        for train, test in folds(len(targets)):
            self._held_out[test] = LinearRegression().fit(inputs[train], targets[train]).predict(inputs[test])
        self._error = float(np.sqrt(np.mean((self._held_out - targets) ** 2)))

    def predict(self, rows: IndexMatrix) -> tuple[FloatVector, FloatVector]:
        if not len(rows):
            return np.zeros(0), np.zeros(0)
        mean = self._model.predict(self._features.sizes(rows))
        return mean, np.full(len(rows), self._error)

    def held_out(self) -> FloatVector:
        return self._held_out
