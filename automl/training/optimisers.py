"""Optimisers with the right parameters in their decayed and undecayed groups."""

from __future__ import annotations

import torch
from torch import nn

from automl.training.config import TrainingConfig

__all__ = ["build_optimiser"]


def build_optimiser(module: nn.Module, config: TrainingConfig) -> torch.optim.Optimizer:
    """Returns the optimiser of a training.

    Vectors (biases, scales of normalisations) are not decayed: Loshchilov and Hutter's decay shrinks what multiplies
    inputs, and a vector does not. The fused kernel of Adam and AdamW updates all parameters in one call; under 16-bit precision
    it would unscale gradients itself, which rules out clipping, so the plain one is used there. That of SGD takes no parameters
    whose first gradient comes later than that of others, as happens where a step trains a part of a supernet.

    Source:
        AdamW: Loshchilov, Hutter 2019, arXiv:1711.05101, algorithm 2; Adam with decay in the gradient: the same.
    """
    parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": config.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    fused = config.precision != "16-mixed"
    if config.optimiser == "adamw":
        return torch.optim.AdamW(groups, lr=config.learning_rate, fused=fused)
    if config.optimiser == "adam":
        return torch.optim.Adam(groups, lr=config.learning_rate, fused=fused)
    return torch.optim.SGD(
        groups, lr=config.learning_rate, momentum=config.momentum, nesterov=config.momentum > 0, foreach=True
    )
