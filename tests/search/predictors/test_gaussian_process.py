from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import approx_fprime

from automl.search.pareto import FloatMatrix, FloatVector
from automl.search.predictors import Features, GaussianProcess
from automl.search.predictors.gaussian_process import _negative_evidence, _noise, _terms
from automl.search.unseen import IndexMatrix
from automl.space import SearchSpace
from automl.testing.problems import error_and_cost, large_space
from automl.testing.strategies import spaces

SPACE = large_space()
FEATURES = Features(SPACE)


def drawn(n: int, seed: int) -> tuple[IndexMatrix, FloatVector]:
    rng = np.random.default_rng(seed)
    architectures = list(dict.fromkeys(SPACE.sample(rng) for _ in range(n)))
    return SPACE.to_indices(architectures), np.array([error_and_cost(a)[0] for a in architectures])


def parts_of(features: Features, rows: IndexMatrix) -> tuple[FloatMatrix, ...]:
    shares = features.occurrences(rows).T
    distances = np.array([features.distances(rows, rows, d) for d in range(features.dimensions)])
    apart = np.abs(shares[:, :, None] - shares[:, None, :])
    return 1 - distances, distances, shares[:, :, None] * shares[:, None, :], apart


def test_the_gradient_of_the_evidence_is_that_of_finite_differences() -> None:
    rows, targets = drawn(15, seed=0)
    parts = parts_of(FEATURES, rows)
    prior, width = GaussianProcess._prior(len(parts[0]), len(parts[2]))
    standard = (targets - targets.mean()) / targets.std()
    for seed in range(3):
        at = prior + np.random.default_rng(seed).normal(0, 0.5, len(prior))
        _, gradient = _negative_evidence(at, parts, standard, prior, width)
        numeric = approx_fprime(at, lambda w: _negative_evidence(w, parts, standard, prior, width)[0], 1e-6)
        np.testing.assert_allclose(gradient, numeric, rtol=2e-4, atol=2e-4)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("step", [2000.0, 300.0, -2000.0])
def test_weights_beyond_all_numbers_are_worse_than_others_and_no_error(step: float) -> None:
    rows, targets = drawn(12, seed=4)
    parts = parts_of(FEATURES, rows)
    prior, width = GaussianProcess._prior(len(parts[0]), len(parts[2]))
    standard = (targets - targets.mean()) / targets.std()
    usual, _ = _negative_evidence(prior, parts, standard, prior, width)
    for place in range(len(prior)):
        at = prior + step * (np.arange(len(prior)) == place)
        value, gradient = _negative_evidence(at, parts, standard, prior, width)
        assert usual < value < np.inf
        assert np.isfinite(gradient).all()


def test_a_fit_finds_a_better_posterior_than_its_start() -> None:
    rows, targets = drawn(25, seed=1)
    parts = parts_of(FEATURES, rows)
    prior, width = GaussianProcess._prior(len(parts[0]), len(parts[2]))
    standard = (targets - targets.mean()) / targets.std()
    model = GaussianProcess(FEATURES)
    model.fit(rows, targets)
    assert model.weights is not None
    found, gradient = _negative_evidence(model.weights, parts, standard, prior, width)
    assert found < _negative_evidence(prior, parts, standard, prior, width)[0] - 0.5
    assert np.abs(gradient).max() < 0.1


def test_held_out_predictions_are_those_of_leaving_one_out_with_the_same_weights() -> None:
    rows, targets = drawn(20, seed=2)
    model = GaussianProcess(FEATURES)
    model.fit(rows, targets)
    assert model.weights is not None
    covariance = np.sum(_terms(model.weights, parts_of(FEATURES, rows)), axis=0) + _noise(model.weights) * np.eye(
        len(rows)
    )
    for left_out in range(len(rows)):
        kept = np.arange(len(rows)) != left_out
        solved = np.linalg.solve(covariance[np.ix_(kept, kept)], targets[kept] - targets.mean())
        expected = covariance[left_out, kept] @ solved + targets.mean()
        assert model.held_out()[left_out] == pytest.approx(expected, rel=1e-6)


