"""SuperTickets: architecture search and pruning in one training.

Source:
    You et al. 2022, SuperTickets, arXiv:2207.03677, section 3.2 (two in one) and 3.3 (progressive pruning with re-activation).
    Deviations: the penalty on batch-norm scales is for single networks, such as the largest of a space; a whole supernet is
    pruned without it, and its widths, depths and blocks are searched afterwards, since all its subnetworks share their scales.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final, final

from torch import Tensor, nn

from automl.errors import ConfigError
from automl.tickets.channels import ChannelGroup
from automl.tickets.options import PruningChoices, epochs_option
from automl.tickets.pruner import Pruner
from automl.tickets.scale_penalty import ScaledChannels, ScalePenalty, find_scaled_channels
from automl.training.compressor import TrainingPlan

__all__ = ["SuperTickets"]

_SHARE_BEFORE_TARGET: Final = 0.6
_WARMUP_SHARE: Final = 0.1


@final
class SuperTickets(Pruner):
    """Raises the sparsity in steps, each time with masks drawn anew over kept and pruned weights alike.

    Every ``interval`` epochs the sparsity rises by ``increment`` until it reaches its target; draws go on after that. Values
    behind masks decay as other weights do, and come back where they rank high enough: connections are re-activated.

    With a ``penalty`` the same training decides about channels: a penalty on their batch-norm scales, weighted by what they cost,
    silences channels and lets them die (``ScalePenalty``). A silent one may come back as long as it is not dead. After each epoch
    those are masked for good whose scales are small in the weights and in their moving average, after the last one in the average
    alone.

    Args:
        sparsity: target share of weights that are zero; None: 0.8, or what an N:M pattern says.
        interval: epochs between two draws; None: so that the target is reached after six tenths of the training.
        increment: rise of the sparsity at each draw.
        reactivation: let weights come back; otherwise what is pruned stays pruned.
        criterion: ``"magnitude"``, ``"gradient"`` or ``"random"``.
        granularity: ``"unstructured"`` or ``"N:M"``; ``"channel"`` with single networks only.
        scope: ``"global"``, or ``"layer"`` for the same sparsity in each layer.
        exclude: patterns of parameter names that stay dense; channels that any of them belongs to never die.
        penalty: strength of the penalty on scales; 0 turns the search of channels off.
        penalty_warmup: epochs in which the penalty rises from zero; None: a tenth of the training.
        dead_below: largest scale of a dead channel.
        scale_rate: learning rate of these scales as a multiple of that of the weights.

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
        penalty: float = 0.0,
        penalty_warmup: float | None = None,
        dead_below: float = 1e-3,
        scale_rate: float = 10.0,
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
        self._strength: Final = _number("penalty", penalty)
        self._warmup: Final = epochs_option("penalty_warmup", penalty_warmup)
        self._threshold: Final = _number("dead_below", dead_below)
        self._scale_rate: Final = _number("scale_rate", scale_rate)
        if not self._scale_rate:
            raise ConfigError(f"scale_rate: {scale_rate!r} is not valid: must be more than 0.")
        self._channels: list[ScaledChannels] = []
        self._penalty: ScalePenalty | None = None
        self._step = 0

    @property
    def removes_channels(self) -> bool:
        return super().removes_channels or self._strength > 0

    def couple(self, groups: Sequence[ChannelGroup], model: nn.Module, inputs: Sequence[Tensor]) -> None:
        super().couple(groups, model, inputs)
        if self._strength:
            self._channels = find_scaled_channels(model, groups, inputs)

    def attach(self, network: nn.Module, plan: TrainingPlan) -> list[str]:
        warnings = super().attach(network, plan)
        if self._strength:
            self._penalty = self._make_penalty(network, plan)
        return warnings

    def mask_gradients(self) -> None:
        super().mask_gradients()
        if self._penalty is not None:
            self._penalty.pull()

    def weights_updated(self, step: int) -> bool:
        super().weights_updated(step)
        self._step = step
        if self._penalty is not None:
            self._penalty.settle()
            if not self._plan.averaged and self._epoch_ended:
                self.lose(self._penalty.bury())
            self._penalty.silence()
        return False

    def mask_average(self, averages: Mapping[str, Tensor]) -> None:
        if self._penalty is not None:
            if self._epoch_ended:
                last = self._step >= self._plan.total_steps
                self.lose(self._penalty.bury(averages, *(() if last else (self._penalty.parameters,))))
                self._penalty.silence()
            self._penalty.silence(averages)
        super().mask_average(averages)

    def state_dict(self) -> dict[str, Tensor]:
        return {**super().state_dict(), **({} if self._penalty is None else self._penalty.state_dict())}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        super().load_state_dict(state)
        if self._penalty is not None:
            self._penalty.load_state_dict(state)
            self.lose(self._penalty.lost())

    def record(self) -> dict[str, Any]:
        if self._penalty is None:
            return super().record()
        penalty = self._penalty
        channels = {"channels": penalty.total, "alive": penalty.alive, "silent": penalty.silent, "woken": penalty.woken}
        return {**super().record(), **channels}

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
        options = {"interval": self._interval, "increment": self._increment, "reactivation": self._reactivation}
        if not self._strength:
            return options
        return {
            **options,
            "penalty": self._strength,
            "penalty_warmup": self._warmup,
            "dead_below": self._threshold,
            "scale_rate": self._scale_rate,
        }

    @property
    def _epoch_ended(self) -> bool:
        return self._step % self._plan.steps_per_epoch == 0

    def _make_penalty(self, network: nn.Module, plan: TrainingPlan) -> ScalePenalty:
        if self._groups is None:
            raise ConfigError(
                "penalty: needs one subnetwork, but here a whole supernet is pruned, whose channels are searched already; leave "
                "it out, or use 'automl prune' on a member of the front."
            )
        channels = [c for c in self._channels if all(name in self.masks for name, _ in c.group.weights)]
        if not channels:
            raise ConfigError(
                "penalty: finds no channel in this network that could be taken out and that a batch normalisation of its own can "
                "silence, or all are excluded; leave it out."
            )
        warmup = _WARMUP_SHARE * plan.total_steps if self._warmup is None else self._warmup * plan.steps_per_epoch
        return ScalePenalty(
            channels,
            network,
            strength=self._strength,
            warmup_steps=round(warmup),
            threshold=self._threshold,
            rate=self._scale_rate,
        )


def _number(name: str, value: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
        raise ConfigError(f"{name}: {value!r} is not valid: must be a number, 0 or more.")
    return float(value)
