"""The contract of predictors: cheap models of one measured quantity."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from automl.search.pareto import FloatVector
from automl.search.unseen import IndexMatrix

__all__ = ["Predictor"]


class Predictor(ABC):
    """Learns one quantity from measured architectures and predicts it, with an uncertainty, for others.

    It is fitted once and then asked; fitting again is a new predictor. Everything is determined by the arguments.
    Targets should be about normally distributed (see ``Scale``). Implementations are final.

    Attributes:
        name: what it is called in reports.
    """

    name: ClassVar[str]

    @abstractmethod
    def fit(self, rows: IndexMatrix, targets: FloatVector) -> None:
        """Learns.

        Args:
            rows: ``(n, dimensions)`` canonical positions, at least 4 rows.
            targets: ``(n,)`` finite values.
        """

    @abstractmethod
    def predict(self, rows: IndexMatrix) -> tuple[FloatVector, FloatVector]:
        """Returns ``(m,)`` expected values and ``(m,)`` standard deviations of what the true value may be.

        Args:
            rows: ``(m, dimensions)`` canonical positions.
        """

    @abstractmethod
    def held_out(self) -> FloatVector:
        """Returns ``(n,)`` predictions of the training targets, each by a model that had not seen that target."""
