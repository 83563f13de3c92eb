"""Progressive shrinking: the largest network first, then smaller choices, one kind of dimension after the other.

The training is cut into phases. In the first only the largest subnetwork is trained. Then the other dimensions (kernels, kinds of
blocks), then depths, then widths are opened, from their largest choices downwards, one choice more in each phase; what is open
stays open. Every subnetwork learns from the targets and from the soft outputs of the largest one.

Source:
    Cai et al. 2020, Once-for-All, arXiv:1908.09791, section 3 ("progressive shrinking"). Deviations: the teacher is the
    largest subnetwork with its current weights, trained along in every step, not a frozen copy; all phases but the first have
    equal length, not fixed numbers of epochs; channels are not sorted by importance, as smaller widths are prefixes
    throughout; there is one schedule of the learning rate over all phases; kernels are cut without transformation matrices.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final, TypeAlias, final
from weakref import WeakKeyDictionary

from torch import Tensor

from automl.errors import ConfigError
from automl.space import Architecture, Ordinal, Scalar, draw_among
from automl.supernet import Supernet
from automl.training.config import TrainingConfig
from automl.training.option_checks import check_share, check_whole
from automl.training.strategy import StepContext, Strategy

__all__ = ["Progressive", "opened_choices"]

_ORDER: Final = ("other", "depth", "width")
Choices: TypeAlias = Mapping[str, tuple[Scalar, ...]]


@final
class Progressive(Strategy):
    """Trains the largest subnetwork and random ones of those that are open so far.

    Args:
        first: share of the training for the largest subnetwork alone, at least 0 and below 1.
        random: random subnetworks per step, next to the largest.
        distillation: weight of the soft outputs against 1 for the targets, 0 or more; both are averaged.

    Raises:
        ConfigError: an option is out of its range.
    """

    name: ClassVar[str] = "progressive"

    def __init__(self, *, first: float = 0.25, random: int = 2, distillation: float = 1.0) -> None:
        self._first: Final = check_share("first", first)
        self._random: Final = check_whole("random", random, at_least=1)
        if isinstance(distillation, bool) or not isinstance(distillation, int | float) or not 0 <= distillation < 1e6:
            raise ConfigError(
                f"strategy_options.distillation: {distillation!r} is not valid: must be a number of 0 or more."
            )
        self._distillation: Final = float(distillation)
        self._known: Final[WeakKeyDictionary[Supernet, list[Choices]]] = WeakKeyDictionary()

    def prepare(self, supernet: Supernet, config: TrainingConfig) -> None:
        if not supernet.space.names:
            raise ConfigError("strategy 'progressive': this space has one network only, so there is nothing to shrink.")

    def step(self, context: StepContext) -> dict[str, float]:
        choices = self._open(context)
        space = context.supernet.space
        drawn = [draw_among(space, choices, context.rng) for _ in range(self._random)] if choices else []
        students = [student for student in drawn if student is not None and student != context.largest]
        share = 1 / (1 + len(students))

        teacher = context.forward(context.largest)
        loss = context.loss(teacher)
        context.backward(loss * share)
        losses = [loss.item(), *(self._teach(context, student, teacher, share) for student in students)]
        return {"loss": losses[0], "mean": sum(losses) * share}

    def _open(self, context: StepContext) -> Choices | None:
        """The choices that are open at the moment of a step; None while only the largest subnetwork is trained."""
        if context.progress < self._first:
            return None
        if context.supernet not in self._known:
            self._known[context.supernet] = opened_choices(context.supernet)
        phases = self._known[context.supernet]
        passed = (context.progress - self._first) / (1 - self._first)
        return phases[min(int(passed * len(phases)), len(phases) - 1)]

    def _teach(self, context: StepContext, student: Architecture, teacher: Tensor, share: float) -> float:
        outputs = context.forward(student)
        loss = context.loss(outputs)
        if self._distillation:
            loss = loss + self._distillation * context.distillation_loss(outputs, teacher)
        loss = loss / (1 + self._distillation)
        context.backward(loss * share)
        return loss.item()

    def describe(self) -> dict[str, Any]:
        return {"first": self._first, "random": self._random, "distillation": self._distillation}

    def __repr__(self) -> str:
        return f"Progressive(first={self._first}, random={self._random}, distillation={self._distillation})"


def opened_choices(supernet: Supernet) -> list[Choices]:
    """Returns for each phase after the first the open choices of every dimension.

    Kinds follow each other (other, depth, width), and within a kind all ordinal dimensions open one choice more in each phase,
    from the largest downwards; categorical ones open as a whole in the first phase of their kind. In the last phase all is open.
    """
    space, kinds = supernet.space, supernet.kinds
    reference = space.largest()
    current: dict[str, tuple[Scalar, ...]] = {
        name: (reference.get(name, dimension.choices[-1]),) for name, dimension in space.dimensions.items()
    }
    phases: list[Choices] = []
    for kind in _ORDER:
        own = {name: space.dimensions[name] for name in space.names if kinds[name] == kind}
        most = max((len(d.choices) if isinstance(d, Ordinal) else 2 for d in own.values()), default=1)
        for count in range(2, most + 1):
            current.update(
                {name: d.choices[-count:] if isinstance(d, Ordinal) else d.choices for name, d in own.items()}
            )
            phases.append(dict(current))
    return phases
