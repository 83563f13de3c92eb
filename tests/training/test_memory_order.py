"""Orders in memory, and the guard around a kernel of torch that writes where it must not."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import torch
from torch import nn

from automl import elastic
from automl.space import Ordinal
from automl.training.memory_order import order_weights, strided_pointwise_guarded

# Allocations in between make a destroyed heap abort the process soon.
SCRIPT = """
import torch
from torch import nn
from automl.training.memory_order import order_weights, strided_pointwise_guarded
torch.manual_seed(0)
layer = nn.Conv2d({channels}, 24, 1, stride=2)
maps = torch.randn(64, {channels}, 8, 8).contiguous(memory_format=torch.channels_last)
order_weights(layer, torch.channels_last)
with strided_pointwise_guarded(layer):
    for _ in range(200):
        layer(maps).square().mean().backward()
        others = [torch.empty(7 * n + 1) for n in range(200)]
        layer.zero_grad()
print("survived")
"""


@pytest.mark.parametrize("channels", [3, 6])
def test_a_strided_pointwise_convolution_survives_training_on_one_thread(channels: int) -> None:
    result = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(channels=channels)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.stdout.strip() == "survived", result.stderr[-2000:]


def test_the_guard_changes_no_number_and_leaves_nothing_behind() -> None:
    torch.manual_seed(1)
    width = Ordinal(3, 6)
    network = nn.Sequential(nn.Conv2d(5, 6, 3, padding=1), elastic.Conv2d(width, 10, 1, stride=2)).double()
    width.value = 6
    maps = torch.randn(7, 5, 8, 8, dtype=torch.float64).contiguous(memory_format=torch.channels_last)
    before = network(maps)
    with strided_pointwise_guarded(network):
        torch.testing.assert_close(network(maps), before, rtol=0, atol=1e-12)
        with torch.no_grad():
            network(maps)
    network(maps)
    hooks = [len(module._forward_pre_hooks) for module in network.modules()]
    assert hooks == [0, 0, 0]


def test_weights_of_pointwise_convolutions_keep_their_order() -> None:
    network = nn.Sequential(nn.Conv2d(5, 6, 3), nn.Conv2d(6, 10, 1))
    order_weights(network, torch.channels_last)
    assert network[0].weight.is_contiguous(memory_format=torch.channels_last)
    assert not network[0].weight.is_contiguous()
    assert network[1].weight.stride() == (6, 1, 1, 1)
