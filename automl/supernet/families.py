"""Which dimensions of a supernet choose between families: those of choices that are the blocks of slots."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from torch import nn

from automl.elastic import Choice
from automl.space import SearchSpace
from automl.space.walk import read_dimensions
from automl.supernet.network import SkeletonNetwork, SlotNetwork

__all__ = ["FamilySlot", "family_slots", "head_slot", "top_choices"]

_BLOCK: Final = re.compile(r"(?:\.blocks\.\d+)?(?:\.choice)?$")


class FamilySlot(NamedTuple):
    """A place of a network that several families compete for.

    Attributes:
        dimensions: the dimensions that choose, one for each block in a row.
        weights: parameters of each family in the first block; its keys are the families in the order of the space.
    """

    dimensions: tuple[str, ...]
    weights: Mapping[str, int]

    @property
    def families(self) -> Sequence[str]:
        """Names of the families."""
        return list(self.weights)

    @property
    def lightest(self) -> str:
        """The family with the fewest parameters; the first of several."""
        return min(self.weights, key=self.weights.__getitem__)


def family_slots(network: nn.Module, space: SearchSpace) -> dict[str, FamilySlot]:
    """Returns the slots of a network in which several families compete, by name.

    A choice inside a block or a head, such as whether to squeeze and excite, is an option and no slot: families are the
    candidates for a whole block of a ``SlotNetwork``. In a network without such slots, every choice that lies in no other one
    counts. The blocks that a slot repeats are one slot.

    Args:
        network: the network of a supernet.
        space: its search space, perhaps narrower than what the network holds.

    Example:
        >>> from automl import elastic
        >>> network = nn.Sequential(elastic.Choice({"wide": nn.Linear(4, 4), "none": nn.Identity()}))
        >>> family_slots(network, SearchSpace.of(network))["0"].lightest
        'none'
    """
    names = {dimension: name for name, dimension in read_dimensions(network)[0].items()}
    slots: dict[str, FamilySlot] = {}
    for module in _family_choices(network):
        name = names.get(module.choice, "")
        if name not in space.dimensions or len(space.dimensions[name].choices) < 2:
            continue
        slot = _BLOCK.sub("", name) or name
        families = [str(family) for family in space.dimensions[name].choices]
        if slot in slots:
            dimensions = slots[slot].dimensions
            slots[slot] = slots[slot]._replace(dimensions=dimensions if name in dimensions else (*dimensions, name))
        else:
            slots[slot] = FamilySlot((name,), {family: _weights(module.candidate(family)) for family in families})
    return slots


def head_slot(network: nn.Module, space: SearchSpace) -> dict[str, FamilySlot]:
    """Returns the head of a network as a slot of the name ``head``, if several heads compete; else nothing.

    Training takes no turns with heads, since every head sees the blocks of all families. A network that is trained alone
    has one head, so there the choice counts as much as that of a family.

    Args:
        network: the network of a supernet.
        space: its search space, perhaps narrower than what the network holds.
    """
    head = network.head if isinstance(network, SkeletonNetwork) else None
    if not isinstance(head, Choice):
        return {}
    name = next(name for name, dimension in read_dimensions(network)[0].items() if dimension is head.choice)
    families = [str(family) for family in space.dimensions[name].choices] if name in space.dimensions else []
    if len(families) < 2:
        return {}
    return {"head": FamilySlot((name,), {family: _weights(head.candidate(family)) for family in families})}


def top_choices(network: nn.Module) -> dict[str, Choice]:
    """Returns the choices of a network that lie in no other choice, by path."""
    found: dict[str, Choice] = {}
    for path, module in network.named_modules():
        if isinstance(module, Choice) and not any(path.startswith(f"{outer}.") for outer in found):
            found[path] = module
    return found


def _family_choices(network: nn.Module) -> list[Choice]:
    slots = [module for module in network.modules() if isinstance(module, SlotNetwork)]
    if not slots:
        return list(top_choices(network).values())
    blocks = [block for slot in slots for block in slot.blocks.children()]
    return [block for block in blocks if isinstance(block, Choice)]


def _weights(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())
