from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from automl.errors import SpaceError
from automl.stitching.split import split_network
from automl.supernet.chain import ChainNetwork

SIZES: dict[str, tuple[tuple[Any, ...], int]] = {
    "residual": ((3, (2, 3)), 1 + 2 + 3 + 1),
    "transformer": ((6, 3), 1 + 3 + 1),
    "perceptron": ((7, 4), 1 + 4 + 1),
}


@pytest.mark.parametrize("name", SIZES)
def test_segments_in_a_row_are_the_network_bit_for_bit(name: str, networks: Any, images: Tensor) -> None:
    sizes, segments = SIZES[name]
    network = networks.scrambled(getattr(networks, name)(*sizes), 1)
    chain = split_network(network)
    assert len(chain) == segments
    assert torch.equal(ChainNetwork(chain)(images), network(images))


def test_a_name_cuts_behind_a_submodule_and_a_star_stands_for_one_level(networks: Any, images: Tensor) -> None:
    network = networks.scrambled(networks.residual(3, (2, 3)), 2)
    chain = split_network(network, ["stage1.1", "stage2.*"])
    assert len(chain) == 1 + 1 + 3 + 1  # up to stage1.1 in two, since cuts begin in front of the first; stage2; head
    assert torch.equal(ChainNetwork(chain)(images), network(images))


class Skipping(nn.Module):
    """A long shortcut around the second block, so that two values are alive behind it."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(nn.Sequential(nn.Linear(4, 4), nn.ReLU()) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        first = self.blocks[0](x)
        third = self.blocks[2](self.blocks[1](first) + first)
        y: Tensor = self.blocks[3](third)
        return y


def test_there_is_no_cut_where_two_values_are_alive() -> None:
    network, x = Skipping(), torch.randn(3, 4)
    chain = split_network(network)
    assert len(chain) == 3  # behind the first and the third block
    assert torch.equal(ChainNetwork(chain)(x), network(x))


class Branching(nn.Module):
    """Asks its data which way to go, which cannot be traced."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(nn.Sequential(nn.Linear(4, 4), nn.ReLU()) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = block(x) if x.sum() > 0 else x
        return x


def test_what_cannot_be_split_says_why(networks: Any) -> None:
    plain = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    residual = networks.residual(3, (1, 1))
    for network, cuts, message in (
        (plain, [], "no nn.Sequential or nn.ModuleList holds blocks"),
        (residual, ["stage3.*"], r"cuts: no submodule is called 'stage3.\*'. Did you mean"),
        (Branching(), [], "forward pass cannot be traced"),
        (residual, ["stem"], "of 1 blocks only 1 end where a single tensor is alive"),
    ):
        with pytest.raises(SpaceError, match=message):
            split_network(network, cuts)
