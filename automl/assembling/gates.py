"""Gates over the choices of a search space: exactly one is open in each block, and a block is one active dimension.

Each choice of a dimension is a module of the supernet: a prefix of channels, a depth, a kernel, a block. A gate vector switches
choices on; by the conditions of the space, the blocks of dimensions that do not exist are closed altogether. Gates depend on
the task and the budget, never on the input, so what they switch on can be extracted.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, final

import numpy as np
import torch
from torch import Tensor

from automl.space import Architecture, Ordinal, SearchSpace

__all__ = ["DimensionGates", "straight_through"]


def straight_through(hard: Tensor, soft: Tensor) -> Tensor:
    """Returns ``hard`` whose gradient is that of ``soft``.

    Shape:
        All ``(*,)`` alike.

    Source:
        Bengio, Léonard, Courville 2013, arXiv:1308.3432, section 4.
    """
    return hard + (soft - soft.detach())  # the bracket is exactly 0


@final
class DimensionGates:
    """Translates between architectures of a space, gate vectors and numeric features.

    Args:
        space: the space; one block of gates for each dimension, one gate for each choice.

    Attributes:
        count: number of gates.
        features: ``(count, features)`` matrix that maps gates to the columns of ``SearchSpace.encode``.
    """

    def __init__(self, space: SearchSpace) -> None:
        self.space: Final = space
        self._sizes: Final = [len(dimension.choices) for dimension in space.dimensions.values()]
        self._starts: Final = np.cumsum([0, *self._sizes])[:-1]
        self.count: Final = sum(self._sizes)
        self.features: Final = self._feature_matrix()

    def encode(self, architectures: Sequence[Architecture]) -> Tensor:
        """Returns the gates of architectures, ``(n, count)`` of exactly 0 and 1."""
        positions = self.space.to_indices(architectures)
        rows, dimensions = np.nonzero(positions >= 0)
        opened = torch.zeros(len(positions), self.count)
        opened[rows, self._starts[dimensions] + positions[rows, dimensions]] = 1
        return opened

    def decode(self, logits: Tensor) -> list[Architecture]:
        """Returns the allowed architecture of the highest logits: the highest in each block, or else one change away.

        Shape:
            logits: ``(n, count)``.
        """
        blocks = torch.split(logits.detach(), self._sizes, 1)
        positions = np.stack([block.argmax(1).numpy() for block in blocks], 1)
        positions = self.space.canonical_indices(positions, np.random.default_rng(0))
        found = self.space.from_indices(positions)
        allowed = self.space.allowed_indices(positions)
        return [
            one if ok else self._nearest(one, row) for one, ok, row in zip(found, allowed, logits.detach(), strict=True)
        ]

    def open(self, logits: Tensor) -> Tensor:
        """Returns the gates of ``decode``: exactly 0 and 1, with the gradient of a softmax over each existing block.

        Shape:
            logits: ``(n, count)``. Returns ``(n, count)``.
        """
        hard = self.encode(self.decode(logits))
        soft = torch.cat([block.softmax(1) for block in torch.split(logits, self._sizes, 1)], 1)
        exists = torch.cat(
            [block.sum(1, keepdim=True).expand_as(block) for block in torch.split(hard, self._sizes, 1)], 1
        )
        return straight_through(hard, soft * exists)

    def score(self, architectures: Sequence[Architecture], logits: Tensor) -> Tensor:
        """Returns the mean log-probability of the open gates of each architecture.

        Shape:
            logits: ``(count,)``. Returns ``(n,)``.
        """
        gates = self.encode(architectures)
        return (gates @ self.chances(logits)) / gates.sum(1).clamp(min=1)

    def chances(self, logits: Tensor) -> Tensor:
        """Returns the log-probability of each gate within its block.

        Shape:
            logits: ``(count,)``. Returns ``(count,)``.
        """
        return torch.cat([block.log_softmax(0) for block in torch.split(logits, self._sizes)])

    def _nearest(self, forbidden: Architecture, logits: Tensor) -> Architecture:
        near = self.space.neighbours(forbidden) or [self.space.smallest()]
        return near[int(self.score(near, logits).argmax())]

    def _feature_matrix(self) -> Tensor:
        rows, columns = [], []
        conditional = {name.removesuffix("?") for name in self.space.feature_names if name.endswith("?")}
        for name, dimension in self.space.dimensions.items():
            count = len(dimension.choices)
            block = torch.linspace(0, 1, count)[:, None] if isinstance(dimension, Ordinal) else torch.eye(count)
            if name in conditional:
                block = torch.cat([block, torch.ones(count, 1)], 1)
            rows.append(block)
            columns.append(block.shape[1])
        matrix = torch.zeros(self.count, sum(columns))
        row = column = 0
        for block in rows:
            matrix[row : row + block.shape[0], column : column + block.shape[1]] = block
            row, column = row + block.shape[0], column + block.shape[1]
        return matrix
