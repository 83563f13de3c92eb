"""Which weights of a supernet belong to a subnetwork, found by extracting them."""

from __future__ import annotations

import torch
from torch import Tensor

from automl.space import Architecture
from automl.supernet import Supernet

__all__ = ["active_weights"]


def active_weights(supernet: Supernet, architecture: Architecture, weight_set: int = 0) -> dict[str, Tensor] | None:
    """Marks the weights that a subnetwork holds.

    Every weight becomes its own number for a moment; those that turn up in the extracted model are the active ones.

    Returns:
        A boolean tensor in the shape of each parameter of the network with this weight set, by name; None where extraction
        computes new weights from old ones, so that none can be traced.
    """
    network = supernet.network_of(weight_set)
    before = {name: p.detach().clone() for name, p in network.named_parameters()}
    numbers: dict[str, Tensor] = {}
    dtype = next(network.parameters(), torch.zeros(0)).dtype
    start = 1
    network.double()  # counts every weight exactly
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            numbers[name] = torch.arange(start, start + parameter.numel(), dtype=torch.float64).view(parameter.shape)
            start += parameter.numel()
            parameter.copy_(numbers[name])
        kept = [p.detach().flatten() for p in supernet.extract(architecture, weight_set).parameters()]
        network.to(dtype)
        for name, parameter in network.named_parameters():
            parameter.copy_(before[name])
    found = torch.cat([torch.zeros(0, dtype=torch.float64), *kept])
    if not torch.isin(found, torch.arange(1, start, dtype=torch.float64)).all():
        return None
    return {name: torch.isin(number, found) for name, number in numbers.items()}
