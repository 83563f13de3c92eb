"""Iterative magnitude pruning with rewinding: train, prune a share of what is left, go back to early weights, train again.

Source:
    Frankle, Carbin 2019, The lottery ticket hypothesis, arXiv:1803.03635, section 1 (rounds of equal shares); rewinding to
    step k and of the learning rate: Frankle et al. 2020, arXiv:1912.05671, and Renda et al. 2020, arXiv:2003.02389, section 3.
    Deviation: the network may come trained, as a member of a front does; ``rewind=0`` then goes back to that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final, final

import torch
from torch import Tensor, nn

from automl.errors import ConfigError
from automl.tickets.options import PruningChoices, epochs_option
from automl.tickets.pruner import Pruner
from automl.training.compressor import TrainingPlan

__all__ = ["Iterative"]


@final
class Iterative(Pruner):
    """Splits a training into ``rounds + 1`` equal cycles, each with the whole course of the learning rate.

    At the end of cycle r, for all but the last, the share ``1 − (1 − s)^(r / rounds)`` of the weights is pruned, and all that are
    kept get the values back that they had after ``rewind`` epochs. What is pruned stays pruned.

    Args:
        sparsity: final share of weights that are zero; None: 0.9, or what an N:M pattern says.
        rounds: how often weights are pruned.
        rewind: epochs of the first cycle after which the values are kept; 0 keeps those before the training.
        criterion: ``"magnitude"``, ``"gradient"`` or ``"random"``.
        granularity: ``"unstructured"``, ``"channel"`` or ``"N:M"``.
        scope: ``"global"``, or ``"layer"`` for the same sparsity in each layer.
        exclude: patterns of parameter names that stay dense.

    Raises:
        ConfigError: an option is unknown or out of range.
    """

    name: ClassVar[str] = "iterative"

    def __init__(
        self,
        *,
        sparsity: float | None = None,
        rounds: int = 4,
        rewind: float = 0.0,
        criterion: str = "magnitude",
        granularity: str = "unstructured",
        scope: str = "global",
        exclude: str | Sequence[str] = (),
    ) -> None:
        super().__init__(PruningChoices.checked(sparsity, criterion, granularity, scope, exclude))
        if isinstance(rounds, bool) or not isinstance(rounds, int) or rounds < 1:
            raise ConfigError(f"rounds: {rounds!r} is not valid: must be a whole number, 1 or more.")
        self._rounds: Final = rounds
        self._rewind: Final = epochs_option("rewind", rewind) or 0.0
        self._cycle = self._rewind_step = 0
        self._all: dict[str, nn.Parameter] = {}
        self._early: dict[str, Tensor] = {}

    def attach(self, network: nn.Module, plan: TrainingPlan) -> list[str]:
        self._all = dict(network.named_parameters())
        self._remember()
        super().attach(network, plan)
        return []  # every round ends where the learning rate does: that is the method

    def lay_out(self, plan: TrainingPlan) -> int:
        self._cycle = plan.total_steps // (self._rounds + 1)
        self._rewind_step = round(self._rewind * plan.steps_per_epoch)
        if self._cycle < 1 or self._rewind_step >= self._cycle:
            raise ConfigError(
                f"iterative: {self._rounds} rounds need {self._rounds + 1} cycles of more than {self._rewind_step} steps (the "
                f"rewinding point), but the training has {plan.total_steps} steps; train longer, or with fewer rounds."
            )
        return self._rounds * self._cycle

    def position(self, step: int, plan: TrainingPlan) -> tuple[int, int]:
        if not self._cycle:
            return step, plan.total_steps
        begun = min(step // self._cycle, self._rounds) * self._cycle
        length = self._cycle if begun < self._rounds * self._cycle else plan.total_steps - begun
        return step - begun, length

    def target(self, step: int) -> float | None:
        finished, rest = divmod(step, self._cycle)
        if rest or not 1 <= finished <= self._rounds:
            return None
        if finished == self._rounds:
            return self.choices.sparsity
        return 1 - float((1 - self.choices.sparsity) ** (finished / self._rounds))

    def hidden_values(self, hidden: Tensor, step: int) -> Tensor:
        return torch.zeros_like(hidden)

    def rewind(self, step: int) -> bool:
        if step == self._rewind_step:
            self._remember()
        if self.target(step) is None:
            return False
        for name, parameter in self._all.items():
            parameter.copy_(self._early[name])
        for name, mask in self.masks.items():
            self._all[name].masked_fill_(~mask, 0.0)
        return True

    def state_dict(self) -> dict[str, Tensor]:
        return {**super().state_dict(), **{f"early {name}": value for name, value in self._early.items()}}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        super().load_state_dict(state)
        self._early = {name: state[f"early {name}"].clone() for name in self._all}

    def schedule(self) -> dict[str, Any]:
        return {"rounds": self._rounds, "rewind": self._rewind}

    def _remember(self) -> None:
        self._early = {name: parameter.detach().clone() for name, parameter in self._all.items()}
