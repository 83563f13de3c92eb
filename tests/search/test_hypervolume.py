from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from automl.search import hypervolume

SIDE = 5


def brute_force(values: npt.NDArray[np.float64], reference: npt.NDArray[np.float64]) -> int:
    """Counts the unit cells that are dominated; values are whole numbers."""
    cells = itertools.product(*(range(int(r)) for r in reference))
    return sum(any((row <= cell).all() for row in values) for cell in map(np.array, cells))


@given(
    st.integers(1, 4).flatmap(
        lambda m: st.tuples(
            hnp.arrays(
                np.float64, st.tuples(st.integers(0, 9), st.just(m)), elements=st.integers(0, SIDE + 1).map(float)
            ),
            hnp.arrays(np.float64, m, elements=st.integers(1, SIDE).map(float)),
        )
    )
)
def test_volume_equals_counted_cells(case: tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]) -> None:
    values, reference = case
    assert hypervolume(values, reference) == brute_force(values, reference)


@pytest.mark.parametrize("objectives", [2, 3, 4, 5])
def test_volume_agrees_with_inclusion_and_exclusion(objectives: int) -> None:
    rng = np.random.default_rng(objectives)
    values, reference = rng.normal(size=(8, objectives)), rng.normal(size=objectives) + 1.5
    expected = 0.0
    for size in range(1, 9):
        for rows in itertools.combinations(values, size):
            corner = np.max(rows, axis=0)
            expected -= (-1) ** size * float(np.prod(np.maximum(reference - corner, 0.0)))
    assert hypervolume(values, reference) == pytest.approx(expected, rel=1e-12)


def test_three_objectives_agree_with_slices_of_two_on_many_members() -> None:
    rng = np.random.default_rng(9)
    directions = np.abs(rng.normal(size=(400, 3)))
    values = 1 - directions / np.linalg.norm(directions, axis=1, keepdims=True)
    levels = np.append(np.sort(values[:, 2]), 1.0)
    slices = [
        hypervolume(values[values[:, 2] <= low, :2], (1.0, 1.0)) * (high - low)
        for low, high in itertools.pairwise(levels)
    ]
    assert hypervolume(values, (1.0, 1.0, 1.0)) == pytest.approx(sum(slices), rel=1e-12)


def test_unusable_rows_add_nothing() -> None:
    base = [[1.0, 2.0], [2.0, 1.0]]
    more = [*base, [np.nan, 0.0], [3.0, 0.0], [np.inf, 0.5], [2.5, 2.5]]
    assert hypervolume(more, (3.0, 3.0)) == hypervolume(base, (3.0, 3.0)) == 3.0
    assert hypervolume([], (3.0, 3.0)) == 0.0
    assert hypervolume([[-np.inf, 1.0]], (3.0, 3.0)) == np.inf


@pytest.mark.parametrize(
    ("values", "reference", "message"),
    [
        ([[1.0, 2.0]], [3.0], r"values \(1, 2\), reference \(1,\)"),
        ([1.0, 2.0], [3.0, 3.0], r"values \(2,\), reference \(2,\)"),
        ([[1.0, 2.0]], [3.0, np.inf], "must be finite"),
    ],
)
def test_malformed_input_is_refused(values: list[object], reference: list[float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        hypervolume(values, reference)  # type: ignore[arg-type]
