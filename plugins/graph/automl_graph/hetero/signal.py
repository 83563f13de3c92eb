"""The ``hetero-graph`` signal: nodes of several types, and relations between them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self, final

import torch
from torch import Tensor
from torch.nn import functional as F

from automl.errors import ConfigError
from automl.supernet import PayloadFormat
from automl_graph.hetero.schema import EXAMPLE_SCHEMA, Schema, TypeWidths

if TYPE_CHECKING:
    from automl.tasks import Task

__all__ = ["HeteroFormat", "HeteroGraph"]


class HeteroGraph(NamedTuple):
    """Nodes of several types with features, and edges of several relations, in the order of a ``Schema``.

    Args:
        x: features of each type, ``(nodes of the type, width)``; before the first block widths may differ, and numbered nodes
            have their numbers ``(nodes,)`` int64 instead.
        edges: head and tail of each edge of each relation, ``(2, edges)`` int64; tails send, heads receive.
    """

    x: tuple[Tensor, ...]
    edges: tuple[Tensor, ...]


@final
class HeteroFormat(PayloadFormat):
    """A network takes the features of every type, then the edges of every relation, as one flat sequence of tensors.

    Read as one tensor, features lie below each other type by type; narrower ones are filled up with zeros, and numbers become
    one-hot features.

    Args:
        schema: types and relations.
        widths: width of each type before the first block.
    """

    channel_axis = 1
    samples_interact = True

    def __init__(self, schema: Schema = EXAMPLE_SCHEMA, widths: TypeWidths | None = None) -> None:
        self.schema: Final = schema
        self.widths: Final = widths

    @classmethod
    def for_task(cls, task: Task) -> Self:
        schema, widths = getattr(task, "schema", None), task.input_width
        if not isinstance(schema, Schema) or not isinstance(widths, TypeWidths):
            raise ConfigError(
                f"task: {type(task).__name__} does not say which types of nodes and which relations there are."
            )
        return cls(schema, widths)

    def facts(self) -> Mapping[str, Any]:
        return {"schema": self.schema}

    def pack(self, *tensors: Tensor) -> HeteroGraph:
        types = len(self.schema.types)
        return HeteroGraph(tensors[:types], tensors[types:])

    def features(self, payload: HeteroGraph) -> Tensor:
        whole = 0 if self.widths is None else int(self.widths)
        rows = [x if x.is_floating_point() else F.one_hot(x, whole).float() for x in payload.x]
        width = max(x.shape[1] for x in rows)
        return torch.cat([x if x.shape[1] == width else F.pad(x, (0, width - x.shape[1])) for x in rows])

    def with_features(self, payload: HeteroGraph, features: Tensor) -> HeteroGraph:
        return payload._replace(x=torch.split(features, [x.shape[0] for x in payload.x]))

    def example(self, batch: int, width: int, generator: torch.Generator) -> tuple[Tensor, ...]:
        # Random ends give double edges and nodes without any edge. Types share the nodes, of which some may then have none.
        types = len(self.schema.types)
        nodes = [batch // types + (position < batch % types) for position in range(types)]
        x = [torch.randn(count, width, generator=generator) for count in nodes]
        edges = []
        for relation in range(len(self.schema.relations)):
            head, tail = (nodes[end] for end in self.schema.ends(relation))
            count = 2 * batch + relation if head and tail else 0
            ends = [torch.randint(max(1, end), (count,), generator=generator) for end in (head, tail)]
            edges.append(torch.stack(ends))
        return (*x, *edges)
