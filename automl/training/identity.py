"""What decides the result of a training; two trainings of equal identity have equal results."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from automl.supernet import Supernet
from automl.tasks.task import Task
from automl.training.compressor import Compressor
from automl.training.config import TrainingConfig
from automl.training.strategy import Strategy

__all__ = ["training_identity"]


def training_identity(
    supernet: Supernet,
    task: Task,
    config: TrainingConfig,
    strategy: Strategy,
    seed: int,
    processes: int,
    compressor: Compressor | None,
) -> dict[str, Any]:
    """Returns what a checkpoint must agree in with a training that continues from it, as JSON values."""
    split = hashlib.sha256(json.dumps(task.split, sort_keys=True).encode()).hexdigest()[:16]
    compression = (
        {}
        if compressor is None
        else {"compressor": f"{compressor.name} {json.dumps(compressor.describe(), sort_keys=True)}"}
    )
    return {
        "space": supernet.space.digest,
        "data": task.fingerprint,
        "split": split,
        "strategy": f"{strategy.name} {json.dumps(strategy.describe(), sort_keys=True)}",
        "seed": seed,
        "processes": processes,
        **compression,
        **config.model_dump(mode="json"),
    }
