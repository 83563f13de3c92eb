"""Quality of a few subnetworks after each epoch: the smallest, a fixed random set, the largest."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final, final

import numpy as np
from torch import nn

from automl.space import Architecture
from automl.supernet import Supernet, calibrate, has_batch_norm
from automl.tasks.task import Task
from automl.training.config import TrainingConfig

__all__ = ["AnchorValidation"]


@final
class AnchorValidation:
    """Validates extracted, calibrated subnetworks, so that the supernet keeps its weights, statistics and activation.

    Args:
        supernet: the network under training.
        task: gives the validation part and the calibration samples.
        config: sizes of the sets.
        seed: decides the random subnetworks and the calibration samples; both stay the same in every epoch.
    """

    def __init__(self, supernet: Supernet, task: Task, config: TrainingConfig, seed: int) -> None:
        self._supernet: Final = supernet
        self._task: Final = task
        self._config: Final = config
        self._seed: Final = seed
        rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(3,)))
        self._random: Final = [supernet.space.sample(rng) for _ in range(config.validation_subnets)]

    def measure(self) -> tuple[dict[str, dict[str, float]], list[str]]:
        """Returns quality on the validation part and warnings.

        Returns:
            Metrics of ``"smallest"``, ``"random"`` (their mean; ``"best-error"`` is the least of the set) and
            ``"largest"``; and a sentence if the largest subnetwork is clearly worse than a random one, the sign of a
            supernet whose weights do not serve its large subnetworks.
        """
        space = self._supernet.space
        asked = dict.fromkeys([space.smallest(), space.largest(), *self._random])
        found = {architecture: self._quality(architecture) for architecture in asked}  # a network alone is all of them
        smallest, largest = found[space.smallest()], found[space.largest()]
        drawn = [found[architecture] for architecture in self._random]
        best = min(quality["error"] for quality in drawn)
        random = {name: float(np.mean([quality[name] for quality in drawn])) for name in drawn[0]}
        quality = {"smallest": smallest, "random": random | {"best-error": best}, "largest": largest}
        return quality, self._compare(largest["error"], best)

    def _quality(self, architecture: Architecture) -> dict[str, float]:
        config = self._config
        model: nn.Module = self._supernet.extract(architecture)
        if has_batch_norm(model):
            batches = self._task.calibration_batches(
                self._seed, config.calibration_samples, config.evaluation_batch_size
            )
            calibrate(model, (batch.inputs for batch in batches))
        return self._task.evaluate(model, "validation", config.evaluation_batch_size, limit=config.validation_samples)

    def _compare(self, largest: float, best: float) -> list[str]:
        samples = len(self._task.split["validation"])
        if self._config.validation_samples is not None:
            samples = min(samples, self._config.validation_samples)
        # One standard error of the difference of two shares: less than that is the luck of the draw.
        noise = math.sqrt((largest * (1 - largest) + best * (1 - best)) / max(1, samples))
        if largest - best <= noise:
            return []
        return [
            f"the largest subnetwork has a validation error of {largest:.2%}, a random one has {best:.2%}; the supernet "
            f"is not trained well enough for its large subnetworks: train longer, or with the strategy 'sandwich'"
        ]


def is_new(warning: str, history: Sequence[dict[str, Any]]) -> bool:
    """Tells whether the epoch before had no warning of the same kind, so that a log is not filled with one sentence."""
    kind = warning.split(" has ")[0]
    return not history or not any(str(old).startswith(kind) for old in history[-1]["warnings"])
