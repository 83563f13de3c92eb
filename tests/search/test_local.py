from __future__ import annotations

import json

import numpy as np
import pytest

from automl.errors import ConfigError, RunError
from automl.search import Measurement
from automl.search.local import Local
from automl.space import Architecture, Ordinal, SearchSpace
from automl.testing.problems import large_space, measure

FLAT = SearchSpace.build({f"d{i}": Ordinal(*range(4)) for i in range(6)})


def total(architecture: Architecture) -> float:
    return float(sum(float(v) for v in architecture.values()))


def tell(searcher: Local, asked: list[Architecture], *, objectives: int = 1) -> None:
    values = [(total(a), -total(a))[:objectives] for a in asked]
    searcher.tell([Measurement(architecture=a, values=v) for a, v in zip(asked, values, strict=True)])


def changed(first: Architecture, second: Architecture) -> int:
    return sum(first[name] != second[name] for name in first)


def test_every_proposal_after_the_start_is_a_neighbour_of_the_best() -> None:
    searcher = Local(FLAT, objectives=1, seed=0, starts=3)
    start = searcher.ask(9)
    tell(searcher, start)
    history = list(start)
    while total(min(history, key=total)) > 0:
        lowest = min(map(total, history))
        asked = searcher.ask(1)
        assert min(changed(asked[0], a) for a in history if total(a) == lowest) == 1
        tell(searcher, asked)
        history += asked
    assert len(history) < 150  # of 4096


def test_neighbours_respect_conditions() -> None:
    space = large_space()
    searcher = Local(space, objectives=2, seed=1, starts=2)
    start = searcher.ask(2)
    searcher.tell(measure(start))
    around = {n for a in start for n in space.neighbours(a)}
    assert {searcher.ask(1)[0] for _ in range(10)} <= around


def test_after_a_local_optimum_it_starts_again_at_random() -> None:
    searcher = Local(FLAT, objectives=1, seed=2, starts=2)
    best = FLAT.smallest()
    searcher.tell([Measurement(architecture=best, values=(0.0,))])
    tell(searcher, searcher.ask(1))  # the second start; the stranger was the first
    asked = []
    for _ in range(18):  # 6 dimensions with 3 other values each
        asked += searcher.ask(1)
        tell(searcher, asked[-1:])
    assert set(asked) == set(FLAT.neighbours(best))
    restarted = searcher.ask(2)
    assert min(changed(a, best) for a in restarted) > 1
    tell(searcher, restarted)
    # The front is that of the restart: the optimum found before is not explored again, however good.
    [following] = searcher.ask(1)
    assert min(changed(following, a) for a in restarted) == 1


def test_both_ends_of_a_front_are_explored() -> None:
    searcher = Local(FLAT, objectives=2, seed=3, starts=2)
    ends = [FLAT.smallest(), FLAT.largest()]
    tell(searcher, ends, objectives=2)
    asked = [searcher.ask(1)[0] for _ in range(30)]
    for end in ends:
        assert sum(changed(a, end) == 1 for a in asked) > 5


def test_infeasible_members_are_explored_only_while_nothing_is_feasible() -> None:
    searcher = Local(FLAT, objectives=1, seed=4, starts=3)
    near, far, good = FLAT.smallest(), FLAT.largest(), FLAT.canonical({f"d{i}": i % 3 for i in range(6)})
    searcher.tell(
        [
            Measurement(architecture=near, values=(5.0,), violations=(1.0,)),
            Measurement(architecture=far, values=(0.0,), violations=(2.0,)),
        ]
    )
    searcher.ask(1)
    assert {changed(a, near) for a in searcher.ask(5)} == {1}
    searcher.tell([Measurement(architecture=good, values=(99.0,), violations=(0.0,))])
    assert {changed(a, good) for a in searcher.ask(5)} == {1}
    searcher.tell([Measurement(architecture=FLAT.neighbours(far)[0], values=(0.0,), violations=(0.5,))])
    assert {changed(a, good) for a in searcher.ask(5)} == {1}


def test_a_resumed_restart_is_the_same_restart() -> None:
    tiny = SearchSpace.build({"a": Ordinal(1, 2, 3), "b": Ordinal(1, 2, 3), "c": Ordinal(1, 2, 3)})
    rng = np.random.default_rng(5)
    value = {a: float(rng.random()) for a in tiny.enumerate()}
    first = Local(tiny, objectives=1, seed=6, starts=1)
    history: list[Measurement] = []
    while asked := first.ask(1):
        second = Local(tiny, objectives=1, seed=6, starts=1)
        state = first.state()
        second.restore(json.loads(json.dumps(state)), history)
        assert second.state() == state
        results = [Measurement(architecture=a, values=(value[a],)) for a in asked]
        for searcher in (first, second):
            searcher.tell(results)
        history += results
        peek = json.loads(json.dumps(first.state()))
        assert second.state() == peek
        twins = []
        for _ in range(2):
            twin = Local(tiny, objectives=1, seed=6, starts=1)
            twin.restore(peek, history)
            twins.append(twin.ask(2))
        assert twins[0] == twins[1] == second.ask(2)
    assert len(history) == tiny.size()
    assert first.state()["since"] > 0


def test_unusable_options_and_states_are_refused() -> None:
    with pytest.raises(ConfigError, match="local: starts is 0; it must be at least 1"):
        Local(FLAT, objectives=1, seed=0, starts=0)
    searcher = Local(FLAT, objectives=1, seed=0)
    with pytest.raises(RunError, match=r"saved state of the searcher 'local' .* the history holds 1"):
        Local(FLAT, objectives=1, seed=0).restore(
            searcher.state(), [Measurement(architecture=FLAT.smallest(), values=(1.0,))]
        )
