from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from automl.errors import ConfigError, RunError
from automl.search import Evolution, Measurement, Random, Searcher, hypervolume
from automl.search.linas import Linas
from automl.search.predictors import SizeOnly
from automl.space import Architecture, Categorical, Ordinal, SearchSpace
from automl.testing.problems import REFERENCE, large_space, measure, small_space

SMALL = SearchSpace.build(
    {"depth": Ordinal(1, 2, 3), **{f"w{i}": Ordinal(1, 2, 4, 7) for i in range(3)}, "op": Categorical("a", "b")},
    conditions={"w1": {"depth": [2, 3]}, "w2": {"depth": 3}},
)
Measure = Callable[[Sequence[Architecture]], list[Measurement]]


def learnable(architectures: Sequence[Architecture]) -> list[Measurement]:
    """An error that falls with width in the early layers, and a cost."""
    found = []
    for a in architectures:
        widths = [float(a[f"w{i}"]) for i in range(int(a["depth"]))]
        error = 3 - sum(w**0.5 / (i + 2) for i, w in enumerate(widths)) + (0.2 if a["op"] == "b" else 0.0)
        found.append(Measurement(architecture=a, values=(error, sum(widths) + (1.0 if a["op"] == "a" else 0.0))))
    return found


def run(searcher: Searcher, trials: int, function: Measure, group: int = 4) -> list[Measurement]:
    history: list[Measurement] = []
    while len(history) < trials and (asked := searcher.ask(min(group, trials - len(history)))):
        results = function(asked)
        searcher.tell(results)
        history += results
    return history


def values(history: Sequence[Measurement]) -> np.ndarray:
    return np.array([m.values for m in history if m.feasible])


def test_the_true_front_of_a_small_space_is_found_in_a_part_of_it() -> None:
    reference = (4.0, 25.0)
    whole = hypervolume(values(learnable(list(SMALL.enumerate()))), reference)
    trials = SMALL.size() // 4
    found = hypervolume(values(run(Linas(SMALL, objectives=2, seed=0, initial=10), trials, learnable)), reference)
    others = [
        hypervolume(values(run(Random(SMALL, objectives=2, seed=s), trials, learnable)), reference) for s in range(10)
    ]
    assert found > 0.995 * whole
    assert found > max(others)


def test_sixty_candidates_of_a_large_space_beat_two_hundred_of_evolution() -> None:
    space = large_space()
    found = hypervolume(values(run(Linas(space, objectives=2, seed=0), 60, measure)), REFERENCE)
    assert found > hypervolume(values(run(Evolution(space, objectives=2, seed=0), 200, measure)), REFERENCE)


def test_exactly_as_many_are_measured_as_wanted_and_none_twice() -> None:
    searcher = Linas(SMALL, objectives=2, seed=1, initial=7, batch=3)
    history = run(searcher, 25, learnable, group=2)
    assert len(history) == 25
    assert len({m.architecture for m in history}) == 25
    assert all(SMALL.canonical(m.architecture) == m.architecture for m in history)


def test_a_batch_is_chosen_at_once_and_handed_out_in_groups() -> None:
    searchers = [Linas(SMALL, objectives=2, seed=2, initial=8, batch=6) for _ in range(2)]
    for searcher in searchers:
        searcher.tell(learnable(searcher.ask(8)))
    whole = searchers[0].ask(10)
    assert len(whole) == 6
    assert [*searchers[1].ask(4), *searchers[1].ask(4)] == whole


def test_what_was_told_unasked_is_learnt_from_and_never_asked() -> None:
    searcher = Linas(SMALL, objectives=2, seed=3, initial=12)
    known = list(SMALL.enumerate())[::3][:12]
    searcher.tell(learnable(known))
    asked = searcher.ask(20)
    assert len(asked) == 4  # a batch: the start counts as done
    assert len(searcher.scores) == 2
    assert not set(asked) & set(known)


def test_what_is_told_while_it_waits_in_the_batch_is_not_asked_any_more() -> None:
    twins = [Linas(SMALL, objectives=2, seed=2, initial=8) for _ in range(2)]
    waiting = twins[0].ask(8)[3:]
    twins[1].ask(3)
    twins[1].tell(learnable(waiting[:2]))
    assert twins[1].ask(8) == waiting[2:]


def test_scores_are_known_after_the_first_round_and_beat_the_baseline() -> None:
    searcher = Linas(SMALL, objectives=2, seed=4, initial=24)
    assert list(searcher.scores) == []
    run(searcher, 40, learnable)
    for score in searcher.scores:
        assert score.correlation > 0.7
    assert any(score.correlation > score.each[SizeOnly.name] + 0.1 for score in searcher.scores)


