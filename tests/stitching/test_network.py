from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from automl.errors import SpaceError
from automl.objectives.macs import count_macs
from automl.stitching.layer import least_squares
from automl.stitching.network import StitchedNetwork
from automl.stitching.split import split_network
from automl.supernet import Supernet
from automl.supernet.segments import cut_network


def _choose(network: StitchedNetwork, name: str) -> StitchedNetwork:
    network.stitch.value = name
    return network


def _anchors(networks: Any, family: str) -> dict[str, nn.Module]:
    sizes = {
        "residual": [(3, (1, 2)), (5, (3, 3)), (8, (3, 4))],
        "transformer": [(4, 3), (6, 3), (10, 5)],
        "perceptron": [(5, 4), (9, 4), (17, 4)],
    }[family]
    build = getattr(networks, family)
    return {name: networks.scrambled(build(*size), i) for i, (name, size) in enumerate(zip("abc", sizes, strict=True))}


FAMILIES = ("residual", "transformer", "perceptron")


@pytest.mark.parametrize("family", FAMILIES)
def test_anchors_are_reproduced_bit_for_bit(family: str, networks: Any, stitched: Any, images: Tensor) -> None:
    anchors = _anchors(networks, family)
    network = stitched(copy.deepcopy(anchors))
    for name, anchor in anchors.items():
        assert torch.equal(_choose(network, name)(images), anchor(images))


@pytest.mark.parametrize("family", FAMILIES)
def test_extracted_paths_equal_the_active_ones_and_hold_nothing_else(
    family: str, networks: Any, stitched: Any, images: Tensor
) -> None:
    supernet = Supernet(stitched(_anchors(networks, family), last_stage=True)).eval()
    assert set(supernet.space.dimensions) == {"stitch"}
    before = copy.deepcopy(supernet.state_dict())
    for architecture in supernet.space.enumerate():
        model = supernet.extract(architecture)
        supernet.activate(architecture)
        assert torch.equal(model(images), supernet(images)), architecture
        path = {id(p): p for segment in supernet.network.active() for p in segment.parameters()}  # type: ignore[union-attr, operator]
        assert sum(p.numel() for p in model.parameters()) == sum(p.numel() for p in path.values())
        assert len(cut_network(model)) > 2
    assert all(torch.equal(value, before[name]) for name, value in supernet.state_dict().items())


@pytest.mark.parametrize("family", FAMILIES)
def test_the_first_choice_is_the_cheapest_and_the_costs_grow(
    family: str, networks: Any, stitched: Any, images: Tensor
) -> None:
    network = stitched(_anchors(networks, family), last_stage=True)
    costs = [count_macs(_choose(network, name), (images[:1],)) for name in network.stitch.choices]
    assert costs == sorted(costs)
    assert network.stitch.choices[0] == "a"


def test_more_blocks_of_the_cheap_network_are_fewer_operations(networks: Any, stitched: Any, images: Tensor) -> None:
    anchors = {name: networks.scrambled(networks.perceptron(w, 6), 3) for name, w in (("a", 5), ("b", 40))}
    network = stitched(anchors)
    costs = [count_macs(_choose(network, f"a:0.{j}>b:0.{j + 1}"), (images[:1],)) for j in range(5)]
    assert costs == sorted(costs, reverse=True)
    assert len(set(costs)) == 5
    ends = [count_macs(_choose(network, name), (images[:1],)) for name in "ab"]
    assert all(ends[0] <= cost <= 1.05 * ends[1] for cost in costs)


def test_equal_anchors_and_an_identity_between_them_give_the_anchor(
    networks: Any, stitched: Any, images: Tensor
) -> None:
    anchor = networks.scrambled(networks.transformer(6, 4), 5)
    network = stitched({"a": anchor, "b": copy.deepcopy(anchor)}, kernel=2)
    for layer in network.layers:
        nn.init.eye_(layer.linear.weight)
        nn.init.zeros_(layer.linear.bias)
    for j in range(3):
        assert torch.equal(_choose(network, f"a:0.{j}>b:0.{j + 1}")(images), anchor(images))
    twice = _choose(network, "a:0.1>b:0.1")
    assert not torch.equal(twice(images), anchor(images))
    blocks = [type(segment).__name__ for segment in twice.active()].count("TokenBlock")
    assert blocks == 2 + (4 - 1)


