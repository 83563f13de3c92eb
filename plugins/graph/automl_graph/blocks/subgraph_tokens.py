"""Nodes as sequences of neighbourhoods, the farthest first, and what one layer sees in each of them.

Behrouz and Hashemi 2024, arXiv:2402.08678, section 4, steps 1, 2 and 4.
"""

from __future__ import annotations

from typing import Final, cast, final

import torch
from torch import Tensor, nn

from automl import elastic
from automl.space import Categorical, Scalar, SizeLike
from automl_graph.options import current_choice
from automl_graph.walks import distinct, random_walks

__all__ = ["SubgraphTokens", "token_sets"]


def token_sets(
    edge_index: Tensor, nodes: int, *, longest: int, walks: int, repeats: int, seed: int | Tensor
) -> list[tuple[Tensor, Tensor]]:
    """Returns the sets of nodes of all tokens but the last, which is the node alone: farthest first, all nodes at once.

    Token ``(l, j)`` is what ``walks`` walks of ``l`` steps visit. The tokens of a shorter ``longest`` are the last ones of a
    longer one, and those of fewer repeats the last ones of every length.

    Args:
        edge_index: source and target of each edge, ``(2, edges)`` int64.
        nodes: number of nodes.
        longest: longest walk, ``m`` in the paper.
        walks: walks of a token, ``M``.
        repeats: tokens of each length, ``s``.
        seed: decides the walks.

    Returns:
        ``longest * repeats`` pairs as from ``distinct``, of sets with ``1 + walks * l`` members.
    """
    sets = []
    for length in range(longest, 0, -1):
        for repeat in range(repeats - 1, -1, -1):
            of_token = seed + 1_009 * length + 65_537 * repeat
            visited = random_walks(edge_index, nodes, walks=walks, steps=length, seed=of_token)
            sets.append(distinct(torch.cat([visited[:, 0, :1], visited[:, :, 1:].flatten(1)], dim=1)))
    return sets


@final
class SubgraphTokens(nn.Module):
    """Encodes the tokens of every node into a sequence whose last item is the node itself.

    Args:
        width: width of the features.
        longest: longest walk, from 1.
        walks: walks of a token.
        repeats: tokens of each length.
        local: ``mean`` over the members, or ``gcn``: the mean of ``relu(Â W x)`` with the normalised adjacency of the induced
            subgraph.

    Shape:
        x: ``(nodes, width)``. Returns ``(nodes, longest * repeats + 1, width)``.

    Cost:
        ``nodes * walks * repeats * longest² / 2`` gathered rows; ``gcn`` adds the square of a set's members for each token.
    """

    def __init__(
        self, width: SizeLike, *, longest: SizeLike, walks: SizeLike, repeats: SizeLike, local: Scalar | Categorical
    ) -> None:
        super().__init__()
        self.longest: Final = longest
        self.walks: Final = walks
        self.repeats: Final = repeats
        self.local: Final = local
        linear = elastic.Linear(width, width)
        self.encode: nn.Module
        if isinstance(local, Categorical):
            self.encode = elastic.Choice({"mean": nn.Identity(), "gcn": linear}, choice=local)
        else:
            self.encode = linear if local == "gcn" else nn.Identity()

    def forward(self, x: Tensor, edge_index: Tensor, seed: int | Tensor) -> Tensor:
        """Returns the encoded tokens."""
        nodes, values = x.shape[0], self.encode(x)
        sets = token_sets(
            edge_index,
            nodes,
            longest=int(cast(int, self.longest)),
            walks=int(cast(int, self.walks)),
            repeats=int(cast(int, self.repeats)),
            seed=seed,
        )
        if current_choice(self.local) == "mean":
            return torch.stack([*(_mean(values, *members) for members in sets), x], dim=1)
        keys = torch.sort(torch.cat([edge_index[0] * nodes + edge_index[1], edge_index.new_full((1,), -1)])).values
        encoded = [_convolved(values, *members, keys, nodes) for members in sets]
        return torch.stack([*encoded, torch.relu(values)], dim=1)


def _mean(values: Tensor, members: Tensor, real: Tensor) -> Tensor:
    share = real.to(values.dtype) / real.sum(1, keepdim=True)
    return torch.matmul(share[:, None], values[members])[:, 0]


def _convolved(values: Tensor, members: Tensor, real: Tensor, keys: Tensor, nodes: int) -> Tensor:
    """One graph convolution on every induced subgraph, then the mean over its members."""
    wanted = members[:, :, None] * nodes + members[:, None, :]
    found = keys[torch.searchsorted(keys, wanted).clamp(max=keys.shape[0] - 1)] == wanted
    own = torch.eye(members.shape[1], dtype=torch.bool, device=members.device)
    linked = ((found | own) & real[:, :, None] & real[:, None, :]).to(values.dtype)
    scale = linked.sum(1).clamp(min=1).rsqrt()
    # Links run from row to column; a column collects what its neighbours send.
    mixed = torch.matmul((scale[:, :, None] * linked * scale[:, None, :]).transpose(1, 2), values[members])
    share = real.to(values.dtype) / real.sum(1, keepdim=True)
    return torch.matmul(share[:, None], torch.relu(mixed))[:, 0]
