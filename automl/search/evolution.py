"""Multi-objective evolution (NSGA-II) on the tree of a search space."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from automl.errors import ConfigError
from automl.search.measurement import Measurement
from automl.search.searcher import Searcher
from automl.search.state_file import generator_from, generator_state, reading_state
from automl.search.survival import fitness, survivors
from automl.search.unseen import IndexMatrix, Unseen
from automl.search.variation import Variation
from automl.space import Architecture, SearchSpace

__all__ = ["Evolution"]

_REPAIRS: Final = 8


class Evolution(Searcher):
    """NSGA-II whose operators know conditions, canonical forms and duplicates; one objective works, too.

    A generation is bred at once from the survivors of everything measured so far and queued; when the queue is empty, the
    next one is bred. Parents win binary tournaments; children are crossed, mutated, made canonical, and mutated again
    until they are allowed and unlike anything asked or told before, so that no evaluation is spent twice. Places that
    stay empty go to random architectures, and so the search goes on until the space is exhausted.

    Args:
        space: the search space.
        objectives: number of objectives, all minimised.
        seed: seed of all draws.
        population: number of survivors, and size of the random first generation.
        offspring: size of every later generation; 0 means half the population.
        crossover: share of children that have two parents.
        changes: dimensions that mutation changes on average in each child.

    Raises:
        ConfigError: an option is out of its range.

    Source:
        Deb, Pratap, Agarwal, Meyarivan 2002, "A fast and elitist multiobjective genetic algorithm: NSGA-II". Deviations:
        discrete operators on conditional dimensions (see ``Variation``), duplicates never enter a generation, generations
        are smaller than the population, failed candidates never survive.

    Example:
        >>> from automl.space import Ordinal
        >>> space = SearchSpace.build({"depth": Ordinal(1, 2, 3), "width": Ordinal(8, 16, 32)})
        >>> searcher = Evolution(space, objectives=2, seed=0, population=4)
        >>> len(searcher.ask(10))
        4
    """

    def __init__(
        self,
        space: SearchSpace,
        *,
        objectives: int,
        seed: int,
        population: int = 40,
        offspring: int = 0,
        crossover: float = 0.9,
        changes: float = 1.0,
    ) -> None:
        if population < 2:
            raise ConfigError(f"evolution: population is {population}; it must be at least 2.")
        if offspring < 0:
            raise ConfigError(
                f"evolution: offspring is {offspring}; it must be at least 1, or 0 for half the population."
            )
        if not 0 <= crossover <= 1:
            raise ConfigError(f"evolution: crossover is {crossover}; it must be a share between 0 and 1.")
        if not changes > 0:
            raise ConfigError(f"evolution: changes is {changes}; it must be above 0.")
        self._space: Final = space
        self._objectives: Final = objectives
        self._population: Final = population
        self._offspring: Final = offspring or max(1, population // 2)
        self._crossover: Final = crossover
        self._changes: Final = changes
        self._variation: Final = Variation(space)
        self._unseen: Final = Unseen(space)
        self._rng = np.random.default_rng(seed)
        self._queue: list[Architecture] = []
        self._outstanding: dict[Architecture, None] = {}
        self._told = 0
        # Positions in the history and measurements of survivors, and of those told since they were selected.
        self._pool: dict[int, Measurement] = {}

    def ask(self, n: int) -> list[Architecture]:
        if not self._queue:
            rows = self._breed()
            self._unseen.add_rows(rows)
            self._queue = self._space.from_indices(rows)
        asked, self._queue = self._queue[:n], self._queue[n:]
        self._outstanding.update(dict.fromkeys(asked))
        return asked

    def tell(self, results: Sequence[Measurement]) -> None:
        strangers = []
        for result in results:
            if result.architecture in self._outstanding:
                del self._outstanding[result.architecture]
            else:
                strangers.append(result.architecture)
            if result.values is not None:
                self._pool[self._told] = result
            self._told += 1
        if strangers:
            self._unseen.add(strangers)
            known = set(strangers)
            self._queue = [architecture for architecture in self._queue if architecture not in known]

    def state(self) -> dict[str, Any]:
        return {
            "generator": generator_state(self._rng),
            "told": self._told,
            "pool": list(self._pool),
            "queue": self._space.to_indices(self._queue).tolist(),
            "outstanding": self._space.to_indices(list(self._outstanding)).tolist(),
        }

    def restore(self, state: dict[str, Any], history: Sequence[Measurement]) -> None:
        with reading_state("evolution"):
            if state["told"] != len(history):
                raise ValueError(f"it was saved after {state['told']} measurements, the history holds {len(history)}")
            self._told = len(history)
            self._rng = generator_from(state["generator"])
            self._pool = {position: history[position] for position in state["pool"]}
            self._queue = self._from_lists(state["queue"])
            self._outstanding = dict.fromkeys(self._from_lists(state["outstanding"]))
        self._unseen.add([*self._queue, *self._outstanding, *(result.architecture for result in history)])

    def _from_lists(self, rows: list[list[int]]) -> list[Architecture]:
        return self._space.from_indices(np.array(rows, dtype=np.int64).reshape(-1, len(self._space.names)))

    def _breed(self) -> IndexMatrix:
        """Selects survivors and makes the rows of the next generation; none if the space is exhausted."""
        if not self._pool:
            return self._unseen.draw(self._rng, self._population)
        positions, measured = list(self._pool), list(self._pool.values())
        values = np.array([result.values for result in measured]).reshape(len(measured), self._objectives)
        constraints = max(len(result.violations) for result in measured)
        violations = np.zeros((len(measured), constraints))
        for row, result in enumerate(measured):
            violations[row, : len(result.violations)] = result.violations
        alive = survivors(values, violations, self._population)
        self._pool = {positions[i]: measured[i] for i in alive.tolist()}
        ranks, distances = fitness(values[alive], violations[alive])
        parents = self._space.to_indices([measured[i].architecture for i in alive.tolist()])
        order = np.empty(len(alive), dtype=np.int64)
        order[np.lexsort((-distances, ranks))] = np.arange(len(alive))

        pairs = self._rng.integers(len(alive), size=(2, 2, self._offspring))
        winners = np.where(order[pairs[0]] <= order[pairs[1]], pairs[0], pairs[1])
        first, second = parents[winners[0]], parents[winners[1]]
        crossed = self._rng.random(self._offspring) < self._crossover
        rows = np.where(crossed[:, None], self._variation.cross(first, second, self._rng), first)
        rows = self._variation.mutate(rows, self._rng, self._changes)
        for repair in range(1, _REPAIRS + 1):
            new = self._unseen.new(rows)
            if new.all():
                return rows
            rows[~new] = self._variation.mutate(rows[~new], self._rng, self._changes * repair)
        rows = rows[self._unseen.new(rows)]
        self._unseen.add_rows(rows)
        fill = self._unseen.draw(self._rng, self._offspring - len(rows))
        return np.concatenate([rows, fill])
