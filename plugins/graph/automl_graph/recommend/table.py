"""A learned vector for every user and item, and the scores of items for users."""

from __future__ import annotations

from typing import final

from torch import Tensor, nn

from automl import elastic
from automl.space import SizeLike
from automl_graph.recommend.signals import Bipartite, Embeddings

__all__ = ["ItemScores", "NodeTable"]


@final
class NodeTable(nn.Module):
    """A learned vector for every node; the graph knows nothing else about users and items.

    Args:
        inp: number of nodes, users and items together.
        out: width of a vector, in features.

    Shape:
        users: ``(rows,)``. Returns the vectors of all nodes, ``(inp, out)``.

    Cost:
        None: a look-up of everything.

    Specialised:
        The same block with ``nn.Embedding``.

    Source:
        Purificato et al. 2023 (Sheaf4Rec), arXiv:2304.09097: initial vectors are normal with deviation 0.1.

    Example:
        >>> NodeTable(5, 3)(Bipartite(torch.tensor([1]), torch.tensor([[1, 4], [4, 1]]))).x.shape
        torch.Size([5, 3])
    """

    def __init__(self, inp: SizeLike, out: SizeLike) -> None:
        super().__init__()
        self.nodes = inp
        self.table = elastic.Embedding(inp, out)
        nn.init.normal_(self.table.weight, std=0.1)

    def forward(self, payload: Bipartite) -> Embeddings:
        """Returns the vectors of all nodes."""
        everyone = payload.edge_index.new_ones(int(self.nodes)).cumsum(0) - 1
        x = self.table(everyone)
        return Embeddings(x, payload.edge_index, payload.users, x)


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
