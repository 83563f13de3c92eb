"""Training of supernets: one loop, strategies that choose the subnetworks of a step, exact resume.

Loaded on first use, so that a ``TrainingConfig`` can be validated without importing torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from automl._lazy import lazy_names

if TYPE_CHECKING:
    from automl.training.compressor import Compressor, TrainingPlan
    from automl.training.config import TrainingConfig
    from automl.training.loop import train
    from automl.training.progress import Progress
    from automl.training.sandwich import Sandwich
    from automl.training.single_path import SinglePath
    from automl.training.strategy import StepContext, Strategy

__all__ = [
    "Compressor",
    "Progress",
    "Sandwich",
    "SinglePath",
    "StepContext",
    "Strategy",
    "TrainingConfig",
    "TrainingPlan",
    "train",
]

__getattr__ = lazy_names(
    __name__,
    {
        "Compressor": "automl.training.compressor",
        "TrainingPlan": "automl.training.compressor",
        "Progress": "automl.training.progress",
        "Sandwich": "automl.training.sandwich",
        "SinglePath": "automl.training.single_path",
        "StepContext": "automl.training.strategy",
        "Strategy": "automl.training.strategy",
        "TrainingConfig": "automl.training.config",
        "train": "automl.training.loop",
    },
)
