"""Channels of an extracted subnetwork that can be taken out, and taking them out.

Two layers of a supernet that hold the same size object have the same width, and there is no other way to say it. So the layers
that hold one size are exactly those that must lose a channel together: some make it, some normalise it, some read it. Nothing
is assumed about what else a network does with its channels. Each group is tried: one channel is removed from a copy, whose
outputs must be those of the network that only has zeros in its place, or the group is left whole.
"""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, nn

from automl import elastic
from automl.elastic import specialise
from automl.errors import ExportError
from automl.space import Architecture, Size
from automl.supernet import Supernet

__all__ = ["ChannelGroup", "find_channel_groups", "prove_removal", "remove_channels"]

TOLERANCE: Final = 1e-9
"""Largest difference of outputs in float64, as a share of the largest output, that may be rounding."""

_CONVOLUTIONS: Final = (elastic.Conv1d, elastic.Conv2d, elastic.Conv3d)
_NORMS: Final = (elastic.BatchNorm1d, elastic.BatchNorm2d, elastic.BatchNorm3d)
_PER_CHANNEL: Final = ("bias", "running_mean", "running_var")


@dataclass(frozen=True)
class ChannelGroup:
    """Channels that several layers have in common.

    Attributes:
        units: number of channels.
        makers: modules whose outputs they are: weight axis 0 and vectors.
        readers: modules whose inputs they are: weight axis 1.
        depthwise: convolutions with one group for each of them: weight axis 0 and vectors.
        norms: normalisations of each of them by itself: vectors only.
        embeddings: tables whose columns they are: weight axis 1.
    """

    units: int
    makers: tuple[str, ...]
    readers: tuple[str, ...]
    depthwise: tuple[str, ...] = ()
    norms: tuple[str, ...] = ()
    embeddings: tuple[str, ...] = ()

    @property
    def weights(self) -> list[tuple[str, int]]:
        """Names of the weights that belong to the channels, and the axis along which they do."""
        return [
            *((f"{module}.weight", 0) for module in (*self.makers, *self.depthwise)),
            *((f"{module}.weight", 1) for module in (*self.readers, *self.embeddings)),
        ]

    def dead(self, masks: Mapping[str, Tensor]) -> Tensor:
        """Returns the positions of channels whose weights are all masked, int64."""
        alive = torch.zeros(self.units, dtype=torch.bool)
        for name, axis in self.weights:
            alive |= masks[name].cpu().movedim(axis, 0).flatten(1).any(1)
        return (~alive).nonzero().flatten()


def find_channel_groups(
    supernet: Supernet, architecture: Architecture, model: nn.Module, inputs: Sequence[Tensor]
) -> list[ChannelGroup]:
    """Returns the groups of channels of an extracted subnetwork that can be taken out without a change of its outputs.

    Args:
        supernet: where the subnetwork comes from; not changed.
        architecture: the subnetwork.
        model: the extracted subnetwork, in evaluation mode; not changed.
        inputs: inputs to try removals on.
    """
    groups = _coupled_layers(supernet, architecture)
    return [group for group in groups if _can_shrink(model, group, inputs)]


def remove_channels(model: nn.Module, group: ChannelGroup, dropped: Tensor) -> None:
    """Takes channels out of every layer of a group, in place.

    Args:
        model: an extracted subnetwork.
        group: the channels; they are numbered anew afterwards.
        dropped: positions of the channels that go, int64.
    """
    kept = torch.ones(group.units, dtype=torch.bool)
    kept[dropped.cpu()] = False
    index = kept.nonzero().flatten()
    modules = dict(model.named_modules())
    for name in (*group.makers, *group.depthwise, *group.norms):
        _take(modules[name], index, ("weight", *_PER_CHANNEL), axis=0)
    for name in (*group.readers, *group.embeddings):
        _take(modules[name], index, ("weight",), axis=1)
    for name in (*group.makers, *group.readers, *group.depthwise, *group.norms, *group.embeddings):
        _renumber(modules[name], depthwise=name in group.depthwise)


@torch.no_grad()
def prove_removal(masked: nn.Module, shrunk: nn.Module, inputs: Sequence[Tensor]) -> float:
    """Returns the largest difference of the outputs of two networks in float64, over the largest output.

    Raises:
        ExportError: it is more than rounding, or the outputs are not finite.
    """
    wide = [_as_double(tensor) for tensor in inputs]
    expected = copy.deepcopy(masked).cpu().double().eval()(*wide)
    found = copy.deepcopy(shrunk).cpu().double().eval()(*wide)
    scale = max(float(expected.abs().max()), 1e-12)
    error = float((expected - found).abs().max()) / scale
    if not error <= TOLERANCE:
        raise ExportError(
            f"the network without the channels does not equal the masked one: outputs differ by {error:.3g} of the largest; "
            "nothing was removed."
        )
    return error


