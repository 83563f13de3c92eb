"""Numeric features of architectures for predictors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from automl.space.dimensions import Dimension, Ordinal
from automl.space.structure import IndexMatrix

__all__ = ["Encoding", "FloatMatrix"]

FloatMatrix: TypeAlias = npt.NDArray[np.float64]


class Encoding:
    """Table look-up from positions to features.

    An ordinal dimension gives one column, its position scaled to ``[0, 1]``; a categorical one gives a one-hot block. A
    conditional dimension has one more column that tells whether it exists; while it does not, its columns are all 0.

    Args:
        dimensions: the dimensions by name, in the order of the positions.
        conditional: for each dimension whether it can be inactive.
    """

    def __init__(self, dimensions: Mapping[str, Dimension], conditional: Sequence[bool]) -> None:
        names: list[str] = []
        tables: list[FloatMatrix] = []
        for (name, dimension), can_vanish in zip(dimensions.items(), conditional, strict=True):
            count = len(dimension.choices)
            if isinstance(dimension, Ordinal):
                block = np.linspace(0.0, 1.0, count)[:, None]
                names.append(name)
            else:
                block = np.eye(count)
                names.extend(f"{name}={choice}" for choice in dimension.choices)
            if can_vanish:
                block = np.hstack([block, np.ones((count, 1))])
                names.append(f"{name}?")
            # The extra last row answers for -1.
            tables.append(np.vstack([block, np.zeros((1, block.shape[1]))]))
        self.names: Final = tuple(names)
        self._tables: Final = tables

    def encode(self, positions: IndexMatrix) -> FloatMatrix:
        """Returns ``(n, features)`` for ``(n, dimensions)`` positions."""
        if not self._tables:
            return np.zeros((len(positions), 0))
        return np.hstack([table[positions[:, d]] for d, table in enumerate(self._tables)])
