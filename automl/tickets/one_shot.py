"""One-shot pruning: all at once, then training goes on with fixed masks. The plain peer of gradual pruning.

Source:
    Han et al. 2015, arXiv:1506.02626, section 3, with a single round.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Final, final

from automl.tickets.options import PruningChoices, epochs_option
from automl.tickets.pruner import Pruner
from automl.training.compressor import TrainingPlan

__all__ = ["OneShot"]


@final
class OneShot(Pruner):
    """Prunes once.

    Args:
        sparsity: share of weights that becomes zero; None: 0.9, or what an N:M pattern says.
        start: epochs before; 0 prunes before the first step, the length of the training after the last one.
        criterion: ``"magnitude"``, ``"gradient"`` or ``"random"``.
        granularity: ``"unstructured"``, ``"channel"`` or ``"N:M"``.
        scope: ``"global"``, or ``"layer"`` for the same sparsity in each layer.
        exclude: patterns of parameter names that stay dense.

    Raises:
        ConfigError: an option is unknown or out of range.
    """

    name: ClassVar[str] = "one-shot"

    def __init__(
        self,
        *,
        sparsity: float | None = None,
        start: float = 0.0,
        criterion: str = "magnitude",
        granularity: str = "unstructured",
        scope: str = "global",
        exclude: str | Sequence[str] = (),
    ) -> None:
        super().__init__(PruningChoices.checked(sparsity, criterion, granularity, scope, exclude))
        self._start: Final = epochs_option("start", start) or 0.0
        self._step = 0

    def lay_out(self, plan: TrainingPlan) -> int:
        self._step = round(self._start * plan.steps_per_epoch)
        return self._step

    def target(self, step: int) -> float | None:
        return self.choices.sparsity if step == self._step else None

    def schedule(self) -> dict[str, Any]:
        return {"start": self._start}
