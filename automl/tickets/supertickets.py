"""SuperTickets: architecture search and pruning in one training of a supernet.

Source:
    You et al. 2022, SuperTickets, arXiv:2207.03677, section 3.2 (two in one) and 3.3 (progressive pruning with re-activation).
    Deviations: which widths, depths and blocks are used is searched afterwards over the dimensions of the space, not decided in
    the training by a penalty on batch-norm scales; sparse supernets are searched like dense ones.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar, Final, final

from torch import Tensor

from automl.errors import ConfigError
from automl.tickets.options import PruningChoices, epochs_option
from automl.tickets.pruner import Pruner
from automl.training.compressor import TrainingPlan

__all__ = ["SuperTickets"]

_SHARE_BEFORE_TARGET: Final = 0.6


@final
class SuperTickets(Pruner):
    """Raises the sparsity in steps, each time with masks drawn anew over kept and pruned weights alike.

    Every ``interval`` epochs the sparsity rises by ``increment`` until it reaches its target; draws go on after that. Values
    behind masks decay as other weights do, and come back where they rank high enough: connections are re-activated.

    Args:
        sparsity: target share of weights that are zero; None: 0.8, or what an N:M pattern says.
        interval: epochs between two draws; None: so that the target is reached after six tenths of the training.
        increment: rise of the sparsity at each draw.
        reactivation: let weights come back; otherwise what is pruned stays pruned.
        criterion: ``"magnitude"``, ``"gradient"`` or ``"random"``.
        granularity: ``"unstructured"`` or ``"N:M"``; ``"channel"`` with single networks only.
        scope: ``"global"``, or ``"layer"`` for the same sparsity in each layer.
        exclude: patterns of parameter names that stay dense.

    Raises:
        ConfigError: an option is unknown or out of range.
    """

    name: ClassVar[str] = "supertickets"

    def __init__(
        self,
        *,
        sparsity: float | None = None,
        interval: float | None = None,
        increment: float = 0.1,
        reactivation: bool = True,
        criterion: str = "magnitude",
        granularity: str = "unstructured",
        scope: str = "global",
        exclude: str | Sequence[str] = (),
    ) -> None:
        if sparsity is None and ":" not in granularity:
            sparsity = 0.8
        super().__init__(PruningChoices.checked(sparsity, criterion, granularity, scope, exclude))
        if not isinstance(increment, int | float) or not 0 < increment < 1:
            raise ConfigError(f"increment: {increment!r} is not valid: must be more than 0 and less than 1.")
        self._interval: Final = epochs_option("interval", interval, least=0.01)
        self._increment: Final = increment
        self._reactivation: Final = reactivation
        self._steps_between = 1

    def lay_out(self, plan: TrainingPlan) -> int:
        rises = max(1, math.ceil(self.choices.sparsity / self._increment - 1e-9))
        if self._interval is None:
            self._steps_between = max(1, int(_SHARE_BEFORE_TARGET * plan.total_steps / rises))
        else:
            self._steps_between = max(1, round(self._interval * plan.steps_per_epoch))
        return rises * self._steps_between

    def target(self, step: int) -> float | None:
        rises, rest = divmod(step, self._steps_between)
        if rest or not rises:
            return None
        return min(rises * self._increment, self.choices.sparsity)

    def hidden_values(self, hidden: Tensor, step: int) -> Tensor:
        if not self._reactivation:
            return hidden * 0.0
        return hidden * (1 - self._plan.learning_rate(step - 1) * self._plan.weight_decay)

    def schedule(self) -> dict[str, Any]:
        return {"interval": self._interval, "increment": self._increment, "reactivation": self._reactivation}
