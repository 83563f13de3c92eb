"""A network for a task and limits, on demand: generated, extracted, measured. No gradient step once the assembler is trained.

assembler/          survey and trained assemblers, made by the first call
assembled/<id>/     exports of what was assembled
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import nn

from automl.assembling.controls import measure_controls
from automl.assembling.gates import DimensionGates
from automl.assembling.selection import Selection, describe_costs
from automl.assembling.strategies import Strategy, StrategyGenerator
from automl.assembling.survey import FOLDER, SURVEYED, survey_costs, survey_supernet
from automl.assembling.training import STEPS, cost_shares, train_assembler
from automl.errors import ConstraintError
from automl.export import ExportResult, export_model
from automl.host import Host
from automl.job.evaluation import Evaluator
from automl.job.opened import load_supernet, make_evaluator, open_ledger
from automl.job.parts import JobParts
from automl.objectives.build import build_objective
from automl.objectives.constraints import Constraint, parse_constraints
from automl.objectives.objective import Objective
from automl.progress import Progress, SilentProgress
from automl.run_folder import Run
from automl.search.measurement import Measurement
from automl.space import Architecture
from automl.supernet import Supernet
from automl.tasks.class_subset import ClassSubset, find_classes
from automl.tasks.task import Task
from automl.tickets.ticket import weights_digest

__all__ = ["Assembled", "assemble", "export_assembled", "read_limits"]

_PARTS: Final = ("validation", "test")


@dataclass(frozen=True)
class Assembled:
    """A network that was assembled.

    Attributes:
        architecture: which choices are open.
        model: extracted and calibrated, with the head of the asked classes.
        task: the asked task.
        result: what was asked, predicted and measured, as JSON.
    """

    architecture: Architecture
    model: nn.Module
    task: Task
    result: dict[str, Any]


def assemble(
    run: Run,
    constraints: Sequence[str],
    classes: Sequence[str] = (),
    *,
    host: Host,
    progress: Progress | None = None,
    surveyed: int = SURVEYED,
    steps: int = STEPS,
    compare: bool = False,
) -> Assembled:
    """Assembles a network for some classes of a run's task within limits.

    Surveys the supernet and trains the assembler of each limited objective where that has not been done; both go on where an
    earlier call was interrupted.

    Args:
        run: a run with a trained supernet.
        constraints: upper bounds on costs, such as ``"latency<=2ms"``.
        classes: names of the classes; all if empty.
        host: where components are looked up.
        progress: receives progress.
        surveyed: subnetworks that the assembler learns from; a survey that was begun keeps its number.
        steps: updates of the assembler.
        compare: also measure what the run offers without the assembler; see ``measure_controls``.

    Returns:
        Of the strategies that meet all limits when measured, the one with the smallest expected error on the asked classes.

    Raises:
        ConfigError: a class is unknown, or the task has none.
        ConstraintError: a constraint is malformed, bounds no cost from above, or cannot be met; names the smallest feasible cost.
        RunError: the supernet of the run is not trained yet, or its folder is in use or cannot be written.
        ExportError: the extracted network does not equal the subnetwork of the supernet.
    """
    progress = progress or SilentProgress()
    limits = read_limits(constraints, host)
    supernet, whole, parts = load_supernet(run, host)
    names = classes or [str(name) for name in whole.describe().get("classes", ())]
    chosen = find_classes(whole, names, "--classes")
    objectives = {limit.objective: _objective(limit.objective, parts, host) for limit in limits}
    evaluator = make_evaluator(run, parts, supernet, whole)
    with run.lock():
        for objective in objectives.values():
            objective.prepare(supernet, whole, progress)
        customiser = _Customiser(run, parts, supernet, whole, evaluator, progress, surveyed, steps)
        made = customiser.prepare(objectives)
    started = time.perf_counter()
    with torch.no_grad():  # nothing is trained from here on
        strategies = _strategies(made, chosen)
        generated = time.perf_counter()
        asked = ClassSubset(whole, chosen)
        selection = Selection(supernet, whole, asked, chosen, evaluator, objectives, limits)
        found = selection.best(strategies)
        size = run.job.evaluation.batch_size
        errors = {part: asked.evaluate(found.model, part, size) for part in _PARTS}
        measured = time.perf_counter()
    architecture = found.strategy.architecture
    described = [str(name) for name in asked.describe()["classes"]]
    digest = hashlib.blake2b(json.dumps([architecture.id, described]).encode(), digest_size=4).hexdigest()
    result = {
        "id": f"{architecture.id}-{digest}",
        "run": run.name,
        "constraints": [limit.text for limit in limits],
        "classes": described,
        "architecture": dict(architecture),
        "source": found.strategy.source,
        "costs": describe_costs(found, objectives),
        "quality": errors,
        "samples": {part: len(asked.split[part]) for part in _PARTS},
        "difference": found.difference,
        "strategies": {"assembled": len(strategies), "within_limits": found.considered},
        "seconds": {"generating": generated - started, "measuring": measured - generated},
    }
    if compare:

        def errors_of(one: Architecture) -> dict[str, float]:
            model = selection.network(one)
            return {part: asked.evaluate(model, part, size)["error"] for part in _PARTS}

        result["controls"] = measure_controls(
            customiser.ledger, supernet.space, within=selection.within, errors=errors_of, seed=run.job.seed
        )
    return Assembled(architecture, found.model, asked, result)


def export_assembled(run: Run, assembled: Assembled, formats: Sequence[str], *, host: Host) -> ExportResult:
    """Exports an assembled network; each file is proven equal to the network that was measured.

    Raises:
        ExportError: a file does not reproduce the network; nothing is left behind.
        RunError: the folder cannot be written.
    """
    result = {key: value for key, value in assembled.result.items() if key != "seconds"}
    metadata = {
        "run": run.name,
        "assembled": result,
        "metrics": {"search": result["costs"], "test": result["quality"]["test"]},
        "task": assembled.task.describe(),
        "seed": run.job.seed,
    }
    folder = run.path("assembled") / result["id"]
    return export_model(
        assembled.model, assembled.task, assembled.architecture, folder, formats, metadata=metadata, host=host
    )


def read_limits(texts: Sequence[str], host: Host) -> list[Constraint]:
    """Returns the limits that a user wrote.

    Raises:
        ConstraintError: there is none, one is malformed or names an unknown objective, has no upper bound, or bounds a quality.
    """
    units = {name: getattr(component, "unit", "") for name, component in host.components("objective").items()}
    limits = parse_constraints(texts, units)
    if not limits:
        raise ConstraintError("--constraint: name at least one limit, such as 'latency<=2ms' or 'params<=20k'.")
    for limit in limits:
        if limit.objective in ("loss", "error") or limit.objective.endswith("-error"):
            raise ConstraintError(
                f"--constraint {limit.text!r}: limits are on costs, such as 'latency' or 'params'; the smallest error within "
                "them is looked for anyway."
            )
        if limit.high is None or limit.low is not None:
            raise ConstraintError(f"--constraint {limit.text!r}: expected one upper bound, such as 'params<=20k'.")
    return limits


def _objective(name: str, parts: JobParts, host: Host) -> Objective:
    """The objective as the job measures it, or with its default options."""
    own = {quantity.name: quantity for quantity in parts.quantities}
    return own[name] if name in own else build_objective(host, name, where="--constraint")


def _strategies(made: Mapping[str, StrategyGenerator], classes: Sequence[int]) -> list[Strategy]:
    """The strategies of all limited objectives, each architecture once."""
    found: dict[Architecture, Strategy] = {}
    for generator in made.values():
        for one in generator(classes):
            found.setdefault(one.architecture, one)
    return list(found.values())


class _Customiser:
    """Survey and assemblers of a run."""

    def __init__(
        self,
        run: Run,
        parts: JobParts,
        supernet: Supernet,
        task: Task,
        evaluator: Evaluator,
        progress: Progress,
        surveyed: int,
        steps: int,
    ) -> None:
        self._steps: Final = steps
        self._run: Final = run
        self._supernet: Final = supernet
        self._task: Final = task
        self._evaluator: Final = evaluator
        self._progress: Final = progress
        ledger: list[Measurement] = []
        if run.job.storage is not None or run.has("ledger.log"):
            with open_ledger(run, parts, supernet, read_only=True) as opened:
                ledger = [m for m in opened.read() if m.complete and m.values is not None]
        self.ledger: Final = ledger
        known = [m.architecture for m in ledger]
        self._survey: Final = survey_supernet(run, known, supernet, task, evaluator, progress, count=surveyed)
        self._gates: Final = DimensionGates(supernet.space)

    def prepare(self, objectives: Mapping[str, Objective]) -> dict[str, StrategyGenerator]:
        """Returns for each objective what generates strategies with its trained assembler."""
        made = {}
        for name, objective in objectives.items():
            costs = survey_costs(self._survey.architectures, objective, self._run, self._supernet, self._evaluator)
            surveyed = [architecture.id for architecture in self._survey.architectures]
            content = json.dumps([weights_digest(self._supernet.network), surveyed, costs.tolist(), self._steps])
            assembler = train_assembler(
                self._survey,
                costs,
                self._gates,
                classes=self._task.outputs,
                path=self._run.path(FOLDER) / f"{name}.safetensors",
                identity=hashlib.blake2b(content.encode(), digest_size=16).hexdigest(),
                seed=self._run.job.seed,
                steps=self._steps,
                progress=self._progress,
            )
            made[name] = StrategyGenerator(assembler, self._survey, cost_shares(costs), self._task.outputs)
        return made
