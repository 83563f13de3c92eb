"""The contract of an objective: a quantity of a network that is minimised."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from pydantic import BaseModel

from automl.objectives.candidate import Candidate
from automl.objectives.options import NoOptions
from automl.objectives.value import Value
from automl.progress import Progress

if TYPE_CHECKING:
    from automl.supernet import Supernet
    from automl.tasks import Task

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
            the objective is given the runtime itself, built with the options in the field ``runtime_options``.
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

    def check(self, supernet: Supernet, task: Task) -> None:  # noqa: B027  # optional, not forgotten
        """Called before a job writes anything, with the supernet as it will be trained; does nothing by default.

        Raises:
            UserError: the objective cannot rate networks of this supernet, or on this task.
        """

    def prepare(self, supernet: Supernet, task: Task, progress: Progress) -> None:  # noqa: B027  # optional, not forgotten
        """Called before a search, for what an objective must know about the whole space; does nothing by default.

        A search that begins during training has it called then and once more after it.

        What it finds out may be used in ``measure`` only if a search that is killed and started again finds the same.

        Args:
            supernet: gives the networks of the space; its weights must not be changed.
            task: what the networks are for.
            progress: receives progress.
        """

    def final(self) -> Objective:
        """Returns the objective that measures the members of the front: itself, unless it predicts during a search."""
        return self
