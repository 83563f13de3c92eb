from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from automl.search import crowding, knee, nondominated_sort, pareto_front
from automl.search import pareto as pareto_module

FEW_VALUES = st.sampled_from([0.0, 1.0, 2.0, 3.0, -1.5, np.inf, -np.inf, np.nan])


def matrices(elements: st.SearchStrategy[float] = FEW_VALUES) -> st.SearchStrategy[npt.NDArray[np.float64]]:
    shapes = st.tuples(st.integers(0, 14), st.integers(1, 4))
    return shapes.flatmap(lambda shape: hnp.arrays(np.float64, shape, elements=elements))


def dominates(a: npt.NDArray[np.float64], b: npt.NDArray[np.float64]) -> bool:
    return bool((a <= b).all() and (a < b).any())


def brute_force_front(values: npt.NDArray[np.float64]) -> list[int]:
    measured = [i for i, row in enumerate(values) if not np.isnan(row).any()]
    return [i for i in measured if not any(dominates(values[j], values[i]) for j in measured)]


@given(matrices())
def test_front_equals_brute_force_with_ties_infinities_and_nan(values: npt.NDArray[np.float64]) -> None:
    assert pareto_front(values).tolist() == brute_force_front(values)


@given(matrices())
def test_ranks_equal_repeated_peeling_of_the_front(values: npt.NDArray[np.float64]) -> None:
    expected = np.full(len(values), -1)
    left = [i for i in range(len(values)) if not np.isnan(values[i]).any()]
    rank = 0
    while left:
        front = [left[i] for i in brute_force_front(values[left])]
        expected[front] = rank
        left = [i for i in left if i not in front]
        rank += 1
    expected[expected < 0] = rank
    assert nondominated_sort(values).tolist() == expected.tolist()


@pytest.mark.parametrize("objectives", [2, 3, 5])
def test_blocks_and_peeling_of_many_rows_agree_with_dominance(objectives: int, monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(objectives).integers(0, 12, size=(700, objectives)).astype(float)
    whole = nondominated_sort(values)
    monkeypatch.setattr(pareto_module, "_BLOCK", 17)
    monkeypatch.setattr(pareto_module, "_DENSE_ROWS", 40)
    assert nondominated_sort(values).tolist() == whole.tolist()
    assert pareto_front(values).tolist() == np.flatnonzero(whole == 0).tolist() == brute_force_front(values)


def test_crowding_of_a_hand_computed_front() -> None:
    front = [[0.0, 10.0], [1.0, 6.0], [4.0, 2.0], [8.0, 0.0]]
    distance = crowding(front)
    assert np.isinf(distance[[0, 3]]).all()
    assert distance[1] == pytest.approx(4 / 8 + 8 / 10)
    assert distance[2] == pytest.approx(7 / 8 + 6 / 10)


def test_crowding_survives_equal_and_infinite_values() -> None:
    distance = crowding([[1.0, 5.0, np.inf]] * 2 + [[1.0, 5.0, 3.0], [1.0, 4.0, np.inf], [1.0, 4.5, 2.0]])
    assert not np.isnan(distance).any()
    assert np.isinf(crowding([[1.0, 2.0], [2.0, 1.0]])).all()
    assert crowding(np.zeros((0, 2))).shape == (0,)


def test_knee_is_farthest_from_the_line_through_the_ends() -> None:
    rng = np.random.default_rng(3)
    x = np.sort(rng.random(30)) * 7
    values = np.stack([x, 5 / (0.3 + x)], axis=1)
    values = np.concatenate([values, values[10:12] + 0.5, [[np.inf, 0.0], [np.nan, 0.0]]])
    ends = values[[0, 29]]
    low, span = ends.min(axis=0), np.ptp(ends, axis=0)
    line = (ends[1] - ends[0]) / span
    offset = (values[:30] - ends[0]) / span
    distance = -(line[0] * offset[:, 1] - line[1] * offset[:, 0])
    assert (low <= values[:30]).all()
    assert knee(values) == int(np.argmax(distance))


def test_knee_of_one_member_and_of_none() -> None:
    assert knee([[3.0, 3.0, 3.0], [1.0, 2.0, 2.5]]) == 1
    with pytest.raises(ValueError, match="at least one row of finite values"):
        knee([[np.nan, 1.0]])


@pytest.mark.parametrize("function", [pareto_front, nondominated_sort, crowding])
def test_a_vector_is_refused(function: object) -> None:
    with pytest.raises(ValueError, match=r"matrix \(n, objectives\), got shape \(3,\)"):
        function([1.0, 2.0, 3.0])  # type: ignore[operator]


def test_front_is_the_same_in_any_order_of_rows() -> None:
    values = np.array([[1.0, 4.0], [2.0, 2.0], [2.0, 2.0], [3.0, 3.0], [np.nan, 0.0]])
    for order in itertools.permutations(range(5)):
        front = pareto_front(values[list(order)])
        assert sorted(order[i] for i in front) == [0, 1, 2]
