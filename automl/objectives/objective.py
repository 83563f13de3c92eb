"""The contract of an objective: a quantity of a network that is minimised."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from pydantic import BaseModel

from automl.objectives.candidate import Candidate
from automl.objectives.options import NoOptions
from automl.objectives.value import Value

__all__ = ["Objective"]


class Objective(ABC):
    """Measures one quantity of candidates; smaller is better, always.

    A job builds each objective once, with its options as keyword arguments, and calls ``measure_group`` for every group
    of candidates that the search asks for. Objectives of one job see the same ``Candidate`` objects one after another;
    they must leave the model as they found it.

    Attributes:
        name: name in jobs, constraints and tables.
        unit: unit of the values in plain text; empty for pure numbers.
        repeatable: a second measurement gives the same value; where it does not, the members of a front are measured again.
        options_model: pydantic model of the keyword arguments. A field called ``runtime`` holds the name of a runtime;
            the objective is given the runtime itself.
    """

    name: ClassVar[str]
    unit: ClassVar[str] = ""
    repeatable: ClassVar[bool] = True
    options_model: ClassVar[type[BaseModel]] = NoOptions

    @abstractmethod
    def measure(self, candidate: Candidate) -> Value:
        """Returns the value of one candidate.

        Raises:
            Exception: anything; the search records it as the failure of this candidate and goes on.
        """

    def measure_group(self, candidates: Sequence[Candidate]) -> list[Value | Exception]:
        """Measures several candidates; the exception of one does not touch the others.

        One after another by default. An objective whose values drift with the state of the machine interleaves them.
        """
        results: list[Value | Exception] = []
        for candidate in candidates:
            try:
                results.append(self.measure(candidate))
            except Exception as error:
                results.append(error)
        return results
