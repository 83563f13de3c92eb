"""Architecture search inside a training: channels whose normalisation a penalty drives to zero are lost for good.

A batch normalisation multiplies each of its channels by a scale. The penalty pulls all scales towards zero, those of channels
that cost much harder than others; where the loss does not hold against it, the channel falls silent, and dies if it stays so.

Source:
    You et al. 2022, SuperTickets, arXiv:2207.03677, section 3.2; L1 norm of batch-norm scales: Liu et al. 2017, Network slimming,
    arXiv:1708.06519, section 3; pseudo-gradient and projection onto the orthant: Andrew, Gao 2007, Scalable training of
    L1-regularized log-linear models, ICML, sections 3.1 and 3.2.

    Deviations: scales stop at zero instead of swinging around it, so that those of silent channels are zero and not merely small.
    Scales have a learning rate of their own, since they begin near 1 and short trainings move them by less. The cost of a channel
    is that in the whole network, measured once, where the reference counts tokens of attention anew in each step. Dead channels
    are masked when they die and taken out after training, so optimiser and moving average need no surgery. The shift of a dead
    channel is set to zero with its scale.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, final

import torch
from torch import Tensor, nn
from torch.nn import functional

from automl.errors import ExportError
from automl.objectives.macs import count_macs
from automl.tickets.channels import ChannelGroup, prove_removal, remove_channels
from automl.tickets.masks import Masks

__all__ = ["ScalePenalty", "ScaledChannels", "find_scaled_channels"]


@dataclass(frozen=True)
class ScaledChannels:
    """Channels that go silent when their scales are zero.

    Attributes:
        group: the layers that have the channels in common.
        norms: the normalisations whose scales and shifts suffice for that; as few as can be.
        macs: multiply-accumulates that the network does for one of the channels.
        bypassed: whether the network still answers differently to different inputs without any of them.
    """

    group: ChannelGroup
    norms: tuple[str, ...]
    macs: int
    bypassed: bool


def find_scaled_channels(
    model: nn.Module, groups: Sequence[ChannelGroup], inputs: Sequence[Tensor]
) -> list[ScaledChannels]:
    """Returns the groups whose channels their own normalisations can silence; tried, not assumed.

    Args:
        model: an extracted subnetwork; not changed.
        groups: channels of it that can be taken out.
        inputs: inputs to try it on.
    """
    found, whole = [], count_macs(model, inputs)
    for group in groups:
        norms = _silencing_norms(model, group, inputs)
        if norms:
            macs = whole - _macs_without_one(model, group, inputs)
            found.append(ScaledChannels(group, norms, macs, _bypassed(model, group, inputs)))
    return found


@final
class ScalePenalty:
    """Adds ``ρ(t) · Σ c_u |γ_u|`` to the loss, over all channels u, and buries the channels whose scales have become small.

    ``c_u`` is the cost of a channel in multiply-accumulates over the mean of all channels, so dear channels die first. ρ rises
    linearly from 0 to its full value. At zero a scale stays as long as the gradient of the loss is no stronger than the penalty.

    Args:
        channels: the channels, at least one group.
        network: the network that is trained.
        strength: ρ after the warm-up.
        warmup_steps: steps in which ρ rises.
        threshold: largest ``|γ|`` of a dead channel.
        rate: learning rate of the scales as a multiple of that of the other parameters.

    Attributes:
        costs: ``c_u`` of each group.
        dead: for each group which channels are dead.
        woken: how often a channel whose scales were zero came back.
        parameters: the parameters of the network by name.
    """

    def __init__(
        self,
        channels: Sequence[ScaledChannels],
        network: nn.Module,
        *,
        strength: float,
        warmup_steps: int,
        threshold: float,
        rate: float = 1.0,
    ) -> None:
        self._channels: Final = tuple(channels)
        self._strength: Final = strength
        self._warmup_steps: Final = warmup_steps
        self._threshold: Final = threshold
        self._rate: Final = rate
        self._before: dict[str, tuple[Tensor, Tensor]] = {}
        self._steps = 0
        self.woken = 0
        self.parameters: Final[Mapping[str, Tensor]] = dict(network.named_parameters())
        units = sum(one.group.units for one in channels)
        mean = sum(one.group.units * one.macs for one in channels) / units
        self.costs: Final = tuple(one.macs / max(mean, 1e-12) for one in channels)
        self.dead: Final = [torch.zeros(one.group.units, dtype=torch.bool) for one in channels]

    @property
    def total(self) -> int:
        """Number of channels."""
        return sum(len(dead) for dead in self.dead)

    @property
    def alive(self) -> int:
        """Number of channels that are not dead."""
        return self.total - sum(int(dead.sum()) for dead in self.dead)

    def strength(self, step: int) -> float:
        """Returns ρ in the step that comes after ``step`` steps."""
        return self._strength * min(1.0, step / max(1, self._warmup_steps))

    @property
    def silent(self) -> int:
        """Number of channels whose scales are zero, dead or not."""
        return sum(int(zeros.sum()) for zeros in self._zeros())

    @torch.no_grad()
    def pull(self) -> None:
        """Adds the gradient of the penalty to that of the loss, before a step of the optimiser."""
        self._before = {}
        for name, force in self._forces():
            scale = self.parameters[name]
            before, gradient = scale.detach().clone(), scale.grad
            if gradient is not None:
                pulled = gradient + force * before.sign()
                gradient.copy_(torch.where(before == 0, functional.softshrink(gradient, force), pulled))
                self._before[name] = before, (before == 0) & (gradient == 0)

    @torch.no_grad()
    def settle(self) -> None:
        """Lengthens the step that the optimiser did with the scales, and ends it at zero for those that would cross it."""
        silent = self._zeros({**self.parameters, **{name: before for name, (before, _) in self._before.items()}})
        for name, (before, held) in self._before.items():
            moved = before + self._rate * (self.parameters[name] - before)
            self.parameters[name].copy_(moved.masked_fill(held | (moved * before < 0), 0.0))
        came_back = [was & ~now for was, now in zip(silent, self._zeros(), strict=True)]
        self.woken += sum(int((back & ~dead).sum()) for back, dead in zip(came_back, self.dead, strict=True))
        self._steps += 1

    def _forces(self) -> list[tuple[str, float]]:
        """The names of all scales, each with how hard it is pulled in this step."""
        strength = self.strength(self._steps)
        costs = zip(self._channels, self.costs, strict=True)
        return [(f"{norm}.weight", strength * cost) for one, cost in costs for norm in one.norms]

    @torch.no_grad()
    def bury(self, *readings: Mapping[str, Tensor]) -> Masks:
        """Declares channels dead whose scales are small in every reading, for good.

        Of a group that nothing bypasses the strongest channel lives on.

        Args:
            readings: values by parameter name, such as averaged ones; those of the network if none is given.

        Returns:
            For each weight of channels that are dead, which entries belong to them.
        """
        for one, dead in zip(self._channels, self.dead, strict=True):
            largest = torch.stack(
                [
                    values[f"{norm}.weight"].abs().cpu()
                    for values in readings or (self.parameters,)
                    for norm in one.norms
                ]
            ).amax(0)
            dying = dead | (largest <= self._threshold)
            if dying.all() and not one.bypassed:
                dying[int(largest.masked_fill(dead, -1.0).argmax())] = False
            dead |= dying
        return self.lost()

    def lost(self) -> Masks:
        """Returns for each weight of channels that are dead which entries belong to them."""
        lost: Masks = {}
        for one, dead in zip(self._channels, self.dead, strict=True):
            if not dead.any():
                continue
            for name, axis in one.group.weights:
                weight = self.parameters[name]
                if name not in lost:
                    lost[name] = torch.zeros_like(weight, dtype=torch.bool)
                lost[name].index_fill_(axis, dead.nonzero().flatten().to(weight.device), True)
        return lost

    @torch.no_grad()
    def silence(self, values: Mapping[str, Tensor] | None = None) -> None:
        """Makes scale and shift of dead channels exactly zero, in the network or in other values by parameter name."""
        for one, dead in zip(self._channels, self.dead, strict=True):
            for name in (f"{norm}.{part}" for norm in one.norms for part in ("weight", "bias")):
                tensor = (self.parameters if values is None else values)[name]
                tensor.masked_fill_(dead.to(tensor.device), 0.0)

    def state_dict(self) -> dict[str, Tensor]:
        """Returns which channels are dead."""
        dead = {f"dead {number}": dead for number, dead in enumerate(self.dead)}
        return {**dead, "woken": torch.tensor(self.woken), "penalty steps": torch.tensor(self._steps)}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Takes over what ``state_dict`` returned; raises ``KeyError`` or ``RuntimeError`` if it is of other channels."""
        for number, dead in enumerate(self.dead):
            dead.copy_(state[f"dead {number}"])
        self.woken, self._steps = int(state["woken"]), int(state["penalty steps"])

    def _zeros(self, values: Mapping[str, Tensor] | None = None) -> list[Tensor]:
        """For each group which channels have no scale but zero."""
        scales = self.parameters if values is None else values
        return [
            torch.stack([scales[f"{norm}.weight"].detach().cpu() == 0 for norm in one.norms]).all(0)
            for one in self._channels
        ]


