from __future__ import annotations

import torch
from torch import nn

from automl.supernet.chain import ChainNetwork
from automl.supernet.prefix_tree import PrefixTree
from automl.supernet.segments import cut_network


class First(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 4)

    def forward(self, inputs: tuple[torch.Tensor, ...]) -> torch.Tensor:
        y: torch.Tensor = self.linear(inputs[0])
        return y


def test_a_chain_runs_its_segments_in_order() -> None:
    segments = [First(), nn.ReLU(), nn.Linear(4, 2)]
    x = torch.randn(5, 3)
    assert torch.equal(ChainNetwork(segments)(x), segments[2](torch.relu(segments[0]((x,)))))


def test_chains_share_their_first_segments_in_a_group() -> None:
    import copy

    first, second = First(), nn.Linear(4, 4)
    networks = [ChainNetwork(copy.deepcopy([first, second, nn.Linear(4, n)])).eval() for n in (2, 3)]
    assert [len(cut_network(network)) for network in networks] == [3, 3]
    tree = PrefixTree(networks, memory=1 << 20)
    assert len({id(node) for path in tree.paths for node in path}) == 4
    x = torch.randn(5, 3)
    with torch.no_grad():
        for number, output in tree.run((x,)).items():
            assert torch.equal(output, networks[number](x))


def test_a_chain_that_runs_a_module_twice_is_one_segment() -> None:
    layer = nn.Linear(4, 4)
    assert len(cut_network(ChainNetwork([First(), layer, layer]))) == 1
