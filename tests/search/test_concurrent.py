"""What is asked for during training and what a search then starts with; the rest of the contract is in the kit."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from automl.errors import ConfigError, RunError
from automl.search import Measurement, pareto_front
from automl.search.concurrent import Concurrent
from automl.search.linas import Linas
from automl.space import Architecture, SearchSpace
from automl.testing.problems import error_and_cost, large_space, measure
from automl.testing.strategies import spaces

EPOCHS = 8
Measured = Callable[[Architecture, int], Measurement]


def searcher(**options: Any) -> Concurrent:
    return Concurrent(large_space(), objectives=2, seed=3, **options)


def improving(architecture: Architecture, epoch: int) -> Measurement:
    """Every epoch takes as much from the error of every network."""
    error, cost = error_and_cost(architecture)
    return Measurement(architecture=architecture, values=(error + 4.0 * (EPOCHS - epoch), cost))


def early(kind: Concurrent, measured: Measured = improving, epochs: int = EPOCHS) -> dict[int, list[Measurement]]:
    history: dict[int, list[Measurement]] = {}
    for epoch in range(1, epochs + 1):
        if asked := kind.ask_early(epoch, epochs, history):
            history[epoch] = [measured(architecture, epoch) for architecture in asked]
    return history


def front(measurements: Sequence[Measurement]) -> set[Architecture]:
    return {measurements[i].architecture for i in pareto_front([m.values for m in measurements if m.values])}


def test_it_measures_from_its_start_on_but_not_after_the_last_epoch() -> None:
    assert list(early(searcher())) == [4, 5, 6, 7]
    assert list(early(searcher(start=0.7, early=3))) == [6, 7]
    assert list(early(searcher(start=0, early=2))) == [1, 2, 3, 4, 5, 6, 7]
    assert early(searcher(), epochs=1) == {}


def test_a_third_is_measured_again_the_longest_known_of_the_front_first() -> None:
    history = early(searcher(early=6))
    assert [len(measured) for measured in history.values()] == [6] * 4
    seen: dict[Architecture, int] = {}
    for epoch, measured in history.items():
        again = [m.architecture for m in measured if m.architecture in seen]
        assert len(again) == (2 if seen else 0)
        assert [m.architecture for m in measured][: len(again)] == again
        if seen:
            best = front([improving(architecture, epoch) for architecture in seen])
            assert set(again) <= best
            left = best - set(again)
            assert max(seen[a] for a in again) <= min((seen[a] for a in left), default=epoch)
        seen |= {m.architecture: epoch for m in measured}


def test_weights_that_improve_do_not_favour_what_was_measured_last() -> None:
    kind = searcher(early=9, first=60)
    history = early(kind)
    measured = list({m.architecture: m for group in history.values() for m in group})
    best = front([improving(architecture, EPOCHS) for architecture in measured])
    late = {m.architecture for m in history[EPOCHS - 1]}
    assert best - late, "only late candidates are good, so nothing can be told apart"
    first = kind.ask_first(history)
    assert set(first[: len(best)]) == best
    assert not set(first[len(best) :]) & set(measured)


def test_the_search_starts_with_the_early_front_and_what_is_predicted_from_it() -> None:
    kind = searcher(first=6)
    history = early(kind)
    first = kind.ask_first(history)
    measured = {m.architecture for group in history.values() for m in group}
    assert len(set(first)) == 6
    assert [architecture in measured for architecture in first] == [True] * 4 + [False] * 2


def test_failures_and_infeasible_candidates_are_not_chosen_while_there_are_others() -> None:
    def measured(architecture: Architecture, epoch: int) -> Measurement:
        fate = int(architecture.id, 16) % 3
        if fate == 0:
            return Measurement(architecture=architecture, values=None, failure="out of memory")
        _, cost = error_and_cost(architecture)
        return Measurement(architecture=architecture, values=(cost, -cost), violations=(0.0 if fate == 1 else 1.0,))

    kind = searcher(early=9, first=30)
    history = early(kind, measured)
    every = {m.architecture: m for group in history.values() for m in group}
    assert not all(m.feasible for m in every.values())
    chosen = [every[architecture] for architecture in kind.ask_first(history) if architecture in every]
    assert chosen
    assert all(m.feasible for m in chosen)

    broken = early(kind, lambda a, _: Measurement(architecture=a, values=None, failure="out of memory"))
    assert len(kind.ask_first(broken)) == 30


def test_asking_early_changes_nothing_and_the_search_is_linas() -> None:
    space = large_space()
    kind, plain = searcher(initial=8), Linas(space, objectives=2, seed=3, initial=8)
    before = json.dumps(kind.state())
    history = early(kind)
    first = kind.ask_first(history)
    assert json.dumps(kind.state()) == before
    assert searcher(initial=8).ask_first(history) == first
    told = measure(first)
    kind.tell(told)
    plain.tell(told)
    assert kind.ask(6) == plain.ask(6)


@settings(max_examples=15, deadline=None)
@given(space=spaces(), seed=st.integers(0, 2**31))
def test_early_proposals_are_valid_and_different_in_any_space(space: SearchSpace, seed: int) -> None:
    kind = Concurrent(space, objectives=1, seed=seed, early=3, first=5, start=0)
    history: dict[int, list[Measurement]] = {}
    for epoch in (1, 2):
        asked = kind.ask_early(epoch, 3, history)
        assert asked == kind.ask_early(epoch, 3, dict(history))
        assert len(set(asked)) == len(asked) <= 3
        history[epoch] = [Measurement(architecture=a, values=(float(len(a.id + str(a)) % 7),)) for a in asked]
    first = kind.ask_first(history)
    assert 1 <= len(set(first)) == len(first) <= 5
    for architecture in (*(m.architecture for group in history.values() for m in group), *first):
        assert space.canonical(architecture) == architecture
        assert space.allows(architecture)


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("start", 1.0, "concurrent: start is 1.0; it must be at least 0 and below 1."),
        ("start", float("nan"), "concurrent: start is nan"),
        ("early", 1, "concurrent: early is 1; it must be at least 2."),
        ("first", 0, "concurrent: first is 0; it must be at least 1."),
        ("initial", 1, "concurrent: initial is 1; it must be at least 2."),
        ("batch", 0, "concurrent: batch is 0"),
        ("exploration", -0.1, "concurrent: exploration is -0.1"),
    ],
)
def test_wrong_options_are_refused(option: str, value: float, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        searcher(**{option: value})


def test_a_malformed_state_names_the_searcher() -> None:
    with pytest.raises(RunError, match="'concurrent'"):
        searcher().restore({"told": 0}, [])
