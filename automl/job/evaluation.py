"""Measuring candidates: extract, calibrate, then every objective on the extracted model.

The supernet is never changed by a measurement, so a measured value depends on nothing but the architecture, and the model
that is exported later is the one that was measured.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from torch import nn

from automl.job_config import EvaluationConfig
from automl.objectives.candidate import Candidate
from automl.objectives.constraints import Constraint
from automl.objectives.objective import Objective
from automl.objectives.value import Value
from automl.search.measurement import Outcome
from automl.space import Architecture
from automl.supernet import Supernet, calibrate
from automl.tasks.task import Task

__all__ = ["Evaluator"]


class Evaluator:
    """Measures groups of architectures of one trained supernet.

    Args:
        supernet: the trained supernet.
        task: the task it was trained on.
        objectives: what is minimised.
        limits: further quantities that constraints ask for.
        constraints: bounds on any of these quantities.
        config: batch sizes and subsets.
        seed: decides the calibration subset.
        remember_context: called with digest and content of each measuring context, when it is first seen.
    """

    def __init__(
        self,
        supernet: Supernet,
        task: Task,
        *,
        objectives: Sequence[Objective],
        limits: Sequence[Objective] = (),
        constraints: Sequence[Constraint] = (),
        config: EvaluationConfig,
        seed: int,
        remember_context: Callable[[str, Mapping[str, Any]], None] | None = None,
    ) -> None:
        self._supernet: Final = supernet
        self._task: Final = task
        self._objectives: Final = tuple(objectives)
        self._quantities: Final = (*objectives, *limits)
        self._constraints: Final = tuple(constraints)
        self._config: Final = config
        self._remember: Final = remember_context
        self._seen_contexts: Final[set[str]] = set()
        self._calibration: Final = [
            batch.inputs
            for batch in task.calibration_batches(seed, config.calibration_samples, config.calibration_batch_size)
        ]

    def candidate(self, architecture: Architecture) -> tuple[Candidate, dict[str, Any]]:
        """Returns the extracted, calibrated candidate and what its calibration did."""
        model: nn.Module = self._supernet.extract(architecture)
        report = calibrate(model, self._calibration)
        config = self._config
        candidate = Candidate(
            architecture, model, self._task, batch_size=config.batch_size, limit=config.validation_samples
        )
        return candidate, report.to_dict()

    def __call__(self, architectures: Sequence[Architecture]) -> list[Outcome]:
        """Measures a group; a candidate that raises is a failure of its own and touches no other."""
        candidates: dict[int, Candidate] = {}
        details: list[dict[str, Any]] = [{} for _ in architectures]
        failures: dict[int, Exception] = {}
        for i, architecture in enumerate(architectures):
            try:
                candidates[i], details[i]["calibration"] = self.candidate(architecture)
            except Exception as error:
                failures[i] = error
        measured = self._measure(candidates, failures)
        for i, values in measured.items():
            details[i]["measured"] = {name: value.to_json() for name, value in values.items()}
            details[i]["contexts"] = {name: self._context(value) for name, value in values.items() if value.context}
        return [
            Outcome.failed(failures[i], details[i])
            if i in failures
            else Outcome(
                values=[measured[i][o.name].value for o in self._objectives],
                violations=[c.violation(measured[i][c.objective].value) for c in self._constraints],
                details=details[i],
            )
            for i in range(len(architectures))
        ]

    def measure(
        self, candidates: Sequence[Candidate], objectives: Sequence[Objective]
    ) -> list[dict[str, Value] | Exception]:
        """Measures given objectives of given candidates, interleaved where an objective does that."""
        numbered = dict(enumerate(candidates))
        failures: dict[int, Exception] = {}
        measured = self._measure(numbered, failures, objectives)
        return [failures.get(i) or measured[i] for i in range(len(candidates))]

    def _measure(
        self,
        candidates: Mapping[int, Candidate],
        failures: dict[int, Exception],
        objectives: Sequence[Objective] | None = None,
    ) -> dict[int, dict[str, Value]]:
        measured: dict[int, dict[str, Value]] = {i: {} for i in candidates}
        for objective in self._quantities if objectives is None else objectives:
            alive = [i for i in candidates if i not in failures]
            for i, value in zip(alive, objective.measure_group([candidates[i] for i in alive]), strict=True):
                if isinstance(value, Exception):
                    failures[i] = value
                else:
                    measured[i][objective.name] = value
        return measured

    def _context(self, value: Value) -> str:
        text = json.dumps(value.context, sort_keys=True, default=str)
        digest = hashlib.blake2b(text.encode(), digest_size=4).hexdigest()
        if digest not in self._seen_contexts:
            self._seen_contexts.add(digest)
            if self._remember is not None:
                self._remember(digest, value.context)
        return digest
