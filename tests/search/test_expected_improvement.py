from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest

from automl.search import hypervolume
from automl.search.expected_improvement import ExpectedImprovement
from automl.search.pareto import FloatMatrix, FloatVector
from automl.search.predictors import Scale

DRAWS = 4000


@dataclass(frozen=True)
class Given:
    """Arguments of the expected improvement."""

    measured: FloatMatrix
    reference: FloatVector
    means: list[FloatVector]
    deviations: list[FloatVector]
    scales: list[Scale]

    def gain(self) -> ExpectedImprovement:
        return ExpectedImprovement(self.measured, self.reference, self.means, self.deviations, self.scales)

    def volume(self, *points: FloatVector) -> float:
        return hypervolume(np.vstack([self.measured, *points]), self.reference)


def problem(objectives: int, seed: int, candidates: int = 3) -> Given:
    """Measured values, and uncertain predictions of candidates around them."""
    rng = np.random.default_rng(seed)
    measured = rng.uniform(0.2, 1.0, size=(6, objectives))
    scales = [Scale(column) for column in measured.T]
    centres = np.maximum(rng.uniform(0.15, 0.8, size=(candidates, objectives)), measured.min(axis=0))
    return Given(
        measured,
        np.full(objectives, 1.1),
        [scale.target(column) for scale, column in zip(scales, centres.T, strict=True)],
        [rng.uniform(0.1, 0.5, size=candidates) for _ in scales],
        scales,
    )


def simulated(given: Given, *extra: FloatVector) -> FloatVector:
    """Mean gain in hypervolume of possible values of every candidate."""
    rng = np.random.default_rng(99)
    before = given.volume(*extra)
    gains = []
    for c in range(len(given.means[0])):
        parts = zip(given.scales, given.means, given.deviations, strict=True)
        possible = np.stack([s.value(m[c] + d[c] * rng.normal(size=DRAWS)) for s, m, d in parts], axis=1)
        gains.append(np.mean([given.volume(*extra, values) - before for values in possible]))
    return np.array(gains)


@pytest.mark.parametrize(("objectives", "tolerance"), [(1, 0.05), (2, 0.08), (3, 0.12)])
def test_the_gain_is_the_mean_over_possible_values(objectives: int, tolerance: float) -> None:
    given = problem(objectives, seed=objectives)
    gains = given.gain().gains()
    np.testing.assert_allclose(gains, simulated(given), rtol=tolerance, atol=5e-4)
    assert gains.min() > 0


@pytest.mark.parametrize("objectives", [1, 2, 3])
def test_a_believed_candidate_counts_as_measured(objectives: int) -> None:
    given = problem(objectives, seed=10 + objectives)
    given = replace(given, means=[mean - 0.3 for mean in given.means])  # some are expected to be better than all so far
    gain = given.gain()
    before = gain.gains()
    best = int(before.argmax())
    gain.believe(best)
    after = gain.gains()
    assert (after <= before + 1e-12).all()
    assert after[best] < before[best]
    np.testing.assert_allclose(after, simulated(given, gain.expected[best]), rtol=0.12, atol=1e-3)


@pytest.mark.parametrize("objectives", [1, 2, 3, 4])
def test_without_uncertainty_the_gain_is_the_hypervolume_added(objectives: int) -> None:
    given = problem(objectives, seed=20 + objectives)
    certain = replace(given, deviations=[np.zeros(3)] * objectives)
    gain = certain.gain()
    exact = [given.volume(point) - given.volume() for point in gain.expected]
    np.testing.assert_allclose(gain.gains(), exact, atol=1e-7 if objectives < 3 else 5e-3)


def test_by_hand_in_two_objectives() -> None:
    measured = np.array([[0.2, 0.8], [0.8, 0.2], [0.9, 0.9]])
    scales = [Scale(column) for column in measured.T]
    targets = [scale.target([0.5, 0.95]) for scale in scales]
    gain = ExpectedImprovement(measured, np.ones(2), targets, [np.zeros(2)] * 2, scales)
    np.testing.assert_allclose(gain.expected, [[0.5, 0.5], [0.95, 0.95]])
    np.testing.assert_allclose(gain.gains(), [0.3 * 0.3, 0.0], atol=1e-8)  # between the two; dominated
    gain.believe(0)
    np.testing.assert_allclose(gain.gains(), [0.0, 0.0], atol=1e-8)


@pytest.mark.parametrize("objectives", [1, 2, 3])
def test_measurements_beyond_the_reference_point_do_not_count(objectives: int) -> None:
    given = problem(objectives, seed=30 + objectives)
    far = replace(given, measured=np.vstack([given.measured, np.full((2, objectives), 1.5)]))
    np.testing.assert_allclose(far.gain().gains(), given.gain().gains())
    nothing = replace(given, measured=np.full((1, objectives), 2.0))
    assert (nothing.gain().gains() > given.gain().gains()).all()
