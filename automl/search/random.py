"""Random search: every architecture drawn independently, none twice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Final

import numpy as np

from automl.search.measurement import Measurement
from automl.search.pending import Pending
from automl.search.searcher import Searcher
from automl.search.state_file import generator_from, generator_state, reading_state
from automl.space import Architecture, SearchSpace

__all__ = ["Random"]


class Random(Searcher):
    """Draws unseen architectures top-down, each active dimension uniformly among its choices, until none is left.

    The yardstick for every other searcher, and hard to beat while measurements are few.

    Args:
        space: the search space.
        objectives: number of objectives; does not matter here.
        seed: seed of the draws.

    Source:
        Li, Talwalkar 2019, "Random search and reproducibility for neural architecture search", arXiv:1902.07638.
        Deviation: no architecture is drawn twice.

    Example:
        >>> from automl.space import Ordinal
        >>> searcher = Random(SearchSpace.build({"depth": Ordinal(1, 2, 3)}), objectives=1, seed=0)
        >>> len(searcher.ask(5)), searcher.ask(1)
        (3, [])
    """

    learns: ClassVar[bool] = False

    def __init__(self, space: SearchSpace, *, objectives: int, seed: int) -> None:
        self._pending: Final = Pending(space)
        self._rng = np.random.default_rng(seed)

    def ask(self, n: int) -> list[Architecture]:
        self._pending.put(self._pending.unseen.draw(self._rng, n))
        return self._pending.take(n)

    def tell(self, results: Sequence[Measurement]) -> None:
        for result in results:
            self._pending.hear(result.architecture)

    def state(self) -> dict[str, Any]:
        return {"generator": generator_state(self._rng), **self._pending.state()}

    def restore(self, state: dict[str, Any], history: Sequence[Measurement]) -> None:
        with reading_state("random"):
            self._rng = generator_from(state["generator"])
            self._pending.restore(state, history)
