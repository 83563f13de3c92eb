"""Narrower spaces: the same dimensions with fewer of their choices."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TypeAlias

from automl.errors import SpaceError, did_you_mean
from automl.space.dimensions import Categorical, Dimension, Ordinal, Scalar
from automl.space.space import SearchSpace

__all__ = ["Kept", "restrict"]

Kept: TypeAlias = Mapping[str, Collection[Scalar]]
"""Names of dimensions with the choices that they keep."""


def restrict(space: SearchSpace, kept: Kept) -> SearchSpace:
    """Returns the part of a space in which some dimensions keep only some of their choices.

    Its architectures are exactly those architectures of ``space`` whose values are kept, so a supernet of ``space`` can
    activate them. Names stay. A dimension left with one choice stays, too, since that choice must still be set; one whose
    condition can no longer hold is gone.

    Args:
        space: the space.
        kept: for some dimensions the choices that stay; the others stay whole.

    Raises:
        SpaceError: a name or value is unknown, nothing is kept of a dimension, or no architecture remains.

    Example:
        >>> space = SearchSpace.build(
        ...     {"op": Categorical("conv", "pool"), "kernel": Ordinal(3, 5, 7)}, {"kernel": {"op": "conv"}}
        ... )
        >>> restrict(space, {"kernel": [3, 5]}).size(), restrict(space, {"op": ["pool"]}).names
        (3, ('op',))
    """
    for name, values in kept.items():
        if name not in space.dimensions:
            raise SpaceError(f"unknown dimension {name!r}.{did_you_mean(name, space.names)}")
        if not values:
            raise SpaceError(f"{name}: no choice is left; keep at least one of {space.dimensions[name].choices}.")
        for value in values:
            try:
                space.dimensions[name].position(value)
            except SpaceError as error:
                raise SpaceError(f"{name}: {error}") from error
    entries = space.describe()
    dimensions: dict[str, Dimension] = {}
    conditions: dict[str, list[dict[str, list[Scalar]]]] = {}
    for name, entry in entries["dimensions"].items():  # parents come before children
        if "exists_if" in entry:
            narrowed = (_narrow(clause, dimensions, conditions) for clause in entry["exists_if"])
            possible = [clause for clause in narrowed if clause is not None]
            if not possible:
                continue
            if all(possible):  # an empty clause always holds
                conditions[name] = possible
        dimensions[name] = _with_choices(space.dimensions[name], kept.get(name))
    rules = (_narrow(rule, dimensions, {}, simplify=False) for rule in entries["forbidden"])
    return SearchSpace(dimensions, conditions, [rule for rule in rules if rule is not None])


def _with_choices(dimension: Dimension, kept: Collection[Scalar] | None) -> Dimension:
    positions = None if kept is None else {dimension.position(value) for value in kept}
    choices = [c for position, c in enumerate(dimension.choices) if positions is None or position in positions]
    return Ordinal(*choices) if isinstance(dimension, Ordinal) else Categorical(*choices)  # type: ignore[arg-type]


def _narrow(
    clause: Mapping[str, list[Scalar]],
    dimensions: Mapping[str, Dimension],
    conditions: Mapping[str, object],
    *,
    simplify: bool = True,
) -> dict[str, list[Scalar]] | None:
    """The clause over the narrower dimensions; ``None`` if it cannot hold any more.

    What holds for every choice of a parent that always exists says nothing, and is dropped where ``simplify``.
    """
    result: dict[str, list[Scalar]] = {}
    for parent, allowed in clause.items():
        if parent not in dimensions:
            return None
        left = [value for value in allowed if value in dimensions[parent].choices]
        if not left:
            return None
        if not simplify or parent in conditions or len(left) < len(dimensions[parent].choices):
            result[parent] = left
    return result
