"""What is known of a heterogeneous graph when a network is built: the types of its nodes and its relations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, final

from automl.errors import DataError, did_you_mean
from automl.space import Number, Size, SizeLike
from automl.space.dimensions import Dimension

__all__ = ["EXAMPLE_SCHEMA", "Relation", "Schema", "TypeWidths", "width_of"]


@dataclass(frozen=True)
class Relation:
    """A kind of edge. Messages flow from its tail to its head: a node gathers from the tails of its edges.

    Args:
        name: what inputs, messages and tables call it.
        head: type of the nodes that receive.
        tail: type of the nodes that send.
    """

    name: str
    head: str
    tail: str


@dataclass(frozen=True)
class Schema:
    """Types and relations, in the order in which a network takes their tensors.

    Args:
        types: types of nodes; those of the first are classified.
        relations: kinds of edges; two may join the same types.

    Raises:
        DataError: a name stands twice, there is no type, or a relation has a type that does not exist.
    """

    types: tuple[str, ...]
    relations: tuple[Relation, ...]

    def __post_init__(self) -> None:
        if not self.types:
            raise DataError("the graph has no type of nodes; expected at least one.")
        names = [*self.types, *(relation.name for relation in self.relations)]
        for name in names:
            if names.count(name) > 1:
                raise DataError(f"the name {name!r} stands for two types or relations; give each its own.")
        for relation in self.relations:
            for end in (relation.head, relation.tail):
                if end not in self.types:
                    raise DataError(
                        f"relation {relation.name!r}: unknown type {end!r}; the graph has {', '.join(self.types)}."
                        f"{did_you_mean(end, self.types)}"
                    )

    def ends(self, relation: int) -> tuple[int, int]:
        """Returns the positions of the types of a relation's head and tail."""
        found = self.relations[relation]
        return self.types.index(found.head), self.types.index(found.tail)


@final
class TypeWidths(Size):
    """Width of the input of a heterogeneous graph: one for each type. Read as one number, it is the largest.

    Args:
        widths: features of each type; for numbered nodes, how many there are.
        numbered: for each type, whether its nodes have no features, so that a network is given their numbers ``(nodes,)``
            int64, which stand for one-hot features.

    Example:
        >>> width = TypeWidths([3, 5], [False, True])
        >>> int(width), width.of(0)
        (5, 3)
    """

    def __init__(self, widths: Sequence[int], numbered: Sequence[bool]) -> None:
        self.widths: Final = tuple(widths)
        self.numbered: Final = tuple(numbered)

    def of(self, position: int) -> int:
        """Returns the width of the type at a position."""
        return self.widths[position]

    @property
    def value(self) -> Number:
        """The largest width."""
        return max(self.widths)

    @property
    def minimum(self) -> Number:
        """The largest width: it does not depend on dimensions."""
        return self.value

    @property
    def maximum(self) -> Number:
        """The largest width."""
        return self.value

    @property
    def dimensions(self) -> tuple[Dimension, ...]:
        """None."""
        return ()

    def __repr__(self) -> str:
        return f"TypeWidths({list(self.widths)}, {list(self.numbered)})"


def width_of(inp: SizeLike, position: int) -> SizeLike:
    """Returns the width of one type's features, whether all types share it or not."""
    return inp.of(position) if isinstance(inp, TypeWidths) else inp


EXAMPLE_SCHEMA: Final = Schema(
    ("paper", "author", "subject"),
    (
        Relation("cites", "paper", "paper"),
        Relation("written_by", "paper", "author"),
        Relation("writes", "author", "paper"),
        Relation("about", "paper", "subject"),
        Relation("of", "subject", "paper"),
    ),
)
"""A small schema with a relation inside one type, on which blocks are tested."""
