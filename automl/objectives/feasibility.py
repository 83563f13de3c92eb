"""Which constraints can be met at all: told before a search starts, from the anchors of the space.

Light: no torch.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from automl.objectives.constraints import Constraint

__all__ = ["ConstraintRange", "constraint_ranges"]

_STATIC: Final = frozenset({"params", "macs", "size", "peak-memory"})
_TIMED: Final = frozenset({"latency"})
_MARGIN: Final = 4.0
_NOISE: Final = 1.5


@dataclass(frozen=True)
class ConstraintRange:
    """A constraint beside the values of its objective at the anchors of the space.

    Attributes:
        text: the constraint as the user wrote it.
        objective: name of its objective.
        lowest: smallest value over all anchors; None if no anchor has one.
        highest: largest value over all anchors, likewise.
        reachable: False only where it is certain that no architecture meets the constraint.
        seen: an anchor meets the constraint.
        note: what the user should know; empty if an anchor meets the constraint.
    """

    text: str
    objective: str
    lowest: float | None
    highest: float | None
    reachable: bool
    seen: bool
    note: str

    def to_json(self) -> dict[str, Any]:
        """Returns the range as a JSON object."""
        return asdict(self)


def constraint_ranges(
    constraints: Iterable[Constraint], anchors: Mapping[str, Any], *, ordered: bool = False
) -> list[ConstraintRange]:
    """Compares each constraint with the smallest, largest and random architectures of a space.

    A constraint is called unreachable only where that is safe to say. Costs (params, macs, size, peak-memory, latency) grow
    with ordinal dimensions, so no architecture lies outside the values of the smallest and the largest, if every dimension
    is ordinal. A categorical dimension can swap in a cheaper block than that of the smallest architecture; then, and for
    all random anchors, the range is widened by a factor of 4 before a constraint is refuted. Measured times get a
    factor of 1.5 for noise and caches. Quality is not monotone in size, and is never refuted: the note warns instead.

    Args:
        constraints: the constraints of a job.
        anchors: ``{"smallest": …, "largest": …, "random": […]}``; each anchor maps objectives to values, or holds such a
            mapping under ``"values"``.
        ordered: all dimensions of the space are ordinal.
    """
    values = _anchor_values(anchors)
    return [_range(constraint, values, ordered) for constraint in constraints]


def _anchor_values(anchors: Mapping[str, Any]) -> list[Mapping[str, float]]:
    single = [anchors[name] for name in ("smallest", "largest") if name in anchors]
    return [anchor.get("values", anchor) for anchor in [*single, *anchors.get("random", ())]]


def _range(constraint: Constraint, anchors: list[Mapping[str, float]], ordered: bool) -> ConstraintRange:
    name = constraint.objective
    values = [anchor[name] for anchor in anchors if anchor.get(name) is not None]
    if not values:
        note = f"{name!r} was not measured at any anchor, so nothing is known about this constraint"
        return ConstraintRange(constraint.text, name, None, None, reachable=True, seen=False, note=note)
    lowest, highest = min(values), max(values)
    seen = any(constraint.met(value) for value in values)
    widened = _widened(name, lowest, highest, ordered)
    reachable = seen or widened is None or _overlaps(constraint, *widened)
    note = ""
    if not reachable:
        note = f"no architecture of this space can meet it: {name!r} ranges from {lowest:.4g} to {highest:.4g}"
    elif not seen:
        note = "none of the smallest, largest and random architectures meets it; the search may find no feasible one"
    return ConstraintRange(constraint.text, name, lowest, highest, reachable, seen, note)


def _widened(objective: str, lowest: float, highest: float, ordered: bool) -> tuple[float, float] | None:
    """The range that no architecture can leave; None if no such range is known."""
    if objective not in _STATIC | _TIMED:
        return None
    factor = (1.0 if ordered else _MARGIN) * (_NOISE if objective in _TIMED else 1.0)
    return lowest / factor, highest * factor


def _overlaps(constraint: Constraint, lowest: float, highest: float) -> bool:
    """Tells whether some value from ``lowest`` to ``highest`` meets the constraint."""
    below = constraint.high is not None and (
        lowest > constraint.high or (constraint.high_strict and lowest == constraint.high)
    )
    above = constraint.low is not None and (
        highest < constraint.low or (constraint.low_strict and highest == constraint.low)
    )
    return not below and not above
