from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from automl.errors import ConfigError, RunError
from automl.search import Evolution, Ledger, Measurement, Outcome, run_search
from automl.search.pareto import pareto_front
from automl.search.warm_start import (
    ends,
    initial_architectures,
    read_earlier_search,
    stratified,
    transferred,
)
from automl.space import Architecture, Categorical, Ordinal, SearchSpace
from automl.testing.problems import error_and_cost, large_space, measure
from automl.testing.strategies import spaces


def cost(architecture: Architecture) -> float:
    return error_and_cost(architecture)[1]


@given(space=spaces(), n=st.integers(1, 12), seed=st.integers(0, 5))
def test_initial_architectures_are_distinct_valid_and_as_many_as_possible(
    space: SearchSpace, n: int, seed: int
) -> None:
    found = initial_architectures(space, n, seed=seed)
    assert len(found) == len(set(found)) == min(n, space.size())
    assert found[:2] == ends(space)[: len(found)][:2]
    for architecture in found:
        assert space.architecture(architecture) == architecture
        assert space.allows(architecture)


def test_costs_are_spread_evenly_where_random_ones_crowd() -> None:
    space = large_space()
    found = [cost(a) for a in stratified(space, 12, seed=3, cost=cost)]
    assert found == sorted(found)
    low, high = (cost(end) for end in ends(space))
    middles = low + (high - low) * (np.arange(12) + 0.5) / 12
    assert np.abs(np.array(found) - middles).max() < (high - low) / 12
    rng = np.random.default_rng(0)
    drawn = [cost(space.sample(rng)) for _ in range(200)]
    assert max(drawn) < max(found)
    assert np.mean(np.array(drawn) < middles[5]) > 0.8


def test_without_a_cost_the_encoding_decides() -> None:
    space = large_space()
    sizes = [space.encode([a]).mean() for a in stratified(space, 10, seed=1)]
    gaps = np.diff(sizes)
    assert (gaps > 0).all()
    assert gaps.max() < 3 * np.median(gaps)


@given(seed=st.integers(0, 2**32 - 1))
def test_every_family_is_among_the_first_where_others_depend_on_it(seed: int) -> None:
    families = [f"family{i}" for i in range(11)]
    space = SearchSpace.build(
        {
            "family": Categorical(*families),
            "colour": Categorical(*"abcdefghijklmnopqrstuvwxyz"),
            **{f"width{i}": Ordinal(4, 8, 16) for i in range(6)},
            **{f"hidden{i}": Ordinal(2, 3, 5) for i in range(11)},
        },
        conditions={f"hidden{i}": {"family": family} for i, family in enumerate(families)},
    )
    found = stratified(space, 16, seed=seed)
    assert {architecture["family"] for architecture in found} == set(families)
    sizes = [space.encode([architecture]).mean() for architecture in found]
    assert sizes == sorted(sizes)
    assert max(sizes) - min(sizes) > 0.5 * (
        space.encode([space.largest()]).mean() - space.encode([space.smallest()]).mean()
    )


def test_equal_seeds_give_equal_sets() -> None:
    space = large_space()
    first, again, other = (initial_architectures(space, 9, seed=seed) for seed in (4, 4, 5))
    assert first == again != other


def test_the_best_of_an_earlier_search_come_front_first() -> None:
    space = large_space()
    rng = np.random.default_rng(2)
    history = measure([space.sample(rng) for _ in range(60)])
    history[7] = Measurement(architecture=history[7].architecture, values=None, failure="broken")
    infeasible = history[3]
    history[3] = Measurement(architecture=infeasible.architecture, values=(-9.0, -9.0), violations=(1.0,))
    usable = [m for m in history if m.feasible]
    front = {usable[i].architecture for i in pareto_front([m.values for m in usable]).tolist()}
    moved = transferred(space, history, len(front))
    assert set(moved.architectures) == front
    assert moved.skipped == 0
    everything = transferred(space, history, 1000).architectures
    assert everything[-1] == infeasible.architecture
    assert len(everything) == 59


