"""Optimisers of supernets, whose steps reach some parameters only."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from automl.training import TrainingConfig
from automl.training.optimisers import build_optimiser


@pytest.mark.parametrize("optimiser", ["adamw", "sgd"])
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
