"""Nodes in a row: one sequence for each graph, in an order that the structure decides.

Keys are whole numbers that are all different, so sorting leaves nothing to chance: ties go by the number of the node, or, where
asked for, by a random permutation.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

import torch
from torch import Tensor

from automl_graph.pyg import scatter

__all__ = ["NodeOrder", "NodeSequences", "node_sequences", "scrambled"]

NodeOrder = Literal["degree", "random"]
_PRIME: Final = 2**31 - 1


class NodeSequences(NamedTuple):
    """Sequences of nodes laid end to end.

    Args:
        order: node at each position, ``(nodes,)`` int64.
        place: position of each node, ``(nodes,)`` int64.
        first: true where a graph begins, ``(nodes,)`` bool.
    """

    order: Tensor
    place: Tensor
    first: Tensor


def node_sequences(
    edge_index: Tensor, nodes: int, batch: Tensor | None, *, key: NodeOrder, shuffle_ties: bool = False
) -> NodeSequences:
    """Returns the nodes of every graph in order.

    Args:
        edge_index: source and target of each edge, ``(2, edges)`` int64.
        nodes: number of nodes.
        batch: graph of each node, ``(nodes,)`` int64 in increasing order; ``None`` for one graph.
        key: ``degree``: few incoming edges first, so that well-connected nodes have read the most; ``random``: an order drawn
            once, which depends on the numbers of the nodes alone.
        shuffle_ties: order equal degrees at random, from the global generator of torch, and draw random orders anew.

    Cost:
        ``nodes * log(nodes)``.
    """
    target = edge_index[1]
    number = torch.arange(nodes, device=target.device)
    tie = torch.randperm(nodes, device=target.device) if shuffle_ties else number
    if key == "degree":
        value, values = (
            scatter(torch.ones_like(target), target, dim=0, dim_size=nodes, reduce="sum"),
            target.shape[0] + 1,
        )
    else:
        value, values = scrambled(tie, 1), _PRIME
    graph = torch.zeros_like(number) if batch is None else batch
    order = torch.argsort((graph * values + value) * nodes + tie)
    sorted_graph = graph[order]
    before = torch.cat([torch.full_like(sorted_graph[:1], -1), sorted_graph])[:nodes]
    return NodeSequences(order, torch.argsort(order), sorted_graph != before)


def scrambled(numbers: Tensor, *words: int | Tensor) -> Tensor:
    """Returns numbers that look random, the same for the same arguments; plain arithmetic, so that it can be exported.

    Args:
        numbers: int64, any shape, not negative.
        *words: further numbers that decide the result; tensors broadcast.

    Returns:
        int64 from 0 to 2³¹ − 2.
    """
    state = numbers % _PRIME
    for word in (*words, 17, 23):
        # Squares of 31 bits fit into int64; the linear step before tells a number from its negative.
        state = (state * 48_271 + word * 69_621 + 11) % _PRIME
        state = (state * state + state) % _PRIME
    return state
