"""Assembling strategies for one task: what the assembler generates over a grid of budgets, repaired and refined.

Nothing here depends on the limit that a user sets, so that strategies of one task are nested: a larger limit chooses among a
larger set.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, final

import numpy as np
import torch
from torch import Tensor

from automl.assembling.atlas import Atlas
from automl.assembling.survey import Survey
from automl.assembling.training import TrainedAssembler, task_code
from automl.space import Architecture

__all__ = ["Strategy", "StrategyGenerator"]

GRID: Final = 20
_ROUNDS: Final = 3
_KEPT: Final = 40
_LEAST_GAIN: Final = 1e-6


@dataclass(frozen=True)
class Strategy:
    """One way to assemble a network.

    Attributes:
        architecture: which choices are open.
        source: ``"generated"`` by the assembler, ``"repaired"`` on the way to a smaller or larger cost, ``"refined"`` by a change
            of one gate, or ``"smallest"``.
        expected: expected soft error of the task.
        cost: predicted cost as a share of the surveyed range, 0 to 1 and a little beyond.
    """

    architecture: Architecture
    source: str
    expected: float
    cost: float


@final
class StrategyGenerator:
    """Generates strategies for any tasks of a run; what does not depend on the task is worked out once.

    Args:
        assembler: trained for the objective.
        survey: what it was trained on.
        shares: cost shares of the surveyed subnetworks, ``(n,)``.
        count: number of all classes.
    """

    def __init__(self, assembler: TrainedAssembler, survey: Survey, shares: Tensor, count: int) -> None:
        self._assembler: Final = assembler
        self._gates: Final = assembler.gates
        self._count: Final = count
        self._atlas: Final = Atlas(assembler.gates, survey, shares, count)

    def __call__(self, classes: Sequence[int]) -> list[Strategy]:
        """Returns strategies for the task of some classes; see ``many``."""
        (found,) = self.many([classes])
        return found

    @torch.no_grad()
    def many(self, tasks: Sequence[Sequence[int]]) -> list[list[Strategy]]:
        """Returns for each task the smallest network and the front of predicted cost and expected error, cheapest first.

        Args:
            tasks: numbers of the asked classes, for each task.
        """
        codes = torch.stack([task_code(list(classes), self._count) for classes in tasks])
        logits = self._assembler.logits(codes, torch.linspace(0, 1, GRID))
        weights = self._atlas.error_weights(tasks)
        return [self._strategies(rows, one) for rows, one in zip(logits, weights, strict=True)]

    def _strategies(self, logits: Tensor, weights: Any) -> list[Strategy]:
        atlas = self._atlas
        rows = atlas.rows(self._gates.decode(logits))
        sources = dict.fromkeys(rows.tolist(), "generated")
        last = {int(row): place for place, row in enumerate(rows)}
        ends = sorted(last, key=lambda row: float(atlas.costs[row]))
        for end, sign in ((ends[0], -1), (ends[-1], 1)):
            for row in self._walk(end, sign, self._gates.chances(logits[last[end]])):
                sources.setdefault(row, "repaired")
        for _ in range(_ROUNDS):
            front = self._front(sources, weights)
            new = [row for row in atlas.neighbours(*front).tolist() if row not in sources]
            if not new:
                break
            sources.update(dict.fromkeys(new, "refined"))
        (smallest,) = atlas.rows([self._gates.space.smallest()]).tolist()
        front = [row for row in self._front(sources, weights) if row != smallest]
        if len(front) > _KEPT:
            front = [front[i] for i in np.unique(np.linspace(0, len(front) - 1, _KEPT).round().astype(int))]
        sources.setdefault(smallest, "smallest")
        chosen = [smallest, *front]
        errors = atlas.errors(np.array(chosen), weights).tolist()
        return [
            Strategy(atlas.architectures[row], sources[row], error, float(atlas.costs[row]))
            for row, error in zip(chosen, errors, strict=True)
        ]

    def _walk(self, start: int, sign: int, chances: Tensor) -> list[int]:
        """The cheapest change by preference per cost, again and again, until no change is left."""
        atlas, current = self._atlas, start
        path: list[int] = []
        while True:
            near = atlas.neighbours(current)
            gains = sign * (atlas.costs[near] - atlas.costs[current])
            near, gains = near[gains > _LEAST_GAIN], gains[gains > _LEAST_GAIN]
            if not len(near):
                return path
            losses = atlas.scores(np.array([current]), chances) - atlas.scores(near, chances)
            current = int(near[atlas.preferred(near, losses / gains)])
            path.append(current)

    def _front(self, sources: dict[int, str], weights: Any) -> list[int]:
        rows = np.fromiter(sources, dtype=np.int64)
        found: list[int] = rows[self._atlas.front(rows, self._atlas.errors(rows, weights))].tolist()
        return found
