"""Which of several weight sets of a network an architecture uses."""

from __future__ import annotations

import math
from typing import Final, final

import torch
from torch import Tensor, nn

from automl.space import Architecture, Categorical, SearchSpace
from automl.supernet.balance import balanced_assignment

__all__ = ["WeightSets"]

_ROWS: Final = 1024
_LOWEST: Final = 0.01


@final
class WeightSets(nn.Module):
    """Scores of architectures under each weight set, and the assignment that follows from them.

    The scores are a buffer, so that files and checkpoints of a supernet hold what its architectures are assigned by. In a space
    of at most 1024 architectures each has a row of its own. In a larger one architectures share a row that agree in the first
    dimensions that always exist, the categorical ones before the others, as many as 1024 rows can tell apart.

    Args:
        space: the search space.
        sets: number of weight sets, at least 1.

    Attributes:
        scores: ``(rows, sets)``, at first all 1; larger is better.
    """

    scores: Tensor

    def __init__(self, space: SearchSpace, sets: int) -> None:
        super().__init__()
        self.sets: Final = sets
        self._space: Final = space
        self._rows: Final[dict[Architecture, int] | None] = (
            {a: row for row, a in enumerate(space.enumerate())} if space.size() <= _ROWS else None
        )
        self._keys: Final = _telling_dimensions(space)
        rows = (
            math.prod(len(space.dimensions[n].choices) for n in self._keys) if self._rows is None else len(self._rows)
        )
        self.register_buffer("scores", torch.ones(rows, sets))
        self._assigned: tuple[int, int, list[int]] | None = None

    def row(self, architecture: Architecture) -> int:
        """Returns the row of an architecture."""
        if self._rows is not None:
            return self._rows[architecture]
        row = 0
        for name in self._keys:
            dimension = self._space.dimensions[name]
            row = row * len(dimension.choices) + dimension.position(architecture[name])
        return row

    def probabilities(self, row: int, temperature: float) -> list[float]:
        """Returns the probability of each set for a row, ``p(m | c)``, balanced over all rows; see ``balanced_assignment``."""
        joint, _ = balanced_assignment(self.scores.detach().cpu().numpy(), temperature)
        own = joint[row] / joint[row].sum()
        return [float(p) for p in own]

    def temperature(self, progress: float) -> float:
        """Returns the temperature after a share of the training: from 1 linearly to ``1 / (100 sets)``."""
        return 1 + progress * (_LOWEST / self.sets - 1)

    def set_of(self, architecture: Architecture) -> int:
        """Returns the set that an architecture uses after training: the most probable one at the lowest temperature."""
        key = (self.scores.data_ptr(), self.scores._version)
        if self._assigned is None or self._assigned[:2] != key:
            joint, _ = balanced_assignment(self.scores.detach().cpu().numpy(), self.temperature(1.0))
            self._assigned = (*key, joint.argmax(axis=1).tolist())
        return self._assigned[2][self.row(architecture)]

    def forward(self) -> None:
        """Weight sets are looked up, not run."""
        raise NotImplementedError("WeightSets has no forward pass; ask set_of().")


def _telling_dimensions(space: SearchSpace) -> list[str]:
    always = [name for number, name in enumerate(space.names) if not space.structure.conditions[number]]
    always.sort(key=lambda name: not isinstance(space.dimensions[name], Categorical))  # stable: the rest in order
    chosen, rows = [], 1
    for name in always:
        count = len(space.dimensions[name].choices)
        if rows * count <= _ROWS:
            chosen.append(name)
            rows *= count
    return chosen
