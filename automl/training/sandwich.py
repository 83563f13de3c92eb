"""The sandwich rule with in-place distillation.

Source:
    Yu, Huang 2019, Universally Slimmable Networks, arXiv:1903.05134, sections 3.2 and 3.3; Yu et al. 2020, BigNAS,
    arXiv:2003.11142, section 3. Deviation: the gradients of the subnetworks are averaged, not summed, so that learning
    rate and clipping mean the same for any number of subnetworks.
"""

from __future__ import annotations

from typing import Any, ClassVar, Final, final

from torch import Tensor

from automl.space import Architecture
from automl.training.option_checks import check_whole
from automl.training.strategy import StepContext, Strategy

__all__ = ["Sandwich"]


@final
class Sandwich(Strategy):
    """Trains the largest, the smallest and a few random subnetworks on every batch.

    The largest learns from the targets, with label smoothing; all others learn from its soft outputs for the same
    batch. Pushing both ends of the space pushes everything between them.

    Where families compete for one slot, each step draws some and trains the smallest and the largest subnetwork that have
    them, so that no family is starved. All subnetworks then learn from the targets: the largest with these families was hardly
    trained more often than its students, and what it does not know yet would be all they hear.

    Args:
        random: random subnetworks per step, next to the largest and the smallest.
        distillation: let the smaller ones learn from the largest, where no families are drawn; otherwise all learn from the
            targets.

    Raises:
        ConfigError: ``random`` is negative or no whole number.
    """

    name: ClassVar[str] = "sandwich"

    def __init__(self, *, random: int = 3, distillation: bool = True) -> None:
        self._random: Final = check_whole("random", random, at_least=0)
        self._distillation: Final = distillation

    def step(self, context: StepContext) -> dict[str, float]:
        turn = context.turn
        students = [turn.smallest, *(context.sample() for _ in range(self._random))]
        # In a small space a draw may be the largest itself, which has nothing to learn from its own outputs.
        students = [student for student in students if student != turn.largest]
        share = 1 / (1 + len(students))

        teacher = context.forward(turn.largest)
        loss = context.loss(teacher)
        context.backward(loss * share)
        losses = [loss.item(), *(self._teach(context, student, teacher, share) for student in students)]
        return {"loss": losses[0], "smallest": losses[min(1, len(students))], "mean": sum(losses) * share}

    def _teach(self, context: StepContext, student: Architecture, teacher: Tensor, share: float) -> float:
        outputs = context.forward(student)
        distilled = self._distillation and not context.turn.families
        loss = context.distillation_loss(outputs, teacher) if distilled else context.loss(outputs)
        context.backward(loss * share)
        return loss.item()

    def describe(self) -> dict[str, Any]:
        return {"random": self._random, "distillation": self._distillation}

    def __repr__(self) -> str:
        return f"Sandwich(random={self._random}, distillation={self._distillation})"
