"""The nested subnetworks of a run with their measured quality and cost: a choice of sizes without a search.

Source:
    Valipour et al. 2023, SortedNet, arXiv:2309.00255, section 3: a budget is met by the largest subnetwork that fits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from automl.errors import ConfigError, RunError
from automl.host import Host
from automl.job.evaluation import Evaluator
from automl.job.opened import load_supernet
from automl.objectives.constraints import Constraint
from automl.objectives.error import Error
from automl.objectives.macs import Macs
from automl.objectives.params import Params
from automl.progress import Progress, SilentProgress
from automl.run_folder import Run
from automl.space import Architecture
from automl.training.sorted_networks import SortedNetworks

__all__ = ["SUFFICIENT", "SortedFront", "SortedMember", "measure_sorted"]

SUFFICIENT: Final = 0.96
"""Share of the full model's quality that the paper reports for its sub-models."""


@dataclass(frozen=True)
class SortedMember:
    """One nested subnetwork.

    Attributes:
        architecture: where it stands in the space.
        error: share of wrong answers on the validation part.
        params: number of parameters.
        macs: multiply-accumulates of one sample.
        kept: share of the full model's right answers, ``(1 - error) / (1 - error of the full model)``.
    """

    architecture: Architecture
    error: float
    params: int
    macs: int
    kept: float

    def value(self, objective: str) -> float:
        """Returns the value of ``"error"``, ``"params"`` or ``"macs"``."""
        return {"error": self.error, "params": float(self.params), "macs": float(self.macs)}[objective]


@dataclass(frozen=True)
class SortedFront:
    """Nested subnetworks, the cheapest first.

    Attributes:
        members: by multiply-accumulates, then parameters; the last is the full model.
        strategy: strategy that trained the run; only ``sorted`` trains for this use.
    """

    members: tuple[SortedMember, ...]
    strategy: str

    @property
    def mean_kept(self) -> float:
        """Mean share of the full model's quality that the members keep."""
        return sum(m.kept for m in self.members) / len(self.members)

    @property
    def least_kept(self) -> float:
        """Share that the worst member keeps."""
        return min(m.kept for m in self.members)

    @property
    def sufficient(self) -> int:
        """Number of members that keep at least ``SUFFICIENT``."""
        return sum(m.kept >= SUFFICIENT for m in self.members)

    def pick(self, budget: Constraint) -> SortedMember:
        """Returns the largest member within a budget.

        Args:
            budget: bounds ``params`` or ``macs``; of the members that meet it, the one with most of it is taken, among
                equals the one with the lower error.

        Raises:
            ConfigError: the budget is on something else, or below the smallest member.
        """
        cost = budget.objective
        if cost not in ("params", "macs") or budget.high is None:
            raise ConfigError(
                f"--budget {budget.text!r}: write an upper bound of params or macs, such as 'macs<=100k'."
            )
        fitting = [m for m in self.members if budget.met(m.value(cost))]
        if not fitting:
            values = [m.value(cost) for m in self.members]
            raise ConfigError(
                f"--budget {budget.text!r}: no nested subnetwork meets it; {cost} goes from {min(values):,.0f} to "
                f"{max(values):,.0f}."
            )
        return max(fitting, key=lambda m: (m.value(cost), -m.error))


def measure_sorted(
    run: Run, host: Host, *, sub_models: int | None = None, progress: Progress | None = None
) -> SortedFront:
    """Measures the nested family of a trained supernet on the validation part; searches nothing and writes nothing.

    Args:
        run: a run whose supernet is trained, by whatever strategy.
        host: where components are looked up.
        sub_models: most members; left out, as many as the run was trained for.
        progress: receives progress.

    Raises:
        RunError: the run has no supernet yet, or a subnetwork cannot be measured.
        ConfigError: no dimension of the space has an order, or the number is out of its range.
    """
    progress = progress or SilentProgress()
    if not run.has("supernet.safetensors"):
        raise RunError(
            f"{run.folder}: the supernet is not trained yet; 'automl search' with the same options goes on with it."
        )
    supernet, task, parts = load_supernet(run, host)
    strategy = parts.strategy if isinstance(parts.strategy, SortedNetworks) else SortedNetworks()
    if sub_models is not None:
        strategy = SortedNetworks(**{**strategy.describe(), "sub_models": sub_models})
    family = strategy.nested_family(supernet)
    evaluate = Evaluator(
        supernet, task, objectives=[Error(), Params(), Macs()], config=run.job.evaluation, seed=run.job.seed
    )
    progress.begin("measuring nested subnetworks", len(family), "model")
    measured: list[tuple[Architecture, Sequence[float]]] = []
    try:
        group = run.job.evaluation.group
        for start in range(0, len(family), group):
            architectures = family.members[start : start + group]
            for architecture, outcome in zip(architectures, evaluate(architectures), strict=True):
                if outcome.values is None:
                    reason = (outcome.failure or "").strip().splitlines()[-1:]
                    raise RunError(f"{run.folder}: {architecture.id} cannot be measured: {' '.join(reason)}")
                measured.append((architecture, outcome.values))
            progress.advance(len(architectures))
    finally:
        progress.end()
    measured.sort(key=lambda entry: (entry[1][2], entry[1][1]))
    right = max(1e-12, 1 - next(values[0] for a, values in measured if a == family.members[-1]))
    members = tuple(
        SortedMember(architecture, error, int(params), int(macs), (1 - error) / right)
        for architecture, (error, params, macs) in measured
    )
    return SortedFront(members, run.job.strategy)
