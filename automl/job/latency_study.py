"""Profiling the blocks of a space and checking what is predicted from them, without a job: weights play no part."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np

from automl.errors import AutomlError, ConfigError
from automl.host import Host
from automl.job.parts import resolve_parts
from automl.job_config import resolve_job
from automl.objectives.build import build_objective
from automl.objectives.candidate import Candidate
from automl.objectives.latency import Latency
from automl.objectives.prediction.agreement import agreement
from automl.objectives.prediction.preparation import prepare_table, typical_architectures
from automl.objectives.value import Value
from automl.progress import Progress, SilentProgress
from automl.space import Architecture
from automl.supernet import Supernet, build_supernet
from automl.tasks.task import Task

__all__ = ["LatencyStudy"]

_SEED: Final = 0


@dataclass(frozen=True)
class LatencyStudy:
    """A space with random weights, and the latency to study.

    Attributes:
        latency: the objective in the context that is studied.
        supernet: the space; its weights are random.
        task: gives the inputs.
    """

    latency: Latency
    supernet: Supernet
    task: Task

    @classmethod
    def open(
        cls,
        host: Host,
        space: str,
        *,
        data: str | None = None,
        task_options: Mapping[str, Any] | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> LatencyStudy:
        """Builds the supernet of a space as a job would.

        Args:
            host: where components are looked up.
            space: installed space, or a YAML file.
            data: decides the shapes of the inputs; left out: the default of the task.
            task_options: options of the task.
            options: options of ``latency``, such as ``{"runtime": "onnxruntime"}``.

        Raises:
            UserError: something is unknown, missing or out of range.
        """
        settings = {"space": space, "objectives": ["latency"], "task_options": dict(task_options or {})}
        job = resolve_job(settings={**settings, **({} if data is None else {"data": data})})
        latency = build_objective(host, "latency", options, where="latency")
        assert isinstance(latency, Latency)
        parts = resolve_parts(job, host)
        task = parts.task.load(parts.data, seed=_SEED, split=None, options=job.task_options)
        return cls(latency, build_supernet(parts.skeleton, task, host), task)

    def profile(self, progress: Progress | None = None) -> dict[str, Any]:
        """Times every block that is not timed yet, and returns what the table holds.

        Raises:
            AutomlError: not one network could be measured.
        """
        predictor = self.latency.predictor(self.supernet, self.task)
        before = len(predictor.table.entries)
        prepare_table(predictor, self.supernet, self.task, progress=progress or SilentProgress(), complete=True)
        table, correction = predictor.table, predictor.table.correction
        assert correction is not None
        return {
            "table": str(table.path),
            "blocks": len(table.entries),
            "new": len(table.entries) - before,
            "correction": asdict(correction),
            "context": table.context,
        }

    def check(
        self, count: int = 30, seed: int = 1, repeats: int = 100, progress: Progress | None = None
    ) -> dict[str, Any]:
        """Predicts random networks, measures them twice, and compares.

        None of the networks is one that the correction was fitted to. Those are measured beside them, all interleaved: the
        median of their times over their predictions tells how much slower the machine is now than when blocks were timed.

        Args:
            count: number of networks.
            seed: decides which.
            repeats: visits to each network in each of both measurements; more are steadier.
            progress: receives progress.

        Returns:
            ``predicted`` (against the mean of both measurements), ``adjusted`` (the same, predictions times ``machine``, the
            speed of now) and ``repeated`` (the second against the first), each with ``tau``, ``error`` and ``bias``; how
            many measurements lie in the interval of their prediction; and the rows.

        Raises:
            UnprofiledError: the table lacks a block; says which.
            ConfigError: the space has too few networks.
            AutomlError: a network could not be measured.
        """
        progress = progress or SilentProgress()
        predictor = self.latency.predictor(self.supernet, self.task)
        held_out = self._held_out(count, np.random.default_rng(seed))
        candidates = [
            Candidate(a, self.supernet.extract(a), self.task)
            for a in (*held_out, *typical_architectures(self.supernet.space))
        ]
        progress.begin("measuring networks twice", None, "network")
        try:
            predicted = [predictor.predict(candidate) for candidate in candidates]
            first, second = (
                _measured(values) for values in self.latency.measure_rounds(candidates, 2, repeats=repeats)
            )
        finally:
            progress.end()
        both = [(a.value + b.value) / 2 for a, b in zip(first, second, strict=True)]
        machine = statistics.median(ms / p.value for ms, p in zip(both[count:], predicted[count:], strict=True))
        predicted, measured = predicted[:count], both[:count]
        rows = [
            {
                "id": candidate.architecture.id if candidate.architecture is not None else "",
                "predicted": p.to_json(),
                "measured": [a.to_json(), b.to_json()],
            }
            for candidate, p, a, b in zip(candidates, predicted, first, second, strict=False)
        ]
        return {
            "networks": count,
            "predicted": asdict(agreement([p.value for p in predicted], measured)),
            "adjusted": asdict(agreement([machine * p.value for p in predicted], measured)),
            "machine": machine,
            "repeated": asdict(agreement([b.value for b in second[:count]], [a.value for a in first[:count]])),
            "inside": sum(_within(p, ms) for p, ms in zip(predicted, measured, strict=True)) / count,
            "range": [min(measured), max(measured)],
            "context": predictor.table.context,
            "rows": rows,
        }

    def _held_out(self, count: int, rng: np.random.Generator) -> list[Architecture]:
        space = self.supernet.space
        seen = set(typical_architectures(space))
        found: dict[Architecture, None] = {}
        for _ in range(100 * count):
            architecture = space.sample(rng)
            if architecture not in seen:
                found.setdefault(architecture)
            if len(found) == count:
                return list(found)
        raise ConfigError(
            f"--count {count}: the space has {space.size()} networks, {len(seen)} of which fit the correction; ask for fewer."
        )


def _measured(values: list[Value | Exception]) -> list[Value]:
    found = []
    for value in values:
        if isinstance(value, Exception):
            raise AutomlError(f"a network could not be measured: {value}") from value
        found.append(value)
    return found


def _within(predicted: Value, ms: float) -> bool:
    return predicted.low is not None and predicted.high is not None and predicted.low <= ms <= predicted.high
