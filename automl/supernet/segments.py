"""An extracted network as a chain of segments: where its forward pass can be cut, because a single value is alive there.

A network of slots is cut behind every block of a slot that lies on the chain. Where paths run in parallel, several values
are alive, and all slots up to the next single one form one segment. A chain is cut between its segments; any other network is
one segment.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, final

from torch import nn

from automl.supernet.chain import ChainNetwork
from automl.supernet.network import SkeletonNetwork, SlotNetwork
from automl.supernet.signals import PayloadFormat

__all__ = ["cut_network"]


def cut_network(network: nn.Module) -> list[nn.Module]:
    """Returns segments that, applied one after another to the tuple of input tensors, are the forward pass.

    Every segment maps one value to one value; the segments hold the modules of the network, not copies.

    Args:
        network: an extracted network; one that is neither a ``SkeletonNetwork`` nor a ``ChainNetwork`` comes back as a
            single segment, and so does one that runs a module in several segments, whose statistics would have to be shared
            between them.

    Example:
        >>> len(cut_network(nn.Linear(2, 3)))
        1
    """
    whole: list[nn.Module] = [_Whole(network)]
    if type(network) is ChainNetwork:
        return _unless_shared(list(network.segments), whole)
    if type(network) is not SkeletonNetwork:
        return whole
    segments: list[nn.Module] = [_Pack(network.payload)]
    names, start, pending = list(network.sources), "input", dict[str, SlotNetwork]()
    for position, name in enumerate(names):
        slot = network.get_submodule(name)
        if type(slot) is not SlotNetwork:
            return whole
        pending[name] = slot
        needed = {network.output, *(source for other in names[position + 1 :] for source in network.sources[other])}
        if needed & {"input", *names[: position + 1]} != {name}:
            continue  # another value is still alive
        if list(pending) == [name] and network.sources[name] == (start,) and not slot.jumps:
            segments += list(slot.blocks) if type(slot.blocks) is nn.Sequential else [slot.blocks]
        else:
            segments.append(_Slots(pending, {n: network.sources[n] for n in pending}, start, name))
        start, pending = name, {}
    if pending:
        return whole
    segments.append(network.head)
    return _unless_shared(segments, whole)


def _unless_shared(segments: list[nn.Module], whole: list[nn.Module]) -> list[nn.Module]:
    seen = [id(module) for segment in segments for module in segment.modules()]
    return segments if len(seen) == len(set(seen)) else whole


@final
class _Whole(nn.Module):
    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, inputs: tuple[Any, ...]) -> Any:
        return self.network(*inputs)


@final
class _Pack(nn.Module):
    def __init__(self, payload: PayloadFormat) -> None:
        super().__init__()
        self.payload: Final = payload

    def forward(self, inputs: tuple[Any, ...]) -> Any:
        return self.payload.pack(*inputs)


@final
class _Slots(nn.Module):
    """Slots between two points at which a single value is alive."""

    def __init__(self, slots: dict[str, SlotNetwork], sources: dict[str, Sequence[str]], start: str, end: str) -> None:
        super().__init__()
        self.slots = nn.ModuleDict({f"slot_{name}": slot for name, slot in slots.items()})
        self.sources: Final = sources
        self.start: Final = start
        self.end: Final = end

    def forward(self, payload: Any) -> Any:
        values = {self.start: payload}
        for name, sources in self.sources.items():
            values[name] = self.slots[f"slot_{name}"]([values[source] for source in sources])
        return values[self.end]
