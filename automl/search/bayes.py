"""Bayesian optimisation: a Gaussian process over the encoding says where a measurement is expected to gain most."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from automl.errors import ConfigError, MissingExtraError
from automl.search.measurement import Measurement
from automl.search.pareto import FloatMatrix
from automl.search.pending import Pending
from automl.search.searcher import Searcher
from automl.search.state_file import generator_from, generator_state, reading_state
from automl.search.survival import survivors, violation_matrix
from automl.search.unseen import IndexMatrix, IndexRow
from automl.search.variation import Variation
from automl.space import Architecture, SearchSpace

if TYPE_CHECKING:
    from automl.search.botorch_acquisition import BotorchAcquisition

__all__ = ["Bayes"]

_POOL: Final = 64
_ELITE: Final = 16
_ROUNDS: Final = 2


class _Measured(NamedTuple):
    row: IndexRow
    values: tuple[float, ...]
    violations: tuple[float, ...]


class Bayes(Searcher):
    """Multi-objective Bayesian optimisation with BoTorch, for evaluations that take minutes.

    After ``initial`` candidates (what was told before the first ``ask``, then smallest, largest and random ones), a Gaussian
    process is fitted to everything measured and a batch is chosen one by one, each where the expected gain is largest given
    those already chosen: hypervolume for two and three objectives, improvement for one, a random scalarisation for more.
    The gain is weighted by the chance that all constraints hold. It is maximised by the operators of evolution on canonical
    rows, so conditions hold and nothing is proposed twice.

    Fitting costs the cube of the number of measurements, so at most ``fitted`` of them are used: the better half of that
    number by Pareto rank, and the latest. Failed candidates teach nothing. Needs the extra ``bayes``.

    Args:
        space: the search space.
        objectives: number of objectives, all minimised.
        seed: seed of all draws; equal results also need equal numbers of threads.
        initial: candidates before the first fit.
        batch: candidates chosen from one fit.
        fitted: largest number of measurements in a fit.

    Raises:
        ConfigError: an option is out of its range.
        MissingExtraError: BoTorch is not installed.

    Source:
        See ``automl.search.botorch_acquisition``.

    Example:
        >>> from automl.space import Ordinal
        >>> space = SearchSpace.build({"depth": Ordinal(1, 2, 3), "width": Ordinal(8, 16, 32)})
        >>> len(Bayes(space, objectives=2, seed=0, initial=3).ask(9))
        3
    """

    def __init__(
        self,
        space: SearchSpace,
        *,
        objectives: int,
        seed: int,
        initial: int = 20,
        batch: int = 5,
        fitted: int = 200,
    ) -> None:
        for name, value, least in (("initial", initial, 2), ("batch", batch, 1), ("fitted", fitted, 10)):
            if value < least:
                raise ConfigError(f"bayes: {name} is {value}; it must be at least {least}.")
        if find_spec("botorch") is None:
            raise MissingExtraError(
                "searcher 'bayes' needs botorch, which is not installed. "
                "Install it with: pip install 'automl-supernets[bayes]'"
            )
        self._space: Final = space
        self._objectives: Final = objectives
        self._initial: Final = initial
        self._batch: Final = batch
        self._fitted: Final = fitted
        self._variation: Final = Variation(space)
        self._pending: Final = Pending(space)
        self._rng = np.random.default_rng(seed)
        self._told = 0
        self._measured: Final[list[_Measured]] = []

    def ask(self, n: int) -> list[Architecture]:
        if not self._pending.queued:
            self._pending.put(self._propose())
        return self._pending.take(n)

    def tell(self, results: Sequence[Measurement]) -> None:
        for result in results:
            self._learn(self._pending.hear(result.architecture), result)

    def state(self) -> dict[str, Any]:
        return {"generator": generator_state(self._rng), "told": self._told, **self._pending.state()}

    def restore(self, state: dict[str, Any], history: Sequence[Measurement]) -> None:
        with reading_state("bayes", state, history):
            self._rng = generator_from(state["generator"])
            heard = self._pending.restore(state, history)
        for row, result in zip(heard, history, strict=True):
            self._learn(row, result)

    def _learn(self, row: IndexRow, result: Measurement) -> None:
        self._told += 1
        if result.values is not None:
            self._measured.append(_Measured(row, result.values, result.violations))

    def _propose(self) -> IndexMatrix:
        unseen = self._pending.unseen
        missing = self._initial - len(unseen)
        if missing > 0 and not unseen.exhausted:
            ends = np.unique(self._space.to_indices([self._space.smallest(), self._space.largest()]), axis=0)
            ends = ends[unseen.new(ends)][:missing]
            unseen.add_rows(ends)
            return np.concatenate([ends, unseen.draw(self._rng, missing - len(ends))])
        if len(self._measured) < 2:
            return unseen.draw(self._rng, self._batch)
        rows, values, violations = self._fitting_data()
        waiting = self._encoded(self._pending.outstanding)
        seed = int(self._rng.integers(2**31))
        acquisition = _acquisition_kind()(self._encoded(rows), values, violations, waiting, seed=seed)
        elite = rows[survivors(values, violations, _ELITE)]
        chosen: list[IndexRow] = []
        while len(chosen) < self._batch:
            elite = self._climb(acquisition, elite)
            if not len(elite):
                break
            chosen.append(elite[0])
            unseen.add_rows(elite[:1])
            acquisition.add_pending(self._encoded(elite[:1]))
        return np.array(chosen, dtype=np.int64).reshape(-1, len(self._space.names))

    def _fitting_data(self) -> tuple[IndexMatrix, FloatMatrix, FloatMatrix]:
        measured = self._measured
        rows = np.array([m.row for m in measured]).reshape(len(measured), len(self._space.names))
        values = np.array([m.values for m in measured]).reshape(len(measured), self._objectives)
        violations = violation_matrix([m.violations for m in measured])
        if len(measured) > self._fitted:
            best = survivors(values, violations, self._fitted // 2)
            others = np.setdiff1d(np.arange(len(measured)), best)
            used = np.sort(np.concatenate([best, others[-(self._fitted - len(best)) :]]))
            rows, values, violations = rows[used], values[used], violations[used]
        return rows, values, violations

    def _climb(self, acquisition: BotorchAcquisition, parents: IndexMatrix) -> IndexMatrix:
        """Unseen rows of large gain, the best first; none if the space is exhausted."""
        unseen = self._pending.unseen
        pool = np.concatenate([parents, unseen.draw(self._rng, _POOL // 2), self._children(parents, _POOL // 2)])
        pool = pool[unseen.new(pool)]
        if not len(pool):
            return pool
        gains = acquisition(self._encoded(pool))
        for _ in range(_ROUNDS):
            best = pool[np.argsort(-gains, kind="stable")[:_ELITE]]
            merged = np.concatenate([pool, self._children(best, _POOL // 2)])
            fresh = np.flatnonzero(unseen.new(merged)[len(pool) :]) + len(pool)
            if len(fresh):
                pool = np.concatenate([pool, merged[fresh]])
                gains = np.concatenate([gains, acquisition(self._encoded(merged[fresh]))])
        return pool[np.argsort(-gains, kind="stable")[:_ELITE]]

    def _children(self, parents: IndexMatrix, n: int) -> IndexMatrix:
        first, second = parents[self._rng.integers(len(parents), size=(2, n))]
        crossed = self._rng.random((n, 1)) < 0.5
        rows = np.where(crossed, self._variation.cross(first, second, self._rng), first)
        return self._variation.mutate(rows, self._rng, 1.0)

    def _encoded(self, rows: IndexMatrix) -> FloatMatrix:
        return self._space.encode(self._space.from_indices(rows))


def _acquisition_kind() -> type[BotorchAcquisition]:
    # Here and not above: this is the one import of torch, and a search without it must not pay for it.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # BoTorch and what it imports use deprecated parts of torch
        from automl.search.botorch_acquisition import BotorchAcquisition
    return BotorchAcquisition
