"""Bayesian ridge regression in the span of its inputs against scikit-learn's on all features."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import BayesianRidge

from automl.search.predictors.ridge import RotatedRidge


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), count=st.integers(4, 25), width=st.integers(1, 40), twins=st.integers(0, 3))
def test_rotation_changes_neither_means_nor_deviations(seed: int, count: int, width: int, twins: int) -> None:
    rng = np.random.default_rng(seed)
    inputs = rng.normal(size=(count, width)) * rng.uniform(0.1, 3, width) + rng.normal(size=width)
    inputs[:twins] = inputs[-1]
    targets = inputs @ rng.normal(size=width) + rng.normal(size=count)
    asked = rng.normal(size=(7, width))
    whole = BayesianRidge(tol=1e-9, max_iter=3000).fit(inputs, targets)
    expected, deviation = whole.predict(asked, return_std=True)
    ours = RotatedRidge(inputs, targets, tolerance=1e-9, iterations=3000).predict(asked)
    np.testing.assert_allclose(ours[0], expected, rtol=1e-4, atol=1e-4 * np.ptp(targets))
    np.testing.assert_allclose(ours[1], deviation, rtol=1e-3)


@pytest.mark.parametrize("width", [1, 6])
def test_equal_inputs_give_the_mean(width: int) -> None:
    mean, deviation = RotatedRidge(np.ones((5, width)), np.arange(5.0)).predict(np.ones((2, width)))
    np.testing.assert_allclose(mean, 2.0)
    assert (deviation > 0).all()
