"""Training triples: a user, an item that it took, and items that it did not take."""

from __future__ import annotations

from typing import Final, final

import numpy as np
import numpy.typing as npt

__all__ = ["TripleSampler"]

_TRIES: Final = 50


@final
class TripleSampler:
    """Draws users, one of their items each, and items drawn uniformly among those that they did not take.

    Args:
        users: user of each training interaction, ``(interactions,)``, numbered from 0.
        items: its item, ``(interactions,)``, numbered from 0.
        item_count: number of items.
    """

    def __init__(self, users: npt.NDArray[np.int64], items: npt.NDArray[np.int64], item_count: int) -> None:
        self._item_count: Final = item_count
        self._keys: Final = np.sort(users * item_count + items)
        self._counts: Final = np.bincount(users)
        self._starts: Final = np.concatenate([[0], self._counts.cumsum()[:-1]])
        # a user who took everything has no negatives
        self._able: Final = np.flatnonzero((self._counts > 0) & (self._counts < item_count))

    def draw(
        self, rng: np.random.Generator, count: int, negatives: int
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Returns ``count`` users, without repetition if there are enough, and their items.

        Returns:
            Users ``(count,)`` and items ``(count, 1 + negatives)``, the positive one first.
        """
        users = rng.choice(self._able, size=count, replace=count > len(self._able))
        position = self._starts[users] + np.floor(rng.random(count) * self._counts[users]).astype(np.int64)
        positive = self._keys[position] % self._item_count
        drawn = rng.integers(self._item_count, size=(count, negatives))
        for _ in range(_TRIES):
            taken = self._taken(users[:, None], drawn)
            if not taken.any():
                break
            drawn = np.where(taken, rng.integers(self._item_count, size=drawn.shape), drawn)
        return users, np.concatenate([positive[:, None], drawn], axis=1)

    def _taken(self, users: npt.NDArray[np.int64], items: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        wanted = users * self._item_count + items
        position = np.searchsorted(self._keys, wanted).clip(max=len(self._keys) - 1)
        found: npt.NDArray[np.bool_] = self._keys[position] == wanted
        return found
