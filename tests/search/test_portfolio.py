from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from automl.errors import ConfigError, RunError
from automl.search import Measurement, Random, hypervolume
from automl.search.portfolio import Portfolio
from automl.space import Architecture, SearchSpace
from automl.testing.problems import REFERENCE, large_space, measure, small_space

SPACE = large_space()


def noise(asked: Sequence[Architecture]) -> list[Measurement]:
    """Two objectives that nothing about an architecture tells."""
    drawn = [np.random.default_rng(int(a.id, 16)).normal(size=2) for a in asked]
    return [Measurement(architecture=a, values=(float(x), float(y))) for a, (x, y) in zip(asked, drawn, strict=True)]


def run(searcher: Any, trials: int, function: Any, group: int = 4) -> list[Measurement]:
    history: list[Measurement] = []
    while len(history) < trials and (asked := searcher.ask(min(group, trials - len(history)))):
        results = function(asked)
        searcher.tell(results)
        history += results
    return history


def test_evolution_has_a_tenth_where_predictors_are_good_and_more_where_they_are_not() -> None:
    shares = {}
    for function in (measure, noise):
        searcher = Portfolio(SPACE, objectives=2, seed=0, initial=16)
        run(searcher, 16, function)
        seen, bred = [], []
        for _ in range(12):
            bred.append(searcher._bred)
            run(searcher, 4, function)
            seen.append(searcher.evolution_share)
        shares[function] = np.mean(seen), searcher._bred / (searcher._bred + searcher._predicted)
    assert shares[measure][0] < 0.15
    assert shares[noise][0] > 0.25
    assert shares[measure][1] < 0.2 < shares[noise][1]
    assert shares[noise][1] <= 0.55


def test_it_beats_random_search_by_far() -> None:
    found = [m.values for m in run(Portfolio(SPACE, objectives=2, seed=1), 60, measure) if m.values]
    others = [[m.values for m in run(Random(SPACE, objectives=2, seed=s), 300, measure) if m.values] for s in range(3)]
    assert hypervolume(found, REFERENCE) > max(hypervolume(other, REFERENCE) for other in others)


@pytest.mark.parametrize("function", [measure, noise], ids=["learnable", "noise"])
def test_no_candidate_comes_from_both_and_every_one_is_found_in_the_end(function: Any) -> None:
    space: SearchSpace = small_space() if function is noise else SPACE
    trials = space.size() if function is noise else 60
    history = run(Portfolio(space, objectives=2, seed=2, initial=8), trials + 5, function, group=3)
    assert len({m.architecture for m in history}) == len(history)
    assert len(history) == (trials if function is noise else trials + 5)


@pytest.mark.parametrize("function", [measure, noise], ids=["learnable", "noise"])
def test_resumed_in_the_middle_of_a_batch_of_either_kind_it_goes_on_equally(function: Any) -> None:
    def make() -> Portfolio:
        return Portfolio(SPACE, objectives=2, seed=3, initial=8, batch=5, population=6)

    sources = set()
    for cut in (4, 9, 18, 21, 24, 27) if function is noise else (9, 21):
        first = make()
        history = run(first, cut, function, group=3)
        before = first._bred
        outstanding = first.ask(3)
        sources.add(first._bred > before)
        told = function(outstanding[:1])
        first.tell(told)
        history += told
        second = make()
        second.restore(json.loads(json.dumps(first.state())), tuple(history))
        assert second.state() == first.state()
        late = function(outstanding[1:])
        continued = []
        for searcher in (first, second):
            searcher.tell(late)
            continued.append([m.architecture for m in run(searcher, 9, function, group=3)])
        assert continued[0] == continued[1]
        assert second.state() == first.state()
    if function is noise:
        assert sources == {True, False}


def test_a_state_of_another_history_is_refused() -> None:
    searcher = Portfolio(SPACE, objectives=2, seed=4)
    history = run(searcher, 4, measure)
    with pytest.raises(RunError, match="saved after 4 measurements, the history holds 3"):
        Portfolio(SPACE, objectives=2, seed=4).restore(searcher.state(), history[:3])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"initial": 1}, "portfolio: initial is 1; it must be at least 2"),
        ({"batch": 0}, "portfolio: batch is 0; it must be at least 1"),
        ({"population": 1}, "portfolio: population is 1"),
    ],
)
def test_unusable_options_are_refused_in_its_own_name(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Portfolio(SPACE, objectives=1, seed=0, **options)
