from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from automl.errors import SpaceError
from automl.space import Categorical, Ordinal, Scalar, SearchSpace, restrict
from automl.testing.strategies import spaces


@st.composite
def restricted(draw: st.DrawFn) -> tuple[SearchSpace, dict[str, list[Scalar]]]:
    space = draw(spaces())
    names = draw(st.lists(st.sampled_from(space.names), unique=True))
    kept = {
        name: draw(st.lists(st.sampled_from(space.dimensions[name].choices), min_size=1, unique=True)) for name in names
    }
    return space, kept


@given(restricted())
def test_it_holds_exactly_the_architectures_whose_values_are_kept(
    given_pair: tuple[SearchSpace, dict[str, list[Scalar]]],
) -> None:
    space, kept = given_pair
    expected = [a for a in space.enumerate() if all(value in kept.get(name, [value]) for name, value in a.items())]
    if not expected:
        with pytest.raises(SpaceError, match="exclude every architecture"):
            restrict(space, kept)
        return
    narrow = restrict(space, kept)
    assert set(narrow.enumerate()) == set(expected)
    assert narrow.size() == len(expected)
    rng = np.random.default_rng(0)
    rows = narrow.canonical_indices(np.full((20, len(narrow.names)), -1), rng)
    assert set(narrow.from_indices(rows[narrow.allowed_indices(rows)])) <= set(expected)
    assert restrict(narrow, {}).digest == narrow.digest


def test_conditions_that_always_hold_or_never_can_are_gone() -> None:
    space = SearchSpace.build(
        {"depth": Ordinal(1, 2, 3), "op2": Categorical("conv", "pool"), "kernel2": Ordinal(3, 5)},
        {"op2": {"depth": [2, 3]}, "kernel2": {"op2": "conv"}},
    )
    deep = restrict(space, {"depth": [2, 3]})
    assert "exists_if" not in deep.describe()["dimensions"]["op2"]
    assert "exists_if" in deep.describe()["dimensions"]["kernel2"]
    assert restrict(space, {"depth": [1]}).names == ("depth",)
    assert restrict(space, {"op2": ["pool"]}).names == ("depth", "op2")


def test_the_order_of_kept_values_does_not_matter_and_the_space_is_left_alone() -> None:
    space = SearchSpace.build({"width": Ordinal(8, 16, 24), "op": Categorical("a", "b", "c")})
    before = space.digest
    narrow = restrict(space, {"width": (24, 8), "op": {"c": 1, "a": 1}})
    assert narrow.dimensions["width"].choices == (8, 24)
    assert narrow.dimensions["op"].choices == ("a", "c")
    assert isinstance(narrow.dimensions["width"], Ordinal)
    assert space.digest == before


@pytest.mark.parametrize(
    ("kept", "message"),
    [
        ({"widht": [8]}, "unknown dimension 'widht'. Did you mean 'width'"),
        ({"width": []}, "width: no choice is left; keep at least one of .8, 16."),
        ({"width": [9]}, "width: 9 is not a choice of Ordinal"),
        ({"width": [8], "depth": [1]}, "exclude every architecture"),
    ],
)
def test_what_cannot_be_kept_is_refused(kept: dict[str, list[Scalar]], message: str) -> None:
    space = SearchSpace.build({"width": Ordinal(8, 16), "depth": Ordinal(1, 2)}, forbidden=[{"width": 8, "depth": 1}])
    with pytest.raises(SpaceError, match=message):
        restrict(space, kept)
