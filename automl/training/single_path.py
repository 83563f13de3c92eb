"""Single-path training: one uniformly drawn subnetwork each step.

Source:
    Guo et al. 2020, Single Path One-Shot, arXiv:1904.00420, section 3.2 (uniform sampling).
"""

from __future__ import annotations

from typing import ClassVar, final

from automl.training.strategy import StepContext, Strategy

__all__ = ["SinglePath"]


@final
class SinglePath(Strategy):
    """Trains one random subnetwork per step on the targets.

    Cheap per step, and every subnetwork is treated alike; needs more epochs than the sandwich rule.
    """

    name: ClassVar[str] = "single-path"

    def step(self, context: StepContext) -> dict[str, float]:
        loss = context.loss(context.forward(context.sample()))
        context.backward(loss)
        return {"loss": loss.item()}

    def __repr__(self) -> str:
        return "SinglePath()"
