from __future__ import annotations

import torch
from torch import nn

from automl.training.divergence import DivergenceGuard
from automl.training.state import TrainingState
from automl.training.weight_average import WeightAverage


def test_starting_anew_forgets_momentum_and_average_but_not_the_course_of_the_training():
    layer = nn.Linear(3, 2)
    optimiser = torch.optim.AdamW(layer.parameters(), lr=0.1)
    state = TrainingState(layer, optimiser, WeightAverage(layer, 0.9), DivergenceGuard(5.0), seed=1)
    for step in range(1, 4):
        layer(torch.randn(5, 3)).sum().backward()
        optimiser.step()
        state.average.update(step)
    state.step = 3
    assert optimiser.state
    assert not torch.equal(state.average.state_dict()["weight"], layer.weight)
    state.start_anew()
    assert not optimiser.state
    assert all(torch.equal(state.average.state_dict()[name], p) for name, p in layer.named_parameters())
    assert state.step == 3
