"""Concurrent search: candidates are looked for while the supernet is still in training, and measured again afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np

from automl.errors import ConfigError
from automl.search.linas import Linas
from automl.search.measurement import Measurement
from automl.search.pareto import FloatVector, pareto_front
from automl.search.searcher import EarlyHistory, Searcher
from automl.search.state_file import reading_state
from automl.search.survival import survivors
from automl.space import Architecture, SearchSpace

__all__ = ["Concurrent"]


class Concurrent(Searcher):
    """Lightweight iterative search that begins in the last part of the training of the supernet.

    After each epoch from ``start`` on, but the last, a few candidates are measured with the weights of that moment: a
    third of them from the front so far, those that were measured the longest ago, and the others proposed by ``linas`` from
    everything measured early. Weights change, so before that each earlier value is moved by the median change of the
    candidates that were measured again; costs do not change and are not moved.

    The search then starts with ``first`` candidates: up to two thirds from the early front, the others proposed by
    predictors of early values. From there on it is ``linas`` and learns from finished weights only, so early values decide
    where it starts and nothing else. Without training, as in a search of a table, it is ``linas`` throughout.

    Args:
        space: the search space.
        objectives: number of objectives, all minimised.
        seed: seed of all draws.
        start: share of the epochs after which the first candidates are measured.
        early: candidates measured after each of these epochs.
        first: candidates chosen early with which the search starts; fewer than ``initial``, since predictors that have seen
            nothing but good networks do not know what makes bad ones.
        initial: architectures measured with finished weights before anything is predicted, the first ones included.
        batch: architectures of one round of predictions.
        exploration: share of the predictors' standard deviation that counts; 0 trusts their means.

    Raises:
        ConfigError: an option is out of its range.

    Source:
        The loop: Sarah et al. 2022, arXiv:2202.12954, section 3; see ``Linas``. There, concurrent are the search and the
        training of predictors, on finished weights. That the weights are unfinished, how their values are made
        comparable, and what is measured again are this project's own.

    Example:
        >>> from automl.space import Ordinal
        >>> space = SearchSpace.build({"depth": Ordinal(1, 2, 3), "width": Ordinal(8, 16, 32)})
        >>> searcher = Concurrent(space, objectives=2, seed=0, early=3)
        >>> [len(searcher.ask_early(epoch, 4, {})) for epoch in (1, 2, 3, 4)]
        [0, 3, 3, 0]
    """

    def __init__(
        self,
        space: SearchSpace,
        *,
        objectives: int,
        seed: int,
        start: float = 0.5,
        early: int = 6,
        first: int = 8,
        initial: int = 24,
        batch: int = 4,
        exploration: float = 0.2,
    ) -> None:
        if not 0 <= start < 1:
            raise ConfigError(f"concurrent: start is {start}; it must be at least 0 and below 1.")
        for name, value, least in (("early", early, 2), ("first", first, 1)):
            if value < least:
                raise ConfigError(f"concurrent: {name} is {value}; it must be at least {least}.")
        try:
            self._linas: Final = Linas(
                space, objectives=objectives, seed=seed, initial=initial, batch=batch, exploration=exploration
            )
        except ConfigError as error:
            raise ConfigError(f"concurrent: {str(error).partition(': ')[2]}") from error
        self._space: Final = space
        self._objectives: Final = objectives
        self._seed: Final = seed
        self._start: Final = start
        self._early: Final = early
        self._first: Final = first
        self._exploration: Final = exploration

    def ask_early(self, epoch: int, epochs: int, history: EarlyHistory) -> list[Architecture]:
        if not self._start * epochs <= epoch < epochs:
            return []  # the weights after the last epoch are the finished ones: there the search itself begins
        age = {m.architecture: number for number in sorted(history) for m in history[number]}
        again = sorted(_front(_current(history)), key=age.__getitem__)[: self._early // 3]
        return [*again, *self._proposed(self._early - len(again), history, epoch)]

    def ask_first(self, history: EarlyHistory) -> list[Architecture]:
        best = _front(_current(history))[: self._first - self._first // 3]
        return [*best, *self._proposed(self._first - len(best), history, 0)]

    def ask(self, n: int) -> list[Architecture]:
        return self._linas.ask(n)

    def tell(self, results: Sequence[Measurement]) -> None:
        self._linas.tell(results)

    def state(self) -> dict[str, Any]:
        return {"linas": self._linas.state()}

    def restore(self, state: dict[str, Any], history: Sequence[Measurement]) -> None:
        with reading_state("concurrent"):
            inner = dict(state["linas"])
        self._linas.restore(inner, history)

    def _proposed(self, n: int, history: EarlyHistory, stream: int) -> list[Architecture]:
        """Up to ``n`` architectures that were not measured early, by a search that has heard nothing but early values."""
        if not n:
            return []
        (seed,) = np.random.SeedSequence(self._seed, spawn_key=(stream,)).generate_state(1)
        linas = Linas(
            self._space,
            objectives=self._objectives,
            seed=int(seed),
            initial=self._early,
            batch=n,
            exploration=self._exploration,
        )
        linas.tell(_current(history))
        return linas.ask(n)


def _current(history: EarlyHistory) -> list[Measurement]:
    """The latest measurement of each architecture, its values moved to what they would be at the last epoch."""
    known: dict[Architecture, Measurement] = {}
    for epoch in sorted(history):
        moved = _change(known, history[epoch])
        known = {a: m if m.values is None else _moved(m, moved) for a, m in known.items()}
        known.update({measurement.architecture: measurement for measurement in history[epoch]})
    return list(known.values())


def _change(known: dict[Architecture, Measurement], measured: Sequence[Measurement]) -> FloatVector:
    """Median change of each objective over what was measured before; 0 if there is no such candidate."""
    changes = [
        np.subtract(now.values, before.values)
        for now in measured
        if now.values is not None and (before := known.get(now.architecture)) is not None and before.values is not None
    ]
    return np.median(changes, axis=0) if changes else np.zeros(1)


def _moved(measurement: Measurement, change: FloatVector) -> Measurement:
    assert measurement.values is not None
    return replace(measurement, values=tuple((np.array(measurement.values) + change).tolist()))


def _front(measurements: Sequence[Measurement]) -> list[Architecture]:
    """The feasible front, the loneliest first; while nothing is feasible, what is nearest to being so."""
    pool = [m for m in measurements if m.feasible]
    if pool:
        pool = [pool[i] for i in pareto_front([m.values for m in pool if m.values is not None])]
    else:
        pool = [m for m in measurements if m.values is not None]
    if not pool:
        return []
    values = np.array([m.values for m in pool], dtype=np.float64)
    violations = np.array([m.violations for m in pool], dtype=np.float64)
    return [pool[i].architecture for i in survivors(values, violations, len(pool))]
