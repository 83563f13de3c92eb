"""Pruned networks from their files, checked against their tickets; with dead channels taken out where that was asked for."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from torch import nn

from automl.errors import RunError
from automl.job.opened import OpenRun
from automl.job.stored_weights import load_weights
from automl.space import Architecture
from automl.tickets import ChannelGroup, Ticket, find_channel_groups, remove_channels
from automl.tickets.masks import Masks
from automl.tickets.ticket import weights_digest

__all__ = [
    "PROOF_BATCH",
    "RESULT",
    "TICKET",
    "WEIGHTS",
    "RestoredNetwork",
    "load_pruned_weights",
    "restored_network",
    "without_channels",
]

RESULT: Final = "result.json"
TICKET: Final = "ticket.safetensors"
WEIGHTS: Final = "weights.safetensors"
PROOF_BATCH: Final = 5


@dataclass(frozen=True)
class RestoredNetwork:
    """A pruned network.

    Attributes:
        model: the network that its errors were measured of, in its smallest form, in evaluation mode.
        architecture: the subnetwork that was pruned.
        result: content of ``result.json``.
    """

    model: nn.Module
    architecture: Architecture
    result: dict[str, Any]

    @property
    def about(self) -> dict[str, Any]:
        """What a manifest says of the ticket."""
        return {key: self.result.get(key) for key in ("id", "method", "sparsity", "storage", "channels")}


def restored_network(opened: OpenRun, identity: str) -> RestoredNetwork:
    """Returns the network of ``tickets/<identity>/`` of a run.

    Raises:
        RunError: a file is missing, damaged, or not the one that the ticket was written with.
    """
    result: dict[str, Any] = opened.run.read_json(f"tickets/{identity}/{RESULT}")
    folder = opened.run.path("tickets") / identity
    architecture = opened.supernet.space.architecture(result["architecture"])
    model = opened.evaluator.candidate(architecture)[0].model
    ticket = load_pruned_weights(model, folder)
    if result["channels"] is not None:
        inputs = opened.task.example_inputs(PROOF_BATCH)
        model = without_channels(model, find_channel_groups(opened.supernet, architecture, model, inputs), ticket.masks)
    return RestoredNetwork(model, architecture, result)


def load_pruned_weights(model: nn.Module, folder: Path) -> Ticket:
    """Loads the weights of a folder into the network that they belong to, and returns the ticket beside them.

    Raises:
        RunError: a file is missing, damaged, or not the one that the ticket was written with.
    """
    path, ticket = folder / WEIGHTS, Ticket.load(folder / TICKET)
    load_weights(path, model)
    if weights_digest(model) != ticket.weights:
        raise RunError(
            f"{path}: not the weights that the ticket beside it was written with; remove the folder and prune again."
        )
    return ticket


def without_channels(model: nn.Module, groups: Sequence[ChannelGroup], masks: Masks) -> nn.Module:
    """Returns a copy without the channels whose weights are all masked; of a group that is dead as a whole, one stays.

    No layer has zero channels. One of zeros only makes a block add nothing to what bypasses it.
    """
    small = copy.deepcopy(model)
    for group in groups:
        if all(name in masks for name, _ in group.weights):
            dead = group.dead(masks)
            remove_channels(small, group, dead[1:] if len(dead) == group.units else dead)
    return small