def test_block_zero_of_the_back_is_fitted_to_the_output_of_its_embedding(
    networks: Any, stitched: Any, images: Tensor
) -> None:
    anchors = {name: networks.scrambled(networks.transformer(w, 3), w) for name, w in (("a", 4), ("b", 7))}
    network = stitched(anchors, kernel=1)  # windows of one join, so that no mean is taken
    front, back = (split_network(anchor) for anchor in anchors.values())
    x, y = front[1](front[0]((images,))), back[0]((images,))
    weight, bias = least_squares(x.flatten(0, 1), y.flatten(0, 1))
    layer = _choose(network, "a:0.0>b:0.0").active()[2]
    assert torch.allclose(layer.linear.weight.double(), weight, atol=1e-5)  # type: ignore[union-attr]
    assert torch.allclose(layer.linear.bias.double(), bias, atol=1e-5)  # type: ignore[union-attr]


def test_positions_and_class_token_are_those_of_the_front(networks: Any, stitched: Any, images: Tensor) -> None:
    anchors = {name: networks.scrambled(networks.transformer(w, 3), w) for name, w in (("a", 4), ("b", 7))}
    network = _choose(stitched(anchors), "a:0.0>b:0.1")
    names = dict(network.specialise().named_parameters())
    shapes = [p.shape for name, p in names.items() if "positions" in name or "token" in name]
    assert sorted(shapes) == [(1, 1, 4), (1, 17, 4)]
    assert network(images).shape == (40, 5)


def test_the_published_number_of_parameters_of_two_vision_transformers(networks: Any, stitched: Any) -> None:
    """DeiT-S to DeiT-B at (0, 0), counted as published: without class token and positions."""
    with torch.device("meta"):
        small, base = (
            networks.transformer(width, 12, patch=16, image=224, channels=3, classes=1000) for width in (384, 768)
        )
        network = stitched({"s": small, "b": base}, torch.zeros(1, 3, 224, 224), least_squares=False)
        model = _choose(network, "s:0.0>b:0.0").specialise()
    counted = [p for name, p in model.named_parameters() if not name.endswith(("token", "positions"))]
    assert sum(p.numel() for p in counted) == 88_190_440


def test_one_step_reaches_the_drawn_path_only(networks: Any, stitched: Any, images: Tensor) -> None:
    network = stitched(_anchors(networks, "perceptron")).train()
    name = "a:0.1>b:0.2"
    _choose(network, name)(images).sum().backward()
    on_path = {id(p) for segment in network.active() for p in segment.parameters()}
    reached = {id(p) for p in network.parameters() if p.grad is not None and p.grad.any()}
    assert reached <= on_path
    assert len(reached) > 0.8 * len(on_path)
    shared = network._paths[name].layer
    assert all(p.grad is None for i, layer in enumerate(network.layers) if i != shared for p in layer.parameters())


def test_frozen_anchors_and_the_teacher_do_not_learn_and_keep_their_mode(networks: Any, stitched: Any) -> None:
    network = stitched(_anchors(networks, "residual"), train_anchors=False).train()
    trainable = {name.split(".")[0] for name, p in network.named_parameters() if p.requires_grad}
    assert trainable == {"layers"}
    assert not any(m.training for m in (*network.anchors.modules(), *network.teacher.modules()))


def test_the_teacher_is_the_most_expensive_anchor_and_stays_when_that_learns(
    networks: Any, stitched: Any, images: Tensor
) -> None:
    anchors = _anchors(networks, "residual")
    answers = anchors["c"](images)
    network = stitched(anchors)
    with torch.no_grad():
        for parameter in network.anchors.parameters():
            parameter.add_(1.0)
    assert torch.equal(network.teacher(images), answers)


