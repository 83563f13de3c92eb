"""Detection of a training that has diverged."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Final, final

import torch
from torch import Tensor

__all__ = ["DivergedError", "DivergenceGuard"]


class DivergedError(Exception):
    """Training has diverged; the text says by what sign. The loop catches it and goes back to the last good epoch."""


@final
class DivergenceGuard:
    """Watches the losses of every step and the weights of every epoch.

    Diverged means: a loss or weight that is not finite, or a recent loss (mean with weight 1/8 for the newest) above
    ``factor`` times the first loss of the training, or of a phase of the strategy. The first loss is that of untrained layers, so
    the limit does not tighten while training makes the loss small.

    Args:
        factor: recent loss over first loss that counts as diverged.
    """

    def __init__(self, factor: float) -> None:
        self._factor: Final = factor
        self.first: float | None = None
        self._recent: float | None = None

    def restart(self, first: float | None) -> None:
        """Forgets the recent losses: after going back to a checkpoint that holds ``first``, or, with None, as a phase begins."""
        self.first = first
        self._recent = None

    def check_losses(self, losses: Mapping[str, float]) -> None:
        """Raises ``DivergedError`` if the losses of a step are a sign of divergence; call it before the optimiser steps."""
        for name, value in losses.items():
            if not math.isfinite(value):
                raise DivergedError(f"loss {name!r} is {value}")
        loss = losses["loss"]
        if self.first is None:
            self.first = loss
        self._recent = loss if self._recent is None else self._recent + (loss - self._recent) / 8
        if self._recent > self._factor * abs(self.first):
            raise DivergedError(
                f"the recent loss {self._recent:.3g} is more than {self._factor:g} times the first, {self.first:.3g}"
            )

    def check_weights(self, weights: Iterable[tuple[str, Tensor]]) -> None:
        """Raises ``DivergedError`` if a weight is not finite; call it before a checkpoint is written."""
        for name, weight in weights:
            if not bool(torch.isfinite(weight).all()):
                raise DivergedError(f"weight {name!r} is not finite")
