"""Balanced mixture of supernets: architectures that disturb each other get different weights.

There are ``models`` weight sets of the same network. Each step draws an architecture ``c`` and one of the sets from ``p(m | c)``,
trains that set on the batch, and follows with a moving average ``a[c, m]`` how accurate the architecture is with the set on
validation data. ``p`` is a softmax of ``a`` whose temperature falls, scaled so that all sets are used equally often: without the
balance one set would take everything. After training each architecture uses its most probable set.

Source:
    Javan Roshtkhari, Toews, Pedersoli 2023, Balanced Mixture of SuperNets, PMLR 224:8, section 3 and algorithm 1. Deviations:
    all sets start from the same weights; the accuracy of a step is taken before the optimiser's step, not after it; in spaces of
    more than 1024 architectures several share an entry of ``a`` (see ``WeightSets``), and architectures are drawn as the
    space draws them.
"""

from __future__ import annotations

from typing import Any, ClassVar, Final, final

from automl.supernet import Supernet
from automl.training.config import TrainingConfig
from automl.training.option_checks import check_share, check_whole
from automl.training.strategy import StepContext, Strategy

__all__ = ["Mixture"]


@final
class Mixture(Strategy):
    """Trains one weight set of one random architecture per step.

    Cost per step is that of one network and one validation batch; each set sees one step in ``models``, so raise the epochs with
    their number. With one set it is ``single-path``.

    Args:
        models: weight sets, 1 to 64; weights in memory and in checkpoints are so many times larger, exported models are not.
        beta: share of the old score that a step keeps, at least 0 and below 1.

    Raises:
        ConfigError: an option is out of its range.
    """

    name: ClassVar[str] = "mixture"

    def __init__(self, *, models: int = 4, beta: float = 0.9) -> None:
        self._models: Final = check_whole("models", models, at_least=1, at_most=64)
        self._beta: Final = check_share("beta", beta)

    def prepare(self, supernet: Supernet, config: TrainingConfig) -> None:
        supernet.multiply(self._models)

    def step(self, context: StepContext) -> dict[str, float]:
        architecture = context.sample()
        sets = context.supernet.weight_sets
        if sets is None:
            loss = context.loss(context.forward(architecture))
            context.backward(loss)
            return {"loss": loss.item()}
        row = sets.row(architecture)
        probabilities = sets.probabilities(row, sets.temperature(context.progress))
        chosen = int(context.rng.choice(self._models, p=probabilities))
        loss = context.loss(context.forward(architecture, chosen))
        context.backward(loss)
        accuracy = context.accuracy(architecture, chosen)
        sets.scores[row, chosen] = self._beta * sets.scores[row, chosen] + (1 - self._beta) * accuracy
        return {"loss": loss.item(), "accuracy": accuracy}

    def describe(self) -> dict[str, Any]:
        return {"models": self._models, "beta": self._beta}

    def __repr__(self) -> str:
        return f"Mixture(models={self._models}, beta={self._beta})"
