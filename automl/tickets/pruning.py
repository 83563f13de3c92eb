"""Prunes one network while it is trained: the loop of supernets with a single subnetwork."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from automl.supernet import Supernet, calibrate, has_batch_norm
from automl.tasks.task import Task
from automl.tickets.kept_mask import KeptMask
from automl.tickets.masks import Masks
from automl.tickets.pruner import Pruner
from automl.training import Progress, SinglePath, TrainingConfig, train

__all__ = ["PrunedNetwork", "prune_network"]


@dataclass(frozen=True)
class PrunedNetwork:
    """A trained network with zeros.

    Attributes:
        model: the network, in evaluation mode, calibrated, on the CPU.
        masks: its masks by parameter name, on the CPU.
        history: the records of the training.
    """

    model: nn.Module
    masks: Masks
    history: list[dict[str, Any]]


def prune_network(
    model: nn.Module,
    task: Task,
    config: TrainingConfig,
    *,
    compressor: Pruner | KeptMask,
    folder: Path,
    seed: int,
    device: str = "auto",
    progress: Progress | None = None,
) -> PrunedNetwork:
    """Trains a network while a compressor prunes it, or goes on where that was interrupted.

    Args:
        model: a plain network; trained in place.
        task: data and loss.
        config: optimiser, schedule, epochs.
        compressor: a fresh one.
        folder: an existing folder for the checkpoint; the training in it is continued.
        seed: decides order, augmentation and dropout.
        device: as for ``train``.
        progress: shown the steps.

    Raises:
        ConfigError: the compressor does not fit the network or the length of the training.
        RunError: the folder holds another training, or cannot be written.
    """
    single = Supernet(model.train())
    history = train(
        single,
        task,
        config,
        strategy=SinglePath(),
        folder=folder,
        seed=seed,
        device=device,
        progress=progress,
        compressor=compressor,
    )
    model.eval()
    if has_batch_norm(model):
        batches = task.calibration_batches(seed, config.calibration_samples, config.evaluation_batch_size)
        calibrate(model, (batch.inputs for batch in batches))
    masks = {name: mask.cpu() for name, mask in compressor.masks.items()}
    check_zeros(model.cpu(), masks)
    task.to("cpu", next((p.dtype for p in model.parameters() if p.is_floating_point()), torch.float32))
    return PrunedNetwork(model, masks, history)


def check_zeros(model: nn.Module, masks: Mapping[str, Tensor]) -> None:
    """Raises ``AssertionError`` if a masked weight is not exactly zero: nothing may be reported about such a network."""
    weights = dict(model.named_parameters())
    for name, mask in masks.items():
        if bool(weights[name].detach()[~mask].any()):
            raise AssertionError(f"weights of {name!r} that are masked are not zero")
