"""Training of supernets: one loop, strategies that choose the subnetworks of a step, exact resume.

Loaded on first use, so that a ``TrainingConfig`` can be validated without importing torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from automl._lazy import lazy_names

if TYPE_CHECKING:
    from automl.training.compressor import Compressor, TrainingPlan
    from automl.training.config import TrainingConfig
    from automl.training.family_turns import FamilyTurns
    from automl.training.loop import train
    from automl.training.mixture import Mixture
    from automl.training.progress import Progress
    from automl.training.progressive import Progressive
    from automl.training.sandwich import Sandwich
    from automl.training.single_path import SinglePath
    from automl.training.sorted_networks import SortedNetworks
    from automl.training.strategy import StepContext, Strategy

__all__ = [
    "Compressor",
    "FamilyTurns",
    "Mixture",
    "Progress",
    "Progressive",
    "Sandwich",
    "SinglePath",
    "SortedNetworks",
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
        "FamilyTurns": "automl.training.family_turns",
        "Mixture": "automl.training.mixture",
        "Progress": "automl.training.progress",
        "Progressive": "automl.training.progressive",
        "Sandwich": "automl.training.sandwich",
        "SinglePath": "automl.training.single_path",
        "SortedNetworks": "automl.training.sorted_networks",
        "StepContext": "automl.training.strategy",
        "Strategy": "automl.training.strategy",
        "TrainingConfig": "automl.training.config",
        "TrainingPlan": "automl.training.compressor",
        "train": "automl.training.loop",
    },
)
