from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from automl.search.predictors import Scale

VALUES = st.lists(st.floats(-1e6, 1e6, allow_subnormal=False), min_size=1, max_size=30)


@given(VALUES)
def test_values_come_back_from_their_targets(values: list[float]) -> None:
    given_values = np.array(values)
    scale = Scale(given_values)
    tolerance = 1e-9 * max(1.0, np.ptp(given_values), float(np.abs(given_values).max()))
    np.testing.assert_allclose(scale.value(scale.target(given_values)), given_values, atol=tolerance)


@given(VALUES)
def test_order_is_kept_in_both_directions(values: list[float]) -> None:
    scale = Scale(np.array(values))
    ordered = np.sort(values)
    assert (np.diff(scale.target(ordered)) >= 0).all()
    assert (np.diff(scale.value(np.linspace(-5, 40, 50))) >= 0).all()


def test_the_better_half_is_hardly_bent_and_a_long_tail_is() -> None:
    values = np.concatenate([np.linspace(1, 2, 50), np.geomspace(2.1, 1000, 50)])
    targets = Scale(values).target(values)
    steps = np.diff(targets[:50])
    assert steps.max() / steps.min() < 4
    assert targets[-1] - targets[50] < 10 * (targets[49] - targets[0])


def test_below_the_smallest_value_there_is_little_room() -> None:
    scale = Scale(np.array([1.0, 2.0, 3.0]))
    assert scale.target([0.0])[0] == scale.target([1.0])[0]
    assert 0.4 < scale.value([-50.0])[0] < 1.0
    assert np.isfinite(scale.value([1e9])).all()


def test_equal_values_have_a_scale_too() -> None:
    scale = Scale(np.full(5, 7.0))
    np.testing.assert_allclose(scale.value(scale.target([7.0, 8.0])), [7.0, 8.0])
