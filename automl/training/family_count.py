"""How often each family of each slot ran in training, so that families that starve are seen."""

from __future__ import annotations

from collections import Counter
from typing import Final, final

from automl.space import Architecture
from automl.supernet import Supernet, family_slots

__all__ = ["FamilyCount"]


@final
class FamilyCount:
    """Counts the blocks of each family in the subnetworks that were run.

    Args:
        supernet: the network under training.
    """

    def __init__(self, supernet: Supernet) -> None:
        self._slots: Final = family_slots(supernet.network, supernet.space)
        self._counts: Final = {name: Counter[str]() for name in self._slots}

    def add(self, architecture: Architecture) -> None:
        """Counts the blocks of one subnetwork."""
        for name, slot in self._slots.items():
            self._counts[name].update(str(architecture[d]) for d in slot.dimensions if d in architecture)

    def take(self) -> dict[str, dict[str, int]]:
        """Returns the counts by slot and family since the last call, and begins anew; empty if nothing was counted."""
        counts = {
            name: {family: self._counts[name][family] for family in slot.families} for name, slot in self._slots.items()
        }
        for counter in self._counts.values():
            counter.clear()
        return counts if any(any(slot.values()) for slot in counts.values()) else {}
