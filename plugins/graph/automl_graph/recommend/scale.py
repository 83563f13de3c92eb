"""How a step of recommendation grows, with the steps of smaller tasks beside it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from automl.tasks import Batch, StepSample, StepScale
from automl_graph.tasks.graph_scale import MEASURED_WHOLE, SIZES
from automl_graph.tasks.random_edges import relation_with_degrees

if TYPE_CHECKING:
    from automl_graph.recommend.task import Recommendation

__all__ = ["interaction_scale"]

_DENSEST = 0.25
"""Share of all pairs of a sample that interact at most; degrees as in a much larger table would not fit."""


def interaction_scale(task: Recommendation, batch_size: int, make: Callable[[Tensor], Recommendation]) -> StepScale:
    """Returns the scale of a step: users, items and interactions. Tables have a row for each user and item, so weights grow, too.

    Args:
        task: what is trained.
        batch_size: users in a step; as many in every sample, so that their scores grow with the items alone.
        make: the task of fewer interactions, ``(2, interactions)``.
    """
    users, items, interactions = whole = _size(task)
    edges = 2 * interactions
    if users + items + edges <= MEASURED_WHOLE:
        samples = [StepSample(whole, _batch(task, batch_size))]
    else:
        smaller = [make(chosen) for chosen in _smaller(task)]
        samples = [StepSample(_size(small), _batch(small, batch_size), small) for small in smaller]
    input_bytes = task.edge_index.nbytes + 8 * batch_size
    return StepScale(("users", "items", "interactions"), whole, input_bytes, tuple(samples))


def _smaller(task: Recommendation) -> Iterator[Tensor]:
    users, items, interactions = _size(task)
    index = task.edge_index[:, :interactions] - task.edge_index.new_tensor([[0], [users]])
    for size, thinned in SIZES:
        share = _share(size, users + items, 2 * interactions, 2 * _DENSEST * users * items)
        counts = (max(4, round(share * users)), max(4, round(share * items)))
        most = int(_DENSEST * counts[0] * counts[1])
        found = relation_with_degrees(
            index, (users, items), (min(users, counts[0]), min(items, counts[1])), seed=size, most=most
        )
        yield found[:, ::2] if thinned else found


def _share(size: int, nodes: int, edges: int, pairs: float) -> float:
    """The share of the nodes that has ``size`` nodes and edges: edges fall as nodes do, or where dense as pairs of nodes."""
    share = size / (nodes + edges)
    if share * edges <= share**2 * pairs:
        return share
    return (math.sqrt(nodes**2 + 4 * pairs * size) - nodes) / (2 * pairs)


def _batch(task: Recommendation, batch_size: int) -> Batch:
    return next(task.train_batches(np.random.default_rng(0), batch_size))


def _size(task: Recommendation) -> tuple[int, int, int]:
    return task.user_count, task.outputs, len(task.split["train"])
