from __future__ import annotations

import numpy as np
import pytest

from automl.search.predictors import Feasibility, Features
from automl.search.unseen import IndexMatrix
from automl.space import SearchSpace
from automl.testing.problems import cost_excess, large_space

SPACE = large_space()
FEATURES = Features(SPACE)


def drawn(n: int, seed: int, space: SearchSpace = SPACE) -> tuple[IndexMatrix, np.ndarray]:
    rng = np.random.default_rng(seed)
    architectures = [space.sample(rng) for _ in range(n)]
    return space.to_indices(architectures), np.array([cost_excess(a) for a in architectures])


def area(chances: np.ndarray, met: np.ndarray) -> float:
    """Probability that one that meets the constraint has the larger chance."""
    return float(np.mean(chances[met][:, None] > chances[~met][None, :]))


def test_a_constraint_that_few_meet_is_learnt_from_how_far_the_others_miss_it() -> None:
    rows, violation = drawn(50, seed=0)
    unseen, truth = drawn(300, seed=1)
    assert (violation == 0).sum() <= 10
    chances = Feasibility(FEATURES, rows, np.zeros(50, dtype=np.bool_), violation[:, None]).chance(unseen)
    assert area(chances, truth == 0) > 0.9
    assert abs(chances.mean() - (truth == 0).mean()) < 0.08
    assert (chances > 0).all()
    assert (chances <= 1).all()


def test_the_unit_of_a_violation_does_not_matter() -> None:
    rows, violation = drawn(30, seed=2)
    failed = np.zeros(30, dtype=np.bool_)
    chances = [Feasibility(FEATURES, rows, failed, u * violation[:, None]).chance(rows) for u in (1.0, 1e6)]
    np.testing.assert_allclose(chances[0], chances[1], rtol=1e-6)


def test_choices_that_fail_are_avoided_and_failures_have_no_violations() -> None:
    rows, violation = drawn(60, seed=3)
    column = SPACE.names.index("layer2.op")
    failed = rows[:, column] == 0
    violations = np.where(failed, np.nan, violation)[:, None]
    feasibility = Feasibility(FEATURES, rows, failed, np.where(failed[:, None], 1e9, violations))
    unseen, _ = drawn(200, seed=4)
    chances = feasibility.chance(unseen)
    bad = unseen[:, column] == 0
    assert chances[bad].mean() < 0.3 * chances[~bad].mean()
    np.testing.assert_array_equal(chances, Feasibility(FEATURES, rows, failed, violations).chance(unseen))


def test_two_constraints_are_met_by_what_meets_both() -> None:
    rows, violation = drawn(60, seed=5)
    depth = np.maximum(0.0, rows[:, 0] - 1.0)
    failed = np.zeros(60, dtype=np.bool_)
    both, first, second = (
        Feasibility(FEATURES, rows, failed, v).chance(rows)
        for v in (np.stack([violation, depth], axis=1), violation[:, None], depth[:, None])
    )
    np.testing.assert_allclose(both, first * second)


@pytest.mark.parametrize("everything", [0.0, 1.0])
def test_where_nothing_or_everything_is_wrong_there_is_nothing_to_tell(everything: float) -> None:
    rows, _ = drawn(20, seed=6)
    violations = np.full((20, 1), everything)
    failed = np.zeros(20, dtype=np.bool_)
    np.testing.assert_array_equal(Feasibility(FEATURES, rows, failed, violations).chance(rows), np.ones(20))
    everyone = np.full(20, bool(everything))
    none = np.zeros((20, 0))
    np.testing.assert_array_equal(Feasibility(FEATURES, rows, everyone, none).chance(rows), np.ones(20))


def test_nobody_asked_about_is_no_problem() -> None:
    rows, violation = drawn(20, seed=7)
    failed = np.arange(20) % 3 == 0
    assert Feasibility(FEATURES, rows, failed, violation[:, None]).chance(rows[:0]).shape == (0,)
