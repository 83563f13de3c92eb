"""Places of pooling: how many there are, in which order, and what they change."""

from __future__ import annotations

import math

import pytest
import torch
from automl_vision.pooled_resnet import PooledResNet, pooling_configurations

from automl.errors import SpaceError
from automl.host import Host
from automl.objectives.macs import count_macs
from automl.supernet import Supernet, build_supernet, load_skeleton
from automl.tasks import ImageClassification


@pytest.mark.parametrize(
    ("layers", "poolings", "count"), [(10, 2, 36), (9, 3, 56), (17, 3, 560), (16, 3, 455), (8, 3, 35)]
)
def test_numbers_of_configurations_are_those_of_the_paper(layers: int, poolings: int, count: int) -> None:
    found = pooling_configurations(layers, poolings)
    assert len(found) == len(set(found)) == count == math.comb(layers - 1, poolings)
    rows = [tuple(map(int, text.split("-"))) for text in found]
    assert rows == sorted(rows)
    assert all(sum(row) == layers and min(row) >= 1 and len(row) == poolings + 1 for row in rows)


def test_the_default_of_resnet20_is_the_24th() -> None:
    assert pooling_configurations(10, 2)[23] == "4-3-3"


@pytest.fixture(scope="module")
def supernet() -> Supernet:
    host = Host.load()
    task = ImageClassification.load("digits", seed=0)
    return build_supernet(load_skeleton("image/pooling", host), task, host)


def test_configurations_have_equal_weights_and_shapes_and_later_poolings_cost_more(supernet: Supernet) -> None:
    (name,) = supernet.space.names
    costs, sizes, x = {}, set(), torch.randn(2, 1, 8, 8)
    for architecture in supernet.space.enumerate():
        model = supernet.extract(architecture)
        sizes.add(tuple((key, value.shape) for key, value in model.state_dict().items()))
        first, second, _ = map(int, str(architecture[name]).split("-"))
        costs[first, first + second] = count_macs(model, [x])
        assert model(x).shape == (2, 10)
    assert len(sizes) == 1
    assert len(costs) == 36
    for (a, b), cost in costs.items():
        assert cost < costs.get((a + 1, b), math.inf)
        assert cost < costs.get((a, b + 1), math.inf)


def test_poolings_stand_where_the_configuration_says() -> None:
    block = PooledResNet(3, 7, stride=4, channels=[4, 5, 6])
    assert block.blocks.choices == ("1-1-2", "1-2-1", "2-1-1")  # type: ignore[union-attr]
    supernet, edges = Supernet(block).eval(), []
    for layer in block.layers:
        layer.register_forward_hook(lambda module, inputs, output: edges.append(output.shape[-1]))
    for architecture in supernet.space.enumerate():
        supernet.activate(architecture)
        edges.clear()
        supernet(torch.randn(2, 3, 9, 16))
        n = list(map(int, str(architecture["blocks"]).split("-")))
        assert edges == [16] * n[0] + [8] * n[1] + [4] * n[2]


def test_a_single_configuration_is_no_dimension() -> None:
    assert Supernet(PooledResNet(3, 7, channels=[4, 5])).space.size() == 1
    assert Supernet(PooledResNet(3, 7, stride=4, channels=[4, 5])).space.size() == 1


@pytest.mark.parametrize("stride", [3, 8])
def test_strides_that_no_poolings_give_are_refused(stride: int) -> None:
    with pytest.raises(SpaceError, match=f"stride: {stride} is not valid for 3 layers; .* up to 4"):
        PooledResNet(3, 7, stride=stride, channels=[4, 5])


def test_a_whole_network_is_no_candidate_for_any_slot() -> None:
    skeleton = load_skeleton("image/hybrid", Host.load())
    names = build_supernet(skeleton, ImageClassification.load("digits", seed=0), Host.load()).space.dimensions
    assert not any("pooled" in str(choice) for d in names.values() for choice in d.choices)
