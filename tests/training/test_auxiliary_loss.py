"""Losses that blocks add are part of the training loss of the pass that they belong to, and of nothing else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from automl.supernet import Supernet, add_auxiliary_loss, auxiliary_losses, collects_auxiliary_losses
from automl.testing.toy_task import ToyTask, toy_supernet
from automl.training import FamilyTurns, Sandwich, SinglePath, StepContext, Strategy, TrainingConfig, train


class Penalised(nn.Module):
    """A network that adds the sum of its outputs, times a number, to its loss."""

    def __init__(self, inner: nn.Module, weight: float) -> None:
        super().__init__()
        self.inner = inner
        self.weight = weight

    def forward(self, *inputs: Tensor) -> Tensor:
        outputs: Tensor = self.inner(*inputs)
        if self.training:
            add_auxiliary_loss(self.weight * outputs.square().mean())
        return outputs


def penalised(weight: float) -> Supernet:
    return Supernet(Penalised(toy_supernet(1).network, weight))


def context(supernet: Supernet) -> StepContext:
    task = ToyTask(seed=0)
    return StepContext(
        supernet=supernet.train(),
        task=task,
        batch=next(task.train_batches(np.random.default_rng(0), 16)),
        rng=np.random.default_rng(1),
        turn=FamilyTurns(supernet).draw(np.random.default_rng(1)),
        label_smoothing=0.0,
        progress=0.0,
        validation=list,
        forward=supernet,
        backward=lambda loss: torch.autograd.backward(loss),
    )


def test_loss_of_outputs_contains_what_their_own_pass_added() -> None:
    step = context(penalised(3.0))
    first, second = step.forward(step.largest), step.forward(step.smallest)
    task = ToyTask(seed=0)
    for outputs in (second, first):
        plain = task.loss(outputs, step.batch)
        torch.testing.assert_close(step.loss(outputs), plain + 3 * outputs.square().mean())
        soft = task.distillation_loss(outputs, first, step.batch)
        torch.testing.assert_close(step.distillation_loss(outputs, first), soft + 3 * outputs.square().mean())
    other = first.clone()
    torch.testing.assert_close(step.loss(other), task.loss(other, step.batch))


class PenalisedByTarget(nn.Module):
    """A network that adds the mean of its inputs' first column where the target is class 1, which only the batch tells."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner
        self.scale = nn.Parameter(torch.tensor(2.0))

    def forward(self, x: Tensor, group: Tensor) -> Tensor:
        add_auxiliary_loss(lambda batch: self.scale * x[batch.target == 1, 0].mean())
        outputs: Tensor = self.inner(x, group)
        return outputs


def test_a_loss_may_depend_on_the_batch_of_its_own_pass() -> None:
    step = context(Supernet(PenalisedByTarget(toy_supernet(1).network)))
    task = ToyTask(seed=0)
    parts = step.shares(2)
    assert len(parts) == 2
    for part in parts:
        outputs = part.forward(part.largest)
        (x, _), target = part.batch.inputs, part.batch.target
        expected = task.loss(outputs, part.batch) + 2 * x[target == 1, 0].mean()
        torch.testing.assert_close(part.loss(outputs), expected)
    with auxiliary_losses() as losses:
        step.supernet(*step.batch.inputs)
    assert not losses  # no batch, no targets


@pytest.mark.parametrize("strategy", [SinglePath(), Sandwich(random=1)], ids=repr)
def test_training_lowers_an_auxiliary_loss(strategy: Strategy, tmp_path: Path) -> None:
    sizes = {}
    for weight in (0.0, 100.0):
        supernet = penalised(weight)
        folder = tmp_path / str(weight)
        folder.mkdir()
        config = TrainingConfig(epochs=10, batch_size=16, learning_rate=0.01)
        train(supernet, ToyTask(seed=0), config, strategy=strategy, folder=folder, seed=0, device="cpu")
        (batch,) = ToyTask(seed=0).batches("train", 1000)
        with torch.no_grad():
            sizes[weight] = float(supernet.eval()(*batch.inputs).square().mean())
    assert sizes[100.0] < 0.7 * sizes[0.0]


def test_nothing_is_collected_outside() -> None:
    add_auxiliary_loss(torch.tensor(1.0))
    assert not collects_auxiliary_losses()
    with auxiliary_losses() as outer:
        assert collects_auxiliary_losses()
        with auxiliary_losses() as inner:
            add_auxiliary_loss(torch.tensor(2.0))
        add_auxiliary_loss(torch.tensor(3.0))
    assert not collects_auxiliary_losses()
    assert [float(loss) for loss in inner + outer] == [2.0, 3.0]
