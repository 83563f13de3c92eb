"""The contract of a runtime: software that runs a network where its latency counts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from pydantic import BaseModel
from torch import Tensor, nn

from automl.objectives.options import NoOptions
from automl.objectives.runtimes.part_session import PartSession
from automl.objectives.trace import Trace

__all__ = ["Runtime"]


class Runtime(ABC):
    """Turns a network into a function whose calls are timed.

    ``latency`` calls ``prepare`` once for each candidate, without timing it, and then the session many times. Sessions of
    several candidates are alive together.

    Attributes:
        name: name in jobs and in the measuring context.
        distributions: installed packages whose versions belong to the measuring context.
        elsewhere: the network runs on another device, whose clock counts: a call of a session returns the seconds of all
            forwards that were timed there, and ``latency`` does not time the call.
        options_model: pydantic model of the keyword arguments of the constructor; all of them have defaults.
    """

    name: ClassVar[str]
    distributions: ClassVar[tuple[str, ...]] = ()
    elsewhere: ClassVar[bool] = False
    options_model: ClassVar[type[BaseModel]] = NoOptions

    @abstractmethod
    def prepare(
        self, model: nn.Module, inputs: Sequence[Tensor], *, threads: int, trace: Callable[[], Trace]
    ) -> Callable[[], Sequence[float] | None]:
        """Returns the session: a function that runs one forward on ``inputs`` and waits for its result.

        Args:
            model: the extracted network in evaluation mode; must not be changed.
            inputs: what each forward gets.
            threads: threads of one forward; torch itself is set to them while sessions are timed.
            trace: gives inputs, names and dynamic axes to export the model with; a runtime that exports nothing never
                calls it.
        """

    def prepare_parts(
        self,
        model: nn.Module,
        inputs: Sequence[Tensor],
        *,
        threads: int,
        trace: Callable[[], Trace],
        parts: Sequence[str],
    ) -> PartSession | None:
        """Returns a session that times parts of the network inside of it; None where the runtime cannot look inside.

        Args:
            model: as for ``prepare``.
            inputs: as for ``prepare``.
            threads: as for ``prepare``.
            trace: as for ``prepare``.
            parts: paths of modules; ``""`` is the network itself.
        """
        return None

    @property
    def sees_parts(self) -> bool:
        """Whether ``prepare_parts`` is implemented."""
        return type(self).prepare_parts is not Runtime.prepare_parts

    def facts(self) -> dict[str, Any]:
        """Returns what else belongs to the measuring context, as JSON, such as the command that measures."""
        return {}
