"""The strategies reach what they promise, and what they draw is valid."""

from __future__ import annotations

from collections.abc import Callable

import torch
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st
from torch import nn

from automl.space import Architecture, Ordinal, SearchSpace
from automl.testing.strategies import architectures, modules, spaces, spaces_with_architectures, tensors


@given(spaces_with_architectures(count=2))
def test_drawn_architectures_belong_to_their_space(drawn: tuple[SearchSpace, list[Architecture]]) -> None:
    space, found = drawn
    assert space.size() >= 1
    for architecture in found:
        assert space.canonical(architecture) == architecture


def test_spaces_have_conditions_alternatives_rules_and_none_of_them() -> None:
    wanted: list[Callable[[SearchSpace], bool]] = [
        lambda s: any(len(c) == 2 for c in s.structure.conditions),
        lambda s: bool(s.forbidden) and s.size() > 2,
        lambda s: len(s.names) == 5 and not any(s.structure.conditions),
        lambda s: any(isinstance(d, Ordinal) and len(d.choices) == 3 for d in s.dimensions.values()),
    ]
    for condition in wanted:
        find(spaces(), condition, settings=settings(phases=[Phase.generate], max_examples=500))


def test_spaces_without_rules_have_none() -> None:
    @given(spaces(rules=False))
    def check(space: SearchSpace) -> None:
        assert not space.forbidden

    check()


def test_every_architecture_of_a_small_space_can_be_drawn() -> None:
    space = SearchSpace.build({"a": Ordinal(1, 2, 3), "b": Ordinal(1, 2)})
    for wanted in space.enumerate():
        assert find(architectures(space), wanted.__eq__) == wanted


def test_architectures_of_a_large_space_are_sampled() -> None:
    space = SearchSpace.build({f"d{i}": Ordinal(1, 2, 3, 4) for i in range(9)})
    assert space.canonical(find(architectures(space), lambda a: a["d0"] == 4))["d0"] == 4


@given(modules(lambda: nn.Sequential(nn.Linear(3, 5), nn.BatchNorm1d(5))), tensors(2, 3))
def test_modules_have_asymmetric_weights_in_double_precision(module: nn.Module, x: torch.Tensor) -> None:
    assert not module.training
    assert module(x).dtype == torch.float64
    norm = module.get_submodule("1")
    for tensor in (norm.weight, norm.bias, norm.running_mean, norm.running_var):
        assert isinstance(tensor, torch.Tensor)
        assert len(set(tensor.tolist())) == 5
    assert float(norm.get_buffer("running_var").min()) > 0


@given(st.data())
def test_tensors_have_the_shape_asked_for(data: st.DataObject) -> None:
    assert data.draw(tensors(2, 3, 5, dtype=torch.float32)).shape == (2, 3, 5)
