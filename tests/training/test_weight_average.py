"""The moving average against its formula."""

from __future__ import annotations

import torch
from torch import nn

from automl.training.weight_average import WeightAverage


def _module() -> nn.Module:
    module = nn.Linear(3, 2).double()
    with torch.no_grad():
        for index, parameter in enumerate(module.parameters()):
            parameter.copy_(torch.arange(parameter.numel()).reshape(parameter.shape) + 0.3 * index)
    return module


def test_average_follows_its_formula_with_a_rising_decay():
    module = _module()
    average = WeightAverage(module, 0.6)
    expected = {name: p.detach().clone() for name, p in module.named_parameters()}
    for step in range(1, 9):
        with torch.no_grad():
            for parameter in module.parameters():
                parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(step)))
        average.update(step)
        decay = min(0.6, (1 + step) / (10 + step))
        for name, parameter in module.named_parameters():
            expected[name] = decay * expected[name] + (1 - decay) * parameter.detach()
    for name, value in average.state_dict().items():
        assert torch.allclose(value, expected[name], rtol=0, atol=1e-12)


def test_applied_lends_the_average_and_gives_the_weights_back():
    module = _module()
    average = WeightAverage(module, 0.9)
    start = {name: p.detach().clone() for name, p in module.named_parameters()}
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.mul_(-3)
    now = {name: p.detach().clone() for name, p in module.named_parameters()}
    with average.applied():
        assert all(torch.equal(p, start[name]) for name, p in module.named_parameters())
    assert all(torch.equal(p, now[name]) for name, p in module.named_parameters())
    average.apply()
    assert all(torch.equal(p, start[name]) for name, p in module.named_parameters())


def test_average_is_not_the_memory_of_the_module():
    module = _module()
    average = WeightAverage(module, 0.9)
    average.apply()
    with torch.no_grad():
        module.weight.add_(1)
    assert not torch.equal(average.state_dict()["weight"], module.weight)
