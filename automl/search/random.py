"""Random search: every architecture drawn independently, none twice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Final

import numpy as np

from automl.search.measurement import Measurement
from automl.search.searcher import Searcher
from automl.search.state_file import generator_from, generator_state, reading_state
from automl.search.unseen import Unseen
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
        self._space: Final = space
        self._unseen: Final = Unseen(space)
        self._rng = np.random.default_rng(seed)
        self._outstanding: dict[Architecture, None] = {}

    def ask(self, n: int) -> list[Architecture]:
        rows = self._unseen.draw(self._rng, n)
        self._unseen.add_rows(rows)
        asked = self._space.from_indices(rows)
        self._outstanding.update(dict.fromkeys(asked))
        return asked

    def tell(self, results: Sequence[Measurement]) -> None:
        for result in results:
            self._outstanding.pop(result.architecture, None)
        self._unseen.add([result.architecture for result in results])

    def state(self) -> dict[str, Any]:
        outstanding = self._space.to_indices(list(self._outstanding)).tolist()
        return {"generator": generator_state(self._rng), "outstanding": outstanding}

    def restore(self, state: dict[str, Any], history: Sequence[Measurement]) -> None:
        with reading_state("random"):
            self._rng = generator_from(state["generator"])
            rows = np.array(state["outstanding"], dtype=np.int64).reshape(-1, len(self._space.names))
            self._outstanding = dict.fromkeys(self._space.from_indices(rows))
            self._unseen.add_rows(rows)
        self._unseen.add([result.architecture for result in history])
