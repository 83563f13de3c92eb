"""In which order four-dimensional weights and maps lie in memory while a network is trained."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import torch
from torch import Tensor, nn

from automl import elastic

__all__ = ["order_weights", "strided_pointwise_guarded"]

_BLOCK: Final = 8


def order_weights(module: nn.Module, order: torch.memory_format) -> None:
    """Puts the weights of two-dimensional convolutions in an order; those of 1x1 convolutions have only one."""
    for parameter in module.parameters():
        if parameter.ndim == 4 and parameter.shape[2:] != (1, 1):
            parameter.data = parameter.data.contiguous(memory_format=order)


@contextmanager
def strided_pointwise_guarded(module: nn.Module) -> Iterator[None]:
    """Keeps torch from destroying its own memory in the backward pass of strided 1x1 convolutions.

    On processors with AVX2, oneDNN's weight gradient of such a convolution writes beyond its buffer if it runs on one thread,
    the input is in channels-last order and its channels are no multiple of 8 (torch 2.13; ``torch.randn(64, 3, 8, 8)`` into
    ``Conv2d(3, 24, 1, stride=2)`` is enough to abort the process). Such inputs are put in the usual order, for which
    torch chooses another kernel. Forward passes without gradients are left alone.
    """
    handles = [
        layer.register_forward_pre_hook(_usual_order)
        for layer in module.modules()
        if isinstance(layer, nn.Conv2d | elastic.Conv2d) and layer.stride not in (1, (1, 1))
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _usual_order(layer: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...] | None:
    maps = inputs[0]
    dangerous = (
        torch.is_grad_enabled() and isinstance(maps, Tensor) and maps.device.type == "cpu" and maps.shape[1] % _BLOCK
    )
    # Maps of one channel count as contiguous in either order, so only a copy is sure to have the strides of the usual one.
    return (maps.clone(memory_format=torch.contiguous_format), *inputs[1:]) if dangerous else None
