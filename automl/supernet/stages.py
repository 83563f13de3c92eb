"""Networks as a row of stages that can be trained one after another, because a single value is alive behind each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from torch import nn

from automl.supernet.signals import PayloadFormat

__all__ = ["Stage", "Staged"]


@dataclass(frozen=True)
class Stage:
    """A part of a network.

    Attributes:
        end: the module whose output is all that the rest of the network gets.
        modules: the modules of the stage, ``end`` among them.
        widths: every width that its output can have, in features.
        payload: format of the output; None for a tensor ``(samples, width, …)``.
    """

    end: nn.Module
    modules: tuple[nn.Module, ...]
    widths: tuple[int, ...]
    payload: PayloadFormat | None = None


@runtime_checkable
class Staged(Protocol):
    """A network, or a block that is the only one of its slot, which says how it can be cut."""

    def stages(self) -> list[Stage]:
        """Returns the stages in the order in which they run, each once in a forward pass; the rest is the head."""
