"""Non-zero parameters: what is left of a network after pruning."""

from __future__ import annotations

from typing import ClassVar, final

from torch import nn

from automl.objectives.candidate import Candidate
from automl.objectives.objective import Objective
from automl.objectives.value import Value

__all__ = ["Nonzero", "count_nonzero"]


@final
class Nonzero(Objective):
    """Number of parameters that are not zero; one that is used in several places counts once.

    A measure of what a sparse file holds, not of time: zeros take as long as other numbers.
    """

    name: ClassVar[str] = "nonzero"

    def measure(self, candidate: Candidate) -> Value:
        return Value(float(count_nonzero(candidate.model)))


def count_nonzero(model: nn.Module) -> int:
    """Returns the number of parameters of ``model`` that are not zero, shared ones counted once."""
    return sum(int(parameter.detach().count_nonzero()) for parameter in model.parameters())
