"""Reading the space off a module tree."""

from __future__ import annotations

import pytest
from torch import nn

from automl.errors import SpaceError
from automl.space import Categorical, Guard, Ordinal, SearchSpace


class Leaf(nn.Module):
    def __init__(self, **attributes: object) -> None:
        super().__init__()
        for name, value in attributes.items():
            setattr(self, name, value)


class Either(nn.Module):
    def __init__(self, choice: Categorical, **candidates: nn.Module) -> None:
        super().__init__()
        self.choice = choice
        for name, candidate in candidates.items():
            self.add_module(name, candidate)

    def conditions(self) -> dict[str, Guard]:
        return {str(name): Guard(self.choice, frozenset([name])) for name in self.choice.choices}


class Stack(nn.Module):
    def __init__(self, depth: Ordinal, *blocks: nn.Module) -> None:
        super().__init__()
        self.depth = depth
        for i, block in enumerate(blocks):
            self.add_module(str(i), block)

    def conditions(self) -> dict[str, Guard]:
        return {str(i): Guard.above(self.depth, i) for i in range(len(self._modules))}


def test_names_are_paths_and_sharing_is_one_dimension() -> None:
    width = Ordinal(4, 8)
    net = nn.Sequential(Leaf(out=width), Leaf(inp=width, kernel=Ordinal(3, 5)))
    space = SearchSpace.of(net)
    assert list(space.dimensions) == ["0.out", "1.kernel"]
    assert space.size() == 4


def test_a_direct_attribute_names_a_dimension_before_a_derived_size_does() -> None:
    ratio = Ordinal(2, 4)
    net = nn.Sequential(Leaf(hidden=Ordinal(8, 16) * ratio), Leaf(ratio=ratio))
    assert set(SearchSpace.of(net).dimensions) == {"1.ratio", "0.hidden.0"}


def test_dimensions_inside_lists_and_derived_sizes_are_found() -> None:
    net = Leaf(sizes=[Ordinal(1, 2), (Ordinal(3, 4) * 2).rounded(2)], by_name={"a": Categorical("x", "y")})
    space = SearchSpace.of(net)
    assert space.size() == 8
    assert set(space.dimensions) == {"sizes.0", "sizes.1", "by_name"}


def test_nested_containers_give_conditions_and_exact_size() -> None:
    kernel = lambda: Ordinal(3, 5, 7)  # noqa: E731
    conv = Stack(Ordinal(1, 2), Leaf(kernel=kernel()), Leaf(kernel=kernel()))
    net = Either(Categorical("conv", "pool"), conv=conv, pool=Leaf(mode=Categorical("max", "mean")))
    space = SearchSpace.of(net)
    assert space.size() == (3 + 9) + 2
    assert space.names == ("choice", "conv.depth", "conv.0.kernel", "conv.1.kernel", "pool.mode")


def test_a_dimension_shared_by_two_candidates_exists_while_either_does() -> None:
    shared = Ordinal(3, 5)
    net = Either(Categorical("a", "b", "c"), a=Leaf(kernel=shared), b=Leaf(kernel=shared), c=Leaf())
    space = SearchSpace.of(net)
    assert space.size() == 2 + 2 + 1
    outside = nn.Sequential(net, Leaf(kernel=shared))
    assert SearchSpace.of(outside).size() == 3 * 2


def test_one_module_at_two_places_exists_while_either_place_does() -> None:
    block = Leaf(kernel=Ordinal(3, 5))
    space = SearchSpace.of(Either(Categorical("a", "b", "c"), a=block, b=block, c=Leaf()))
    assert space.size() == 5


def test_single_choices_are_fixed() -> None:
    net = Either(Categorical("a"), a=Leaf(kernel=Ordinal(3), width=Ordinal(1, 2)))
    assert list(SearchSpace.of(net).dimensions) == ["a.width"]


def test_a_guard_on_an_unknown_dimension_is_refused() -> None:
    class Broken(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.child = Leaf(kernel=Ordinal(1, 2))

        def conditions(self) -> dict[str, Guard]:
            return {"child": Guard.above(Ordinal(1, 2), 1)}

    with pytest.raises(SpaceError, match="no attribute of any module"):
        SearchSpace.of(Broken())


def test_forbidden_names_are_checked() -> None:
    with pytest.raises(SpaceError, match=r"forbidden.0.*unknown dimension 'dept'. Did you mean 'depth'"):
        SearchSpace.of(Stack(Ordinal(1, 2), Leaf(), Leaf()), forbidden=[{"dept": 1}])
