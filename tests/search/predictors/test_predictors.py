"""Ridge, boosting, the size-only baseline, what is common to all, and the choice among them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from automl.search.pareto import FloatVector
from automl.search.predictors import (
    KINDS,
    Boosting,
    Committee,
    Features,
    GaussianProcess,
    Predictor,
    Ridge,
    SizeOnly,
    choose,
    rank_correlation,
)
from automl.search.predictors.folds import folds
from automl.search.unseen import IndexMatrix
from automl.space import Categorical, Ordinal, SearchSpace
from automl.testing.problems import error_and_cost, large_space

FLAT = SearchSpace.build({f"d{i}": Categorical(*"abcd") for i in range(6)})
ORDERED = SearchSpace.build({f"w{i}": Ordinal(1, 2, 3, 4) for i in range(10)})
PARITY = SearchSpace.build(
    {**{f"d{i}": Ordinal(0, 1) for i in range(3)}, **{f"e{i}": Ordinal(1, 2, 3) for i in range(4)}}
)
ALL: list[Callable[[Features], Predictor]] = [*KINDS.values(), SizeOnly]


def draw(space: SearchSpace, n: int, seed: int) -> IndexMatrix:
    rng = np.random.default_rng(seed)
    return space.to_indices(list(dict.fromkeys(space.sample(rng) for _ in range(2 * n)))[:n])


def correlation(
    make: Callable[[Features], Predictor], space: SearchSpace, truth: Callable[[IndexMatrix], FloatVector], n: int
) -> float:
    """Rank correlation on 200 unseen architectures after ``n`` measurements."""
    rows = draw(space, n + 200, seed=0)
    model = make(Features(space))
    model.fit(rows[:n], truth(rows[:n]))
    return rank_correlation(model.predict(rows[n:])[0], truth(rows[n:]))


def pairwise(rows: IndexMatrix) -> FloatVector:
    """Additive, and one pair of neighbours that interacts."""
    effects = np.random.default_rng(3).normal(size=(6, 4))
    table = np.random.default_rng(4).normal(0, 2, size=(4, 4))
    result: FloatVector = effects[np.arange(6), rows].sum(axis=1) + table[rows[:, 1], rows[:, 2]]
    return result


def threefold(rows: IndexMatrix) -> FloatVector:
    """Parity of three dimensions: no single one and no pair of them tells anything."""
    result: FloatVector = np.prod(np.where(rows[:, :3] > 0, 1.0, -1.0), axis=1)
    return result


def test_ridge_recovers_an_additive_function_with_pairs() -> None:
    assert correlation(Ridge, FLAT, pairwise, 200) > 0.9


def test_boosting_finds_an_interaction_of_three_that_pairs_cannot_express() -> None:
    rows = draw(PARITY, 200, seed=1)
    truth = threefold(rows)
    errors = {}
    for kind in (Boosting, Ridge):
        model = kind(Features(PARITY))
        model.fit(rows[:100], truth[:100])
        errors[kind] = np.mean((model.predict(rows[100:])[0] - truth[100:]) ** 2) / truth.var()
    assert errors[Boosting] < 0.1
    assert errors[Ridge] > 0.8


def test_the_baseline_knows_sizes_and_nothing_else() -> None:
    assert correlation(SizeOnly, ORDERED, lambda rows: rows.sum(axis=1).astype(np.float64), 30) > 0.95
    assert abs(correlation(SizeOnly, ORDERED, lambda rows: (rows[:, 0] - rows[:, 1]).astype(np.float64), 30)) < 0.2


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: str(kind.name))
def test_every_predictor_ranks_a_conditional_space_of_45_dimensions(kind: Callable[[Features], Predictor]) -> None:
    dimensions = {}
    conditions = {}
    for stage in range(5):
        dimensions[f"depth{stage}"] = Ordinal(2, 3, 4)
        for block in range(4):
            for part in ("kernel", "expand"):
                dimensions[f"{part}{stage}.{block}"] = Ordinal(3, 5, 7)
                if block > 1:
                    conditions[f"{part}{stage}.{block}"] = {f"depth{stage}": list(range(block + 1, 5))}
    space = SearchSpace.build(dimensions, conditions=conditions)
    weights = np.random.default_rng(2).uniform(0.2, 2, size=45)
    assert correlation(kind, space, lambda rows: (rows + 1) @ weights, 60) > 0.4


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: str(kind.name))
def test_held_out_predictions_are_worse_than_those_of_seen_ones_and_better_than_none(
    kind: Callable[[Features], Predictor],
) -> None:
    space = large_space()
    rows = draw(space, 60, seed=5)
    truth = np.array([error_and_cost(a)[1] for a in space.from_indices(rows)])
    model = kind(Features(space))
    model.fit(rows, truth)
    seen, held_out = (np.mean((p - truth) ** 2) for p in (model.predict(rows)[0], model.held_out()))
    assert seen < held_out < truth.var()
    assert (model.predict(rows)[1] > 0).all()


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: str(kind.name))
def test_few_equal_or_no_rows_are_no_problem(
    kind: Callable[[Features], Predictor],
) -> None:
    rows = draw(FLAT, 4, seed=6)
    model = kind(Features(FLAT))
    model.fit(rows, np.full(4, 2.0))
    mean, deviation = model.predict(rows)
    np.testing.assert_allclose(mean, 2.0, atol=1e-6)
    assert np.isfinite(deviation).all()
    assert [part.shape for part in model.predict(rows[:0])] == [(0,), (0,)]
    again = kind(Features(FLAT))
    again.fit(rows, np.full(4, 2.0))
    np.testing.assert_array_equal(again.predict(rows)[0], mean)


def test_every_position_is_held_out_once_and_never_trained_on_then() -> None:
    for count in (3, 5, 23):
        tested = []
        for train, test in folds(count):
            assert not set(train) & set(test)
            assert len(train) + len(test) == count
            tested += test.tolist()
        assert sorted(tested) == list(range(count))


def test_the_choice_falls_on_who_ranks_best_and_reports_everybody() -> None:
    rows = draw(FLAT, 60, seed=7)
    committee, score = choose(Features(FLAT), rows, pairwise(rows))
    assert set(score.each) == {*KINDS, SizeOnly.name}
    best = max(score.each[name] for name in KINDS)
    assert set(score.chosen) <= set(KINDS)
    assert any(score.each[name] >= best - 0.03 for name in score.chosen)
    assert score.correlation == rank_correlation(committee.held_out(), pairwise(rows))
    assert score.correlation > score.each[SizeOnly.name] + 0.2
    assert score.to_json() == {"chosen": list(score.chosen), "correlation": score.correlation, "each": score.each}


def test_boosting_is_chosen_only_where_it_is_clearly_better() -> None:
    rows = draw(PARITY, 100, seed=8)
    _, score = choose(Features(PARITY), rows, threefold(rows) + 0.01 * rows.sum(axis=1))
    others = max(score.each[GaussianProcess.name], score.each[Ridge.name])
    assert (score.chosen == (Boosting.name,)) == (score.each[Boosting.name] > others + 0.03)
    additive = draw(ORDERED, 40, seed=9)
    _, score = choose(Features(ORDERED), additive, additive @ np.arange(10.0))
    assert Boosting.name not in score.chosen


def test_noise_is_given_little_rank_correlation_and_no_more_with_more_of_it() -> None:
    space = large_space()
    found = []
    for seed in range(3):
        rows = draw(space, 90, seed=seed)
        noise = np.random.default_rng(seed).normal(size=90)
        found.append(choose(Features(space), rows, noise)[1].correlation)
    assert np.mean(found) < 0.25


class Fixed(Predictor):
    name = "fixed"

    def __init__(self, mean: float, deviation: float) -> None:
        self.answer = mean, deviation

    def fit(self, rows: IndexMatrix, targets: FloatVector) -> None:
        pass

    def predict(self, rows: IndexMatrix) -> tuple[FloatVector, FloatVector]:
        return np.full(len(rows), self.answer[0]), np.full(len(rows), self.answer[1])

    def held_out(self) -> FloatVector:
        return np.array([self.answer[0]])


def test_members_of_a_committee_that_disagree_are_less_sure() -> None:
    mean, deviation = Committee([Fixed(1, 3), Fixed(5, 4)]).predict(np.zeros((2, 1), dtype=np.int64))
    assert mean.tolist() == [3, 3]
    np.testing.assert_allclose(deviation, np.sqrt((9 + 16) / 2 + 4))
    assert Committee([Fixed(1, 3), Fixed(5, 4)]).held_out().tolist() == [3]


def test_rank_correlation_is_kendalls_tau_and_zero_where_nothing_is_ranked() -> None:
    assert rank_correlation(np.array([1.0, 2, 3, 4]), np.array([1.0, 2, 4, 3])) == pytest.approx(4 / 6, abs=1e-4)
    assert rank_correlation(np.array([1.0, 1, 1]), np.array([1.0, 2, 3])) == 0.0
