"""A session that sees how long each part of a network takes while the whole network runs."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, Final, final

import torch
from torch import Tensor, nn

__all__ = ["HookedSession", "PartSession", "innermost_part"]


class PartSession(ABC):
    """One network, prepared to be timed whole and in parts.

    Parts are modules of the network, named by their paths; one may lie inside another, and the time of the inner one is
    not counted for the outer one.

    Attributes:
        whole: one forward as ``Runtime.prepare`` gives it, without anything that watches the parts.
    """

    whole: Callable[[], object]

    @abstractmethod
    def run(self) -> None:
        """Runs one forward and watches the parts."""

    @abstractmethod
    def finish(self) -> list[dict[str, float]]:
        """Ends the session and returns, for every call of ``run``, the seconds of each part by its path."""


@final
class HookedSession(PartSession):
    """Takes the time whenever a forward enters or leaves a part. The hooks are there only while ``run`` lasts.

    Args:
        model: the network.
        inputs: what each forward gets.
        parts: paths of modules; ``""`` is the network itself.
        clock: returns the time in seconds.
    """

    def __init__(
        self,
        model: nn.Module,
        inputs: Sequence[Tensor],
        parts: Sequence[str],
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._model: Final = model
        self._inputs: Final = tuple(inputs)
        self._modules: Final = {path: model.get_submodule(path) for path in parts}
        self._clock: Final = clock
        self._runs: Final[list[dict[str, float]]] = []
        self.whole = self._forward

    def run(self) -> None:
        times = dict.fromkeys(self._modules, 0.0)
        stack: list[tuple[str, float]] = []  # the parts that are running, each with its seconds so far
        since = 0.0
        clock = self._clock

        def enter(path: str) -> Callable[..., None]:
            def hook(*_: Any) -> None:
                nonlocal since
                now = clock()
                if stack:
                    outer, seconds = stack[-1]
                    stack[-1] = (outer, seconds + now - since)
                stack.append((path, 0.0))
                since = clock()

            return hook

        def leave(*_: Any) -> None:
            nonlocal since
            path, seconds = stack.pop()
            times[path] += seconds + clock() - since
            since = clock()

        handles = []
        try:
            for path, module in self._modules.items():
                handles += [module.register_forward_pre_hook(enter(path)), module.register_forward_hook(leave)]
            self._forward()
        finally:
            for handle in handles:
                handle.remove()
        self._runs.append(times)

    def finish(self) -> list[dict[str, float]]:
        return self._runs

    def _forward(self) -> None:
        with torch.inference_mode():
            self._model(*self._inputs)


def innermost_part(path: str, parts: Sequence[str]) -> str:
    """Returns the part that the module at ``path`` belongs to: the longest one that is the path or a beginning of it.

    Example:
        >>> innermost_part("stage.blocks.1.norm", ["", "stage", "stage.blocks.1", "stage.blocks.10"])
        'stage.blocks.1'
    """
    return max((part for part in parts if not part or f"{path}.".startswith(f"{part}.")), key=len, default="")
