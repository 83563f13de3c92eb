"""The contract of a training strategy: which subnetworks a step trains, and on what.

A job calls ``prepare`` once, before the weights of the supernet are read or trained. Then the loop zeroes the gradients,
calls ``step`` once with a batch, clips the gradients and lets the optimiser step. A strategy is the same object for a whole
training and keeps no state of its own between steps: everything that must survive a kill is in the supernet and in the
generator of the context, which the checkpoint holds; how far the training is, the context says.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Final, final

import numpy as np
import torch
from torch import Tensor

from automl.space import Architecture
from automl.supernet import Supernet, auxiliary_losses
from automl.tasks.task import Batch, Task
from automl.training.config import TrainingConfig
from automl.training.family_turns import FamilyTurn

__all__ = ["StepContext", "Strategy"]


@final
class StepContext:
    """What a strategy works with in one step.

    Args:
        supernet: the network under training.
        task: gives the losses.
        batch: the samples of this step.
        rng: source of all choices of the strategy; advanced by ``sample``.
        turn: the families that this step is about, with the smallest and the largest subnetwork that have them; those of the
            whole space are ``smallest`` and ``largest`` of the context.
        label_smoothing: share of the target spread over all classes.
        progress: share of the training that is done before this step, at least 0 and below 1.
        validation: gives the batches of the validation part.
        forward: runs the active subnetwork at the precision of the training.
        backward: adds the gradients of a loss, scaled as the precision needs it.
        ran: told every subnetwork that runs.
    """

    def __init__(
        self,
        *,
        supernet: Supernet,
        task: Task,
        batch: Batch,
        rng: np.random.Generator,
        turn: FamilyTurn,
        label_smoothing: float,
        progress: float,
        validation: Callable[[], Sequence[Batch]],
        forward: Callable[..., Tensor],
        backward: Callable[[Tensor], None],
        ran: Callable[[Architecture], None] = lambda architecture: None,
    ) -> None:
        self.supernet: Final = supernet
        self.batch: Final = batch
        self.rng: Final = rng
        self.turn: Final = turn
        self.smallest: Final = turn.turns.smallest
        self.largest: Final = turn.turns.largest
        self._task: Final = task
        self.progress: Final = progress
        self._label_smoothing: Final = label_smoothing
        self._validation: Final = validation
        self._forward: Final = forward
        self._backward: Final = backward
        self._ran: Final = ran
        self._auxiliary: Final[list[tuple[Tensor, Tensor]]] = []

    @property
    def outputs(self) -> int:
        """Width of the output of the task, such as its number of classes."""
        return self._task.outputs

    def sample(self) -> Architecture:
        """Returns a random architecture of the space, of any families."""
        return self.supernet.space.sample(self.rng)

    def shares(self, count: int) -> list[StepContext]:
        """Returns contexts of ``count`` equal parts of the batch, for strategies that accumulate gradients.

        A batch of few samples gives fewer parts, so that each has at least two; the rest of an uneven division is left out.
        Where samples depend on each other, as the nodes of a graph do, each part is the whole batch.
        """
        count = min(count, max(1, len(self.batch.target) // 2))
        return [self.with_batch(self._task.shard(self.batch, part, count)) for part in range(count)]

    def with_batch(self, batch: Batch) -> StepContext:
        """Returns the context of another batch, such as one that the strategy made of this one."""
        return StepContext(
            supernet=self.supernet,
            task=self._task,
            batch=batch,
            rng=self.rng,
            turn=self.turn,
            label_smoothing=self._label_smoothing,
            progress=self.progress,
            validation=self._validation,
            forward=self._forward,
            backward=self._backward,
            ran=self._ran,
        )

    def augmented(self) -> StepContext:
        """Returns the context of a random view of the batch, as the task makes it; advances ``rng``."""
        return self.with_batch(self._task.augment(self.batch, self.rng))

    def held_out(self) -> StepContext:
        """Returns the context of a random batch of the validation part; advances ``rng``."""
        batches = self._validation()
        return self.with_batch(batches[int(self.rng.integers(len(batches)))])

    def forward(self, architecture: Architecture, weight_set: int | None = None) -> Tensor:
        """Activates a subnetwork and returns its outputs for the batch; it stays active.

        What its blocks add to the training loss is added to every loss of these outputs.
        """
        self.supernet.activate(architecture, weight_set)
        self._ran(architecture)
        with auxiliary_losses(self.batch) as losses:
            outputs = self._forward(*self.batch.inputs)
        if losses:
            self._auxiliary.append((outputs, torch.stack(losses).sum()))
        return outputs

    @torch.no_grad()
    def accuracy(self, architecture: Architecture, weight_set: int | None = None) -> float:
        """Returns the share of right answers of a subnetwork on a random batch of the validation part; no gradient.

        Batch statistics are those of this batch. Tasks that cannot score single batches give ``exp(-loss)``, from 0 to 1 as well.
        """
        batch = self.held_out().batch
        self.supernet.activate(architecture, weight_set)
        outputs = self._forward(*batch.inputs)
        scores = self._task.score([(outputs, batch)])
        return 1 - scores["error"] if scores is not None else math.exp(-float(self._task.loss(outputs, batch)))

    def loss(self, outputs: Tensor) -> Tensor:
        """Returns the loss against the targets of the batch, a scalar."""
        return self._with_auxiliary(outputs, self._task.loss(outputs, self.batch, self._label_smoothing))

    def distillation_loss(self, outputs: Tensor, teacher: Tensor) -> Tensor:
        """Returns the loss against the soft outputs of a teacher for the same batch, a scalar."""
        return self._with_auxiliary(outputs, self._task.distillation_loss(outputs, teacher.detach(), self.batch))

    def _with_auxiliary(self, outputs: Tensor, loss: Tensor) -> Tensor:
        return sum((extra for known, extra in self._auxiliary if known is outputs), start=loss)

    def backward(self, loss: Tensor) -> None:
        """Adds the gradients of ``loss`` to those of the step; may be called several times."""
        self._backward(loss)


class Strategy(ABC):
    """Chooses and trains the subnetworks of each step.

    Attributes:
        name: what jobs call it.
        loss_range: how many times the loss of one subnetwork may be that of another without a sign of divergence. Above 1 where
            the loss has no natural size, as that of products of features.
    """

    name: ClassVar[str]
    loss_range: ClassVar[float] = 1.0

    def prepare(self, supernet: Supernet, config: TrainingConfig) -> None:  # noqa: B027  # optional, not forgotten
        """Gets a supernet ready for this strategy, and refuses what it cannot train; does nothing by default.

        Called for every new supernet of a job: before a training, and before trained weights are read. What a strategy has
        to learn beside the network goes into the supernet, as ``Supernet.multiply`` does it, where checkpoints and files find
        it. Called again for the same supernet, it changes nothing.

        Raises:
            UserError: space, options and training do not fit each other.
        """

    def check(self, supernet: Supernet, task: Task) -> None:  # noqa: B027  # optional, not forgotten
        """Called before a job writes anything, with the supernet as it will be trained; does nothing by default.

        Raises:
            UserError: the strategy cannot train on this task.
        """

    def check_length(self, supernet: Supernet, steps: int) -> None:  # noqa: B027  # optional, not forgotten
        """Refuses a training that is too short for this strategy; does nothing by default.

        Args:
            supernet: what would be trained.
            steps: steps of the whole training.

        Raises:
            UserError: the training is too short.
        """

    def phase(self, supernet: Supernet, progress: float) -> tuple[float, float]:
        """Returns begin and end of the phase in which a moment of the training lies, as shares of the training.

        The learning rate rises and falls once in each phase. One phase by default.
        """
        return 0.0, 1.0

    @abstractmethod
    def step(self, context: StepContext) -> Mapping[str, float]:
        """Runs forward and backward passes for one batch.

        Returns:
            The losses as plain numbers: ``"loss"``, the one that training curves show, and any others by name. A loss
            that is not finite makes the loop go back to the last good epoch.
        """

    def describe(self) -> dict[str, Any]:
        """Returns the options as JSON; a checkpoint is continued only by the strategy and options that wrote it."""
        return {}
