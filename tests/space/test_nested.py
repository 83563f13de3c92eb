"""Nested families: what contains what, how many members there are, and what is drawn."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from automl.errors import SpaceError
from automl.space import Categorical, NestedFamily, Ordinal, SearchSpace
from automl.space.draws import draw_among


def build(counts: dict[str, int], **options) -> SearchSpace:
    return SearchSpace.build({name: Ordinal(*range(1, count + 1)) for name, count in counts.items()}, **options)


counted = st.lists(st.integers(2, 6), min_size=1, max_size=5)


def test_five_depths_and_thirty_two_widths_are_160_sub_models():
    space = SearchSpace.build({"depth": Ordinal(*range(5)), "width": Ordinal(*range(4, 129, 4))})
    family = NestedFamily(space, [["depth"], ["width"]], limit=160)
    assert len(family) == 160 == len(set(family.members)) == space.size()
    assert family.members[0] == space.smallest()
    assert family.members[-1] == space.largest()


@given(counted, st.integers(2, 40))
def test_each_member_of_a_chain_contains_the_one_before(counts, limit):
    space = build({f"d{i}": count for i, count in enumerate(counts)})
    members = NestedFamily(space, [list(space.names)], limit=limit).members
    rows = space.to_indices(members)
    assert (np.diff(rows, axis=0) >= 0).all()
    assert (np.diff(rows.sum(1)) >= 1).all()
    assert len(members) == min(limit, 1 + sum(count - 1 for count in counts))
    assert members[0] == space.smallest()
    assert members[-1] == space.largest()


@given(counted, counted, st.integers(4, 60))
def test_a_grid_is_nested_along_both_coordinates_and_keeps_to_its_limit(first, second, limit):
    names = [[f"a{i}" for i in range(len(first))], [f"b{i}" for i in range(len(second))]]
    space = build(dict(zip([*names[0], *names[1]], [*first, *second], strict=True)))
    family = NestedFamily(space, names, limit=limit)
    assert 4 <= len(family) <= limit
    assert {space.smallest(), space.largest()} <= set(family.members)
    for group in names:  # the values of a coordinate that occur form a chain
        levels = {tuple(member[name] for name in group) for member in family.members}
        ordered = np.array(sorted(levels, key=sum))
        assert (np.diff(ordered, axis=0) >= 0).all()
        assert len(levels) > 1


def test_fewer_members_than_two_levels_for_each_coordinate_move_as_one():
    space = build({"depth": 3, "width": 4})
    members = NestedFamily(space, [["depth"], ["width"]], limit=2).members
    assert members == (space.smallest(), space.largest())


def test_networks_that_differ_in_absent_parts_only_count_once():
    space = SearchSpace.build({"depth": Ordinal(0, 1), "width": Ordinal(2, 3, 5)}, conditions={"width": {"depth": 1}})
    assert len(NestedFamily(space, [["depth"], ["width"]], limit=100)) == 1 + 3


def test_forbidden_members_are_left_out():
    space = build({"depth": 3, "width": 4}, forbidden=[{"depth": 3, "width": [1, 2]}])
    family = NestedFamily(space, [["depth"], ["width"]], limit=100)
    assert len(family) == 10
    assert all(space.allows(member) for member in family.members)


def test_a_space_without_order_is_refused():
    space = SearchSpace.build({"op": Categorical("conv", "pool")})
    with pytest.raises(SpaceError, match="no dimension with an order"):
        NestedFamily(space, [[], []], limit=8)


def test_members_are_drawn_uniformly_and_dimensions_without_order_with_them():
    space = SearchSpace.build(
        {"op": Categorical("conv", "pool", "none"), "width": Ordinal(4, 8), "kernel": Ordinal(3, 5)},
        conditions={"kernel": {"op": "conv"}},
    )
    family = NestedFamily(space, [["width", "kernel"]], limit=3)
    assert all(member["op"] == "none" for member in family.members)
    assert len(family) == 2
    rng = np.random.default_rng(3)
    seen = Counter(family.sample(rng) for _ in range(3000))
    ops = Counter()
    for architecture, count in seen.items():
        ops[architecture["op"]] += count
    assert all(abs(count - 1000) < 4 * 1000**0.5 for count in ops.values())
    assert {a["width"] for a in seen} == {4, 8}


@given(st.integers(0, 10_000))
def test_a_draw_keeps_to_the_choices_given_and_to_the_rules(seed):
    space = build({"depth": 3, "width": 4}, forbidden=[{"depth": 3, "width": 4}])
    drawn = draw_among(space, {"depth": (2, 3), "width": (3, 4)}, np.random.default_rng(seed))
    assert drawn is not None
    assert (drawn["depth"], drawn["width"]) in {(2, 3), (2, 4), (3, 3)}


def test_a_draw_where_all_is_forbidden_gives_none():
    space = build({"depth": 3, "width": 4}, forbidden=[{"depth": 3, "width": 4}])
    assert draw_among(space, {"depth": (3,), "width": (4,)}, np.random.default_rng(0)) is None
