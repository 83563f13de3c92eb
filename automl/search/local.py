"""Pareto local search: one change at a time, from the front of what was found since the last restart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from automl.errors import ConfigError
from automl.search.measurement import Measurement
from automl.search.pending import Pending
from automl.search.searcher import Searcher
from automl.search.state_file import generator_from, generator_state, reading_state
from automl.search.unseen import IndexMatrix, IndexRow
from automl.space import Architecture, SearchSpace

__all__ = ["Local"]


class _Archive:
    """Members that no other dominates, by their positions in the history; feasible ones, or while there are none, others.

    Infeasible members are compared by their violations instead of their values.
    """

    def __init__(self) -> None:
        self.positions: list[int] = []
        self._feasible = False
        self._scores: npt.NDArray[np.float64] = np.zeros((0, 0))

    def add(self, position: int, result: Measurement) -> list[int]:
        """Takes a measured member in unless it is dominated; returns the positions of those that left."""
        assert result.values is not None
        score = np.array(result.values if result.feasible else result.violations)
        left: list[int] = []
        if result.feasible != self._feasible or not self.positions:
            if self.positions and self._feasible:
                return []
            left, self.positions, self._scores = self.positions, [], np.zeros((0, len(score)))
            self._feasible = result.feasible
        below = np.all(self._scores <= score, axis=1)
        above = np.all(self._scores >= score, axis=1)
        if (below & ~above).any():
            return left
        beaten = above & ~below
        left += [p for p, out in zip(self.positions, beaten.tolist(), strict=True) if out]
        self.positions = [p for p, out in zip(self.positions, beaten.tolist(), strict=True) if not out]
        self.positions.append(position)
        self._scores = np.vstack([self._scores[~beaten], score])
        return left


class Local(Searcher):
    """Local search from the front, for any number of objectives; no model, hardly a setting.

    After a few random candidates, each proposal is a random unseen neighbour (one dimension changed, see
    ``SearchSpace.neighbours``) of a random member of the front. An improvement joins the front at once and what it dominates
    is not explored any further. Where every neighbour of the front has been seen, the front is a local optimum, and the
    search starts again from random candidates with an empty front. Feasible candidates come before infeasible ones, and
    these are compared by their violations.

    Candidates told unasked (a warm start, for instance) count as starting points.

    Args:
        space: the search space.
        objectives: number of objectives, all minimised; does not matter here.
        seed: seed of all draws.
        starts: number of random candidates at the start and at each restart.

    Raises:
        ConfigError: an option is out of its range.

    Source:
        White, Nolen, Savani 2021, "Exploring the loss landscape in neural architecture search", arXiv:2005.02960; Paquete,
        Chiarandini, Stützle 2004, "Pareto local optimum sets in the biobjective traveling salesman problem". Deviations:
        the neighbour is drawn anew each time rather than a neighbourhood visited to its end, so budgets smaller than one
        neighbourhood are of use.

    Example:
        >>> from automl.space import Ordinal
        >>> searcher = Local(SearchSpace.build({"depth": Ordinal(1, 2, 3)}), objectives=1, seed=0, starts=1)
        >>> len(searcher.ask(1))
        1
    """

    def __init__(self, space: SearchSpace, *, objectives: int, seed: int, starts: int = 10) -> None:
        if starts < 1:
            raise ConfigError(f"local: starts is {starts}; it must be at least 1.")
        self._space: Final = space
        self._starts: Final = starts
        self._pending: Final = Pending(space)
        self._rng = np.random.default_rng(seed)
        self._told = 0
        self._since = 0  # number of measurements told before the last restart
        self._left = starts  # random candidates still to be asked
        self._archive = _Archive()
        self._rows: dict[int, IndexRow] = {}  # of the archive, by position in the history
        self._around: dict[int, IndexMatrix] = {}  # unseen neighbours, of those looked at
        self._explored: set[int] = set()  # of the archive, those without unseen neighbours

    def ask(self, n: int) -> list[Architecture]:
        asked: list[Architecture] = []
        while len(asked) < n:
            if self._left > 0:
                rows = self._pending.unseen.draw(self._rng, min(n - len(asked), self._left))
                if not len(rows):
                    break  # every architecture of the space was seen
                self._left -= len(rows)
            else:
                rows = self._neighbour()
                if not len(rows):
                    if asked:
                        break  # what is outstanding may open new ways; better to hear of it first
                    self._restart()
                    continue
            self._pending.put(rows)
            asked += self._pending.take(len(rows))
        return asked

    def tell(self, results: Sequence[Measurement]) -> None:
        for result in results:
            if not self._pending.awaits(result.architecture):
                self._left = max(0, self._left - 1)
            self._admit(self._pending.hear(result.architecture), result)

    def state(self) -> dict[str, Any]:
        return {
            "generator": generator_state(self._rng),
            "told": self._told,
            "since": self._since,
            "left": self._left,
            **self._pending.state(),
        }

    def restore(self, state: dict[str, Any], history: Sequence[Measurement]) -> None:
        with reading_state("local", state, history):
            self._rng = generator_from(state["generator"])
            self._told = self._since = int(state["since"])
            self._left = int(state["left"])
            heard = self._pending.restore(state, history)
            for row, result in zip(heard[self._since :], history[self._since :], strict=True):
                self._admit(row, result)

    def _admit(self, row: IndexRow, result: Measurement) -> None:
        if result.values is not None:
            for position in self._archive.add(self._told, result):
                del self._rows[position]
                self._around.pop(position, None)
            if self._archive.positions[-1:] == [self._told]:
                self._rows[self._told] = row
        self._told += 1

    def _neighbour(self) -> IndexMatrix:
        """One unseen neighbour of the front, or none."""
        open_members = [p for p in self._archive.positions if p not in self._explored]
        for choice in self._rng.permutation(len(open_members)).tolist():
            position = open_members[choice]
            if position not in self._around:
                [architecture] = self._space.from_indices(self._rows[position][None])
                self._around[position] = self._space.to_indices(self._space.neighbours(architecture))
            around = self._around[position]
            around = around[self._pending.unseen.new(around)]
            self._around[position] = around
            if len(around):
                return around[[self._rng.integers(len(around))]]
            self._explored.add(position)
        return np.zeros((0, len(self._space.names)), dtype=np.int64)

    def _restart(self) -> None:
        self._archive = _Archive()
        self._rows, self._around = {}, {}
        self._explored = set()
        self._since = self._told
        self._left = self._starts
