"""Joint training of all paths of a stitched network.

Source:
    Pan, Cai, Zhuang 2023 (SN-Net), arXiv:2302.06586, section 3.3 and algorithm 1. Deviations: the teacher is the most
    expensive anchor as it was before the training, not a network from elsewhere; all processes of a distributed training
    draw the same path.
"""

from __future__ import annotations

from typing import Any, ClassVar, Final, final

import torch

from automl.errors import ConfigError
from automl.stitching.network import StitchedNetwork
from automl.training.strategy import StepContext, Strategy

__all__ = ["StitchJoint"]


@final
class StitchJoint(Strategy):
    """Trains one uniformly drawn path per step, anchors included, with hard distillation.

    ``loss = (1 - share) * CE(f(x), y) + share * CE(f(x), argmax teacher(x))``. Supernets that hold no teacher are trained on the
    targets alone.

    Args:
        distillation: share of the teacher's answers in the loss.

    Raises:
        ConfigError: the share is not between 0 and 1.
    """

    name: ClassVar[str] = "stitch-joint"

    def __init__(self, *, distillation: float = 0.5) -> None:
        if not 0 <= distillation <= 1:
            raise ConfigError(f"strategy options.distillation: {distillation} is not valid: must be from 0 to 1.")
        self._distillation: Final = distillation

    def step(self, context: StepContext) -> dict[str, float]:
        outputs = context.forward(context.sample())
        loss = context.loss(outputs)
        losses = {"targets": loss.item()}
        network = context.supernet.network
        if self._distillation and isinstance(network, StitchedNetwork) and network.teacher is not None:
            with torch.no_grad():
                answers = network.teacher(*context.batch.inputs)
            # As logits, of which only the largest counts: the loss against them is that against the teacher's class.
            chosen = torch.where(answers == answers.amax(-1, keepdim=True), 0.0, -torch.inf)
            taught = context.distillation_loss(outputs, chosen)
            losses["teacher"] = taught.item()
            loss = (1 - self._distillation) * loss + self._distillation * taught
        context.backward(loss)
        return {"loss": loss.item(), **losses}

    def describe(self) -> dict[str, Any]:
        return {"distillation": self._distillation}

    def __repr__(self) -> str:
        return f"StitchJoint(distillation={self._distillation})"
