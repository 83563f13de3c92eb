"""Assembling strategies for one task: what the assembler generates over a grid of budgets, repaired and refined.

Nothing here depends on the limit that a user sets, so that strategies of one task are nested: a larger limit chooses among a
larger set.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch

from automl.assembling.surrogate import GateRegression
from automl.assembling.survey import Survey
from automl.assembling.training import TrainedAssembler, task_code
from automl.space import Architecture

__all__ = ["Strategy", "assemble_strategies"]

GRID: Final = 20
_ROUNDS: Final = 3
_KEPT: Final = 40


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


@torch.no_grad()
def assemble_strategies(
    assembler: TrainedAssembler, survey: Survey, shares: torch.Tensor, classes: Sequence[int], count: int
) -> list[Strategy]:
    """Returns strategies for a task on the front of predicted cost and expected error, cheapest first, the smallest included.

    Args:
        assembler: trained for the objective.
        survey: what it was trained on.
        shares: cost shares of the surveyed subnetworks, ``(n,)``.
        classes: numbers of the asked classes.
        count: number of all classes.
    """
    gates = assembler.gates
    seen = gates.encode(survey.architectures)
    errors = survey.soft_errors(classes)
    quality, cost = GateRegression(gates, seen, errors), GateRegression(gates, seen, shares)
    error_weights, cost_weights = quality.weights([errors]), cost.weights([shares])

    def rate(architectures: Sequence[Architecture], source: str) -> list[Strategy]:
        opened = gates.encode(architectures)
        expected, costs = quality.predict(opened, error_weights), cost.predict(opened, cost_weights)
        rows = zip(architectures, expected.tolist(), costs.tolist(), strict=True)
        return [Strategy(architecture, source, error, share) for architecture, error, share in rows]

    logits = assembler.logits(task_code(list(classes), count), torch.linspace(0, 1, GRID))
    generated = dict(zip(gates.decode(logits), logits, strict=True))
    found = {s.architecture: s for s in rate(list(generated), "generated")}
    ends = sorted(found.values(), key=lambda s: s.cost)
    for end, sign in ((ends[0], -1), (ends[-1], 1)):
        preference = generated[end.architecture]

        def steps(
            one: Strategy, sign: int = sign, preference: torch.Tensor = preference
        ) -> list[tuple[float, Strategy]]:
            near = rate(gates.space.neighbours(one.architecture), "repaired")
            loss = gates.score([one.architecture], preference) - gates.score([s.architecture for s in near], preference)
            gains = [sign * (s.cost - one.cost) for s in near]
            return [(price / gain, s) for price, gain, s in zip(loss.tolist(), gains, near, strict=True) if gain > 1e-6]

        for one in _walk(end, steps):
            found.setdefault(one.architecture, one)
    for _ in range(_ROUNDS):
        near_front = {n: None for s in _front(found.values()) for n in gates.space.neighbours(s.architecture)}
        new = [a for a in near_front if a not in found]
        if not new:
            break
        found.update({s.architecture: s for s in rate(new, "refined")})
    (smallest,) = rate([gates.space.smallest()], "smallest")
    front = [s for s in _front(found.values()) if s.architecture != smallest.architecture]
    if len(front) > _KEPT:
        front = [front[i] for i in np.unique(np.linspace(0, len(front) - 1, _KEPT).round().astype(int))]
    return [found.get(smallest.architecture, smallest), *front]


def _walk(start: Strategy, steps: Callable[[Strategy], list[tuple[float, Strategy]]]) -> list[Strategy]:
    """The cheapest change by preference per cost, again and again, until no change is left."""
    path, current = [], start
    while options := steps(current):
        _, current = min(options, key=lambda option: (option[0], option[1].architecture.id))
        path.append(current)
    return path


def _front(strategies: Iterable[Strategy]) -> list[Strategy]:
    ordered = sorted(strategies, key=lambda s: (s.cost, s.expected, s.architecture.id))
    front: list[Strategy] = []
    for one in ordered:
        if not front or one.expected < front[-1].expected:
            front.append(one)
    return front
