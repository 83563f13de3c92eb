"""From strategies to one measured network: extract, prove, measure the costs, keep what meets the limits, measure the quality."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, final

import torch
from torch import Tensor, nn

from automl.assembling.head import ChosenOutputs, cut_head, keep_classes
from automl.assembling.strategies import Strategy
from automl.errors import ConstraintError, ExportError
from automl.job.evaluation import Evaluator
from automl.objectives.candidate import Candidate
from automl.objectives.constraints import Constraint
from automl.objectives.objective import Objective
from automl.objectives.units import format_value
from automl.objectives.value import Value
from automl.space import Architecture
from automl.supernet import Supernet
from automl.tasks.classification import evaluation_mode
from automl.tasks.task import Task

__all__ = ["Chosen", "Selection", "prove_equal"]

TOLERANCE: Final = 1e-5
"""Largest difference between an extracted network and the active subnetwork, as a share of the largest output."""

_PROOF_BATCH: Final = 5


@dataclass(frozen=True)
class Chosen:
    """The strategy that was chosen.

    Attributes:
        strategy: the strategy.
        model: extracted, calibrated, with the head of the asked classes.
        difference: largest difference from the active subnetwork of the supernet, before calibration.
        costs: measured, by objective.
        considered: strategies that meet all limits.
    """

    strategy: Strategy
    model: nn.Module
    difference: float
    costs: Mapping[str, Value]
    considered: int


@final
class Selection:
    """Chooses among strategies.

    Args:
        supernet: the trained supernet.
        whole: the task that it was trained on.
        asked: the task of the asked classes.
        classes: their numbers.
        evaluator: prepares networks.
        objectives: what is limited, by name.
        limits: the limits.
    """

    def __init__(
        self,
        supernet: Supernet,
        whole: Task,
        asked: Task,
        classes: Sequence[int],
        evaluator: Evaluator,
        objectives: Mapping[str, Objective],
        limits: Sequence[Constraint],
    ) -> None:
        self._supernet: Final = supernet
        self._whole: Final = whole
        self._asked: Final = asked
        self._classes: Final = tuple(classes)
        self._evaluator: Final = evaluator
        self._objectives: Final = objectives
        self._limits: Final = limits
        self._inputs: Final = whole.example_inputs(_PROOF_BATCH)

    def best(self, strategies: Sequence[Strategy]) -> Chosen:
        """Returns the strategy of the smallest expected error whose measured costs meet all limits.

        Repeatable costs are exact here. Others are those of the block table first; the chosen network is then measured, and the
        next one is taken where it misses a limit after all.

        Raises:
            ConstraintError: none meets the limits; names the smallest feasible cost.
            ExportError: an extracted network does not equal the active subnetwork.
        """
        sure = not isinstance(self._cut(self._supernet.extract(strategies[0].architecture)), ChosenOutputs)
        found = [self._costs(s.architecture, quick=sure) for s in strategies]
        within = [s for s, costs in zip(strategies, found, strict=True) if self._met(costs)]
        if not within:
            raise self._infeasible(found)
        for strategy in sorted(within, key=lambda s: (s.expected, s.cost, s.architecture.id)):
            costs = self._costs(strategy.architecture, final=True)
            if self._met(costs):
                model = self._cut(self._supernet.extract(strategy.architecture))
                difference = prove_equal(self._supernet, strategy.architecture, model, self._classes, self._inputs)
                return Chosen(strategy, self.network(strategy.architecture), difference, costs, len(within))
            found.append(costs)
        raise self._infeasible(found)

    def within(self, architecture: Architecture) -> bool:
        """Tells whether a network meets all limits; costs that are not repeatable are those of the block table."""
        return self._met(self._costs(architecture))

    def network(self, architecture: Architecture) -> nn.Module:
        """Returns a network extracted, calibrated, with the head of the asked classes."""
        candidate, _ = self._evaluator.candidate(architecture)
        return self._cut(candidate.model)

    def _cut(self, model: nn.Module) -> nn.Module:
        return keep_classes(model.eval(), self._classes, self._whole.outputs, self._inputs)

    def _costs(self, architecture: Architecture, *, quick: bool = False, final: bool = False) -> dict[str, Value]:
        """Costs with the head cut: proven for this network, or ``quick`` where one proof shows that the head can be cut."""
        model = self._supernet.extract(architecture)
        if not (quick and cut_head(model, self._classes, self._whole.outputs)):
            model = self._cut(model)
        candidate = Candidate(architecture, model, self._asked)
        objectives = self._objectives.items()
        return {name: (o.final() if final else o).measure(candidate) for name, o in objectives}

    def _met(self, costs: Mapping[str, Value]) -> bool:
        return all(limit.met(costs[limit.objective].value) for limit in self._limits)

    def _infeasible(self, found: Sequence[Mapping[str, Value]]) -> ConstraintError:
        shown = ", ".join(
            f"the smallest {name!r} is {format_value(name, min(c[name].value for c in found), o.unit)}"
            for name, o in self._objectives.items()
        )
        texts = " and ".join(repr(limit.text) for limit in self._limits)
        together = " one by one" if len(self._objectives) > 1 else ""
        return ConstraintError(f"--constraint {texts}: no network of this run can meet it:{together} {shown}.")


@torch.no_grad()
def prove_equal(
    supernet: Supernet, architecture: Architecture, model: nn.Module, classes: Sequence[int], inputs: Sequence[Tensor]
) -> float:
    """Returns the largest difference of an extracted network from the active subnetwork, over the largest output.

    Args:
        supernet: left with the active subnetwork that it had.
        architecture: the subnetwork.
        model: the extracted network with the asked outputs, not calibrated.
        classes: numbers of the asked outputs.
        inputs: inputs to compare with.

    Raises:
        ExportError: the difference is more than rounding.
    """
    before, before_set = supernet.active, supernet.active_set
    try:
        with evaluation_mode(supernet):
            supernet.activate(architecture)
            expected = ChosenOutputs(supernet, classes).eval()(*inputs)
    finally:
        supernet.activate(before, before_set)
    difference = float((expected - model(*inputs)).abs().max() / expected.abs().max().clamp(min=1e-12))
    if not difference <= TOLERANCE:
        raise ExportError(
            f"the extracted network does not equal the subnetwork {architecture.id}: outputs differ by {difference:.3g} of the "
            "largest."
        )
    return difference


def describe_costs(chosen: Chosen, objectives: Mapping[str, Objective]) -> dict[str, Any]:
    """Returns the measured costs as JSON, each with its unit."""
    return {name: {**value.to_json(), "unit": objectives[name].unit} for name, value in chosen.costs.items()}
