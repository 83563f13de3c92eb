"""Neighbourhoods as sets of nodes that random walks visit: the tokens of Graph Mamba networks.

Walks follow edges from source to target over compressed sparse rows. Which neighbour a walk takes is a fixed function of
seed, node, walk and step, so the same seed gives the same walks and a traced network needs no source of random numbers.
"""

from __future__ import annotations

import torch
from torch import Tensor

from automl_graph.ordering import scrambled
from automl_graph.pyg import scatter

__all__ = ["distinct", "random_walks"]


def random_walks(edge_index: Tensor, nodes: int, *, walks: int, steps: int, seed: int | Tensor) -> Tensor:
    """Returns the nodes that random walks from every node visit; a walk stays where no edge leaves.

    Args:
        edge_index: source and target of each edge, ``(2, edges)`` int64.
        nodes: number of nodes.
        walks: walks from each node.
        steps: steps of each walk.
        seed: decides the walks; a number or a tensor without axes, not negative.

    Returns:
        ``(nodes, walks, steps + 1)`` int64; the first of each walk is the node itself.

    Cost:
        ``edges * log(edges)`` to sort and ``nodes * walks * steps`` look-ups.
    """
    source, target = edge_index[0], edge_index[1]
    degree = scatter(torch.ones_like(source), source, dim=0, dim_size=nodes, reduce="sum")
    start = torch.cumsum(degree, 0) - degree
    # Sorted by target as well: the order in which edges are listed does not matter.
    near = target[torch.argsort(source * nodes + target)]
    near = torch.cat(
        [near, torch.zeros_like(near[:1].sum(0, keepdim=True))]
    )  # something to read for nodes without edges
    origin = torch.arange(nodes, device=source.device)[:, None].expand(nodes, walks)
    number = torch.arange(walks, device=source.device)
    visited = [origin]
    for step in range(steps):
        here = visited[-1]
        chance = scrambled(origin, seed, number, step)
        position = torch.where(degree[here] > 0, start[here] + chance % degree[here].clamp(min=1), 0)
        visited.append(torch.where(degree[here] > 0, near[position], here))
    return torch.stack(visited, dim=2)


def distinct(members: Tensor) -> tuple[Tensor, Tensor]:
    """Sorts the members of each set and marks the first of equal ones.

    Args:
        members: ``(sets, members)`` int64.

    Returns:
        The sorted members and a mask of them, both ``(sets, members)``.
    """
    members = torch.sort(members, dim=1).values
    before = torch.cat([members[:, :1] - 1, members[:, :-1]], dim=1)
    return members, members != before
