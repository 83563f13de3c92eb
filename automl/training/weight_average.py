"""Exponential moving average of weights.

Source:
    Polyak, Juditsky 1992; the rising decay of the first steps is that of TensorFlow's ``ExponentialMovingAverage``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final, final

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

__all__ = ["WeightAverage"]


@final
class WeightAverage:
    """Keeps an average of the parameters of a module beside it.

    ``average ← d · average + (1 − d) · parameter`` with ``d = min(decay, (1 + step) / (10 + step))``, so that the random
    start is forgotten quickly. Buffers are not averaged: statistics of subnetworks are calibrated anyway.

    Args:
        module: whose parameters to average; they are read at every update.
        decay: share of the average that a step keeps.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self._parameters: Final = dict(module.named_parameters())
        self._decay: Final = decay
        self._averages: Final = {name: p.detach().clone() for name, p in self._parameters.items()}

    def update(self, step: int) -> None:
        """Takes the parameters after ``step`` steps in."""
        decay = min(self._decay, (1 + step) / (10 + step))
        current = [parameter.detach() for parameter in self._parameters.values()]
        average = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
        average(list(self._averages.values()), current, step)

    def restart(self) -> None:
        """Begins anew at the present parameters."""
        for name, parameter in self._parameters.items():
            self._averages[name].copy_(parameter.detach())

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Gives the module the averages for the time of the context."""
        kept = {name: parameter.detach().clone() for name, parameter in self._parameters.items()}
        self.apply()
        try:
            yield
        finally:
            self._write(kept)

    def apply(self) -> None:
        """Gives the module the averages for good."""
        self._write(self._averages)

    def state_dict(self) -> dict[str, Tensor]:
        """Returns the averages by parameter name."""
        return dict(self._averages)

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Takes averages over; raises ``KeyError`` or ``RuntimeError`` if they are of another module."""
        for name, average in self._averages.items():
            average.copy_(state[name])

    @torch.no_grad()
    def _write(self, values: Mapping[str, Tensor]) -> None:
        for name, parameter in self._parameters.items():
            parameter.copy_(values[name])
