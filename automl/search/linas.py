"""Lightweight iterative search (LINAS): search on predictors, measure the most promising, learn, repeat."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from automl.errors import ConfigError
from automl.search.measurement import Measurement
from automl.search.pending import Pending
from automl.search.predicted_search import LEAST, PredictedSearch
from automl.search.predictors import Costs, Score
from automl.search.searcher import Searcher
from automl.search.state_file import generator_from, generator_state, reading_state
from automl.search.unseen import IndexMatrix
from automl.search.warm_start import initial_architectures
from automl.space import Architecture, SearchSpace

__all__ = ["Linas"]

_ROUNDS: Final = 40


class Linas(Searcher):
    """Alternates between measuring a few architectures and an evolutionary search on predictors of all objectives.

    It starts with the ends of the space and architectures of every size. Then each round refits the predictors on everything
    measured and returns the batch that is predicted to widen the front most (see ``PredictedSearch``); nothing is
    measured twice, and only measured architectures count as found.

    Args:
        space: the search space.
        objectives: number of objectives, all minimised.
        seed: seed of all draws.
        initial: architectures measured before anything is predicted.
        batch: architectures of one round; as the history grows, at least a fortieth of it, so that the rounds stay few.
        exploration: share of the predictors' standard deviation that counts; 0 trusts their means.
        costs: analytic costs of architectures, such as parameters, which the predictors then know.

    Raises:
        ConfigError: an option is out of its range.

    Source:
        Sarah et al. 2022, "A hardware-aware system for accelerating deep neural network optimization", arXiv:2202.12954,
        section 3 (ConcurrentNAS, later called LINAS). Deviations: the batch is chosen by expected gain in hypervolume with
        the predictors' uncertainty, not as the last population; predictors are chosen by rank correlation; features of
        inactive dimensions are masked; nothing is validated twice.

    Example:
        >>> from automl.space import Ordinal
        >>> space = SearchSpace.build({"depth": Ordinal(1, 2, 3), "width": Ordinal(8, 16, 32)})
        >>> len(Linas(space, objectives=2, seed=0, initial=4).ask(10))
        4
    """

    def __init__(
        self,
        space: SearchSpace,
        *,
        objectives: int,
        seed: int,
        initial: int = 24,
        batch: int = 4,
        exploration: float = 0.2,
        costs: Costs | None = None,
    ) -> None:
        if initial < 2:
            raise ConfigError(f"linas: initial is {initial}; it must be at least 2.")
        if batch < 1:
            raise ConfigError(f"linas: batch is {batch}; it must be at least 1.")
        if not exploration >= 0:
            raise ConfigError(f"linas: exploration is {exploration}; it must be at least 0.")
        self._space: Final = space
        self._batch: Final = batch
        self._initial: Final = initial
        self._seed: Final = seed
        self._inner: Final = PredictedSearch(space, objectives=objectives, exploration=exploration, costs=costs)
        self._pending: Final = Pending(space)
        self._rng = np.random.default_rng(seed)
        self._started = False
        self._told = 0

    @property
    def scores(self) -> Sequence[Score]:
        """For each objective how well its predictors rank what they have not seen; empty before the first round."""
        return self._inner.scores

    def ask(self, n: int) -> list[Architecture]:
        if not self._pending.queued:
            self._pending.put(self._next(n))
        return self._pending.take(n)

    def claim(self, architecture: Architecture) -> bool:
        """Marks an architecture as asked for by another searcher; false if it was asked or told here before."""
        return self._pending.claim(architecture)

    def tell(self, results: Sequence[Measurement]) -> None:
        for result in results:
            self._pending.hear(result.architecture)
        self._inner.learn(results)
        self._told += len(results)

    def state(self) -> dict[str, Any]:
        return {
            "generator": generator_state(self._rng),
            "told": self._told,
            "started": self._started,
            **self._pending.state(),
            "predictors": self._inner.state(),
        }

    def restore(self, state: dict[str, Any], history: Sequence[Measurement]) -> None:
        with reading_state("linas", state, history):
            self._rng = generator_from(state["generator"])
            self._started = bool(state["started"])
            self._told = len(history)
            self._pending.restore(state, history)
            self._inner.learn(history)
            self._inner.restore(state["predictors"])

    def _next(self, n: int) -> IndexMatrix:
        if not self._started:
            self._started = True
            missing = self._initial - self._told
            first = initial_architectures(self._space, max(missing, 0), seed=self._seed) if missing > 0 else []
            rows = self._space.to_indices(first)
            rows = rows[self._pending.unseen.new(rows)] if len(rows) else rows
            if len(rows):
                return rows
        if len(self._inner) < LEAST:
            return self._pending.unseen.draw(self._rng, min(n, self._batch))
        return self._inner.propose(max(self._batch, self._told // _ROUNDS), self._pending.unseen, self._rng)
