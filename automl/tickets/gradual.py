"""Gradual pruning: sparsity rises along a cubic while the network is trained.

Source:
    Zhu, Gupta 2017, To prune, or not to prune, arXiv:1710.01878, section 3, eq. 1. Deviation: all layers are ranked together
    unless ``scope="layer"``, the rule of the paper.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Final, final

from automl.errors import ConfigError
from automl.tickets.options import PruningChoices, epochs_option
from automl.tickets.pruner import Pruner
from automl.training.compressor import TrainingPlan

__all__ = ["Gradual", "cubic_sparsity"]

_START_SHARE: Final = 0.1
_END_SHARE: Final = 0.6
_UPDATES: Final = 60


def cubic_sparsity(
    step: int, *, start: int, updates: int, frequency: int, initial: float, final: float, power: float = 3.0
) -> float:
    """Returns ``s = s_f + (s_i − s_f) · (1 − (t − t₀) / (n Δt))³``, constant before ``t₀`` and after ``t₀ + n Δt``.

    Args:
        step: t.
        start: t₀.
        updates: n, at least 1.
        frequency: Δt in steps.
        initial: s_i.
        final: s_f.
        power: the exponent; 1 is linear.

    Example:
        >>> [round(cubic_sparsity(t, start=0, updates=4, frequency=25, initial=0, final=0.9), 4) for t in (0, 25, 50, 75, 100)]
        [0.0, 0.5203, 0.7875, 0.8859, 0.9]
    """
    passed = min(1.0, max(0.0, (step - start) / (updates * frequency)))
    return final + (initial - final) * float((1 - passed) ** power)


@final
class Gradual(Pruner):
    """Prunes fast while redundant weights abound and slowly towards the end, then trains on with fixed masks.

    Masks are drawn after ``start``, every ``frequency`` steps, and for the last time at or just before ``end``, then with exactly
    the final sparsity.

    Args:
        sparsity: final share of weights that are zero; None: 0.9, or what an N:M pattern says.
        start: epochs before the first weights are pruned; None: a tenth of the training.
        end: epochs after which the final sparsity holds; None: six tenths of the training.
        frequency: steps between two draws; None: so that there are about 60.
        initial: sparsity at the start.
        power: exponent of the schedule; 3 is the paper's.
        criterion: ``"magnitude"``, ``"gradient"`` or ``"random"``.
        granularity: ``"unstructured"``, ``"channel"`` or ``"N:M"``.
        scope: ``"global"``, or ``"layer"`` for the same sparsity in each layer.
        exclude: patterns of parameter names that stay dense.

    Raises:
        ConfigError: an option is unknown or out of range.
    """

    name: ClassVar[str] = "gradual"

    def __init__(
        self,
        *,
        sparsity: float | None = None,
        start: float | None = None,
        end: float | None = None,
        frequency: int | None = None,
        initial: float = 0.0,
        power: float = 3.0,
        criterion: str = "magnitude",
        granularity: str = "unstructured",
        scope: str = "global",
        exclude: str | Sequence[str] = (),
    ) -> None:
        super().__init__(PruningChoices.checked(sparsity, criterion, granularity, scope, exclude))
        self._start: Final = epochs_option("start", start)
        self._end: Final = epochs_option("end", end)
        if start is not None and end is not None and start >= end:
            raise ConfigError(f"end: {end!r} is not valid: must be after start, {start!r}.")
        if frequency is not None and (not isinstance(frequency, int) or frequency < 1):
            raise ConfigError(f"frequency: {frequency!r} is not valid: must be a number of steps, 1 or more.")
        if not 0 <= initial <= self.choices.sparsity:
            raise ConfigError(f"initial: {initial!r} is not valid: must be between 0 and the final sparsity.")
        if not power > 0:
            raise ConfigError(f"power: {power!r} is not valid: must be more than 0.")
        self._frequency: Final = frequency
        self._initial: Final = initial
        self._power: Final = power
        self._first = self._updates = self._interval = 0

    def lay_out(self, plan: TrainingPlan) -> int:
        total = plan.total_steps
        self._first = round(_START_SHARE * total if self._start is None else self._start * plan.steps_per_epoch)
        last = round(_END_SHARE * total if self._end is None else self._end * plan.steps_per_epoch)
        if last > total:
            return last
        if last <= self._first:
            raise ConfigError(
                f"gradual: the schedule would end with step {last}, but it starts with step {self._first}; give 'start' and "
                f"'end' that lie apart, in epochs of {plan.steps_per_epoch} steps."
            )
        span = last - self._first
        self._interval = max(1, span // _UPDATES) if self._frequency is None else self._frequency
        if self._interval > span:
            raise ConfigError(
                f"frequency: {self._interval} steps are more than the {span} steps from start to end of the schedule."
            )
        self._updates = span // self._interval
        return self._first + self._updates * self._interval

    def target(self, step: int) -> float | None:
        update, rest = divmod(step - self._first, self._interval)
        if rest or not 0 <= update <= self._updates:
            return None
        return cubic_sparsity(
            step,
            start=self._first,
            updates=self._updates,
            frequency=self._interval,
            initial=self._initial,
            final=self.choices.sparsity,
            power=self._power,
        )

    def schedule(self) -> dict[str, Any]:
        return {
            "start": self._start,
            "end": self._end,
            "frequency": self._frequency,
            "initial": self._initial,
            "power": self._power,
        }
