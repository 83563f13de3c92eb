"""The default searcher: predictors where they can tell good from bad, evolution where they cannot."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from automl.errors import ConfigError
from automl.search.evolution import Evolution
from automl.search.linas import Linas
from automl.search.measurement import Measurement
from automl.search.searcher import Searcher
from automl.search.state_file import reading_state
from automl.space import Architecture, SearchSpace

__all__ = ["Portfolio"]

_TRUSTED: Final = 0.3
_MOST_EVOLUTION: Final = 0.5
_LEAST_EVOLUTION: Final = 0.1
_OTHER_SEED: Final = 0x9E3779B9


class Portfolio(Searcher):
    """Lightweight iterative search, with as much evolution mixed in as its predictors deserve.

    The start is that of ``linas``: the ends of the space and architectures of every size. After that each group comes from one
    of the two. Evolution gets a tenth of the candidates while the cross-validated rank correlation (Kendall's tau) of
    the worst-predicted objective is 0.3 or more; below, its share grows to one half at 0. Both learn from all measurements.

    Args:
        space: the search space.
        objectives: number of objectives, all minimised.
        seed: seed of all draws.
        initial: architectures measured before anything is predicted.
        batch: architectures of one round of predictions.
        population: survivors of the evolution.

    Raises:
        ConfigError: an option is out of its range.

    Source:
        Components: see ``Linas`` and ``Evolution``. Why a portfolio: no single searcher is best on every space, see Wolpert,
        Macready 1997; switching by the predictor's rank correlation is this project's own rule.

    Example:
        >>> from automl.space import Ordinal
        >>> space = SearchSpace.build({"depth": Ordinal(1, 2, 3), "width": Ordinal(8, 16, 32)})
        >>> len(Portfolio(space, objectives=2, seed=0, initial=4).ask(10))
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
        population: int = 20,
    ) -> None:
        try:
            self._linas: Final = Linas(space, objectives=objectives, seed=seed, initial=initial, batch=batch)
            self._evolution: Final = Evolution(
                space, objectives=objectives, seed=seed ^ _OTHER_SEED, population=population, offspring=batch
            )
        except ConfigError as error:
            raise ConfigError(f"portfolio: {str(error).partition(': ')[2]}") from error
        self._initial: Final = initial
        self._told = 0
        self._predicted = 0
        self._bred = 0

    @property
    def evolution_share(self) -> float:
        """Share of the next candidates that evolution should have."""
        worst = min((score.correlation for score in self._linas.scores), default=1.0)
        doubt = min(max(1 - worst / _TRUSTED, 0.0), 1.0)
        return _LEAST_EVOLUTION + doubt * (_MOST_EVOLUTION - _LEAST_EVOLUTION)

    def ask(self, n: int) -> list[Architecture]:
        due = self._told >= self._initial and self._bred < self.evolution_share * (self._predicted + self._bred)
        asked = self._from_evolution(n) if due else []
        self._bred += len(asked)
        if not asked:
            asked = self._linas.ask(n)
            self._predicted += len(asked) if self._told >= self._initial else 0
        if not asked:
            asked = self._from_evolution(n)
        return asked

    def tell(self, results: Sequence[Measurement]) -> None:
        self._told += len(results)
        self._linas.tell(results)
        self._evolution.tell(results)

    def state(self) -> dict[str, Any]:
        return {
            "told": self._told,
            "predicted": self._predicted,
            "bred": self._bred,
            "linas": self._linas.state(),
            "evolution": self._evolution.state(),
        }

    def restore(self, state: dict[str, Any], history: Sequence[Measurement]) -> None:
        with reading_state("portfolio", state, history):
            self._told = len(history)
            self._predicted, self._bred = int(state["predicted"]), int(state["bred"])
            linas, evolution = dict(state["linas"]), dict(state["evolution"])
        self._linas.restore(linas, history)
        self._evolution.restore(evolution, history)

    def _from_evolution(self, n: int) -> list[Architecture]:
        """The next children that the other searcher has not asked for; those it has stay outstanding until told."""
        while children := self._evolution.ask(n):
            fresh = [child for child in children if self._linas.claim(child)]
            if fresh:
                return fresh
        return []
