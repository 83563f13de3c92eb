"""Crossover and mutation of whole populations on the tree of a search space.

Architectures are rows of positions, -1 for an inactive dimension. Every result is canonical: a dimension that an operator
switched off is dropped, and one that it switched on comes from the other parent, else at random.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from automl.search.unseen import IndexMatrix, Unseen
from automl.space import Ordinal, SearchSpace

__all__ = ["Variation"]

_STEP: Final = 0.6
_REPAIRS: Final = 8


class Variation:
    """Vectorised operators of one space.

    Args:
        space: the search space.
    """

    def __init__(self, space: SearchSpace) -> None:
        self._space: Final = space
        dimensions = space.dimensions.values()
        self._counts: Final = np.array([len(d.choices) for d in dimensions], dtype=np.int64)
        self._ordered: Final = np.array([isinstance(d, Ordinal) for d in dimensions], dtype=np.bool_)

    def cross(self, first: IndexMatrix, second: IndexMatrix, rng: np.random.Generator) -> IndexMatrix:
        """Takes each dimension from either parent with equal chance (uniform crossover).

        A dimension that only one parent has comes from that one, so what belongs to a choice stays with it.

        Args:
            first: ``(n, dimensions)`` canonical rows.
            second: ``(n, dimensions)`` canonical rows, one mate for each.
            rng: source of the draws.

        Returns:
            ``(n, dimensions)`` canonical rows, which may have forbidden combinations.
        """
        mixed = np.where(rng.random(first.shape) < 0.5, first, second)
        mixed = np.where(mixed < 0, np.maximum(first, second), mixed)
        return self._space.canonical_indices(mixed, rng)

    def mutate(self, rows: IndexMatrix, rng: np.random.Generator, changes: float) -> IndexMatrix:
        """Changes about ``changes`` active dimensions of each row, and at least one.

        An unordered dimension moves to any other choice. An ordered one moves a geometric number of steps up or down
        (one step in 60 % of cases), turning round at the ends, so neighbours are likely and everything is possible.

        Args:
            rows: ``(n, dimensions)`` canonical rows; not changed.
            rng: source of the draws.
            changes: expected number of changed dimensions per row, above 0.

        Returns:
            ``(n, dimensions)`` canonical rows, which may have forbidden combinations. A row without a choice stays.
        """
        free = (rows >= 0) & (self._counts > 1)
        alternatives = free.sum(axis=1, keepdims=True)
        keys = rng.random(rows.shape)
        chosen = free & (keys < changes / np.maximum(alternatives, 1))
        # The smallest key of a row is changed in any case.
        lowest = np.where(free, keys, np.inf).argmin(axis=1)
        chosen[np.arange(len(rows)), lowest] |= alternatives[:, 0] > 0
        mutated = rows.copy()
        row, dimension = np.nonzero(chosen)
        mutated[row, dimension] = self._moved(rows[row, dimension], dimension, rng)
        return self._space.canonical_indices(mutated, rng)

    def renew(self, rows: IndexMatrix, unseen: Unseen, rng: np.random.Generator, changes: float) -> IndexMatrix:
        """Mutates rows that are forbidden or were seen before, harder each time; random ones replace what stays so.

        Args:
            rows: ``(n, dimensions)`` canonical rows; not changed.
            unseen: what may be asked; the rows returned are marked as seen there.
            rng: source of the draws.
            changes: expected number of changed dimensions at the first attempt, above 0.

        Returns:
            ``(m, dimensions)`` distinct new rows; m < n only where no more can be found.
        """
        rows = rows.copy()
        for attempt in range(1, _REPAIRS + 1):
            new = unseen.new(rows)
            if new.all():
                break
            rows[~new] = self.mutate(rows[~new], rng, changes * attempt)
        kept = rows[unseen.new(rows)]
        unseen.add_rows(kept)
        fill = unseen.draw(rng, len(rows) - len(kept))
        unseen.add_rows(fill)
        return np.concatenate([kept, fill])

    def _moved(
        self, positions: npt.NDArray[np.int64], dimension: npt.NDArray[np.int64], rng: np.random.Generator
    ) -> npt.NDArray[np.int64]:
        """Another position for each one."""
        counts = self._counts[dimension]
        anywhere = (positions + rng.integers(1, counts)) % counts
        step = np.minimum(rng.geometric(_STEP, size=len(positions)), counts - 1)
        step *= np.where(rng.random(len(positions)) < 0.5, -1, 1)
        there, back = positions + step, positions - step
        moved = np.where((there >= 0) & (there < counts), there, back)
        return np.where(self._ordered[dimension], np.clip(moved, 0, counts - 1), anywhere)
