from __future__ import annotations

import json

import numpy as np
import pytest

from automl.errors import ConfigError, RunError
from automl.search import Measurement
from automl.search.aging import Aging
from automl.space import Architecture, Ordinal, SearchSpace
from automl.testing.problems import large_space, measure

FLAT = SearchSpace.build({f"d{i}": Ordinal(*range(10)) for i in range(12)})


def told(searcher: Aging, architecture: Architecture, *values: float, violation: float = 0.0) -> None:
    violations = (violation,) if violation else ()
    searcher.tell([Measurement(architecture=architecture, values=values, violations=violations)])


def parents_of(children: list[Architecture], candidates: list[Architecture]) -> set[int]:
    """Positions of the candidates that children differ least from; mutants of far-apart parents are told apart by that."""
    rows, others = FLAT.to_indices(children), FLAT.to_indices(candidates)
    return set((rows[:, None] != others[None]).sum(axis=2).argmin(axis=1).tolist())


def random_ones(n: int) -> list[Architecture]:
    rng = np.random.default_rng(1)
    return [FLAT.sample(rng) for _ in range(n)]


def test_the_oldest_dies_even_if_it_is_the_best() -> None:
    searcher = Aging(FLAT, objectives=1, seed=0, population=4, tournament=4)
    architectures = random_ones(7)
    for position, architecture in enumerate(architectures[:4]):
        told(searcher, architecture, float(position))
    assert parents_of(searcher.ask(5), architectures) == {0}  # all compete, the first is the best
    for age in range(1, 4):
        told(searcher, architectures[3 + age], 10.0 + age)
        # The best of the living is always the oldest but the one that just died.
        assert parents_of(searcher.ask(5), architectures) == {age}


def test_a_failed_candidate_takes_no_place_among_the_living() -> None:
    searcher = Aging(FLAT, objectives=1, seed=0, population=2, tournament=2)
    architectures = random_ones(6)
    told(searcher, architectures[0], 1.0)
    told(searcher, architectures[1], 2.0)
    searcher.tell([Measurement(architecture=a, values=None, failure="out of memory") for a in architectures[2:]])
    assert parents_of(searcher.ask(6), architectures) == {0}


def test_the_feasible_win_then_those_that_miss_by_less() -> None:
    searcher = Aging(FLAT, objectives=1, seed=0, population=3, tournament=3)
    architectures = random_ones(4)
    told(searcher, architectures[0], 1.0, violation=5.0)
    told(searcher, architectures[1], 2.0, violation=1.0)
    told(searcher, architectures[2], 0.0, violation=9.0)
    assert parents_of(searcher.ask(4), architectures) == {1}
    told(searcher, architectures[3], 99.0)
    assert parents_of(searcher.ask(4), architectures) == {3}


def test_with_two_objectives_all_of_the_front_become_parents_and_no_others() -> None:
    searcher = Aging(FLAT, objectives=2, seed=0, population=6, tournament=6)
    architectures = random_ones(6)
    for architecture, values in zip(architectures, [(0, 3), (1, 1.5), (3, 0), (4, 4), (2, 5), (5, 2)], strict=True):
        told(searcher, architecture, *map(float, values))
    assert parents_of(searcher.ask(40), architectures) == {0, 1, 2}


def test_random_candidates_fill_the_population_before_the_first_tournament() -> None:
    searcher = Aging(FLAT, objectives=1, seed=0, population=8, tournament=8)
    first = searcher.ask(5)
    searcher.tell([Measurement(architecture=a, values=(float(i),)) for i, a in enumerate(first)])
    rest = searcher.ask(9)
    assert len(rest) == 3
    changed = (FLAT.to_indices(rest)[:, None] != FLAT.to_indices(first)[None]).sum(axis=2)
    assert changed.min() > 6  # of 12: no mutants
    mutants = searcher.ask(4)
    assert parents_of(mutants, first) == {0}
    assert (FLAT.to_indices(mutants) != FLAT.to_indices(first[:1])).sum(axis=1).max() <= 5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"population": 1}, "aging: population is 1; it must be at least 2"),
        ({"tournament": 0}, "aging: tournament is 0; it must be at least 1"),
        ({"changes": 0.0}, "aging: changes is 0.0; it must be above 0"),
    ],
)
def test_unusable_options_are_refused(options: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Aging(FLAT, objectives=1, seed=0, **options)  # type: ignore[arg-type]


def test_a_state_of_another_history_is_refused() -> None:
    space = large_space()
    searcher = Aging(space, objectives=1, seed=0)
    state = json.loads(json.dumps(searcher.state()))
    with pytest.raises(RunError, match=r"saved state of the searcher 'aging' .* the history holds 1"):
        Aging(space, objectives=1, seed=0).restore(state, measure([space.smallest()], objectives=1))