def test_architectures_are_mapped_by_name_and_those_that_do_not_fit_are_counted() -> None:
    old = SearchSpace.build(
        {"op": Categorical("conv", "pool"), "kernel": Ordinal(3, 5, 7), "head": Ordinal(1, 2)},
        {"kernel": {"op": "conv"}},
    )
    new = SearchSpace.build(
        {"op": Categorical("conv", "pool"), "kernel": Ordinal(3, 5)},
        {"kernel": {"op": "conv"}},
        forbidden=[{"op": "conv", "kernel": 5}],
    )
    history = [Measurement(architecture=a, values=(float(position),)) for position, a in enumerate(old.enumerate())]
    moved = transferred(new, history, 10)
    # The heads are left out, so pairs become one; kernel 7 is no choice any more and kernel 5 forbidden.
    assert [dict(a) for a in moved.architectures] == [{"op": "conv", "kernel": 3}, {"op": "pool"}]
    assert moved.skipped == 4
    wider = SearchSpace.build({"op": Categorical("conv", "pool"), "heads": Ordinal(1, 2)})
    assert transferred(wider, history, 10) == type(moved)([], 8)


def test_a_ledger_is_read_without_its_space_and_left_alone(tmp_path: Path) -> None:
    space = large_space()
    rng = np.random.default_rng(6)
    with Ledger(tmp_path / "ledger.log", space=space, objectives=["error", "cost"]) as ledger:
        written = [ledger.append(m) for m in measure([space.sample(rng) for _ in range(5)], constrained=True)]
        written.append(ledger.append(Measurement(architecture=space.largest(), values=None, failure="broken")))
        before = (tmp_path / "ledger.log").read_bytes()
        for place in (tmp_path, tmp_path / "ledger.log", str(tmp_path)):  # while the writer holds it
            found = read_earlier_search(place)
            assert found.objectives == ("error", "cost")
            assert list(found.measurements) == written
        assert (tmp_path / "ledger.log").read_bytes() == before


def test_a_database_is_read_as_well(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/trials.db"
    space = large_space()
    for study, end in (("first", space.smallest()), ("second", space.largest())):
        with Ledger(url, space=space, objectives=["error"], study_name=study) as ledger:
            ledger.append(measure([end], objectives=1)[0])
    assert [m.architecture for m in read_earlier_search(url, "second").measurements] == [space.largest()]
    with pytest.raises(RunError, match=r"no study one of several; there are: first, second"):
        read_earlier_search(url)


def test_what_is_no_ledger_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"nowhere: cannot read the ledger"):
        read_earlier_search(tmp_path / "nowhere")
    (tmp_path / "ledger.log").write_text("something else\n")
    with pytest.raises(RunError, match=r"ledger.log: line 1 is not a record"):
        read_earlier_search(tmp_path)
    (tmp_path / "ledger.log").write_text("")
    with pytest.raises(RunError, match=r"ledger.log: no study one of several; there are: none"):
        read_earlier_search(tmp_path)
    with pytest.raises(RunError, match=r"cannot open the storage"):
        read_earlier_search("nosuchdatabase://here")


@pytest.mark.parametrize("n", [0, -3])
def test_no_architectures_are_refused(n: int) -> None:
    space = large_space()
    for call in (
        lambda: stratified(space, n, seed=0),
        lambda: initial_architectures(space, n, seed=0),
        lambda: transferred(space, [], n),
    ):
        with pytest.raises(ConfigError, match=f"{n} architectures are wanted; it must be at least 1"):
            call()


def test_the_first_population_of_a_search_is_the_given_one(tmp_path: Path) -> None:
    space = SearchSpace.build({f"d{i}": Ordinal(*range(5)) for i in range(10)})
    rng = np.random.default_rng(8)

    def values(architecture: Architecture) -> tuple[float, float]:
        return float(architecture["d0"]), -float(architecture["d1"])

    earlier = [Measurement(architecture=a, values=values(a)) for a in (space.sample(rng) for _ in range(50))]
    given_ones = transferred(space, earlier, 6).architectures

    def evaluate(architectures: Sequence[Architecture]) -> list[Outcome]:
        return [Outcome(values=values(a)) for a in architectures]

    searcher = Evolution(space, objectives=2, seed=0, population=6, offspring=4, crossover=0.0, changes=1e-9)
    with Ledger(tmp_path / "ledger.log", space=space, objectives=["error", "cost"]) as ledger:
        history = run_search(space, searcher, evaluate, ledger, trials=10, initial=given_ones)
    assert [m.architecture for m in history[:6]] == given_ones
    # Without crossover, every child is one mutation away from one of them.
    parents, children = (space.to_indices([m.architecture for m in part]) for part in (history[:6], history[6:]))
    assert (children[:, None, :] != parents[None, :, :]).sum(axis=2).min(axis=1).tolist() == [1] * 4
