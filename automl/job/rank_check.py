"""Does the supernet order subnetworks as training each of them alone would?

Random subnetworks are measured with the weights of the supernet, then each is trained alone from its initial weights, by the
same loop with the same options, and measured in the same way. Every result is a file in ``standalone/`` as soon as it is
there, and a training under way has its checkpoints there, so the same command goes on after an interruption, and more
subnetworks are added to those that are done.

Source:
    Yu et al. 2020, "Evaluating the Search Phase of Neural Architecture Search", arXiv:1902.08142, section 3 (rank
    disorder of shared weights); Javan Roshtkhari et al. 2023, Balanced Mixture of SuperNets, section 4.
"""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from automl.errors import RunError
from automl.host import Host
from automl.job.evaluation import Evaluator
from automl.job.opened import load_supernet, task_and_supernet
from automl.job.rank_agreement import RankCorrelation, rank_correlation
from automl.job.training_alone import train_alone
from automl.job_config import JobConfig
from automl.objectives.error import Error
from automl.progress import Progress, SilentProgress
from automl.run_folder import Run
from automl.space import Architecture, SearchSpace
from automl.supernet import Supernet
from automl.tasks.task import Task

__all__ = ["ComparedSubnet", "RankCheck", "check_ranks", "drawn_subnets", "standalone_error", "subnet_errors"]

FOLDER: Final = "standalone"
LEAST: Final = 3
_SEED_KEY: Final = 5


@dataclass(frozen=True)
class ComparedSubnet:
    """One subnetwork.

    Attributes:
        architecture: where it stands in the space.
        supernet_error: validation error with the weights of the supernet.
        standalone_error: validation error after it was trained alone.
    """

    architecture: Architecture
    supernet_error: float
    standalone_error: float


@dataclass(frozen=True)
class RankCheck:
    """How the order of the supernet agrees with that of training alone.

    Attributes:
        epochs: epochs of each training alone.
        subnets: the subnetworks in the order in which they were drawn.
        kendall: Kendall's tau.
        spearman: Spearman's rho.
    """

    epochs: int
    subnets: tuple[ComparedSubnet, ...]
    kendall: RankCorrelation
    spearman: RankCorrelation


def check_ranks(
    run: Run, host: Host, *, subnets: int, epochs: int | None = None, progress: Progress | None = None
) -> RankCheck:
    """Compares the ranking by a trained supernet with that by training alone.

    Args:
        run: a run whose supernet is trained.
        host: where components are looked up.
        subnets: number of different subnetworks, at least 3; all where the space has fewer.
        epochs: epochs of each training alone; left out, as many as the supernet was trained.
        progress: receives progress.

    Raises:
        RunError: the run has no supernet yet, its space has fewer than 3 subnetworks, or a file is damaged.
        TrainingError: a training alone diverged again and again.
    """
    progress = progress or SilentProgress()
    if not run.has("supernet.safetensors"):
        raise RunError(
            f"{run.folder}: the supernet is not trained yet; 'automl search' with the same options goes on with it."
        )
    with run.lock():
        supernet, task, parts = load_supernet(run, host)
        architectures = drawn_subnets(supernet.space, subnets, run.job.seed)
        if len(architectures) < LEAST:
            raise RunError(
                f"{run.folder}: a ranking needs at least {LEAST} subnetworks, this space has {len(architectures)}."
            )
        shared = subnet_errors(supernet, task, architectures, run.job)
        _, untrained = task_and_supernet(run.job, parts, host, split=task.split)
        epochs = run.job.training.epochs if epochs is None else epochs
        alone = []
        progress.begin(f"training subnetworks alone, {epochs} epochs each", len(architectures), "subnetwork")
        try:
            for architecture in architectures:
                folder = run.path(FOLDER) / f"{epochs}-epochs"
                alone.append(standalone_error(untrained, task, architecture, run.job, epochs, folder))
                progress.advance()
        finally:
            progress.end()
    return RankCheck(
        epochs,
        tuple(ComparedSubnet(*entry) for entry in zip(architectures, shared, alone, strict=True)),
        rank_correlation(shared, alone, "kendall", seed=run.job.seed),
        rank_correlation(shared, alone, "spearman", seed=run.job.seed),
    )


def drawn_subnets(space: SearchSpace, count: int, seed: int) -> list[Architecture]:
    """Returns different random architectures, all where the space has fewer; fewer are the first ones of more."""
    if space.size() <= count:
        return list(space.enumerate())
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(_SEED_KEY,)))
    drawn: dict[Architecture, None] = {}
    while len(drawn) < count:
        drawn.setdefault(space.sample(rng))
    return list(drawn)


def subnet_errors(supernet: Supernet, task: Task, architectures: list[Architecture], job: JobConfig) -> list[float]:
    """Returns validation errors of extracted, calibrated subnetworks, as the search of the job measures them.

    Raises:
        RunError: one of them cannot be measured.
    """
    evaluate = Evaluator(supernet, task, objectives=[Error()], config=job.evaluation, seed=job.seed)
    errors = []
    for architecture, outcome in zip(architectures, evaluate(architectures), strict=True):
        if outcome.values is None:
            reason = (outcome.failure or "no reason recorded").strip().splitlines()[-1]
            raise RunError(f"{architecture.id} cannot be measured: {reason}")
        errors.append(float(outcome.values[0]))
    return errors


def standalone_error(
    untrained: Supernet, task: Task, architecture: Architecture, job: JobConfig, epochs: int, folder: Path
) -> float:
    """Returns the validation error of a subnetwork that is trained alone, from its file where that is done already.

    Args:
        untrained: a supernet with initial weights; the subnetwork starts with its part of them.
        task: the task of the job.
        architecture: the subnetwork.
        job: optimiser, schedule, batch size, seed and device.
        epochs: passes over the training part.
        folder: gets ``<id>.json``, and until that is written the checkpoints of the training.

    Raises:
        RunError: a file is damaged, the folder cannot be written, or the trained subnetwork cannot be measured.
        TrainingError: training diverged again and again.
    """
    results = Run(folder, job)
    name = f"{architecture.id}.json"
    checkpoints = folder / architecture.id
    if results.has(name):
        # a process that was killed right after it had written the result leaves its checkpoints
        shutil.rmtree(checkpoints, ignore_errors=True)
        return float(results.read_json(name)["error"])
    checkpoints.mkdir(parents=True, exist_ok=True)
    alone = Supernet(untrained.extract(architecture))
    config = job.training.model_copy(update={"epochs": epochs})
    started = time.perf_counter()
    train_alone(alone, task, config, folder=checkpoints, seed=job.seed, device=job.device)
    (error,) = subnet_errors(alone, task, [alone.space.largest()], job)
    record: dict[str, Any] = {
        "architecture": dict(architecture),
        "epochs": epochs,
        "error": error,
        "seconds": round(time.perf_counter() - started, 3),
    }
    results.write_json(name, record)
    shutil.rmtree(checkpoints)
    return error
