"""How a step on a heterogeneous graph grows, with the steps of smaller tasks beside it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
import torch
from torch import Tensor

from automl.tasks import Batch, StepSample, StepScale
from automl_graph.hetero.typed_data import NodeType, TypedData
from automl_graph.tasks.graph_scale import MEASURED_WHOLE, SIZES
from automl_graph.tasks.random_edges import every_second, relation_with_degrees

if TYPE_CHECKING:
    from automl_graph.hetero.task import HeteroNodeClassification

__all__ = ["typed_scale"]

_FEWEST: Final = 3
"""Nodes of the classified type: one for each part."""

_LARGER: Final = 4
"""How many times larger samples may be, so that the rarest type keeps its proportion, too: 1, 2 and 4 nodes."""


def typed_scale(batch: Batch, data: TypedData, make: Callable[[TypedData], HeteroNodeClassification]) -> StepScale:
    """Returns the scale of a step on one graph: nodes and edges of all types together.

    Types and relations keep their proportions in all samples, but for types of very few nodes: each has one at
    least, so what is composed through these is predicted too high. A type without features has a
    learned row for each node, so weights grow with it; that is why each sample is a task of its own.

    Args:
        batch: features or numbers of the nodes of each type, then the edges of each relation.
        data: the graph, of which a step may see less.
        make: the task of a smaller graph.
    """
    x, edges = batch.inputs[: len(data.types)], batch.inputs[len(data.types) :]
    whole = _size(x, edges)
    if sum(whole) <= MEASURED_WHOLE:
        samples = [StepSample(whole, batch)]
    else:
        samples = []
        rarest = min(len(rows) for rows in x) * SIZES[0][0] / sum(whole)
        times = min(max(1.0, 1 / rarest), _LARGER)
        for size, thinned in SIZES:
            task = make(_smaller(data, x, edges, round(times * size), thinned=thinned))
            own = next(task.train_batches(np.random.default_rng(0), 1))
            samples.append(StepSample(_size(own.inputs[: len(x)], own.inputs[len(x) :]), own, task))
    return StepScale(("nodes", "edges"), whole, sum(t.nbytes for t in batch.inputs), tuple(samples))


def _smaller(data: TypedData, x: Sequence[Tensor], edges: Sequence[Tensor], size: int, *, thinned: bool) -> TypedData:
    share = size / sum(_size(x, edges))
    counts = [
        min(len(rows), max(1 if position else _FEWEST, round(share * len(rows)))) for position, rows in enumerate(x)
    ]
    types = {
        name: NodeType(count, None if rows.dim() == 1 else rows[torch.linspace(0, len(rows) - 1, count).long()])
        for name, rows, count in zip(data.types, x, counts, strict=True)
    }
    found = []
    for relation, index in enumerate(edges):
        head, tail = data.schema.ends(relation)
        few = relation_with_degrees(index, (len(x[head]), len(x[tail])), (counts[head], counts[tail]), seed=size)
        found.append(few[:, every_second(few)] if thinned else few)
    labels = torch.arange(counts[0]) % len(data.class_names)
    return TypedData(data.name, types, data.relations, tuple(found), labels, data.class_names)


def _size(x: Sequence[Tensor], edges: Sequence[Tensor]) -> tuple[int, int]:
    return sum(len(rows) for rows in x), sum(index.shape[1] for index in edges)
