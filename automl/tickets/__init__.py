"""Pruning while training, and tickets: small files that hold which weights of a network are kept. Imports torch on first use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from automl._lazy import lazy_names

if TYPE_CHECKING:
    from automl.tickets.channels import ChannelGroup, find_channel_groups, remove_channels
    from automl.tickets.gradual import Gradual
    from automl.tickets.iterative import Iterative
    from automl.tickets.kept_mask import KeptMask
    from automl.tickets.masks import masks_of_zeros, sparsity_of
    from automl.tickets.one_shot import OneShot
    from automl.tickets.pruner import Pruner
    from automl.tickets.pruning import PrunedNetwork, prune_network
    from automl.tickets.storage import StorageReport, storage_report
    from automl.tickets.supertickets import SuperTickets
    from automl.tickets.ticket import Ticket

__all__ = [
    "ChannelGroup",
    "Gradual",
    "Iterative",
    "KeptMask",
    "OneShot",
    "PrunedNetwork",
    "Pruner",
    "StorageReport",
    "SuperTickets",
    "Ticket",
    "find_channel_groups",
    "masks_of_zeros",
    "prune_network",
    "remove_channels",
    "sparsity_of",
    "storage_report",
]

__getattr__ = lazy_names(
    __name__,
    {
        "ChannelGroup": "automl.tickets.channels",
        "find_channel_groups": "automl.tickets.channels",
        "remove_channels": "automl.tickets.channels",
        "Gradual": "automl.tickets.gradual",
        "Iterative": "automl.tickets.iterative",
        "KeptMask": "automl.tickets.kept_mask",
        "masks_of_zeros": "automl.tickets.masks",
        "sparsity_of": "automl.tickets.masks",
        "OneShot": "automl.tickets.one_shot",
        "Pruner": "automl.tickets.pruner",
        "PrunedNetwork": "automl.tickets.pruning",
        "prune_network": "automl.tickets.pruning",
        "StorageReport": "automl.tickets.storage",
        "storage_report": "automl.tickets.storage",
        "SuperTickets": "automl.tickets.supertickets",
        "Ticket": "automl.tickets.ticket",
    },
)
