"""Training by several draws a step, whose answers are to agree."""

from __future__ import annotations

from typing import Any, ClassVar, Final, final

import torch

from automl.errors import ConfigError
from automl.supernet import Supernet
from automl.tasks import Task
from automl.training import StepContext, Strategy
from automl_graph.local_augmentation.consistency import consistency_loss

__all__ = ["Consistency"]


@final
class Consistency(Strategy):
    """One random subnetwork a step, run several times: each run has its own generated features and dropout.

    The loss is the mean of the runs' losses plus ``weight`` times their distance from the sharpened mean of their
    probabilities, over all samples, labelled or not. For tasks whose outputs are logits of exclusive classes.

    Args:
        draws: runs of a step, at least 2.
        weight: of the consistency.
        temperature: of the sharpening, above 0.

    Raises:
        ConfigError: an option is out of its range; in a step, the task has one output, which is no choice between classes.

    Source:
        Liu et al. 2022, arXiv:2109.03856, section 3.3.
    """

    name: ClassVar[str] = "consistency"

    def __init__(self, *, draws: int = 2, weight: float = 1.0, temperature: float = 0.5) -> None:
        if isinstance(draws, bool) or not isinstance(draws, int) or draws < 2:
            raise ConfigError(f"strategy 'consistency': draws is {draws!r}; it must be a whole number of at least 2.")
        if not weight >= 0:
            raise ConfigError(f"strategy 'consistency': weight is {weight}; it must be at least 0.")
        if not temperature > 0:
            raise ConfigError(f"strategy 'consistency': temperature is {temperature}; it must be above 0.")
        self._draws: Final = draws
        self._weight: Final = weight
        self._temperature: Final = temperature

    def check(self, supernet: Supernet, task: Task) -> None:
        _require_classes(task.outputs)

    def step(self, context: StepContext) -> dict[str, float]:
        _require_classes(context.outputs)
        architecture = context.sample()
        outputs = [context.forward(architecture) for _ in range(self._draws)]
        supervised = torch.stack([context.loss(output) for output in outputs]).mean()
        consistency = consistency_loss([torch.softmax(output, 1) for output in outputs], self._temperature)
        context.backward(supervised + self._weight * consistency)
        return {"loss": supervised.item(), "consistency": consistency.item()}

    def describe(self) -> dict[str, Any]:
        return {"draws": self._draws, "weight": self._weight, "temperature": self._temperature}

    def __repr__(self) -> str:
        return f"Consistency({', '.join(f'{name}={value}' for name, value in self.describe().items())})"


def _require_classes(outputs: int) -> None:
    if outputs < 2:
        raise ConfigError(
            "strategy 'consistency': it compares probabilities of classes; this task has a single output; take 'single-path'."
        )
