"""Gradient boosting: a committee of boosted trees, one for each fold of the measurements."""

from __future__ import annotations

from typing import ClassVar, Final, final

import numpy as np
from sklearn import config_context
from sklearn.ensemble import GradientBoostingRegressor

from automl.search.pareto import FloatVector
from automl.search.predictors.features import Features
from automl.search.predictors.folds import folds
from automl.search.predictors.predictor import Predictor
from automl.search.unseen import IndexMatrix

__all__ = ["Boosting"]

_TREES: Final = 60


@final
class Boosting(Predictor):
    """Mean of boosted trees that each left out one fold; unsure where they disagree, and at least by their error.

    Finds interactions of any order, which a linear model on pairs cannot express.

    Args:
        features: views of the space.

    Source:
        Friedman 2001, "Greedy function approximation: a gradient boosting machine"; scikit-learn's implementation.
    """

    name: ClassVar[str] = "boosting"

    def __init__(self, features: Features) -> None:
        self._features: Final = features

    def fit(self, rows: IndexMatrix, targets: FloatVector) -> None:
        inputs = self._features.flat(rows)
        self._models: list[GradientBoostingRegressor] = []
        self._held_out = np.empty(len(targets))
        # scikit-learn would check the same options and numbers again for each tree, which takes longer than to grow it.
        with config_context(skip_parameter_validation=True, assume_finite=True):
            for train, test in folds(len(targets)):
                model = GradientBoostingRegressor(
                    n_estimators=_TREES,
                    max_depth=3,
                    learning_rate=0.15,
                    subsample=0.8,
                    max_features=0.5,
                    random_state=0,
                )
                self._models.append(model.fit(inputs[train], targets[train]))
                self._held_out[test] = model.predict(inputs[test])
        self._error = float(np.sqrt(np.mean((self._held_out - targets) ** 2)))

    def predict(self, rows: IndexMatrix) -> tuple[FloatVector, FloatVector]:
        if not len(rows):
            return np.zeros(0), np.zeros(0)
        inputs = self._features.flat(rows)
        votes = np.array([model.predict(inputs) for model in self._models])
        return votes.mean(axis=0), np.sqrt(votes.var(axis=0) + self._error**2)

    def held_out(self) -> FloatVector:
        return self._held_out
