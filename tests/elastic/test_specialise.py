"""Copies of whole module trees: what becomes plain, what stays shared, what is left out."""

from __future__ import annotations

import copy
from collections import OrderedDict
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import nn

from automl import elastic
from automl.space import Categorical, Guard, Ordinal, Size


class Pair(NamedTuple):
    left: Size
    right: str


@dataclass(frozen=True)
class Setting:
    width: Size
    name: str


class Everything(nn.Module):
    """Holds sizes in every kind of attribute."""

    def __init__(self) -> None:
        super().__init__()
        self.width = Ordinal(2, 4)
        self.mode = Categorical("max", "mean")
        self.rate = Ordinal(0.1, 0.2)
        self.scaled = (self.width * 1.5).rounded(1)
        self.half = self.width * 0.25
        self.sizes = [self.width, (self.width + 1, 3)]
        self.by_name = {"width": self.width, "other": {"mode": self.mode}}
        self.ordered = OrderedDict(width=self.width)
        self.pair = Pair(self.width * 2, "x")
        self.setting = Setting(self.width, "y")
        self.linear = elastic.Linear(3, self.width)
        self.also_linear = [self.linear]
        self.activation = self._activate
        self.shape = torch.Size([2, 3])
        self.scale = nn.Parameter(torch.ones(1), requires_grad=False)
        self.same_scale = self.scale
        self.register_buffer("offset", torch.zeros(1))
        self.constant = torch.ones(2)

    def _activate(self, x: torch.Tensor) -> torch.Tensor:
        return x.relu() * self.scale + self.offset + int(self.width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.activation(self.linear(x))


def test_sizes_in_all_attributes_become_plain_numbers():
    module = Everything()
    module.width.value, module.mode.value = 2, "mean"
    plain = elastic.specialise(module)
    assert (plain.width, plain.mode, plain.rate, plain.scaled, plain.half) == (2, "mean", 0.2, 3, 0.5)
    assert isinstance(plain.scaled, int)
    assert plain.sizes == [2, (3, 3)]
    assert plain.by_name == {"width": 2, "other": {"mode": "mean"}}
    assert plain.ordered == OrderedDict(width=2)
    assert plain.pair == Pair(4, "x")
    assert plain.setting == Setting(2, "y")
    assert plain.shape == torch.Size([2, 3])
    assert plain.also_linear == [plain.linear]
    assert module.setting.width is module.width


def test_a_copy_refers_to_itself_and_not_to_the_original():
    module = Everything()
    module.width.value = 2
    plain = elastic.specialise(module)
    x = torch.randn(5, 3)
    expected = module(x)
    assert torch.equal(plain(x), expected)
    module.width.value = 4
    with torch.no_grad():
        module.scale.fill_(9)
        module.offset.fill_(9)
        module.constant.fill_(9)
    assert torch.equal(plain(x), expected)
    assert plain.constant.tolist() == [1, 1]
    assert not plain.scale.requires_grad
    assert plain.same_scale is plain.scale


def test_shared_modules_stay_shared():
    width = Ordinal(2, 4)
    shared = elastic.Linear(width, width)
    wrapped = nn.Sequential(shared)
    network = nn.Sequential(shared, elastic.Repeat([wrapped, shared], 2), elastic.Choice({"a": shared}), wrapped)
    width.value = 2
    plain = elastic.specialise(network)
    assert plain[0] is plain[1][1] is plain[2] is plain[3][0]
    assert plain[1][0] is plain[3]
    assert len(list(plain.parameters())) == 2


def test_tied_parameters_stay_tied():
    width = Ordinal(2, 4)
    table, head = elastic.Embedding(7, width), elastic.Linear(width, 7, bias=False)
    head.weight = table.weight
    network = nn.Sequential(table, head)
    for width_value in width.choices:
        width.value = width_value
        plain = elastic.specialise(network)
        assert plain[0].weight is plain[1].weight
        assert plain[0].weight.shape == (7, width.value)
    assert elastic.specialise(network)[0].weight is not plain[0].weight


def test_slices_of_one_parameter_that_differ_are_separate():
    small, large = Ordinal(2, 4), Ordinal(3, 4)
    first, second = elastic.Linear(3, small, bias=False), elastic.Linear(3, large, bias=False)
    second.weight = first.weight
    small.value, large.value = 2, 3
    plain = elastic.specialise(nn.Sequential(first, second))
    assert [tuple(layer.weight.shape) for layer in plain] == [(2, 3), (3, 3)]


def test_frozen_parameters_stay_frozen():
    layer = elastic.Linear(3, Ordinal(2, 4))
    layer.weight.requires_grad_(False)
    plain = elastic.specialise(layer)
    assert not plain.weight.requires_grad
    assert plain.bias.requires_grad


class Optional(nn.Module):
    """A child that exists only in one of two modes, without a container."""

    def __init__(self) -> None:
        super().__init__()
        self.mode = Categorical("plain", "extra")
        self.extra = elastic.Linear(3, 3)

    def conditions(self) -> dict[str, Guard]:
        return {"extra": Guard(self.mode, frozenset({"extra"}))}

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mode = self.mode if isinstance(self.mode, str) else self.mode.value
        return self.extra(x) if mode == "extra" else x


def test_children_whose_condition_does_not_hold_are_left_out():
    module = Optional()
    plain = elastic.specialise(module)
    assert plain.extra is None
    assert plain.state_dict() == {}
    assert torch.equal(plain(torch.ones(1, 3)), torch.ones(1, 3))
    module.mode.value = "extra"
    assert isinstance(elastic.specialise(module).extra, nn.Linear)


def test_specialising_twice_changes_nothing():
    network = nn.Sequential(Optional(), Everything(), elastic.Linear(4, Ordinal(2, 5)))
    network[0].mode.value = "extra"
    plain = elastic.specialise(network)
    again = elastic.specialise(copy.deepcopy(plain))
    assert repr(again) == repr(plain)
    for name, tensor in plain.state_dict().items():
        assert torch.equal(again.state_dict()[name], tensor)


def test_a_module_may_specialise_itself():
    class Doubled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = elastic.Linear(3, Ordinal(2, 3))

        def specialise(self) -> nn.Module:
            return nn.Sequential(elastic.specialise(self.inner), elastic.specialise(self.inner))

    plain = elastic.specialise(nn.Sequential(Doubled()))
    assert plain[0][0] is plain[0][1]


def test_random_numbers_are_not_used_up():
    network = nn.Sequential(elastic.Conv2d(3, Ordinal(2, 4), 3), elastic.BatchNorm2d(4), elastic.Embedding(4, 3))
    state = torch.get_rng_state()
    elastic.specialise(network)
    assert torch.equal(torch.get_rng_state(), state)


def test_hooks_are_copied():
    seen = []
    network = nn.Sequential(elastic.Linear(3, 2))
    network.register_forward_hook(lambda module, inputs, output: seen.append(tuple(output.shape)))
    elastic.specialise(network)(torch.randn(1, 3))
    assert seen == [(1, 2)]


def test_gradients_are_not_copied_and_gradient_mode_is_kept():
    layer = elastic.Linear(3, 2)
    layer(torch.ones(1, 3)).sum().backward()
    plain = elastic.specialise(nn.Sequential(layer, nn.Linear(2, 1)))
    assert torch.is_grad_enabled()
    assert all(p.grad is None and p.is_leaf and p.requires_grad for p in plain.parameters())
