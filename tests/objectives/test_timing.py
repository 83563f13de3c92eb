"""Interleaving, intervals and the steady machine, on a clock that the test controls."""

from __future__ import annotations

import gc
import statistics
from collections.abc import Callable

import numpy as np
import pytest
import torch

from automl.objectives.timing import interleaved_times, level_rounds, median_interval, steady_machine


class _Clock:
    """Time that passes only when a function says so."""

    def __init__(self) -> None:
        self.now = 0.0
        self.calls: list[str] = []

    def __call__(self) -> float:
        return self.now

    def function(self, name: str, seconds: Callable[[], float]) -> Callable[[], None]:
        def run() -> None:
            self.calls.append(name)
            self.now += seconds()

        return run


def test_functions_are_timed_in_turns() -> None:
    clock = _Clock()
    functions = [clock.function(name, lambda: 0.02) for name in "ABC"]
    interleaved_times(functions, repeats=4, warmup=2, budget=10, clock=clock)
    # 2 warm-up calls and one to choose the number of calls per visit, then rounds of an untimed and a timed call each
    assert "".join(clock.calls) == "AAABBBCCC" + "AABBCC" * 4


def test_a_drift_of_the_machine_hits_all_alike() -> None:
    clock = _Clock()
    speed = {"A": 0.02, "B": 0.03}
    functions = [clock.function(name, lambda name=name: speed[name] * (1 + clock.now)) for name in speed]
    first, second = interleaved_times(functions, repeats=5, warmup=1, budget=1e9, clock=clock)
    assert isinstance(first, list)
    assert isinstance(second, list)
    assert statistics.median(second) / statistics.median(first) == pytest.approx(1.5, rel=0.1)


def test_short_functions_are_called_often_enough_to_fill_a_visit() -> None:
    clock = _Clock()
    (samples,) = interleaved_times([clock.function("A", lambda: 1e-4)], repeats=3, warmup=1, budget=10, clock=clock)
    assert len(clock.calls) == 2 + 3 * (1 + 10)
    assert samples == pytest.approx([1e-4] * 3)


def test_the_budget_ends_the_rounds_but_three_always_run() -> None:
    for budget, rounds in ((1e-6, 3), (0.21, 5), (100, 25)):
        clock = _Clock()
        (samples,) = interleaved_times(
            [clock.function("A", lambda: 0.02)], repeats=25, warmup=1, budget=budget, clock=clock
        )
        assert isinstance(samples, list)
        assert len(samples) == rounds


def test_a_failing_function_is_reported_and_the_others_go_on() -> None:
    clock = _Clock()
    left = iter(range(6))

    def breaks() -> None:
        if next(left) == 5:
            raise RuntimeError("out of order")

    def never() -> None:
        raise ValueError("cannot start")

    good = clock.function("A", lambda: 0.02)
    broken, missing, fine = interleaved_times([breaks, never, good], repeats=6, warmup=1, budget=9, clock=clock)
    assert isinstance(broken, RuntimeError)
    assert isinstance(missing, ValueError)
    assert fine == pytest.approx([0.02] * 6)


@pytest.mark.parametrize(
    ("count", "rank", "coverage"),
    # tables of the sign test: pairs of ranks that cover at least 95 %
    [(6, 1, 0.9688), (9, 2, 0.9609), (15, 4, 0.9648), (25, 8, 0.9567), (40, 14, 0.9615)],
)
def test_the_interval_of_the_median_follows_the_sign_test(count: int, rank: int, coverage: float) -> None:
    samples = np.random.default_rng(count).permutation(count) + 1.0
    median, low, high, covered = median_interval(samples.tolist())
    assert median == (count + 1) / 2
    assert (low, high) == (rank, count + 1 - rank)
    assert covered == pytest.approx(coverage, abs=1e-4)


def test_few_samples_give_their_range_and_say_what_it_covers() -> None:
    assert median_interval([3.0, 1.0, 2.0]) == (2.0, 1.0, 3.0, 0.75)
    assert median_interval([4.0]) == (4.0, 4.0, 4.0, 0.0)


def test_the_interval_covers_the_true_median_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    draws = rng.lognormal(size=(800, 25))  # median 1, skewed as times are
    intervals = [median_interval(row.tolist()) for row in draws]
    share = np.mean([low <= 1 <= high for _, low, high, _ in intervals])
    assert share == pytest.approx(intervals[0][3], abs=0.025)


def test_the_machine_is_steady_inside_and_as_before_outside() -> None:
    threads, collecting = torch.get_num_threads(), gc.isenabled()
    denormal = torch.tensor(1e-40)

    def look_and_fail() -> None:
        with steady_machine(threads + 2):
            assert torch.get_num_threads() == threads + 2
            assert not gc.isenabled()
            assert (denormal + torch.tensor(0.0)).item() == 0.0
            raise KeyError("a session broke")

    with pytest.raises(KeyError):
        look_and_fail()
    assert torch.get_num_threads() == threads
    assert gc.isenabled() == collecting
    assert (denormal + torch.tensor(0.0)).item() != 0.0


def test_the_speed_of_a_round_is_taken_out() -> None:
    rng = np.random.default_rng(3)
    true = rng.uniform(1, 5, size=11)
    speed = np.where(rng.random(60) < 0.4, 1.6, 1.0) * rng.uniform(0.95, 1.05, size=60)
    noise = rng.uniform(0.99, 1.01, size=(11, 60))
    samples = true[:, None] * speed * noise
    levelled = np.array(level_rounds(samples.tolist()))
    assert np.ptp(np.log(samples), axis=1).min() > 0.4
    assert np.ptp(np.log(levelled), axis=1).max() < 0.05
    ratios = np.median(levelled, axis=1) / true
    assert np.ptp(ratios) / ratios.mean() < 0.01
    assert np.median(levelled) == pytest.approx(np.median(samples), rel=0.1), "the common level stays"


def test_a_functions_own_noise_is_not_explained_away() -> None:
    rng = np.random.default_rng(4)
    samples = np.ones((9, 40)) * np.arange(1, 10)[:, None]
    samples[5] *= rng.uniform(0.5, 2, size=40)
    levelled = level_rounds(samples.tolist())
    assert levelled[5] == pytest.approx(samples[5].tolist())
    assert levelled[2] == pytest.approx(samples[2].tolist())


@pytest.mark.parametrize("samples", [[[1.0, 2.0], [2.0, 4.0]], [[]] * 9, [[1.0]] * 8 + [[1.0, 2.0]]])
def test_too_few_functions_or_unequal_rounds_are_left_alone(samples: list[list[float]]) -> None:
    assert level_rounds(samples) == samples