def test_predictions_follow_the_definition_of_a_process() -> None:
    rows, targets = drawn(24, seed=3)
    model = GaussianProcess(FEATURES)
    model.fit(rows[:18], targets[:18])
    assert model.weights is not None
    covariance = np.sum(_terms(model.weights, parts_of(FEATURES, rows)), axis=0)
    seen, new = covariance[:18, :18] + _noise(model.weights) * np.eye(18), covariance[18:, :18]
    mean, deviation = targets[:18].mean(), targets[:18].std()
    expected = new @ np.linalg.solve(seen, (targets[:18] - mean) / deviation) * deviation + mean
    variance = np.diag(covariance[18:, 18:] - new @ np.linalg.solve(seen, new.T)) * deviation**2
    found = model.predict(rows[18:])
    np.testing.assert_allclose(found[0], expected, rtol=1e-6)
    np.testing.assert_allclose(found[1], np.sqrt(variance), rtol=1e-5)


def test_noise_free_measurements_are_interpolated_and_far_ones_are_less_sure() -> None:
    rows, targets = drawn(60, seed=4)
    model = GaussianProcess(FEATURES)
    model.fit(rows[:40], targets[:40])
    mean, sure = model.predict(rows[:40])
    assert np.abs(mean - targets[:40]).max() < 0.15 * targets.std()
    assert sure.mean() < 0.5 * model.predict(rows[40:])[1].mean()


def test_pure_noise_is_not_taken_for_a_pattern() -> None:
    rows, truth = drawn(160, seed=5)
    noise = np.random.default_rng(5).normal(size=60)
    sure = {}
    for name, targets in (("noise", noise), ("truth", truth[:60])):
        model = GaussianProcess(FEATURES)
        model.fit(rows[:60], targets)
        sure[name] = model.predict(rows[60:])[1].mean() / targets.std()
    assert sure["truth"] < 0.5 < 0.7 < sure["noise"]


@given(spaces(max_dimensions=5), st.integers(0, 1000))
@settings(max_examples=40, deadline=None)
def test_the_kernel_is_positive_semidefinite_on_every_space(space: SearchSpace, seed: int) -> None:
    rng = np.random.default_rng(seed)
    features = Features(space)
    rows = space.to_indices([space.sample(rng) for _ in range(12)])
    parts = parts_of(features, rows)
    prior, width = GaussianProcess._prior(features.dimensions, features.occurrences(rows).shape[1])
    for term in _terms(rng.normal(prior, width), tuple(part.reshape(-1, 12, 12) for part in parts)):
        eigenvalues = np.linalg.eigvalsh(np.broadcast_to(term, (12, 12)))
        assert eigenvalues.min() > -1e-9 * max(1.0, eigenvalues.max())


def test_a_good_start_needs_few_steps_and_one_of_another_length_is_ignored() -> None:
    rows, targets = drawn(40, seed=6)
    full = GaussianProcess(FEATURES)
    full.fit(rows[:30], targets[:30])
    warm, cold = GaussianProcess(FEATURES, start=full.weights, iterations=3), GaussianProcess(FEATURES, iterations=3)
    for model in (warm, cold):
        model.fit(rows, targets)
    parts = parts_of(FEATURES, rows)
    prior, width = GaussianProcess._prior(len(parts[0]), len(parts[2]))
    standard = (targets - targets.mean()) / targets.std()
    values = [
        _negative_evidence(m.weights, parts, standard, prior, width)[0] for m in (warm, cold) if m.weights is not None
    ]
    assert values[0] < values[1]
    odd = GaussianProcess(FEATURES, start=np.zeros(3), iterations=3)
    odd.fit(rows, targets)
    np.testing.assert_array_equal(odd.predict(rows)[0], cold.predict(rows)[0])


def test_equal_measurements_and_nobody_to_predict_are_no_problem() -> None:
    rows, _ = drawn(12, seed=7)
    model = GaussianProcess(FEATURES)
    model.fit(rows, np.full(len(rows), 3.0))
    np.testing.assert_allclose(model.predict(rows)[0], 3.0)
    assert [part.shape for part in model.predict(rows[:0])] == [(0,), (0,)]
    many = np.concatenate([rows] * 50)  # more than one chunk
    np.testing.assert_allclose(model.predict(many)[1][: len(rows)], model.predict(rows)[1])
