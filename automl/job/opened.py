"""A run opened: its parts, task, supernet and evaluator, always built in the same way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from automl.host import Host
from automl.job.evaluation import Evaluator
from automl.job.memory_limit import run_parts
from automl.job.parts import JobParts
from automl.job_config import JobConfig
from automl.run_folder import Run
from automl.search.ledger import Ledger
from automl.supernet import Supernet, build_supernet
from automl.tasks.task import Task

__all__ = [
    "OpenRun",
    "load_supernet",
    "make_evaluator",
    "open_ledger",
    "open_run",
    "task_and_supernet",
    "untrained_supernet",
]


@dataclass(frozen=True)
class OpenRun:
    """A run whose supernet is trained, with all that measuring its networks takes.

    Attributes:
        run: the folder.
        host: where components are looked up.
        parts: components of the job.
        task: data and loss.
        supernet: the trained supernet.
        evaluator: measures its subnetworks.
    """

    run: Run
    host: Host
    parts: JobParts
    task: Task
    supernet: Supernet
    evaluator: Evaluator


def open_run(run: Run, host: Host) -> OpenRun:
    """Opens a run whose supernet is trained.

    Raises:
        RunError: the run has not come that far, or a file is damaged.
    """
    supernet, task, parts = load_supernet(run, host)
    return OpenRun(run, host, parts, task, supernet, make_evaluator(run, parts, supernet, task))


def load_supernet(run: Run, host: Host) -> tuple[Supernet, Task, JobParts]:
    """Returns the trained supernet of a run with its task and parts.

    Raises:
        RunError: the run has not come that far, or a file is damaged.
    """
    parts = run_parts(run, host)
    task, supernet = task_and_supernet(run.job, parts, host, split=run.read_json("split.json"))
    supernet.load(run.path("supernet.safetensors"))
    return supernet, task, parts


def make_evaluator(run: Run, parts: JobParts, supernet: Supernet, task: Task) -> Evaluator:
    """Returns the evaluator that measures candidates of a run, always in the same way."""

    def remember(digest: str, context: Mapping[str, Any]) -> None:
        known = run.read_json("contexts.json") if run.has("contexts.json") else {}
        if digest not in known:
            run.write_json("contexts.json", {**known, digest: dict(context)})

    return Evaluator(
        supernet,
        task,
        objectives=parts.objectives,
        limits=parts.limits,
        constraints=parts.constraints,
        config=run.job.evaluation,
        seed=run.job.seed,
        remember_context=remember,
    )


def open_ledger(run: Run, parts: JobParts, supernet: Supernet, *, read_only: bool = False) -> Ledger:
    """Opens the ledger of a run."""
    return Ledger(
        run.job.storage or run.path("ledger.log"),
        space=supernet.space,
        objectives=[o.name for o in parts.objectives],
        study_name=run.name if run.job.storage else "search",
        read_only=read_only,
    )


def task_and_supernet(
    job: JobConfig, parts: JobParts, host: Host, split: Mapping[str, list[int]] | None = None
) -> tuple[Task, Supernet]:
    """Loads the data and builds the supernet with the initial weights that the seed of the job decides."""
    task = parts.task.load(parts.data, seed=job.seed, split=split, options=job.task_options)
    return task, untrained_supernet(job, parts, task, host, seed=job.seed)


def untrained_supernet(job: JobConfig, parts: JobParts, task: Task, host: Host, *, seed: int) -> Supernet:
    """Builds the supernet of a job with the initial weights that a seed decides."""
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)
        parts.skeleton.check(task)
        supernet = build_supernet(parts.skeleton, task, host)
        parts.strategy.prepare(supernet, job.training)
    return supernet
