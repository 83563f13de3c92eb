"""Architectures of a space that were neither asked nor measured yet: what to draw when no better idea is left."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from automl.space import Architecture, Scalar, SearchSpace

__all__ = ["IndexMatrix", "IndexRow", "Unseen"]

IndexMatrix: TypeAlias = npt.NDArray[np.int64]
IndexRow: TypeAlias = npt.NDArray[np.int64]

_LARGEST_LIST: Final = 200_000
_ROUNDS: Final = 100
_BATCH: Final = 16


class Unseen:
    """The complement of everything seen, over canonical rows of positions (see ``SearchSpace.to_indices``).

    Draws are random architectures (each active dimension uniformly) that are rejected until one is new. Where half of a
    space of at most 200,000 architectures has been seen, or rejection fails, the rest is listed and drawn from
    uniformly, so every last architecture is found. In a larger space a draw gives up after 1,600 rejections.

    Args:
        space: the search space.
        only: for some dimensions the values that draws may use.
    """

    def __init__(self, space: SearchSpace, only: Mapping[str, Collection[Scalar]] | None = None) -> None:
        self._space: Final = space
        self._size: Final = space.size()
        self._only: Final = {
            space.names.index(name): np.array(sorted(space.dimensions[name].position(v) for v in values))
            for name, values in (only or {}).items()
        }
        self._seen: Final[set[bytes]] = set()
        self._listed: IndexMatrix | None = None
        self._left: npt.NDArray[np.bool_] = np.zeros(0, dtype=np.bool_)
        self._place: dict[bytes, int] = {}

    def __len__(self) -> int:
        """Number of architectures seen."""
        return len(self._seen)

    def __contains__(self, architecture: Architecture) -> bool:
        """Tells whether the architecture is still unseen."""
        return _keys(self._space.to_indices([architecture]))[0] not in self._seen

    @property
    def exhausted(self) -> bool:
        """Whether every architecture of the space has been seen."""
        return len(self._seen) >= self._size

    def add(self, architectures: Sequence[Architecture]) -> None:
        """Marks architectures as seen."""
        if architectures:
            self.add_rows(self._space.to_indices(architectures))

    def add_rows(self, rows: IndexMatrix) -> None:
        """Marks canonical rows as seen."""
        for key in _keys(rows):
            self._seen.add(key)
            if self._listed is not None and key in self._place:
                self._left[self._place[key]] = False

    def new(self, rows: IndexMatrix) -> npt.NDArray[np.bool_]:
        """Tells which canonical rows are unseen and allowed, and no repetition of an earlier row of the matrix."""
        batch: set[bytes] = set()
        fresh = np.zeros(len(rows), dtype=np.bool_)
        for position, key in enumerate(_keys(rows)):
            if key not in self._seen and key not in batch:
                batch.add(key)
                fresh[position] = True
        allowed: npt.NDArray[np.bool_] = self._space.allowed_indices(rows)
        return fresh & allowed

    def draw(self, rng: np.random.Generator, n: int) -> IndexMatrix:
        """Returns up to ``n`` distinct unseen rows, fewer only where no more can be found; does not mark them as seen."""
        found = np.zeros((0, len(self._space.names)), dtype=np.int64)
        if 2 * len(self._seen) < self._size or self._size > _LARGEST_LIST:
            keys: set[bytes] = set()
            for attempt in range(_ROUNDS):
                rows = self._random_rows(rng, max(_BATCH if attempt else 1, n - len(found)))
                rows = rows[self.new(rows)]
                rows = rows[[key not in keys for key in _keys(rows)]][: n - len(found)]
                keys.update(_keys(rows))
                found = np.concatenate([found, rows])
                if len(found) == n:
                    return found
        if self._size <= _LARGEST_LIST:
            return self._draw_from_list(rng, n)
        return found

    def _random_rows(self, rng: np.random.Generator, n: int) -> IndexMatrix:
        blank = np.full((n, len(self._space.names)), -1, dtype=np.int64)
        for dimension, positions in self._only.items():
            blank[:, dimension] = rng.choice(positions, size=n)
        return self._space.canonical_indices(blank, rng)

    def _draw_from_list(self, rng: np.random.Generator, n: int) -> IndexMatrix:
        if self._listed is None:
            listed = np.array(list(self._space.structure.enumerate()), dtype=np.int64)
            listed = listed.reshape(len(listed), len(self._space.names))
            for dimension, positions in self._only.items():
                listed = listed[np.isin(listed[:, dimension], [-1, *positions])]
            keys = _keys(listed)
            self._listed = listed
            self._place = {key: position for position, key in enumerate(keys)}
            self._left = np.array([key not in self._seen for key in keys], dtype=np.bool_)
        left = np.flatnonzero(self._left)
        chosen: IndexMatrix = self._listed[rng.permutation(left)[:n]]
        return chosen


def _keys(rows: IndexMatrix) -> list[bytes]:
    narrow = np.ascontiguousarray(rows, dtype=np.int16)
    width = narrow.shape[1] * narrow.itemsize
    data = narrow.tobytes()
    return [data[start : start + width] for start in range(0, len(data), width)] if width else [b""] * len(rows)
