"""Optimisers of supernets, whose steps reach some parameters only."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from automl.training import TrainingConfig
from automl.training.optimisers import build_optimiser


@pytest.mark.parametrize("optimiser", ["adamw", "adam", "sgd"])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_parameters_may_get_their_first_gradient_later_than_others(optimiser: str, momentum: float) -> None:
    torch.manual_seed(1)
    first, second = nn.Linear(3, 5), nn.Linear(3, 2)
    built = build_optimiser(
        nn.ModuleList([first, second]), TrainingConfig(optimiser=optimiser, momentum=momentum, weight_decay=0)
    )
    before = second.weight.detach().clone()
    first(torch.randn(7, 3)).square().sum().backward()
    built.step()
    assert torch.equal(second.weight, before)
    built.zero_grad()
    (first(torch.randn(7, 3)).square().sum() + second(torch.randn(7, 3)).square().sum()).backward()
    built.step()
    assert not torch.equal(second.weight, before)


def test_decay_of_adam_is_a_part_of_the_gradient_and_that_of_adamw_is_not() -> None:
    torch.manual_seed(2)
    start, inputs = torch.randn(4, 3), torch.randn(6, 3)
    found = {}
    for name, decay, penalty in (("adam", 0.3, 0.0), ("adam", 0.0, 0.3), ("adamw", 0.3, 0.0)):
        layer = nn.Linear(3, 4)
        layer.weight.data.copy_(start)
        layer.bias.data.fill_(0.5)
        built = build_optimiser(layer, TrainingConfig(optimiser=name, weight_decay=decay, learning_rate=0.01))
        for _ in range(5):
            built.zero_grad()
            (layer(inputs).square().mean() + penalty / 2 * layer.weight.square().sum()).backward()
            built.step()
        found[name, decay] = layer.weight.detach()
    assert torch.allclose(found["adam", 0.3], found["adam", 0.0], atol=1e-6)
    assert not torch.allclose(found["adam", 0.3], found["adamw", 0.3], atol=1e-3)
