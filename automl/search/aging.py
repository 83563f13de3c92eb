"""Regularised evolution: tournaments among the living, and the oldest dies, however good it is."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from automl.errors import ConfigError
from automl.search.measurement import Measurement
from automl.search.pending import Pending
from automl.search.searcher import Searcher
from automl.search.state_file import generator_from, generator_state, reading_state
from automl.search.survival import fitness, violation_matrix
from automl.search.unseen import IndexMatrix, IndexRow
from automl.search.variation import Variation
from automl.space import Architecture, SearchSpace

__all__ = ["Aging"]


class _Member(NamedTuple):
    row: IndexRow
    values: tuple[float, ...]
    violations: tuple[float, ...]


class Aging(Searcher):
    """Regularised (aging) evolution for any number of objectives.

    The living are the last ``population`` candidates that were measured. Each child is a mutant of the winner of a
    tournament among a few of them that are drawn without replacement; when it is told, the oldest dies. A good candidate
    thus stays in the population only through children that are good as well, which makes the search forgive a lucky
    measurement: prefer it to ``evolution`` where one objective is noisy.

    Of a tournament the feasible win over the infeasible, these by their violations, the feasible by Pareto rank and then by
    the crowding distance within the tournament. The ends of a front count as lonely as the loneliest member between them,
    and lots decide among equals: a tournament's front is short, and infinite distances would breed from ends only.

    Args:
        space: the search space.
        objectives: number of objectives, all minimised.
        seed: seed of all draws.
        population: number of the living; so many candidates are drawn at random before the first tournament. Candidates
            told unasked count as living.
        tournament: number of the living that compete to be the parent; all of them where they are fewer.
        changes: dimensions that mutation changes on average in each child, and at least one.

    Raises:
        ConfigError: an option is out of its range.

    Source:
        Real, Aggarwal, Huang, Le 2019, "Regularized evolution for image classifier architecture search",
        arXiv:1802.01548, algorithm 1. Deviations: several objectives; children are never a repetition; failed candidates
        are born dead; population and tournament are those of small budgets (the paper has 100 and 25).

    Example:
        >>> from automl.space import Ordinal
        >>> searcher = Aging(SearchSpace.build({"depth": Ordinal(1, 2, 3)}), objectives=1, seed=0, population=2)
        >>> len(searcher.ask(2))
        2
    """

    def __init__(
        self,
        space: SearchSpace,
        *,
        objectives: int,
        seed: int,
        population: int = 20,
        tournament: int = 10,
        changes: float = 1.0,
    ) -> None:
        if population < 2:
            raise ConfigError(f"aging: population is {population}; it must be at least 2.")
        if tournament < 1:
            raise ConfigError(f"aging: tournament is {tournament}; it must be at least 1.")
        if not changes > 0:
            raise ConfigError(f"aging: changes is {changes}; it must be above 0.")
        self._objectives: Final = objectives
        self._tournament: Final = tournament
        self._changes: Final = changes
        self._variation: Final = Variation(space)
        self._pending: Final = Pending(space)
        self._rng = np.random.default_rng(seed)
        self._told = 0
        self._living: Final[deque[_Member]] = deque(maxlen=population)

    def ask(self, n: int) -> list[Architecture]:
        expected = len(self._living) + len(self._pending.outstanding)
        missing = min(n, (self._living.maxlen or 0) - expected) if self._living else n
        if missing > 0:
            self._pending.put(self._pending.unseen.draw(self._rng, missing))
        else:
            self._pending.put(self._children(n))
        return self._pending.take(n)

    def tell(self, results: Sequence[Measurement]) -> None:
        for result in results:
            self._be_born(self._pending.hear(result.architecture), result)
        self._told += len(results)

    def state(self) -> dict[str, Any]:
        return {"generator": generator_state(self._rng), "told": self._told, **self._pending.state()}

    def restore(self, state: dict[str, Any], history: Sequence[Measurement]) -> None:
        with reading_state("aging", state, history):
            self._told = len(history)
            self._rng = generator_from(state["generator"])
            heard = self._pending.restore(state, history)
        for row, result in zip(heard, history, strict=True):
            self._be_born(row, result)

    def _be_born(self, row: IndexRow, result: Measurement) -> None:
        if result.values is not None:
            self._living.append(_Member(row, result.values, result.violations))  # the oldest falls out at the other end

    def _children(self, n: int) -> IndexMatrix:
        living = list(self._living)
        values = np.array([member.values for member in living]).reshape(len(living), self._objectives)
        violations = violation_matrix([member.violations for member in living])
        size = min(self._tournament, len(living))
        parents = []
        for _ in range(n):
            drawn = self._rng.permutation(len(living))[:size]  # in random order, so equals have equal chances
            ranks, distances = fitness(values[drawn], violations[drawn])
            front = np.flatnonzero(ranks == 0)
            lonely = distances[front]
            lonely[np.isinf(lonely)] = lonely[np.isfinite(lonely)].max(initial=0.0)
            parents.append(living[int(drawn[front[lonely.argmax()]])].row)
        rows = self._variation.mutate(np.array(parents), self._rng, self._changes)
        return self._variation.renew(rows, self._pending.unseen, self._rng, self._changes)
