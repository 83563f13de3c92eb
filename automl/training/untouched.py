"""Optimiser steps that leave weights alone which the gradient of the step does not reach."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

__all__ = ["untouched_weights_kept"]


@contextmanager
def untouched_weights_kept(module: nn.Module) -> Iterator[None]:
    """Undoes what an optimiser step inside the context does to weights whose gradient is exactly zero.

    Weight decay and momentum move every weight of a parameter that has a gradient, also those outside of the subnetworks that
    ran. Rarely active weights are worn down by that. A weight inside a subnetwork whose gradient happens to be zero, as
    behind a rectifier that is off for the whole batch, is left alone as well. State of the optimiser is not touched.

    Args:
        module: the supernet; its gradients must be those of the step when the context is entered.
    """
    kept = [(p, p.grad == 0, p.detach().clone()) for p in module.parameters() if p.grad is not None]
    yield
    with torch.no_grad():
        for parameter, untouched, before in kept:
            parameter.copy_(torch.where(untouched, before, parameter))