def _silencing_norms(model: nn.Module, group: ChannelGroup, inputs: Sequence[Tensor]) -> tuple[str, ...]:
    """The fewest normalisations, found by leaving one out after the other; none if all together do not suffice."""
    modules = dict(model.named_modules())
    norms = [name for name in group.norms if getattr(modules[name], "weight", None) is not None]
    if not norms or not _silent(model, group, norms, inputs):
        return ()
    for name in tuple(norms):
        fewer = [other for other in norms if other != name]
        if fewer and _silent(model, group, fewer, inputs):
            norms = fewer
    return tuple(norms)


def _silent(model: nn.Module, group: ChannelGroup, norms: Sequence[str], inputs: Sequence[Tensor]) -> bool:
    """Every other channel at once: the rest of the group is there to hear one that is not silent."""
    some = torch.arange(0, group.units, 2)
    scaled = copy.deepcopy(model)
    _zero(scaled, [(f"{norm}.{part}", 0) for norm in norms for part in ("weight", "bias")], some)
    try:
        prove_removal(_without_weights(model, group, some), scaled, inputs)
    except (ExportError, RuntimeError):
        return False
    return True


@torch.no_grad()
def _bypassed(model: nn.Module, group: ChannelGroup, inputs: Sequence[Tensor]) -> bool:
    outputs = _without_weights(model, group, torch.arange(group.units)).eval()(*inputs)
    return bool((outputs - outputs[:1]).abs().max() > 0)


def _macs_without_one(model: nn.Module, group: ChannelGroup, inputs: Sequence[Tensor]) -> int:
    smaller = copy.deepcopy(model)
    remove_channels(smaller, group, torch.tensor([0]))
    return count_macs(smaller, inputs)


def _without_weights(model: nn.Module, group: ChannelGroup, channels: Tensor) -> nn.Module:
    masked = copy.deepcopy(model)
    _zero(masked, group.weights, channels)
    return masked


@torch.no_grad()
def _zero(model: nn.Module, names: Sequence[tuple[str, int]], channels: Tensor) -> None:
    parameters = dict(model.named_parameters())
    for name, axis in names:
        parameters[name].index_fill_(axis, channels.to(parameters[name].device), 0.0)
