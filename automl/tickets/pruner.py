"""The mechanism that all pruning methods share: masks, the values behind them, and when they are drawn anew.

A weight that is pruned is exactly zero in the network, so whatever is extracted, averaged, saved or exported from it holds
zeros too. The value that it had is kept beside the network: it still competes when masks are drawn anew, and comes back
should it then be among the larger ones.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Final

import torch
from torch import Tensor, nn

from automl.errors import ConfigError
from automl.tickets.channels import ChannelGroup
from automl.tickets.criteria import CRITERIA
from automl.tickets.granularity import ChannelWise, Granularity, NOfM, Unstructured, parse_pattern
from automl.tickets.masks import Masks, prunable_weights, sparsity_of
from automl.tickets.options import PruningChoices
from automl.tickets.ranking import Scope
from automl.training.compressor import Compressor, TrainingPlan

__all__ = ["LOW_RATE", "Pruner"]

LOW_RATE: Final = 0.01
"""Share of the highest learning rate below which weights hardly recover from pruning."""


class Pruner(Compressor):
    """Draws masks at some steps of a training and keeps the weights behind them at zero.

    A method says at which steps, and how sparse: ``lay_out`` and ``target``. It may also let the hidden values shrink or stay
    away for good (``hidden_values``), or set weights back (``rewind``).

    Args:
        choices: sparsity, criterion, granularity, scope and exclusions.
    """

    def __init__(self, choices: PruningChoices) -> None:
        self.choices: Final = choices
        self.masks: Masks = {}
        self._hidden: dict[str, Tensor] = {}
        self._lost: Masks = {}
        self._weights: dict[str, nn.Parameter] = {}
        self._revived = 0
        self._plan: TrainingPlan
        self._groups: tuple[ChannelGroup, ...] | None = None
        self._granularity: Granularity

    @abstractmethod
    def lay_out(self, plan: TrainingPlan) -> int:
        """Fits the schedule to a training and returns the step of the last pruning.

        Raises:
            ConfigError: the schedule is longer than the training.
        """

    @abstractmethod
    def target(self, step: int) -> float | None:
        """Returns the sparsity of the masks that are drawn after ``step`` steps; None leaves the masks as they are."""

    def hidden_values(self, hidden: Tensor, step: int) -> Tensor:
        """Returns what becomes of the values behind masks in a step; by default they stay."""
        return hidden

    def rewind(self, step: int) -> bool:
        """Sets weights back to earlier values after the masks of a step were drawn; tells whether it did."""
        return False

    @property
    def removes_channels(self) -> bool:
        """Whether whole channels go, so that the network can be made smaller after the training."""
        return self.choices.granularity == "channel"

    def couple(self, groups: Sequence[ChannelGroup], model: nn.Module, inputs: Sequence[Tensor]) -> None:
        """Says which channels the network has, before ``attach``; whatever removes channels needs it.

        Args:
            groups: channels that can be taken out.
            model: the network as it is extracted; not changed.
            inputs: inputs of it, to try things on.
        """
        self._groups = tuple(groups)

    @torch.no_grad()
    def lose(self, lost: Masks) -> None:
        """Makes entries of weights zero for good: no draw brings them back.

        Args:
            lost: true where an entry is lost, by parameter name.
        """
        self._lost = lost
        for name, gone in lost.items():
            self.masks[name] &= ~gone
            self._weights[name].masked_fill_(gone, 0.0)
            self._hidden[name] = self._hidden[name].masked_fill(gone, 0.0)

    def attach(self, network: nn.Module, plan: TrainingPlan) -> list[str]:
        self._plan = plan
        self._weights = prunable_weights(network, self.choices.exclude)
        self._granularity = self._make_granularity()
        self._granularity.check(self._weights)
        self.masks = {name: torch.ones_like(weight, dtype=torch.bool) for name, weight in self._weights.items()}
        self._hidden = {name: torch.zeros_like(weight) for name, weight in self._weights.items()}
        last = self.lay_out(plan)
        if last > plan.total_steps:
            raise ConfigError(
                f"{self.name}: the last pruning would be after step {last} (epoch {last / plan.steps_per_epoch:g}), but the "
                f"training has {plan.total_steps} steps ({plan.total_steps // plan.steps_per_epoch} epochs); train longer, "
                "or shorten the schedule."
            )
        self._draw(0)
        return self._late(last)

    def mask_gradients(self) -> None:
        for name, weight in self._weights.items():
            if weight.grad is not None:
                weight.grad.masked_fill_(~self.masks[name], 0.0)

    @torch.no_grad()
    def weights_updated(self, step: int) -> bool:
        for name, weight in self._weights.items():
            weight.masked_fill_(~self.masks[name], 0.0)  # momentum moves weights that have no gradient
            self._hidden[name] = self.hidden_values(self._hidden[name], step)
        self._draw(step)
        return self.rewind(step)

    def mask_average(self, averages: Mapping[str, Tensor]) -> None:
        for name, mask in self.masks.items():
            averages[name].masked_fill_(~mask, 0.0)

    def state_dict(self) -> dict[str, Tensor]:
        return {
            **{f"mask {name}": mask for name, mask in self.masks.items()},
            **{f"hidden {name}": hidden for name, hidden in self._hidden.items()},
            "revived": torch.tensor(self._revived),
        }

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        for name in self.masks:
            self.masks[name].copy_(state[f"mask {name}"])
            self._hidden[name] = state[f"hidden {name}"].to(self._hidden[name], copy=True)
        self._revived = int(state["revived"])

    def describe(self) -> dict[str, Any]:
        return {**self.choices.describe(), **self.schedule()}

    @abstractmethod
    def schedule(self) -> dict[str, Any]:
        """Returns the options of the schedule as JSON."""

    def record(self) -> dict[str, Any]:
        return {"sparsity": sparsity_of(self.masks), "revived": self._revived}

    def __repr__(self) -> str:
        options = ", ".join(f"{name}={value!r}" for name, value in self.describe().items())
        return f"{type(self).__name__}({options})"

    def _make_granularity(self) -> Granularity:
        pattern = parse_pattern(self.choices.granularity)
        if pattern is not None:
            return NOfM(*pattern)
        if self.choices.granularity == "unstructured":
            return Unstructured()
        if self._groups is None:
            raise ConfigError(
                "granularity: 'channel' needs one subnetwork, but here a whole supernet is pruned, whose channels are "
                "searched already; use 'unstructured', or 'automl prune' on a member of the front."
            )
        return ChannelWise(self._groups)

    @torch.no_grad()
    def _draw(self, step: int) -> None:
        sparsity = self.target(step)
        if sparsity is None:
            return
        values = {name: torch.where(self.masks[name], w, self._hidden[name]) for name, w in self._weights.items()}
        gradients = {name: weight.grad for name, weight in self._weights.items()}
        scores = CRITERIA[self.choices.criterion](values, gradients, self._plan.seed)
        # Below every score, so that lost entries are the first of those that a draw drops.
        scores.update({name: scores[name].masked_fill(gone, -1.0) for name, gone in self._lost.items()})
        scope: Scope = "global" if self.choices.scope == "global" else "layer"
        masks = self._granularity.masks(scores, sparsity, scope)
        masks.update({name: masks[name] & ~gone for name, gone in self._lost.items()})
        for name, weight in self._weights.items():
            self._revived += int((masks[name] & ~self.masks[name]).sum())
            self.masks[name].copy_(masks[name])
            weight.copy_(values[name].masked_fill(~masks[name], 0.0))
            self._hidden[name] = values[name].masked_fill(masks[name], 0.0)

    def _late(self, last: int) -> list[str]:
        plan = self._plan
        rates = [plan.learning_rate(step) for step in range(plan.total_steps)]
        if not any(rate >= LOW_RATE * max(rates) for rate in rates[last:]):
            return [self._late_warning(last)]
        return []

    def _late_warning(self, last: int) -> str:
        return (
            f"the last pruning, after step {last} of {self._plan.total_steps}, comes when the learning rate has fallen below "
            f"{LOW_RATE:.0%} of its highest value; the weights hardly recover from it: end the schedule earlier"
        )
