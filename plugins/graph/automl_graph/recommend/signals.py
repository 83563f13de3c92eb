"""Signals of recommendation: users to recommend for, and embeddings of all users and items."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple, Self, final

import torch
from torch import Tensor

from automl.supernet import PayloadFormat
from automl.tasks import Task

__all__ = ["Bipartite", "BipartiteFormat", "Embeddings", "EmbeddingsFormat"]


class Bipartite(NamedTuple):
    """Users to recommend for, and who interacted with what.

    Nodes are numbered: all users first, then all items.

    Args:
        users: numbers of users, ``(rows,)`` int64.
        edge_index: both directions of every interaction, ``(2, edges)`` int64.
    """

    users: Tensor
    edge_index: Tensor


class Embeddings(NamedTuple):
    """Vectors of all nodes on their way through a network.

    Args:
        x: current vectors, ``(nodes, width)``.
        edge_index: both directions of every interaction, ``(2, edges)`` int64.
        users: users to recommend for, ``(rows,)`` int64.
        read: vectors that are scored, ``(nodes, any width)``.
    """

    x: Tensor
    edge_index: Tensor
    users: Tensor
    read: Tensor


@final
class BipartiteFormat(PayloadFormat):
    """The payload is a ``Bipartite``; its width is the number of nodes.

    Args:
        user_count: how many of the nodes are users; None where it is not known.
    """

    channel_axis = 0
    samples_interact = True
    categorical = True

    def __init__(self, user_count: int | None = None) -> None:
        self.user_count: Final = user_count

    @classmethod
    def for_task(cls, task: Task) -> Self:
        count = getattr(task, "user_count", None)
        return cls(count if isinstance(count, int) else None)

    def facts(self) -> Mapping[str, Any]:
        return {"user_count": self.user_count}

    def pack(self, *tensors: Tensor) -> Bipartite:
        users, edge_index = tensors
        return Bipartite(users, edge_index)

    def features(self, payload: Bipartite) -> Tensor:
        return payload.users

    def with_features(self, payload: Bipartite, features: Tensor) -> Bipartite:
        return payload._replace(users=features)

    def example(self, batch: int, width: int, generator: torch.Generator) -> tuple[Tensor, ...]:
        users = torch.randint(width, (batch,), generator=generator)
        return users, torch.randint(width, (2, 2 * batch), generator=generator)


@final
class EmbeddingsFormat(PayloadFormat):
    """The payload is an ``Embeddings``; vectors that are replaced are also those that are scored."""

    channel_axis = 1
    samples_interact = True

    def pack(self, *tensors: Tensor) -> Embeddings:
        x, edge_index, users = tensors
        return Embeddings(x, edge_index, users, x)

    def features(self, payload: Embeddings) -> Tensor:
        return payload.x

    def with_features(self, payload: Embeddings, features: Tensor) -> Embeddings:
        return payload._replace(x=features, read=features)

    def example(self, batch: int, width: int, generator: torch.Generator) -> tuple[Tensor, ...]:
        x = torch.randn(batch, width, generator=generator)
        edge_index = torch.randint(max(1, batch), (2, 2 * batch), generator=generator)
        return x, edge_index, torch.randint(max(1, batch), (batch,), generator=generator)