def test_only_neighbours_are_joined_unless_asked(networks: Any, stitched: Any) -> None:
    anchors = {name: networks.scrambled(networks.perceptron(w, 12), w) for name, w in (("a", 3), ("b", 5), ("c", 8))}
    assert len(stitched(anchors).stitch.choices) == 71
    assert len(stitched(anchors).layers) == 22
    assert len(stitched(anchors, nearest=False).stitch.choices) == 3 + 3 * 34


def test_hierarchical_networks_are_joined_inside_stages_and_the_last_one_is_left_out(
    networks: Any, stitched: Any
) -> None:
    anchors = {
        "a": networks.scrambled(networks.residual(3, (2, 2)), 1),
        "b": networks.scrambled(networks.residual(5, (2, 4)), 2),
    }
    first = {"a:0.0>b:0.1", "a:0.1>b:0.2"}
    last = {"a:1.0>b:1.1", "a:1.1>b:1.2", "a:1.1>b:1.3"}
    assert set(stitched(anchors).stitch.choices) == {"a", "b"} | first
    assert set(stitched(anchors, last_stage=True).stitch.choices) == {"a", "b"} | first | last


def test_networks_of_different_families_are_joined_where_their_positions_agree(
    networks: Any, stitched: Any, images: Tensor
) -> None:
    residual = networks.scrambled(networks.residual(3, (2, 3)), 1)
    transformer = networks.scrambled(networks.transformer(12, 3), 2)
    network = stitched({"cnn": residual, "vit": transformer}, adapters=["tokens"])
    joins = [name for name in network.stitch.choices if ">" in str(name)]
    assert joins
    assert all(str(name).startswith("cnn:1.") for name in joins)  # 4 x 4 pixels are 16 tokens and the class token
    for name in joins:
        assert _choose(network, str(name))(images).shape == (40, 5)
    back = stitched({"vit": transformer, "cnn": residual}, adapters=["tokens"], last_stage=True)
    assert all(_choose(back, str(name))(images).shape == (40, 5) for name in back.stitch.choices)
    with pytest.raises(SpaceError, match=r"anchors 'cnn' and 'vit'.*declare 'adapters: \[tokens\]'"):
        stitched({"cnn": residual, "vit": transformer})


def test_networks_of_different_resolution_need_resized_maps(networks: Any, stitched: Any, images: Tensor) -> None:
    coarse = networks.scrambled(networks.transformer(6, 3, patch=4), 1)
    fine = networks.scrambled(networks.transformer(9, 3, patch=2), 2)
    network = stitched({"a": coarse, "b": fine}, adapters=["resize", "tokens"])
    assert len(network.stitch.choices) > 2
    assert all(_choose(network, str(name))(images).shape == (40, 5) for name in network.stitch.choices)


def test_networks_with_nothing_in_common_say_what_they_have(networks: Any, stitched: Any) -> None:
    flat = {
        "a": networks.scrambled(networks.residual(3, (0, 3)), 1),
        "b": networks.scrambled(networks.residual(5, (0, 3)), 2),
    }
    with pytest.raises(
        SpaceError, match=r"'a' and 'b' have nothing to be joined at.* 1 of maps of 8x8 pixels with 3 features"
    ):
        stitched(flat, last_stage=False)
    with pytest.raises(SpaceError, match="vectors with 4 features cannot be turned into maps of 8x8 pixels"):
        stitched(
            {
                "a": networks.scrambled(networks.perceptron(4, 3), 1),
                "b": networks.scrambled(networks.residual(3, (2, 2)), 2),
            }
        )


def test_paths_are_drawn_uniformly_anchors_included(networks: Any, stitched: Any) -> None:
    space = Supernet(stitched(_anchors(networks, "perceptron"))).space
    rng = np.random.default_rng(0)
    counts = np.unique([space.sample(rng)["stitch"] for _ in range(200 * space.size())], return_counts=True)[1]
    assert len(counts) == space.size()
    assert counts.min() > 140
    assert counts.max() < 260
