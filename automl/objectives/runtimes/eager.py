"""Eager: the model as torch runs it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar, final

import torch
from torch import Tensor, nn

from automl.objectives.runtimes.part_session import HookedSession, PartSession
from automl.objectives.runtimes.runtime import Runtime
from automl.objectives.trace import Trace

__all__ = ["Eager"]


@final
class Eager(Runtime):
    """Calls the model in inference mode; nothing is compiled."""

    name: ClassVar[str] = "eager"
    distributions: ClassVar[tuple[str, ...]] = ("torch",)

    def prepare(
        self, model: nn.Module, inputs: Sequence[Tensor], *, threads: int, trace: Callable[[], Trace]
    ) -> Callable[[], None]:
        def session() -> None:
            with torch.inference_mode():
                model(*inputs)

        return session

    def prepare_parts(
        self,
        model: nn.Module,
        inputs: Sequence[Tensor],
        *,
        threads: int,
        trace: Callable[[], Trace],
        parts: Sequence[str],
    ) -> PartSession:
        return HookedSession(model, inputs, parts)
