"""Which architectures are trained alone after a search."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product

from automl.job.candidates.kind import searched_front, spread
from automl.search.measurement import Measurement
from automl.space import Architecture, Dimension, Scalar, SearchSpace, restrict
from automl.supernet import FamilySlot

__all__ = ["best_measurement", "chosen_finalists", "families_by_slot", "largest_with_each_family"]


def chosen_finalists(
    history: Sequence[Measurement], slots: Mapping[str, FamilySlot], members: int, entrants: int | None = None
) -> list[Measurement]:
    """Returns measured architectures; they depend on the measurements only, not on their order.

    First the best with each family of each slot by the first objective, the best first. Places that are left go to further
    members of the searched front, spread over it by cost.

    Args:
        history: the measurements of the search.
        slots: where families compete.
        members: how many are trained to the end.
        entrants: how many at most; None for one for each family, but at least ``members``.
    """
    ranked = _ranked(history)
    chosen, seen = [], set[tuple[str, str]]()
    for measurement in ranked:
        by_slot = families_by_slot(measurement.architecture, slots)
        own = {(slot, family) for slot, names in by_slot.items() for family in names}
        if own - seen:
            chosen.append(measurement)
        seen |= own
    places = max(members, len(chosen)) if entrants is None else entrants
    chosen = chosen[:places]
    known = {m.architecture for m in chosen}
    rest = [m for m in searched_front(ranked) if m.architecture not in known]
    return [*chosen, *(rest[place] for place in spread(len(rest), places - len(chosen)))]


def largest_with_each_family(
    space: SearchSpace, slots: Mapping[str, FamilySlot], best: Architecture, heads: FamilySlot | None = None
) -> list[Architecture]:
    """Returns for each family of each slot the largest architecture with it alone in the slot, in as few blocks as can be, and
    in as many, and without any block where the slot may be left out; other slots have the families of ``best``.

    Args:
        space: the search space.
        slots: where families compete.
        best: an architecture of the space.
        heads: the heads, where several compete; each architecture is returned with every one of them.

    Example:
        >>> from automl.space import Categorical, Ordinal
        >>> space = SearchSpace.build({"op": Categorical("conv", "pool"), "width": Ordinal(4, 8)})
        >>> slots = {"op": FamilySlot(("op",), {"conv": 9, "pool": 0})}
        >>> found = largest_with_each_family(space, slots, space.smallest())
        >>> [dict(architecture) for architecture in found]
        [{'op': 'conv', 'width': 8}, {'op': 'pool', 'width': 8}]
    """
    found: dict[Architecture, None] = {}
    for name, slot in slots.items():
        elsewhere = {d: [f] for other in slots.values() if other != slot for d, f in _families_of(other, best).items()}
        depth = space.dimensions.get(f"{name}.depth")
        for family, head in product(slot.families, _choices(heads)):
            kept: dict[str, list[Scalar]] = {**elsewhere, **{d: [family] for d in slot.dimensions}, **head}
            for blocks in _depths(depth):
                found[_largest(space, {**kept, f"{name}.depth": [blocks]})] = None
            found[_largest(space, kept)] = None
    return list(found)


def families_by_slot(architecture: Architecture, slots: Mapping[str, FamilySlot]) -> dict[str, list[str]]:
    """Returns the families of an architecture by slot; slots that it leaves out are not there."""
    found = {
        name: sorted({str(architecture[dimension]) for dimension in slot.dimensions if dimension in architecture})
        for name, slot in slots.items()
    }
    return {name: families for name, families in found.items() if families}


def best_measurement(history: Sequence[Measurement]) -> Measurement | None:
    """Returns the best by the first objective; None where nothing was measured."""
    return next(iter(_ranked(history)), None)


def _ranked(history: Sequence[Measurement]) -> list[Measurement]:
    measured = (m for m in history if m.feasible and m.values is not None)
    return sorted(measured, key=lambda m: (m.values, m.architecture.id))


def _families_of(slot: FamilySlot, best: Architecture) -> dict[str, Scalar]:
    """A family for each block of a slot; blocks that ``best`` leaves out have that of its first block."""
    used = [best[dimension] for dimension in slot.dimensions if dimension in best]
    return {dimension: best.get(dimension, used[0]) for dimension in slot.dimensions} if used else {}


def _depths(depth: Dimension | None) -> list[Scalar]:
    """No block at all if that can be, and the fewest blocks that are any."""
    return [] if depth is None else list(depth.choices[: 2 if depth.choices[0] == 0 else 1])


def _choices(slot: FamilySlot | None) -> list[dict[str, list[Scalar]]]:
    """Each family of a slot for all of its dimensions; without a slot, no dimension at all."""
    return [{d: [f] for d in slot.dimensions} for f in slot.families] if slot else [{}]


def _largest(space: SearchSpace, kept: Mapping[str, list[Scalar]]) -> Architecture:
    return space.architecture(dict(restrict(space, kept).largest()))
