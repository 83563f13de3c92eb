"""The contract of a compressor: makes weights of a network zero while it is trained, and keeps them zero.

The loop calls ``attach`` once, before the first checkpoint is read or written. In every step it calls ``mask_gradients``
after the backward passes and before gradients are clipped, then lets the optimiser step, then calls ``weights_updated``, and
``mask_average`` once the moving average has taken the step in. ``state_dict`` goes into each checkpoint, so unlike a
strategy a compressor may keep what it learns; one object serves one training.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor, nn

__all__ = ["Compressor", "TrainingPlan"]


@dataclass(frozen=True)
class TrainingPlan:
    """What a compressor may rely on when it lays out its schedule.

    Attributes:
        total_steps: steps of the whole training.
        steps_per_epoch: steps of one pass over the training part.
        seed: seed of the training.
        learning_rate: learning rate of a step as a function of the number of steps before it.
        weight_decay: decay of weights, which the optimiser multiplies by the learning rate.
        averaged: whether a moving average of the weights becomes the result.
    """

    total_steps: int
    steps_per_epoch: int
    seed: int
    learning_rate: Callable[[int], float]
    weight_decay: float
    averaged: bool = False

    def progress(self, step: int) -> float:
        """Returns the share of the training that lies behind a step, in [0, 1)."""
        total = max(1, self.total_steps)
        return min(step, total - 1) / total


class Compressor(ABC):
    """Decides which weights are zero, when, and keeps them so.

    Attributes:
        masks: for each weight that may be pruned, by parameter name, which entries are kept; filled by ``attach``.
    """

    name: ClassVar[str]
    masks: dict[str, Tensor]

    @abstractmethod
    def attach(self, network: nn.Module, plan: TrainingPlan) -> list[str]:
        """Takes on a network; weights may change already.

        Returns:
            Warnings about the schedule, one sentence each.

        Raises:
            ConfigError: an option does not fit the network or the length of the training.
        """

    @abstractmethod
    def mask_gradients(self) -> None:
        """Makes the gradients of all weights that are kept at zero zero."""

    @abstractmethod
    def weights_updated(self, step: int) -> bool:
        """Makes the weights that must be zero exactly zero again, and changes which ones these are when it is time.

        Args:
            step: number of steps that are complete, this one included.

        Returns:
            Whether weights were set back to earlier values; the loop then forgets the state of optimiser and moving average.
        """

    @abstractmethod
    def mask_average(self, averages: Mapping[str, Tensor]) -> None:
        """Does with averaged weights, by parameter name, what was done with the weights."""

    @abstractmethod
    def state_dict(self) -> dict[str, Tensor]:
        """Returns everything that changes in a training, as tensors."""

    @abstractmethod
    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Takes over what ``state_dict`` returned.

        Raises:
            KeyError, RuntimeError: the state is of another network.
        """

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """Returns the options as JSON; a checkpoint is continued only by the compressor and options that wrote it."""

    @abstractmethod
    def record(self) -> dict[str, Any]:
        """Returns what the record of an epoch shall say, as JSON."""

    def position(self, step: int, plan: TrainingPlan) -> tuple[int, int]:
        """Returns the steps before ``step`` and the length of the cycle of the learning rate that it belongs to."""
        return step, plan.total_steps
