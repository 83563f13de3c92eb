"""Parameters: how many numbers of a network are learned."""

from __future__ import annotations

from typing import ClassVar, final

from torch import nn

from automl.objectives.candidate import Candidate
from automl.objectives.objective import Objective
from automl.objectives.value import Value

__all__ = ["Params", "count_params"]


@final
class Params(Objective):
    """Number of parameters; one that is used in several places counts once."""

    name: ClassVar[str] = "params"

    def measure(self, candidate: Candidate) -> Value:
        return Value(float(count_params(candidate.model)))


def count_params(model: nn.Module) -> int:
    """Returns the number of parameters of ``model``, shared ones counted once.

    Example:
        >>> count_params(nn.Linear(3, 2))
        8
    """
    return sum(parameter.numel() for parameter in model.parameters())
