from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from automl.search import History, Ledger, Measurement, Outcome, Random, remeasured_front, run_search
from automl.search.remeasured import CONTENDERS, contenders
from automl.space import Architecture, SearchSpace
from automl.testing.problems import error_and_cost

NOISE = 0.3


class Noisy:
    """The known function with noise on the first objective."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.asked: list[Architecture] = []

    def __call__(self, architectures: Sequence[Architecture]) -> list[Outcome]:
        self.asked += architectures
        pairs = [error_and_cost(a) for a in architectures]
        return [Outcome(values=(error + NOISE * self.rng.normal(), cost)) for error, cost in pairs]


def search(space: SearchSpace, evaluate: Noisy, folder: Path, trials: int = 150) -> History:
    with Ledger(folder / "ledger.log", space=space, objectives=["error", "cost"]) as ledger:
        return run_search(space, Random(space, objectives=2, seed=0), evaluate, ledger, trials=trials, group_size=10)


def test_new_values_are_honest_where_those_of_the_search_are_lucky(space: SearchSpace, tmp_path: Path) -> None:
    searched, again, covered = [], [], []
    for seed in range(8):
        (tmp_path / str(seed)).mkdir()
        evaluate = Noisy(seed)
        history = search(space, evaluate, tmp_path / str(seed))
        front = remeasured_front(history, evaluate, ["error", "cost"], repeatable=[False, True], repeats=6)
        best_seen = {m.architecture: m.values for m in contenders(history, noisy=False)}
        for architecture, values in best_seen.items():
            assert values is not None
            searched.append(values[0] - error_and_cost(architecture)[0])
        for member in front:
            error, cost = error_and_cost(member.measurement.architecture)
            assert member.values[1] == cost
            assert member.half_widths[1] == 0.0
            again.append(member.values[0] - error)
            covered.append(abs(member.values[0] - error) <= member.half_widths[0])
    assert np.mean(searched) < -NOISE / 3
    assert abs(np.mean(again)) < abs(np.mean(searched)) / 3
    assert np.mean(covered) > 0.8


def test_the_front_is_nondominated_in_the_new_values_and_repeats_are_interleaved(
    space: SearchSpace, tmp_path: Path
) -> None:
    evaluate = Noisy(1)
    history = search(space, evaluate, tmp_path)
    evaluate.asked.clear()
    front = remeasured_front(history, evaluate, ["error", "cost"], repeats=3)
    chosen = [m.architecture for m in contenders(history, noisy=True)]
    assert evaluate.asked == chosen * 3
    values = np.array([member.values for member in front])
    assert (np.diff(values[:, 0]) >= 0).all()
    assert (np.diff(values[:, 1]) <= 0).all()


def test_repeatable_objectives_are_not_measured_again(space: SearchSpace, tmp_path: Path) -> None:
    evaluate = Noisy(2)
    history = search(space, evaluate, tmp_path, trials=40)
    evaluate.asked.clear()
    front = remeasured_front(history, evaluate, ["error", "cost"], repeatable=[True, True])
    assert evaluate.asked == []
    assert {m.measurement.architecture for m in front} == {m.architecture for m in contenders(history, noisy=False)}


def test_contenders_that_fail_or_miss_a_constraint_are_left_out(space: SearchSpace, tmp_path: Path) -> None:
    history = search(space, Noisy(3), tmp_path, trials=40)
    chosen = [m.architecture for m in contenders(history, noisy=True)]
    calls = 0

    def evaluate(architectures: Sequence[Architecture]) -> list[Outcome]:
        nonlocal calls
        calls += 1
        (architecture,) = architectures
        if architecture == chosen[0]:
            raise OSError("gone")
        violations = (1.0,) if architecture == chosen[1] and calls > len(chosen) else (0.0,)
        return [Outcome(values=error_and_cost(architecture), violations=violations)]

    front = remeasured_front(history, evaluate, ["error", "cost"], repeats=2)
    assert {m.measurement.architecture for m in front} <= set(chosen[2:])
    assert front


def test_limits(space: SearchSpace) -> None:
    equal = [Measurement(architecture=space.smallest(), values=(1.0,)) for _ in range(CONTENDERS + 5)]
    worse = [Measurement(architecture=space.smallest(), values=(2.0,))]
    assert len(contenders([*worse, *equal], noisy=True)) == CONTENDERS + 5
    assert contenders([*worse, *equal[:3]], noisy=True)[-1] == worse[0]
    assert contenders([], noisy=True) == []
    assert remeasured_front([], Noisy(0), ["error"]) == []
    with pytest.raises(ValueError, match="1 repeats"):
        remeasured_front([], Noisy(0), ["error"], repeats=1)
