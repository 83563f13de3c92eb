"""A copy of a network that holds what inference needs and nothing else."""

from __future__ import annotations

import copy

from torch import nn

__all__ = ["inference_copy"]


def inference_copy(model: nn.Module) -> nn.Module:
    """Returns a copy in evaluation mode, without gradients and without the batch counters of normalisation layers.

    Tensors that several modules share stay shared.
    """
    duplicate = copy.deepcopy(model).eval()
    duplicate.requires_grad_(False)
    for module in duplicate.modules():
        if "num_batches_tracked" in dict(module.named_buffers(recurse=False)):
            module.register_buffer("num_batches_tracked", None)
    return duplicate
