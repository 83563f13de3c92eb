"""Training of one node classifier alone, with the recipe that papers on graphs share.

Adam with weight decay in the gradient, a fixed learning rate, the whole graph in every step, and the checkpoint of the best
validation. Early stopping as in Liu, Gao and Ji 2020, arXiv:2007.09296 (their code): not before half of the epochs; from
then on, training ends when the validation loss exceeds its mean over the epochs before.
"""

from __future__ import annotations

import copy
from collections import deque
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from torch import nn

from automl.errors import TrainingError
from automl.supernet import auxiliary_losses
from automl.tasks import Task

__all__ = ["Recipe", "Trained", "train_alone"]

_WHOLE: Final = 1 << 30  # a batch of a graph is the graph


@dataclass(frozen=True)
class Recipe:
    """How a network is trained alone.

    Args:
        epochs: training steps at most, each on the whole graph.
        learning_rate: of Adam.
        weight_decay: added to the gradient of every weight.
        select: metric of the validation part by which the best epoch is chosen; smaller is better.
        window: epochs over which the mean of the validation loss is taken for early stopping; 0 turns it off.

    Raises:
        ValueError: a number is out of range.
    """

    epochs: int = 1000
    learning_rate: float = 0.01
    weight_decay: float = 5e-4
    select: str = "loss"
    window: int = 100

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.learning_rate <= 0 or self.weight_decay < 0 or self.window < 0:
            raise ValueError(f"{self}: epochs and learning rate must be positive, decay and window not negative.")


@dataclass(frozen=True)
class Trained:
    """What a training gave; the network holds the weights of the best epoch.

    Attributes:
        epoch: the best epoch, from 1.
        epochs: how many were run.
        validation: metrics of the best epoch on the validation part.
    """

    epoch: int
    epochs: int
    validation: dict[str, float]


def train_alone(model: nn.Module, task: Task, recipe: Recipe, *, seed: int) -> Trained:
    """Trains a network in place and leaves it with the weights of its best epoch, in evaluation mode.

    Equal validation metrics are decided by the smaller validation loss, then by the earlier epoch.

    Args:
        model: maps the inputs of the task to its outputs.
        task: data, loss and metrics; the test part is not touched.
        recipe: how it is trained.
        seed: decides dropout and the order of batches.

    Raises:
        TrainingError: no epoch gave finite outputs, or the task does not measure ``recipe.select``.
    """
    rng = np.random.default_rng(seed)
    optimiser = torch.optim.Adam(model.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
    history: deque[float] = deque(maxlen=recipe.window or 1)
    best: tuple[tuple[float, float], int, dict[str, float], dict[str, torch.Tensor]] | None = None
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for epoch in range(1, recipe.epochs + 1):
            model.train()
            batch = next(iter(task.train_batches(rng, _WHOLE)))
            optimiser.zero_grad()
            with auxiliary_losses() as extra:
                outputs = model(*batch.inputs)
            sum(extra, start=task.loss(outputs, batch)).backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            found = task.evaluate(model, "validation", _WHOLE)
            if recipe.select not in found:
                raise TrainingError(f"select: the task measures {', '.join(sorted(found))}, not {recipe.select!r}.")
            rank = (found[recipe.select], found["loss"])
            if np.isfinite(rank).all() and (best is None or rank < best[0]):
                best = rank, epoch, found, copy.deepcopy(model.state_dict())
            if _rises(found["loss"], history, epoch, recipe):
                break
            history.append(found["loss"])
    if best is None:
        raise TrainingError("no epoch gave finite outputs on the validation part; lower the learning rate.")
    model.load_state_dict(best[3])
    model.eval()
    return Trained(best[1], epoch, best[2])


def _rises(loss: float, before: deque[float], epoch: int, recipe: Recipe) -> bool:
    armed = recipe.window > 0 and epoch > recipe.epochs // 2 and len(before) == recipe.window
    return armed and loss > sum(before) / len(before)
