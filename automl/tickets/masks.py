"""Masks: for each prunable weight a boolean tensor of its shape, true where the weight is kept."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from automl.errors import ConfigError, did_you_mean

__all__ = ["Masks", "apply_masks", "masks_of_zeros", "prunable_weights", "sparsity_of"]

Masks = dict[str, Tensor]
"""Masks by parameter name."""


def prunable_weights(network: nn.Module, exclude: Sequence[str] = ()) -> dict[str, nn.Parameter]:
    """Returns the weights that pruning may touch: trained matrices and kernels, no biases, scales or tables of positions.

    Args:
        network: the network.
        exclude: patterns such as ``"stem.*"`` or ``"*.depthwise.*"`` of parameter names that stay dense.

    Raises:
        ConfigError: a pattern matches no prunable weight, or nothing is left to prune.

    Example:
        >>> list(prunable_weights(nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2), nn.Linear(2, 2)), ["0.*"]))
        ['2.weight']
    """
    weights = {
        name: parameter
        for name, parameter in network.named_parameters()
        if parameter.ndim > 1 and parameter.requires_grad and "weight" in name.rpartition(".")[2]
    }
    if not weights:
        raise ConfigError("the network has no matrix or kernel that could be pruned.")
    excluded: set[str] = set()
    for pattern in exclude:
        matching = set(fnmatch.filter(weights, pattern))
        if not matching:
            raise ConfigError(f"exclude: {pattern!r} matches no prunable weight.{did_you_mean(pattern, weights)}")
        excluded |= matching
    if excluded == weights.keys():
        shown = ", ".join(repr(pattern) for pattern in exclude)
        raise ConfigError(f"exclude: {shown} leaves no weight to prune; all {len(weights)} are excluded.")
    return {name: parameter for name, parameter in weights.items() if name not in excluded}


@torch.no_grad()
def apply_masks(network: nn.Module, masks: Mapping[str, Tensor]) -> None:
    """Makes the weights that are not kept exactly zero, in place.

    Raises:
        KeyError, RuntimeError: the masks are of another network.
    """
    parameters = dict(network.named_parameters())
    for name, mask in masks.items():
        parameters[name].masked_fill_(~mask.to(parameters[name].device), 0.0)


def masks_of_zeros(network: nn.Module, names: Sequence[str] | None = None) -> Masks:
    """Returns the masks of a network whose weights are masked: true where a weight is not zero.

    Args:
        network: the network.
        names: weights to look at; None means all prunable ones.
    """
    weights = prunable_weights(network)
    return {name: weights[name].detach() != 0 for name in (weights if names is None else names)}


def sparsity_of(masks: Mapping[str, Tensor]) -> float:
    """Returns the share of entries that are not kept.

    Example:
        >>> sparsity_of({"a": torch.tensor([True, False]), "b": torch.tensor([True, True])})
        0.25
    """
    entries = sum(mask.numel() for mask in masks.values())
    return 1 - sum(int(mask.sum()) for mask in masks.values()) / max(1, entries)