def _coupled_layers(supernet: Supernet, architecture: Architecture) -> list[ChannelGroup]:
    """Groups the layers of the subnetwork by the size that they hold.

    Containers may rename layers when they are extracted. So each layer of a copy has its number written into its weights, and is
    recognised by it afterwards.
    """
    duplicate = copy.deepcopy(supernet)
    duplicate.activate(architecture)
    layers = [
        m
        for m in duplicate.network.modules()
        if isinstance(m, (elastic.Linear, elastic.Embedding, *_CONVOLUTIONS, *_NORMS))
    ]
    with torch.no_grad():
        for parameter in duplicate.parameters():
            parameter.fill_(-1)
        for number, layer in enumerate(layers):
            if layer.weight is not None:
                layer.weight.fill_(number)
    members: dict[int, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    sizes: dict[int, Size] = {}
    for name, module in specialise(duplicate.network).named_modules():
        weight = getattr(module, "weight", None)
        if not isinstance(weight, Tensor) or not weight.numel() or (number := int(weight.flatten()[0])) < 0:
            continue
        for size, role in _roles(layers[number]):
            if isinstance(size, Size) and size.dimensions:
                sizes[id(size)] = size
                members[id(size)][role].append(name)
    return [
        ChannelGroup(
            int(sizes[key]),
            tuple(roles["maker"]),
            tuple(roles["reader"]),
            tuple(roles["depthwise"]),
            tuple(roles["norm"]),
            tuple(roles["embedding"]),
        )
        for key, roles in members.items()
        if roles["reader"] and not roles["other"]
    ]


def _roles(layer: nn.Module) -> list[tuple[object, str]]:
    if isinstance(layer, elastic.Linear):
        return [(layer.in_features, "reader"), (layer.out_features, "maker")]
    if isinstance(layer, elastic.Embedding):
        return [(layer.embedding_dim, "embedding")]
    if isinstance(layer, _NORMS):
        return [(layer.num_features, "norm")]
    assert isinstance(layer, _CONVOLUTIONS)
    if layer.groups is layer.in_channels and layer.out_channels is layer.in_channels:
        return [(layer.in_channels, "depthwise")]
    role = ("reader", "maker") if layer.groups == 1 else ("other", "other")
    return [(layer.in_channels, role[0]), (layer.out_channels, role[1])]


def _can_shrink(model: nn.Module, group: ChannelGroup, inputs: Sequence[Tensor]) -> bool:
    if group.units < 2:
        return False
    masked, dropped = copy.deepcopy(model), torch.tensor([0])
    parameters = dict(masked.named_parameters())
    with torch.no_grad():
        for name, axis in group.weights:
            parameters[name].index_fill_(axis, dropped.to(parameters[name].device), 0.0)
    shrunk = copy.deepcopy(masked)
    try:
        remove_channels(shrunk, group, dropped)
        prove_removal(masked, shrunk, inputs)
    except (ExportError, RuntimeError, ValueError, IndexError, AssertionError):
        return False
    return True


def _take(module: nn.Module, index: Tensor, names: Sequence[str], axis: int) -> None:
    for name in names:
        tensor = getattr(module, name, None)
        if not isinstance(tensor, Tensor):
            continue
        taken = tensor.detach().index_select(axis, index.to(tensor.device))
        if isinstance(tensor, nn.Parameter):
            setattr(module, name, nn.Parameter(taken, requires_grad=tensor.requires_grad))
        else:
            setattr(module, name, taken)


def _renumber(module: nn.Module, *, depthwise: bool) -> None:
    """Lets the plain numbers of a layer say what its weights now are."""
    if isinstance(module, nn.Linear):
        module.out_features, module.in_features = module.weight.shape
    elif isinstance(module, nn.Embedding):
        module.embedding_dim = module.weight.shape[1]
    elif isinstance(module, nn.Conv1d | nn.Conv2d | nn.Conv3d):
        module.out_channels = module.weight.shape[0]
        module.groups = module.out_channels if depthwise else module.groups
        module.in_channels = module.weight.shape[1] * module.groups
    elif isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d):
        module.num_features = len(module.weight)


def _as_double(tensor: Tensor) -> Tensor:
    return tensor.detach().cpu().double() if tensor.is_floating_point() else tensor.detach().cpu()
