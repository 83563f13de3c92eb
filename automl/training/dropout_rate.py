"""The rate of all dropout layers of a network, while it is trained."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn
from torch.nn.modules.dropout import _DropoutNd

__all__ = ["dropout_rate"]


@contextmanager
def dropout_rate(module: nn.Module, rate: float | None) -> Iterator[None]:
    """Gives dropout layers another rate for a while.

    A layer that drops nothing stays as it is: blocks write a rate of 0 where dropout would be wrong. So do rates that are
    searched, and rates of operators that are no layers, such as dropped attention weights.

    Args:
        module: holds the layers.
        rate: share of numbers that are dropped; None leaves all rates alone.
    """
    layers = [layer for layer in module.modules() if isinstance(layer, _DropoutNd) and layer.p > 0]
    own = [layer.p for layer in layers]
    try:
        if rate is not None:
            for layer in layers:
                layer.p = rate
        yield
    finally:
        for layer, p in zip(layers, own, strict=True):
            layer.p = p
