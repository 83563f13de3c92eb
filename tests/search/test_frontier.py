from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from automl.search import Frontier, hypervolume, pareto_front


@given(st.integers(1, 5), st.integers(1, 60), st.integers(0, 2**32 - 1))
def test_front_equals_the_one_computed_at_once(objectives: int, count: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 6, (count, objectives)).astype(float)
    fate = rng.integers(0, 6, count)
    frontier = Frontier(objectives)
    for row, draw in zip(values, fate, strict=True):
        frontier.add(None if draw == 0 else row, feasible=draw != 1)
    usable = values[fate > 1]
    expected = np.unique(usable[pareto_front(usable)], axis=0) if len(usable) else usable
    assert sorted(map(tuple, frontier.front)) == sorted(map(tuple, expected))
    assert frontier.front[:, 0].tolist() == sorted(frontier.front[:, 0])
    assert (frontier.trials, frontier.failed, frontier.infeasible) == (count, (fate == 0).sum(), (fate == 1).sum())


@given(st.integers(1, 5), st.integers(2, 60), st.integers(0, 2**32 - 1))
def test_curve_rises_to_one_and_agrees_with_gain(objectives: int, count: int, seed: int) -> None:
    frontier = Frontier(objectives)
    for row in np.random.default_rng(seed).normal(size=(count, objectives)):
        frontier.add(row)
    curve = frontier.curve(count)
    assert len(curve) == count
    assert curve[-1] == 1.0
    assert all(a <= b + 1e-9 for a, b in pairwise(curve))
    window = count // 2
    gained = frontier.gain(window)
    assert gained is not None
    assert gained == pytest.approx(1 - curve[-1 - window], abs=1e-9)


def test_gain_is_the_share_of_the_volume_that_came_late() -> None:
    frontier = Frontier(2)
    for row in ((90.0, 50.0), (4.0, 0.0), (0.0, 4.0), (3.0, 3.0), (2.0, 2.0)):
        frontier.add(row)
    reference = [4.4, 4.4]  # a tenth of the extent beyond the worst of the front
    before = hypervolume([(4, 0), (0, 4), (3, 3)], reference)
    now = hypervolume([(4, 0), (0, 4), (2, 2)], reference)
    assert frontier.gain(1) == pytest.approx(1 - before / now)
    assert frontier.gain(6) is None
    frontier.add((9.0, 9.0))
    assert frontier.gain(1) == 0.0


def test_gain_says_nothing_without_a_feasible_trial_and_all_with_the_first() -> None:
    frontier = Frontier(2)
    frontier.add(None)
    frontier.add((1.0, 1.0), feasible=False)
    assert frontier.gain(2) is None
    assert frontier.curve(10) == []
    frontier.add((1.0, 1.0))
    assert frontier.gain(2) == 1.0


def test_sampled_volumes_follow_exact_ones() -> None:
    rng = np.random.default_rng(3)
    rows = rng.random((400, 4)) ** 2
    frontier = Frontier(4)
    for row in rows:
        frontier.add(row)
    front = frontier.front
    reference = front.max(axis=0) + 0.1 * np.ptp(front, axis=0)
    exact = 1 - hypervolume(rows[:100], reference) / hypervolume(rows, reference)
    assert frontier.gain(300) == pytest.approx(exact, abs=0.03)
