"""Balanced assignments: both marginals uniform, whatever the scores and the temperature."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from automl.supernet.balance import TOLERANCE, balanced_assignment


def divergence(joint):
    columns = joint.sum(0)
    return float((columns * np.log(columns * len(columns))).sum())


@given(
    hnp.arrays(np.float64, st.tuples(st.integers(1, 12), st.integers(1, 5)), elements=st.floats(0, 1)),
    st.sampled_from([1.0, 0.3, 0.05]),
)
def test_rows_are_uniform_exactly_and_columns_within_the_tolerance(scores, temperature):
    joint, sweeps = balanced_assignment(scores, temperature)
    assert joint.shape == scores.shape
    assert np.allclose(joint.sum(1), 1 / len(scores), rtol=0, atol=1e-9)
    assert (joint >= 0).all()
    assert divergence(joint) < TOLERANCE or sweeps == 2000


def test_equal_scores_give_exactly_equal_shares_at_once():
    joint, sweeps = balanced_assignment(np.full((36, 4), 0.7), 0.0025)
    assert np.allclose(joint, 1 / 144, rtol=0, atol=1e-15)
    assert sweeps == 1


def test_a_falling_temperature_decides_while_the_models_stay_in_balance():
    found = []
    for seed in range(6):
        scores, entropies, sweeps = np.random.default_rng(seed).random((36, 4)), [], []
        for temperature in (1.0, 0.1, 1 / 400):
            joint, count = balanced_assignment(scores, temperature)
            conditional = joint * 36
            entropies.append(float(-(conditional * np.log(np.maximum(conditional, 1e-300))).sum(1).mean()))
            sweeps.append(count)
            assert divergence(joint) < TOLERANCE
        found.append(entropies)
        assert sweeps[0] <= 2
        assert entropies == sorted(entropies, reverse=True)
    # an independent implementation has 1.36, 0.61 and 0.04 for one table of this size
    assert np.mean(found, axis=0) == pytest.approx([1.36, 0.61, 0.04], abs=0.05)


def test_scores_far_apart_and_a_low_temperature_stay_finite():
    scores = np.array([[0.0, 1.0], [1e-9, 1.0], [0.3, 0.9], [0.2, 0.95]])
    joint, _ = balanced_assignment(scores, 1 / 6400)
    assert np.isfinite(joint).all()
    assert np.allclose(joint.sum(1), 0.25)


def test_a_row_far_below_the_best_keeps_its_own_preference():
    joint, _ = balanced_assignment(np.array([[0.9, 0.2], [0.01, 0.11]]), 0.01)
    assert joint.argmax(1).tolist() == [0, 1]
    assert joint[1, 1] > 0.49


@given(st.permutations(range(4)), st.integers(0, 100))
def test_renaming_models_permutes_columns_only(order, seed):
    scores = np.random.default_rng(seed).random((9, 4))
    one, _ = balanced_assignment(scores, 0.1)
    other, _ = balanced_assignment(scores[:, order], 0.1)
    assert np.allclose(other, one[:, order], rtol=0, atol=1e-12)
