"""Zachary's karate club: 34 members, 78 friendships, and the two clubs that it split into.

Zachary 1977, "An information flow model for conflict and fission in small groups". The graph ships with networkx.
"""

from __future__ import annotations

from typing import Final

import networkx
import torch

from automl_graph.data.node_data import NodeData

__all__ = ["karate_club"]

_CLUBS: Final = ("Mr. Hi", "Officer")


def karate_club() -> NodeData:
    """Returns the unweighted graph; each member's feature is its own one-hot vector, as is usual for it."""
    graph = networkx.karate_club_graph()
    forward = torch.tensor(list(graph.edges), dtype=torch.int64).T
    return NodeData(
        name="karate",
        x=torch.eye(graph.number_of_nodes()),
        edge_index=torch.cat([forward, forward.flip(0)], dim=1),
        y=torch.tensor([_CLUBS.index(club) for _, club in graph.nodes(data="club")]),
        class_names=_CLUBS,
    )
