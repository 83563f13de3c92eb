"""Mini-batches of nodes with sampled neighbours.

torch-geometric draws neighbours in compiled code only: its ``NeighborLoader``, ``LinkNeighborLoader`` and ``ShaDowKHopSampler``
need pyg-lib or torch-sparse, which this package does without, ``ClusterData`` needs one of them or METIS, and
``RandomNodeLoader``, which needs none, divides the nodes at random and loses most neighbours. Hence the sampler here.

Source:
    Hamilton, Ying and Leskovec 2017, "Inductive representation learning on large graphs", arXiv:1706.02216, algorithm 2. As in
    ``NeighborLoader``, a node that several others reach is one node, and its neighbours are drawn once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple, final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

__all__ = ["NeighbourSampler", "Neighbourhood"]

_Nodes = npt.NDArray[np.int64]


class Neighbourhood(NamedTuple):
    """A part of a graph around some nodes.

    Attributes:
        nodes: which nodes of the graph these are, ``(nodes,)`` int64; those that were asked for come first.
        edge_index: sampled edges between them, numbered within ``nodes``, ``(2, edges)`` int64.
        edges: which edges of the graph these are, ``(edges,)`` int64.
    """

    nodes: Tensor
    edge_index: Tensor
    edges: Tensor


@final
class NeighbourSampler:
    """Draws in-neighbours, those that send messages, from compressed rows.

    Args:
        edge_index: source and target of each edge, ``(2, edges)`` int64.
        nodes: number of nodes.
    """

    def __init__(self, edge_index: Tensor, nodes: int) -> None:
        source, target = edge_index.cpu().numpy()
        self._nodes: Final = nodes
        self._order: Final[_Nodes] = np.argsort(target, kind="stable")
        self._sources: Final[_Nodes] = source[self._order]
        self._starts: Final[_Nodes] = np.concatenate([[0], np.bincount(target, minlength=nodes).cumsum()])

    def sample(self, seeds: Tensor, fanout: Sequence[int], rng: np.random.Generator) -> Neighbourhood:
        """Returns nodes, and hop after hop drawn neighbours.

        With ``-1`` for each of k hops these are exactly the nodes from which a path of at most k edges leads to one of ``seeds``,
        and all edges into those at most k - 1 away. k layers then give the same at ``seeds`` as on the whole graph, unless they
        read the degree of the sender, as symmetric normalisation does, which takes one hop more.

        Args:
            seeds: different nodes, ``(seeds,)`` int64.
            fanout: largest number of neighbours to draw for each node of a hop, without replacement; -1 takes all.
            rng: source of the draws.
        """
        found = seeds.cpu().numpy()
        number = np.full(self._nodes, -1, dtype=np.int64)
        number[found] = np.arange(len(found))
        frontier, nodes, edges, chosen = found, [found], [np.empty((2, 0), dtype=np.int64)], [found[:0]]
        for limit in fanout:
            position, target = self._draw(frontier, limit, rng)
            source = self._sources[position]
            frontier = np.unique(source[number[source] < 0])
            number[frontier] = np.arange(len(frontier)) + sum(map(len, nodes))
            nodes.append(frontier)
            edges.append(np.stack([number[source], number[target]]))
            chosen.append(self._order[position])
        return Neighbourhood(
            torch.from_numpy(np.concatenate(nodes)),
            torch.from_numpy(np.concatenate(edges, axis=1)),
            torch.from_numpy(np.concatenate(chosen)),
        )

    def _draw(self, targets: _Nodes, limit: int, rng: np.random.Generator) -> tuple[_Nodes, _Nodes]:
        """Drawn edges, by their place in order of targets, and their targets."""
        counts = self._starts[targets + 1] - self._starts[targets]
        owner = np.repeat(np.arange(len(targets)), counts)
        # of an edge among those of its target
        place = np.arange(len(owner)) - np.repeat(counts.cumsum() - counts, counts)
        chosen = np.arange(len(owner))
        if limit >= 0:
            chosen = np.sort(np.lexsort((rng.random(len(owner)), owner))[place < limit])
        position = self._starts[targets[owner[chosen]]] + place[chosen]
        return position, targets[owner[chosen]]