def test_resumed_in_the_middle_of_a_batch_it_goes_on_equally() -> None:
    space = large_space()

    def some_fail(asked: Sequence[Architecture]) -> list[Measurement]:
        return [
            Measurement(architecture=m.architecture, values=None, failure="broken")
            if int(m.architecture.id, 16) % 5 == 0
            else m
            for m in measure(asked, constrained=True)
        ]

    for cut in (1, 3, 5):
        first = Linas(space, objectives=2, seed=5, initial=8, batch=5)
        history = run(first, 3 * cut, some_fail, group=3)
        outstanding = first.ask(3)
        told = some_fail(outstanding[:1])
        first.tell(told)
        history += told
        second = Linas(space, objectives=2, seed=5, initial=8, batch=5)
        second.restore(json.loads(json.dumps(first.state())), tuple(history))
        assert second.state() == first.state()
        late = some_fail(outstanding[1:])
        continued: list[Any] = []
        for searcher in (first, second):
            searcher.tell(late)
            continued.append([m.architecture for m in run(searcher, 12, some_fail, group=3)])
        assert continued[0] == continued[1]
        assert second.state() == first.state()


def test_a_state_of_another_history_is_refused() -> None:
    searcher = Linas(SMALL, objectives=2, seed=6)
    history = run(searcher, 4, learnable)
    with pytest.raises(RunError, match="saved after 4 measurements, the history holds 3"):
        Linas(SMALL, objectives=2, seed=6).restore(searcher.state(), history[:3])


def test_failing_choices_are_proposed_less_and_less() -> None:
    space = large_space()

    def no_attention_late(asked: Sequence[Architecture]) -> list[Measurement]:
        """Fails where the best errors would be."""
        return [
            Measurement(architecture=m.architecture, values=None, failure="out of memory")
            if m.architecture["layer3.op"] == "attention"
            else m
            for m in measure(asked)
        ]

    history = run(Linas(space, objectives=2, seed=7, initial=16), 72, no_attention_late)
    failed = [m.values is None for m in history]
    assert np.mean(failed[:16]) > 0.2
    assert np.mean(failed[36:]) < 0.1


def test_constraints_are_learnt_from_those_who_miss_them() -> None:
    space = large_space()

    def constrained(asked: Sequence[Architecture]) -> list[Measurement]:
        return measure(asked, constrained=True)

    history = run(Linas(space, objectives=2, seed=8, initial=16), 60, constrained)
    missed = np.array([sum(m.violations) for m in history])
    assert missed[32:].mean() < 0.4 * missed[:16].mean()
    best = min(m.values[0] for m in history if m.values is not None and m.feasible)
    other = run(Random(space, objectives=2, seed=8), 300, constrained)
    assert best < min(m.values[0] for m in other if m.values is not None and m.feasible)


def test_where_nobody_is_feasible_it_searches_for_less_violation() -> None:
    space = large_space()

    def impossible(asked: Sequence[Architecture]) -> list[Measurement]:
        return [
            Measurement(architecture=m.architecture, values=m.values, violations=(5.0 + m.values[1],))
            for m in measure(asked)
            if m.values is not None
        ]

    history = run(Linas(space, objectives=2, seed=9, initial=12), 40, impossible)
    missed = np.array([m.violations[0] for m in history])
    assert missed[28:].mean() < np.quantile(missed[:12], 0.4)


def test_failures_alone_lead_to_further_random_candidates() -> None:
    searcher = Linas(small_space(), objectives=1, seed=10, initial=4)
    history = run(
        searcher, 20, lambda asked: [Measurement(architecture=a, values=None, failure="broken") for a in asked]
    )
    assert len({m.architecture for m in history}) == 20


def test_one_three_and_five_objectives_and_equal_values_are_no_problem() -> None:
    for objectives in (1, 3, 5):
        searcher = Linas(small_space(), objectives=objectives, seed=11, initial=8)

        def function(asked: Sequence[Architecture], objectives: int = objectives) -> list[Measurement]:
            return [
                Measurement(architecture=a, values=(1.0, *(float(len(str(a)) * j) for j in range(1, objectives))))
                for a in asked
            ]

        assert len(run(searcher, 16, function)) == 16


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"initial": 1}, "linas: initial is 1; it must be at least 2"),
        ({"batch": 0}, "linas: batch is 0; it must be at least 1"),
        ({"exploration": -0.5}, "linas: exploration is -0.5; it must be at least 0"),
        ({"exploration": float("nan")}, "linas: exploration is nan; it must be at least 0"),
    ],
)
def test_unusable_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Linas(SMALL, objectives=1, seed=0, **options)
