"""What a searcher has in hand: architectures it wants to ask, and those it has asked and not yet heard of."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from automl.search.measurement import Measurement
from automl.search.unseen import IndexMatrix, IndexRow, Unseen
from automl.space import Architecture, SearchSpace

__all__ = ["Pending"]


class Pending:
    """The queue and the outstanding architectures of a searcher, as canonical rows of positions.

    Whatever passes through is marked as seen, so a searcher that proposes only rows that are new asks nothing twice.

    Args:
        space: the search space.

    Attributes:
        unseen: what was neither queued, asked nor told.
    """

    def __init__(self, space: SearchSpace) -> None:
        self.unseen: Final = Unseen(space)
        self._space: Final = space
        self._queue: dict[Architecture, IndexRow] = {}
        self._outstanding: dict[Architecture, IndexRow] = {}

    @property
    def queued(self) -> int:
        """Number of architectures in the queue."""
        return len(self._queue)

    @property
    def outstanding(self) -> IndexMatrix:
        """``(n, dimensions)`` rows that were asked and not yet told, in the order of asking."""
        return self._matrix(list(self._outstanding.values()))

    def put(self, rows: IndexMatrix) -> None:
        """Queues new canonical rows."""
        self.unseen.add_rows(rows)
        self._queue.update(self._named(rows))

    def take(self, n: int) -> list[Architecture]:
        """Moves up to ``n`` architectures from the queue to the outstanding ones and returns them."""
        taken = list(itertools.islice(self._queue, n))
        for architecture in taken:
            self._outstanding[architecture] = self._queue.pop(architecture)
        return taken

    def awaits(self, architecture: Architecture) -> bool:
        """Tells whether an architecture was asked and not yet told."""
        return architecture in self._outstanding

    def claim(self, architecture: Architecture) -> bool:
        """Counts an architecture that somebody else asks for as outstanding; false if it was queued, asked or told before."""
        if architecture not in self.unseen:
            return False
        self._outstanding[architecture] = self._space.to_indices([architecture])[0]
        self.unseen.add([architecture])
        return True

    def hear(self, architecture: Architecture) -> IndexRow:
        """Notes that an architecture was told, asked for or not, and returns its row."""
        row = self._outstanding.pop(architecture, None)
        if row is None:
            row = self._space.to_indices([architecture])[0]
            self.unseen.add_rows(row[None])
            self._queue.pop(architecture, None)
        return row

    def state(self) -> dict[str, Any]:
        """Returns, as JSON values, what ``restore`` needs."""
        return {
            "queue": [row.tolist() for row in self._queue.values()],
            "outstanding": [row.tolist() for row in self._outstanding.values()],
        }

    def restore(self, state: dict[str, Any], history: Sequence[Measurement]) -> IndexMatrix:
        """Takes over a state after everything in ``history`` was told; returns the rows of the history.

        Raises:
            KeyError, TypeError, ValueError, IndexError: the state is malformed.
        """
        self._queue, self._outstanding = (self._named(self._matrix(state[part])) for part in ("queue", "outstanding"))
        heard = self._space.to_indices([result.architecture for result in history])
        for rows in (heard, self._matrix(state["queue"]), self._matrix(state["outstanding"])):
            self.unseen.add_rows(rows)
        return heard

    def _matrix(self, rows: Sequence[Any]) -> IndexMatrix:
        return np.array(rows, dtype=np.int64).reshape(-1, len(self._space.names))

    def _named(self, rows: IndexMatrix) -> dict[Architecture, IndexRow]:
        return dict(zip(self._space.from_indices(rows), rows, strict=True))
