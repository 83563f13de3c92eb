"""Measuring candidates: extract, calibrate, then every objective on the extracted model.

The supernet is never changed by a measurement, so a measured value depends on nothing but the architecture, and the model
that is exported later is the one that was measured. Candidates of a group share the work on what they have in common;
their values are those of each alone.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias

from torch import nn

from automl.job.group_quality import GroupQuality
from automl.job.preparation import Preparation
from automl.job.validation import ValidationSet
from automl.job_config import EvaluationConfig
from automl.objectives.candidate import Candidate
from automl.objectives.constraints import Constraint
from automl.objectives.objective import Objective
from automl.objectives.value import Value
from automl.search.measurement import Measurement, Outcome
from automl.space import Architecture
from automl.supernet import Supernet
from automl.tasks.task import Task

__all__ = ["Evaluator"]

Quality: TypeAlias = Callable[[str], tuple[dict[str, float], int] | None]
_MEGABYTE: Final = 1 << 20


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
        self.task: Final = task
        self.objectives: Final = tuple(objectives)
        self.quantities: Final = (*objectives, *limits)
        self.constraints: Final = tuple(constraints)
        self._config: Final = config
        memory = config.sharing_memory * _MEGABYTE
        self.prepare: Final = Preparation(
            supernet,
            task,
            seed=seed,
            samples=config.calibration_samples,
            batch_size=config.calibration_batch_size,
            memory=memory,
        )
        self.validation: Final = ValidationSet(
            task, batch_size=config.batch_size, limit=config.validation_samples, memory=memory
        )
        self._remember: Final = remember_context
        self._seen_contexts: Final[set[str]] = set()

    def candidate(self, architecture: Architecture) -> tuple[Candidate, dict[str, Any]]:
        """Returns the extracted, calibrated candidate and what its calibration did.

        Raises:
            Exception: whatever the candidate raises.
        """
        (prepared,) = self.prepare([architecture])
        if isinstance(prepared, Exception):
            raise prepared
        return self.candidate_of(architecture, prepared.model), prepared.calibration.to_dict()

    def candidate_of(self, architecture: Architecture, model: nn.Module) -> Candidate:
        """Returns the candidate of a network that is calibrated already, with weights from wherever."""
        return self.wrap(architecture, model, GroupQuality(self.task, self.validation, {0: model}).of(0))

    def wrap(self, architecture: Architecture, model: nn.Module, quality: Quality) -> Candidate:
        """Returns a candidate whose quality comes from elsewhere; see ``Candidate``."""
        config = self._config
        return Candidate(
            architecture,
            model,
            self.task,
            batch_size=config.batch_size,
            limit=config.validation_samples,
            measured=quality,
        )

    def __call__(self, architectures: Sequence[Architecture]) -> list[Outcome]:
        """Measures a group; a candidate that raises is a failure of its own and touches no other."""
        details: list[dict[str, Any]] = [{} for _ in architectures]
        failures: dict[int, Exception] = {}
        models: dict[int, nn.Module] = {}
        for i, prepared in enumerate(self.prepare(architectures)):
            if isinstance(prepared, Exception):
                failures[i] = prepared
            else:
                models[i] = prepared.model
                details[i]["calibration"] = prepared.calibration.to_dict()
        quality = GroupQuality(self.task, self.validation, models)
        candidates = {i: self.wrap(architectures[i], model, quality.of(i)) for i, model in models.items()}
        measured = self.measured(candidates, failures, self.quantities)
        return [self.outcome(measured.get(i, {}), failures.get(i), details[i]) for i in range(len(architectures))]

    def hear(self, measurement: Measurement) -> None:
        """Hears of every measurement of a search; nothing here depends on them."""

    def outcome(self, values: Mapping[str, Value], failure: Exception | None, details: dict[str, Any]) -> Outcome:
        """Returns the outcome of a candidate: its values with their contexts, or its failure."""
        if values:
            details["measured"] = {name: value.to_json() for name, value in values.items()}
            details["contexts"] = {name: self._context(value) for name, value in values.items() if value.context}
        if failure is not None:
            return Outcome.failed(failure, details)
        return Outcome(
            values=[values[o.name].value for o in self.objectives],
            violations=[c.violation(values[c.objective].value) for c in self.constraints],
            details=details,
        )

    def measure(
        self, candidates: Sequence[Candidate], objectives: Sequence[Objective]
    ) -> list[dict[str, Value] | Exception]:
        """Measures given objectives of given candidates, interleaved where an objective does that."""
        numbered = dict(enumerate(candidates))
        failures: dict[int, Exception] = {}
        measured = self.measured(numbered, failures, objectives)
        return [failures.get(i) or measured[i] for i in range(len(candidates))]

    def measured(
        self, candidates: Mapping[int, Candidate], failures: dict[int, Exception], objectives: Sequence[Objective]
    ) -> dict[int, dict[str, Value]]:
        """Returns the values of numbered candidates by objective; those that fail are added to ``failures``."""
        values: dict[int, dict[str, Value]] = {i: {} for i in candidates}
        for objective in objectives:
            alive = [i for i in candidates if i not in failures]
            for i, value in zip(alive, objective.measure_group([candidates[i] for i in alive]), strict=True):
                if isinstance(value, Exception):
                    failures[i] = value
                elif not isinstance(value, Value):
                    failures[i] = TypeError(f"objective {objective.name!r} gave {value!r:.100} instead of a Value.")
                else:
                    values[i][objective.name] = value
        return values

    def _context(self, value: Value) -> str:
        text = json.dumps(value.context, sort_keys=True, default=str)
        digest = hashlib.blake2b(text.encode(), digest_size=4).hexdigest()
        if digest not in self._seen_contexts:
            self._seen_contexts.add(digest)
            if self._remember is not None:
                self._remember(digest, value.context)
        return digest
