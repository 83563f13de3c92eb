"""Successive halving: many architectures on few validation samples, the best of each rung on more."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Final

import numpy as np

from automl.errors import ConfigError
from automl.search.measurement import Measurement
from automl.search.pending import Pending
from automl.search.searcher import Searcher
from automl.search.state_file import generator_from, generator_state, reading_state
from automl.search.survival import fitness, violation_matrix
from automl.space import Architecture, SearchSpace

__all__ = ["SuccessiveHalving"]


class SuccessiveHalving(Searcher):
    """Draws unseen architectures at random and spends validation samples on those that stay among the best.

    The brackets are nested in time: each candidate starts at the smallest rung and goes on as long as it is among the best
    ``1 / eta`` of all candidates that were told with a value at the same rung, itself included. The best are those of the
    lowest constrained Pareto rank, the loneliest first within a rank. Where a run measures in full only, this is random
    search.

    Args:
        space: the search space.
        objectives: number of objectives, all minimised.
        seed: seed of the draws.
        eta: one in so many candidates goes on from rung to rung.
        startup: the first so many candidates are all measured in full, so that there is something to compare with.

    Raises:
        ConfigError: an option is out of its range.

    Source:
        Jamieson, Talwalkar 2016, "Non-stochastic best arm identification and hyperparameter optimization",
        arXiv:1502.07943; without waiting for a bracket to fill, as in Li et al. 2020, "A system for massively parallel
        hyperparameter tuning", arXiv:1810.05934, algorithm 2. Deviations: the resource is validation samples, not training;
        Pareto rank and crowding take the place of one loss; a candidate that was stopped is not taken up again, so nothing
        of it has to be kept.

    Example:
        >>> from automl.space import Ordinal
        >>> space = SearchSpace.build({"depth": Ordinal(1, 2, 3, 4)})
        >>> searcher = SuccessiveHalving(space, objectives=1, seed=0, eta=2, startup=1)
        >>> first, second = searcher.ask(2)
        >>> searcher.tell([Measurement(architecture=first, values=(0.2,), details={"rungs": [[128, 0.3], [256, 0.2]]})])
        >>> details = {"fidelity": 0.5, "rungs": [[128, 0.4]]}
        >>> searcher.promote([Measurement(architecture=second, values=(0.4,), details=details)])
        [False]
    """

    learns: ClassVar[bool] = False

    def __init__(self, space: SearchSpace, *, objectives: int, seed: int, eta: int = 3, startup: int = 8) -> None:
        if eta < 2:
            raise ConfigError(f"successive-halving: eta is {eta}; it must be at least 2.")
        if startup < 0:
            raise ConfigError(f"successive-halving: startup is {startup}; it must be at least 0.")
        self._space: Final = space
        self._objectives: Final = objectives
        self._eta: Final = eta
        self._startup: Final = startup
        self._pending: Final = Pending(space)
        self._rng = np.random.default_rng(seed)
        self._told = 0
        # values and violations of everything told, by the number of samples of the rung
        self._rungs: Final[dict[int, list[tuple[tuple[float, ...], tuple[float, ...]]]]] = {}

    def ask(self, n: int) -> list[Architecture]:
        self._pending.put(self._pending.unseen.draw(self._rng, n))
        return self._pending.take(n)

    def tell(self, results: Sequence[Measurement]) -> None:
        for result in results:
            self._pending.hear(result.architecture)
        self._note(results)

    def promote(self, partial: Sequence[Measurement]) -> Sequence[bool] | None:
        return [self._goes_on(measurement) for measurement in partial]

    def state(self) -> dict[str, Any]:
        return {"generator": generator_state(self._rng), **self._pending.state()}

    def restore(self, state: dict[str, Any], history: Sequence[Measurement]) -> None:
        with reading_state("successive-halving"):
            self._rng = generator_from(state["generator"])
            self._pending.restore(state, history)
        self._note(history)

    def _note(self, results: Sequence[Measurement]) -> None:
        for result in results:
            for samples, *values in _rungs(result):
                self._rungs.setdefault(int(samples), []).append((tuple(values), result.violations))
        self._told += len(results)

    def _goes_on(self, measurement: Measurement) -> bool:
        if self._told < self._startup or measurement.values is None:
            return True
        *_, (samples, *_) = _rungs(measurement)
        peers = [*self._rungs.get(int(samples), ()), (measurement.values, measurement.violations)]
        values = np.array([v for v, _ in peers]).reshape(len(peers), self._objectives)
        violations = violation_matrix([own for _, own in peers])
        ranks, distances = fitness(values, violations)
        better = (ranks < ranks[-1]) | ((ranks == ranks[-1]) & (distances > distances[-1]))
        return bool(better.sum() < -(-len(peers) // self._eta))


def _rungs(measurement: Measurement) -> list[list[float]]:
    """For each rung that it was measured at the number of samples and the values there."""
    rungs: list[list[float]] = measurement.details.get("rungs", [])
    return rungs
