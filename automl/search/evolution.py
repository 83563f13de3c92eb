"""Multi-objective evolution (NSGA-II, NSGA-III) on the tree of a search space."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from automl.errors import ConfigError
from automl.search.measurement import Measurement
from automl.search.pareto import FloatVector
from automl.search.pending import Pending
from automl.search.searcher import Searcher
from automl.search.state_file import generator_from, generator_state, reading_state
from automl.search.survival import survivors, violation_matrix
from automl.search.unseen import IndexMatrix, IndexRow
from automl.search.variation import Variation
from automl.space import Architecture, SearchSpace

__all__ = ["Evolution"]


class _Member(NamedTuple):
    row: IndexRow
    values: tuple[float, ...]
    violations: tuple[float, ...]


class Evolution(Searcher):
    """NSGA-II or NSGA-III, whose operators know conditions, canonical forms and duplicates; one objective works, too.

    A generation is bred at once from the survivors of everything measured so far and queued; when the queue is empty, the
    next one is bred. Parents win binary tournaments; children are crossed, mutated, made canonical, and mutated again
    until they are allowed and unlike anything asked or told before, so that no evaluation is spent twice. Places that
    stay empty go to random architectures, and so the search goes on until the space is exhausted.

    Up to three objectives the lonelier of equals survives (NSGA-II), with more the one that represents an emptier
    direction of the front (NSGA-III). Feasible candidates come before infeasible ones, and these by their violations.

    Args:
        space: the search space.
        objectives: number of objectives, all minimised.
        seed: seed of all draws.
        population: number of survivors, and size of the first generation: what was told before the first ``ask``, then
            smallest, largest, and random ones.
        offspring: size of every later generation. Small ones learn sooner from what was measured.
        crossover: share of children that have two parents.
        changes: dimensions that mutation changes on average in each child.

    Raises:
        ConfigError: an option is out of its range.

    Source:
        Deb, Pratap, Agarwal, Meyarivan 2002, "A fast and elitist multiobjective genetic algorithm: NSGA-II"; Deb, Jain
        2014 and Jain, Deb 2014 (part II: constraints), "An evolutionary many-objective optimization algorithm using
        reference-point-based nondominated sorting approach". Deviations: discrete operators on conditional dimensions
        (see ``Variation``), duplicates never enter a generation, generations are smaller than the population, failed
        candidates never survive; see ``automl.search.reference_points`` for those of NSGA-III.

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
        population: int = 20,
        offspring: int = 8,
        crossover: float = 0.9,
        changes: float = 1.0,
    ) -> None:
        if population < 2:
            raise ConfigError(f"evolution: population is {population}; it must be at least 2.")
        if offspring < 1:
            raise ConfigError(f"evolution: offspring is {offspring}; it must be at least 1.")
        if not 0 <= crossover <= 1:
            raise ConfigError(f"evolution: crossover is {crossover}; it must be a share between 0 and 1.")
        if not changes > 0:
            raise ConfigError(f"evolution: changes is {changes}; it must be above 0.")
        self._space: Final = space
        self._objectives: Final = objectives
        self._population: Final = population
        self._offspring: Final = offspring
        self._crossover: Final = crossover
        self._changes: Final = changes
        self._variation: Final = Variation(space)
        self._pending: Final = Pending(space)
        self._rng = np.random.default_rng(seed)
        self._told = 0
        # By position in the history: survivors, and those told since they were selected.
        self._pool: dict[int, _Member] = {}
        self._ideal: FloatVector = np.full(objectives, np.inf)

    def ask(self, n: int) -> list[Architecture]:
        if not self._pending.queued:
            self._pending.put(self._breed())
        return self._pending.take(n)

    def tell(self, results: Sequence[Measurement]) -> None:
        for result in results:
            row = self._pending.hear(result.architecture)
            if result.values is not None:
                self._pool[self._told] = _Member(row, result.values, result.violations)
            self._told += 1
        self._improve_ideal(results)

    def state(self) -> dict[str, Any]:
        return {
            "generator": generator_state(self._rng),
            "told": self._told,
            "pool": list(self._pool),
            **self._pending.state(),
        }

    def restore(self, state: dict[str, Any], history: Sequence[Measurement]) -> None:
        with reading_state("evolution", state, history):
            self._told = len(history)
            self._rng = generator_from(state["generator"])
            heard = self._pending.restore(state, history)
            for position in state["pool"]:
                values = history[position].values
                if values is None:
                    raise ValueError(f"measurement {position} has failed")
                self._pool[position] = _Member(heard[position], values, history[position].violations)
        self._improve_ideal(history)

    def _improve_ideal(self, results: Sequence[Measurement]) -> None:
        values = [result.values for result in results if result.feasible]
        if values:
            self._ideal = np.minimum(self._ideal, np.array(values).min(axis=0))

    def _breed(self) -> IndexMatrix:
        """Selects survivors and makes the rows of the next generation; none if the space is exhausted."""
        unseen = self._pending.unseen
        missing = self._population - len(unseen)
        if missing > 0:
            # The two ends of the space are what users compare everything with, and often on the front themselves.
            ends = np.unique(self._space.to_indices([self._space.smallest(), self._space.largest()]), axis=0)
            ends = ends[unseen.new(ends)][:missing]
            unseen.add_rows(ends)
            first = np.concatenate([ends, unseen.draw(self._rng, missing - len(ends))])
            if len(first):
                return first
        if not self._pool:
            return unseen.draw(self._rng, self._offspring)
        pool = list(self._pool.items())
        values = np.array([member.values for _, member in pool]).reshape(len(pool), self._objectives)
        violations = violation_matrix([member.violations for _, member in pool])
        best = survivors(values, violations, self._population, self._ideal)
        self._pool = dict(pool[i] for i in best.tolist())
        parents = np.array([member.row for member in self._pool.values()])

        # Survivors come best first, so of two the smaller position wins a tournament.
        winners = self._rng.integers(len(parents), size=(2, 2, self._offspring)).min(axis=0)
        first, second = parents[winners[0]], parents[winners[1]]
        crossed = self._rng.random(self._offspring) < self._crossover
        rows = np.where(crossed[:, None], self._variation.cross(first, second, self._rng), first)
        rows = self._variation.mutate(rows, self._rng, self._changes)
        return self._variation.renew(rows, unseen, self._rng, self._changes)
