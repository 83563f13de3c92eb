from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from automl.stitching.pairing import Join, paired, stage_joins, unpaired


@pytest.mark.parametrize(("depth", "joins", "layers"), [(12, 34, 11), (6, 16, 5), (2, 4, 1), (1, 1, 1)])
def test_counts_of_joins_and_shared_layers_are_those_of_the_paper(depth: int, joins: int, layers: int) -> None:
    found = paired(depth, kernel=2, stride=1)
    assert (sum(map(len, found)), len(found)) == (joins, layers)


def test_three_networks_of_twelve_blocks_have_71_paths() -> None:
    assert 3 + 2 * sum(map(len, paired(12))) == 71


def test_three_hierarchical_networks_have_41_paths_without_the_last_stage() -> None:
    tiny, small, base = (2, 2, 6, 2), (2, 2, 18, 2), (2, 2, 18, 2)
    counts = [
        [sum(map(len, _joins(f, b))) for f, b in zip(front[:-1], back[:-1], strict=True)]
        for front, back in ((tiny, small), (small, base))
    ]
    assert counts == [[1, 1, 17], [1, 1, 17]]
    assert 3 + sum(map(sum, counts)) == 41


def _joins(front: int, back: int) -> list[list[Join]]:
    return stage_joins(front, back, forward_only=True)


def test_a_shallow_front_hands_over_to_later_blocks_of_the_nearest_ones() -> None:
    assert unpaired(2, 6) == [[Join(0, 1), Join(0, 2)], [Join(1, 3), Join(1, 4), Join(1, 5)]]


def test_a_deep_front_hands_over_to_the_block_after_the_nearest_one() -> None:
    assert unpaired(6, 2) == [[Join(0, 1), Join(1, 1), Join(2, 1)]]


@given(depth=st.integers(1, 20), kernel=st.integers(1, 5), stride=st.integers(1, 5))
def test_every_join_lies_in_one_window_and_occurs_once(depth: int, kernel: int, stride: int) -> None:
    joins = [join for layer in paired(depth, kernel, stride) for join in layer]
    assert len(set(joins)) == len(joins)
    assert all(0 <= j < depth and 0 <= q < depth and abs(j - q) < kernel for j, q in joins)
    windows = [range(i, min(i + kernel, depth)) for i in range(0, depth, stride)]
    assert set(joins) == {Join(j, q) for window in windows for j in window for q in window}


@given(front=st.integers(1, 20), back=st.integers(1, 20))
def test_joins_of_unequal_depth_keep_the_order_of_depth(front: int, back: int) -> None:
    assume(front != back)
    joins = [join for layer in unpaired(front, back) for join in layer]
    assert len(set(joins)) == len(joins)
    assert all(0 <= j < front and 0 < q < back for j, q in joins)
    assert joins or front == 1 or back == 1
