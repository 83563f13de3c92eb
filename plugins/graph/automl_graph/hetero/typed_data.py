"""A heterogeneous graph with a class for each node of one type, checked."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

from automl.errors import DataError
from automl_graph.hetero.schema import Relation, Schema

__all__ = ["NodeType", "TypedData"]


class NodeType(NamedTuple):
    """Nodes of one type.

    Args:
        nodes: how many there are.
        x: their features, ``(nodes, width)`` float32; None if they have none.
    """

    nodes: int
    x: Tensor | None = None


@dataclass(frozen=True, eq=False)
class TypedData:
    """Nodes of several types, relations and labels.

    Args:
        name: where the graph is from, a built-in name or a path; for messages.
        types: the nodes of each type by its name; those of the first have classes.
        relations: the kinds of edges.
        edges: head and tail of each edge, ``(2, edges)`` int64, for each relation.
        y: class of each node of the first type, ``(nodes,)`` int64, 0 to classes - 1.
        class_names: name of each class.
        splits: by name, nodes of each part.
        merged_edges: number of edges that were left out because their relation held them before.

    Raises:
        DataError: a relation has an unknown type, an edge ends at no node, shapes do not fit, a feature is not finite, or there
            are fewer than two classes; names source and part.
    """

    name: str
    types: Mapping[str, NodeType]
    relations: tuple[Relation, ...]
    edges: tuple[Tensor, ...]
    y: Tensor
    class_names: tuple[str, ...]
    splits: Mapping[str, Mapping[str, list[int]]] = field(default_factory=dict)
    merged_edges: int = 0

    def __post_init__(self) -> None:
        for name, kind in self.types.items():
            _check_type(kind, f"{self.name}: type {name!r}")
        for relation, edges in zip(self.relations, self.edges, strict=True):
            where = f"{self.name}: relation {relation.name!r}"
            if edges.ndim != 2 or edges.shape[0] != 2:
                hint = " Transpose it." if edges.ndim == 2 and edges.shape[1] == 2 else ""
                raise DataError(f"{where} has shape {tuple(edges.shape)}; expected (2, edges).{hint}")
            for row, (end, type_name) in enumerate((("heads", relation.head), ("tails", relation.tail))):
                if type_name in self.types:  # an unknown type is reported with the nearest known one by the schema
                    _check_ends(edges[row], self.types[type_name].nodes, f"{where}: {end} of type {type_name!r}")
        try:
            _ = self.schema
        except DataError as error:
            raise DataError(f"{self.name}: {error}") from error
        self._check_labels()

    @cached_property
    def schema(self) -> Schema:
        """Types and relations."""
        return Schema(tuple(self.types), self.relations)

    @property
    def labelled(self) -> str:
        """The type whose nodes have classes."""
        return next(iter(self.types))

    @cached_property
    def fingerprint(self) -> str:
        """Digest of features, edges and labels, 16 hexadecimal digits."""
        digest = hashlib.sha256(repr(self.schema).encode())
        features = [kind.x for kind in self.types.values() if kind.x is not None]
        digest.update(repr([kind.nodes for kind in self.types.values()]).encode())
        for tensor in (*features, *self.edges, self.y):
            digest.update(str((tuple(tensor.shape), tensor.dtype)).encode())
            digest.update(tensor.contiguous().numpy().tobytes())
        return digest.hexdigest()[:16]

    def with_reverse(self) -> TypedData:
        """Returns the graph with each relation also the other way round, unless a relation joins those types already."""
        joined = {(relation.head, relation.tail) for relation in self.relations}
        relations, edges = list(self.relations), list(self.edges)
        for relation, index in zip(self.relations, self.edges, strict=True):
            if (relation.tail, relation.head) not in joined:
                relations.append(Relation(f"rev_{relation.name}", relation.tail, relation.head))
                edges.append(index.flip(0))
        return replace(self, relations=tuple(relations), edges=tuple(edges))

    def _check_labels(self) -> None:
        nodes = self.types[self.labelled].nodes
        if self.y.shape != (nodes,):
            raise DataError(
                f"{self.name}: labels have shape {tuple(self.y.shape)}; expected ({nodes},), one for each node of type "
                f"{self.labelled!r}."
            )
        if len(self.class_names) < 2:
            raise DataError(
                f"{self.name}: labels hold one class only; expected at least two, or there is nothing to learn."
            )
        outside = ((self.y < 0) | (self.y >= len(self.class_names))).nonzero().flatten()
        if len(outside):
            node = int(outside[0])
            raise DataError(
                f"{self.name}: node {node} has the label {int(self.y[node])}; expected 0 to {len(self.class_names) - 1}."
            )


def _check_type(kind: NodeType, where: str) -> None:
    if kind.nodes < 1:
        raise DataError(f"{where} has no nodes; expected at least one. Leave the type out.")
    if kind.x is None:
        return
    if kind.x.ndim != 2 or len(kind.x) != kind.nodes or not kind.x.shape[1]:
        raise DataError(
            f"{where}: features have shape {tuple(kind.x.shape)}; expected ({kind.nodes}, features) with at least one feature."
        )
    bad = (~torch.isfinite(kind.x)).nonzero()
    if len(bad):
        node, feature = bad[0].tolist()
        raise DataError(
            f"{where}: {len(bad)} features are not finite, the first at node {node}, feature {feature}. Replace or drop them."
        )


def _check_ends(ends: Tensor, nodes: int, where: str) -> None:
    outside = ((ends < 0) | (ends >= nodes)).nonzero().flatten()
    if len(outside):
        edge = int(outside[0])
        raise DataError(
            f"{where}: {len(outside)} edges end at nodes that do not exist, the first at position {edge}: {int(ends[edge])}; "
            f"expected 0 to {nodes - 1}."
        )
