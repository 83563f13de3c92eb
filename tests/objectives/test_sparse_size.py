from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from automl.objectives.size import state_bytes
from automl.objectives.sparse_size import sparse_bytes
from automl.tickets import masks_of_zeros, storage_report


def network() -> nn.Sequential:
    torch.manual_seed(3)
    return nn.Sequential(nn.Conv2d(2, 5, 3), nn.BatchNorm2d(5), nn.ReLU(), nn.Flatten(), nn.Linear(45, 7))


def test_dense_network_needs_its_bytes() -> None:
    assert sparse_bytes(network()) == state_bytes(network())


@given(share=st.floats(0, 0.99), seed=st.integers(0, 99))
def test_zeros_never_cost_more_and_agree_with_the_report_of_a_ticket(share: float, seed: int) -> None:
    model = network()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in (model[0].weight, model[4].weight):
            parameter.mul_(torch.rand(parameter.shape, generator=generator) >= share)
    assert sparse_bytes(model) <= state_bytes(model)
    assert sparse_bytes(model) == storage_report(model, masks_of_zeros(model)).sparse_bytes
