"""How likely a candidate is to work: that it does not fail, and that it meets every constraint."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression

from automl.search.pareto import FloatMatrix, FloatVector
from automl.search.predictors.features import Features
from automl.search.predictors.gaussian_process import GaussianProcess
from automl.search.predictors.ridge import Ridge
from automl.search.unseen import IndexMatrix

__all__ = ["Feasibility"]

_LEAST: Final = 6
_STEPS: Final = 15
_LEAST_WORKING: Final = 0.02
_LEAST_MEETING: Final = 1e-3


class Feasibility:
    """Chance that architectures neither fail nor miss a constraint, learnt from those that did and did not.

    Failing is a linear probability on choices and pairs. How far a constraint is missed tells more than whether it is: a
    Gaussian process predicts the violation, and a logistic curve, fitted to its held-out predictions, turns that into a chance.
    So a constraint that a few of many candidates meet is learnt from all of them. Chances of failures and constraints multiply.

    Args:
        features: views of the space.
        rows: ``(n, dimensions)`` canonical positions of everything measured.
        failed: ``(n,)`` which ones failed.
        violations: ``(n, constraints)`` violations, 0 where a constraint is met; rows of failed ones are ignored.

    Source:
        Chances as factors of the improvement: Schonlau, Welch, Jones 1998, "Global versus local search in constrained
        optimization of computer models". The logistic curve: Platt 1999, "Probabilistic outputs for support vector machines".
    """

    def __init__(
        self, features: Features, rows: IndexMatrix, failed: npt.NDArray[np.bool_], violations: FloatMatrix
    ) -> None:
        self._chances: Final[list[Callable[[IndexMatrix], FloatVector]]] = []
        if _both(failed):
            self._chances.append(_working(features, rows, failed))
        for violation in violations[~failed].T:
            if _both(violation > 0):
                self._chances.append(_meeting(features, rows[~failed], violation))

    def chance(self, rows: IndexMatrix) -> FloatVector:
        """Returns ``(m,)`` chances above 0; 1 as long as everything worked, or nothing did.

        Args:
            rows: ``(m, dimensions)`` canonical positions.
        """
        result = np.ones(len(rows))
        for chance in self._chances:
            result = result * chance(rows)
        return result


def _both(happened: npt.NDArray[np.bool_]) -> bool:
    return len(happened) >= _LEAST and bool(happened.any()) and not happened.all()


def _working(
    features: Features, rows: IndexMatrix, failed: npt.NDArray[np.bool_]
) -> Callable[[IndexMatrix], FloatVector]:
    model = Ridge(features)
    model.fit(rows, (~failed).astype(np.float64))
    return lambda candidates: np.clip(model.predict(candidates)[0], _LEAST_WORKING, 1.0)


def _meeting(features: Features, rows: IndexMatrix, violation: FloatVector) -> Callable[[IndexMatrix], FloatVector]:
    # Units of violations are anybody's; the logarithm keeps giants from deciding.
    targets = np.log1p(violation / np.median(violation[violation > 0]))
    model = GaussianProcess(features, iterations=_STEPS)
    model.fit(rows, targets)
    curve = LogisticRegression(C=100.0, max_iter=1000).fit(model.held_out()[:, None], violation <= 0)

    def chance(candidates: IndexMatrix) -> FloatVector:
        if not len(candidates):
            return np.zeros(0)
        met: FloatVector = curve.predict_proba(model.predict(candidates)[0][:, None])[:, 1]
        return np.maximum(met, _LEAST_MEETING)

    return chance
