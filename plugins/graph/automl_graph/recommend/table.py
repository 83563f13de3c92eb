"""A learned vector for every user and item, and the scores of items for users."""

from __future__ import annotations

import math
from functools import partial
from typing import Final, final

import torch
from torch import Tensor, nn

from automl import elastic
from automl.errors import SpaceError
from automl.space import SizeLike
from automl.supernet import add_auxiliary_loss, collects_auxiliary_losses
from automl.tasks import Batch
from automl_graph.recommend.loss import l2_loss
from automl_graph.recommend.signals import Bipartite, Embeddings

__all__ = ["ItemScores", "NodeTable"]


@final
class NodeTable(nn.Module):
    """A learned vector for every node; the graph knows nothing else about users and items.

    Args:
        inp: number of nodes, users and items together.
        out: width of a vector, in features.
        reg_weight: weight of the L2 term: ``reg_weight / (2 B)`` times the squared length of the vectors of the B users of a
            training step and of their items, taken and not taken, is added to the loss. Of vectors as they are in the table,
            before any block behind it.
        user_count: how many nodes are users, the first ones; spaces give it.

    Shape:
        users: ``(rows,)``. Returns the vectors of all nodes, ``(inp, out)``.

    Cost:
        None: a look-up of everything.

    Raises:
        SpaceError: the weight is negative or not finite, or is given where it is not known which nodes are users.

    Specialised:
        The same block with ``nn.Embedding``.

    Source:
        Purificato et al. 2023 (Sheaf4Rec), arXiv:2304.09097: initial vectors are normal with deviation 0.1. Their released code
        has an L2 term of weight 1.

    Example:
        >>> NodeTable(5, 3)(Bipartite(torch.tensor([1]), torch.tensor([[1, 4], [4, 1]]))).x.shape
        torch.Size([5, 3])
    """

    def __init__(self, inp: SizeLike, out: SizeLike, *, reg_weight: float = 0.0, user_count: int | None = None) -> None:
        super().__init__()
        if isinstance(reg_weight, bool) or not isinstance(reg_weight, int | float) or not 0 <= reg_weight < math.inf:
            raise SpaceError(f"reg_weight: {reg_weight!r} is not a finite number of at least 0.")
        if reg_weight and user_count is None:
            raise SpaceError("reg_weight: needs a task that tells which nodes are users, such as 'recommendation'.")
        self.reg_weight: Final = float(reg_weight)
        self.user_count: Final = user_count
        self.nodes = inp
        self.table = elastic.Embedding(inp, out)
        nn.init.normal_(self.table.weight, std=0.1)

    def forward(self, payload: Bipartite) -> Embeddings:
        """Returns the vectors of all nodes."""
        everyone = payload.edge_index.new_ones(int(self.nodes)).cumsum(0) - 1
        x = self.table(everyone)
        if self.training and self.reg_weight and collects_auxiliary_losses():
            add_auxiliary_loss(partial(self._l2_of, x, payload.users))
        return Embeddings(x, payload.edge_index, payload.users, x)

    def _l2_of(self, x: Tensor, users: Tensor, batch: Batch) -> Tensor:
        """Returns the L2 term of a step; 0 for batches to measure on, which have no drawn items."""
        if batch.target.dtype == torch.int8:
            return x.new_zeros(())
        assert self.user_count is not None
        nodes = torch.cat([users, (batch.target + self.user_count).flatten()])
        return l2_loss(x[nodes], len(users), self.reg_weight)


@final
class ItemScores(nn.Module):
    """Products of the vectors of users with those of all items, ``s(u, i) = <z_u, z_i>``.

    Args:
        items: number of items, the last nodes.

    Shape:
        read: ``(nodes, width)``; users: ``(rows,)``. Returns ``(rows, items)``.

    Cost:
        ``rows * items * width`` multiply-accumulates.
    """

    def __init__(self, items: int) -> None:
        super().__init__()
        self.items = items

    def forward(self, payload: Embeddings) -> Tensor:
        """Returns the scores of all items."""
        return payload.read[payload.users] @ payload.read[-self.items :].T
