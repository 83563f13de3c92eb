"""Turns of the families that compete in a supernet: which of them a training step is about.

The largest subnetwork of a space has one family in each slot, so a strategy that trains it in every step trains this family
many times as often as the others. Here each step draws a family for every block of the slot, all alike likely, and its smallest
and largest subnetworks have these. Without competing families nothing is drawn; nor where they compete in several slots: there
are too many combinations to meet any of them twice, and a largest subnetwork that is trained in every step is worth more.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, final

import numpy as np

from automl.space import Architecture, Scalar
from automl.space.draws import allowed
from automl.supernet import Supernet, family_slots

__all__ = ["FamilyTurn", "FamilyTurns"]


@final
class FamilyTurns:
    """Draws the families of one step after the other.

    A choice between a block and nothing, such as whether to squeeze and excite, is no competition: the larger of the two is the
    larger network. Families compete where at least two of them have weights.

    Args:
        supernet: the network under training.
    """

    def __init__(self, supernet: Supernet) -> None:
        self.space: Final = supernet.space
        self.smallest: Final = self.space.smallest()
        self.largest: Final = self.space.largest()
        slots = family_slots(supernet.network, self.space).values()
        competing = [slot.dimensions for slot in slots if sum(count > 0 for count in slot.weights.values()) > 1]
        self._dimensions: Final = competing[0] if len(competing) == 1 else ()

    def draw(self, rng: np.random.Generator) -> FamilyTurn:
        """Returns the families of a step; advances ``rng`` only where families compete in one slot."""
        families: dict[str, Scalar] = {}
        for name in self._dimensions:
            choices = self.space.dimensions[name].choices
            families[name] = choices[int(rng.integers(len(choices)))]
        return FamilyTurn(self, families)


@final
class FamilyTurn:
    """The families of one step, and the subnetworks that have them.

    Args:
        turns: what drew them.
        families: the family of each block, by dimension.

    Attributes:
        smallest: smallest subnetwork with these families; of the whole space where none are drawn.
        largest: largest subnetwork with these families; of the whole space where none are drawn.
        families: the family of each block, by dimension; empty where none are drawn.
    """

    def __init__(self, turns: FamilyTurns, families: Mapping[str, Scalar]) -> None:
        self.turns: Final = turns
        self.families: Final = families
        self.smallest: Final = self._end(0) or turns.smallest
        self.largest: Final = self._end(-1) or turns.largest

    def _end(self, position: int) -> Architecture | None:
        """The end of the space with these families; None without families, or where the space forbids the combination."""
        if not self.families:
            return None
        values = {name: dimension.choices[position] for name, dimension in self.turns.space.dimensions.items()}
        return allowed(self.turns.space, values | dict(self.families))
