"""Reads dimensions and their conditions off a module tree.

The tree is walked by duck typing (``named_modules`` and an optional ``conditions`` method), so nothing here needs torch.
A dimension is named by the path of the first attribute that holds it directly; one that occurs only inside derived sizes
takes the path of the first attribute whose size uses it. An occurrence exists under all guards on its path.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Protocol, runtime_checkable

from automl.errors import SpaceError
from automl.space.dimensions import Dimension, Guard, dimensions_of

__all__ = ["Conditional", "ModuleTree", "Occurrences", "read_dimensions"]


class ModuleTree(Protocol):
    """What the walk needs of a module; ``torch.nn.Module`` has it."""

    def named_modules(self, memo: Any = None, prefix: str = "", remove_duplicate: bool = True) -> Iterator[Any]:
        """Yields ``(path, module)`` pairs, parents before children."""


@runtime_checkable
class Conditional(Protocol):
    """A container whose children or own dimensions exist only under conditions."""

    def conditions(self) -> Mapping[str, Guard]:
        """Returns a guard for each conditional child module or attribute, by its name in this module."""


Occurrences = dict[Dimension, list[tuple[Guard, ...]]]


def read_dimensions(root: ModuleTree) -> tuple[dict[str, Dimension], Occurrences]:
    """Walks a module tree.

    Returns:
        The searchable dimensions by name, in order of the walk, and for each the guards of every place where it occurs.
        Dimensions with a single choice are fixed and left out.

    Raises:
        SpaceError: a guard names a dimension that no module holds.
    """
    names: dict[Dimension, str] = {}
    derived_names: dict[Dimension, str] = {}
    occurrences: Occurrences = {}
    path_guards: dict[str, tuple[Guard, ...]] = {"": ()}
    inside: dict[str, Mapping[str, Guard]] = {}
    asked: list[tuple[str, Guard]] = []

    for path, module in root.named_modules(remove_duplicate=False):
        parent, _, child = path.rpartition(".")
        if path:
            guard = inside[parent].get(child)
            path_guards[path] = path_guards[parent] + ((guard,) if guard is not None else ())
        inside[path] = module.conditions() if isinstance(module, Conditional) else {}
        asked.extend((path, guard) for guard in inside[path].values())
        for attribute, value in vars(module).items():
            if attribute.startswith("_"):
                continue
            guard = inside[path].get(attribute)
            guards = path_guards[path] + ((guard,) if guard is not None else ())
            found = dimensions_of(value)
            for position, dimension in enumerate(found):
                occurrences.setdefault(dimension, []).append(guards)
                name = f"{path}.{attribute}" if path else attribute
                if dimension is value:
                    names.setdefault(dimension, name)
                else:
                    derived_names.setdefault(dimension, name if len(found) == 1 else f"{name}.{position}")

    for path, guard in asked:
        if guard.dimension not in occurrences:
            raise SpaceError(
                f"{path or 'the root module'}: a condition uses {guard.dimension!r}, which is no attribute of any module; "
                "store it on the module that declares the condition."
            )
    ordered = [d for d in occurrences if len(d.choices) > 1]
    return {names.get(d, derived_names.get(d, "")): d for d in _distinct(ordered, names, derived_names)}, occurrences


def _distinct(
    dimensions: Iterable[Dimension], names: Mapping[Dimension, str], derived_names: dict[Dimension, str]
) -> list[Dimension]:
    """Makes derived names unique; two direct names cannot clash, since an attribute holds one object."""
    taken = {names[d] for d in dimensions if d in names}
    result = []
    for dimension in dimensions:
        if dimension not in names:
            base = name = derived_names[dimension]
            suffix = 2
            while name in taken:
                name = f"{base}~{suffix}"
                suffix += 1
            taken.add(name)
            derived_names[dimension] = name
        result.append(dimension)
    return result
