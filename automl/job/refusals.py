"""What is refused before anything of a job is written: parts that do not fit the supernet, or the length of the training."""

from __future__ import annotations

import copy

from automl.host import Host
from automl.job.parts import JobParts, build_component
from automl.job_config import JobConfig
from automl.supernet import Supernet
from automl.tasks.task import Task
from automl.training import Compressor, TrainingPlan

__all__ = ["refuse_misfits"]


def refuse_misfits(job: JobConfig, parts: JobParts, task: Task, supernet: Supernet, host: Host) -> None:
    """Asks every part of a job whether it can do its work; changes none of them.

    Args:
        job: the resolved job.
        parts: its parts.
        task: the data.
        supernet: as it will be trained.
        host: builds a compressor that is thrown away.

    Raises:
        UserError: an objective or the strategy is for other supernets or tasks, or the training is too short for strategy or
            compressor.
    """
    for quantity in parts.quantities:
        quantity.check(supernet, task)
    parts.strategy.check(supernet, task)
    config = job.training
    steps = task.steps_per_epoch(config.batch_size)
    parts.strategy.check_length(supernet, config.epochs * steps)
    if job.compressor is not None:
        compressor: Compressor = build_component(
            host, "compressor", job.compressor, job.compressor_options, where="compressor_options"
        )
        plan = TrainingPlan(
            config.epochs * steps, steps, job.seed, lambda step: config.learning_rate, config.weight_decay
        )
        compressor.attach(copy.deepcopy(supernet.network), plan)
