"""The contract of a runtime: software that runs a network where its latency counts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import ClassVar

from torch import Tensor, nn

from automl.objectives.trace import Trace

__all__ = ["Runtime"]


class Runtime(ABC):
    """Turns a network into a function whose calls are timed.

    ``latency`` calls ``prepare`` once for each candidate, without timing it, and then the session many times. Sessions of
    several candidates are alive together.

    Attributes:
        name: name in jobs and in the measuring context.
        distributions: installed packages whose versions belong to the measuring context.
    """

    name: ClassVar[str]
    distributions: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def prepare(
        self, model: nn.Module, inputs: Sequence[Tensor], *, threads: int, trace: Callable[[], Trace]
    ) -> Callable[[], None]:
        """Returns the session: a function that runs one forward on ``inputs`` and waits for its result.

        Args:
            model: the extracted network in evaluation mode; must not be changed.
            inputs: what each forward gets.
            threads: threads of one forward; torch itself is set to them while sessions are timed.
            trace: gives inputs, names and dynamic axes to export the model with; a runtime that exports nothing never
                calls it.
        """
