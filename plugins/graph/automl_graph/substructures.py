"""Numbers of simple paths and cycles from powers of the adjacency matrix; exact, without listing any path.

A walk of length l is a simple path unless two of its nodes coincide; for l up to 4 the coincidences are few enough to be
subtracted in closed form. With ``A`` the adjacency matrix of a simple undirected graph and ``d`` its degrees, for ``i != j``:

    P2 = A²            P3 = A³ - A (d_i + d_j - 1)
    P4 = A⁴ - [(d_i + d_j) A² + A (A³_ii + A³_jj) + A D A] + 2 A² + 3 A ∘ A²

A path from v to u of length l and an edge from u back to v are a cycle of length l + 1 through v, which has two directions.
Everything here is plain tensor operations, so it can be traced for export.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from automl.errors import SpaceError

__all__ = [
    "LONGEST_PATH",
    "closing_paths",
    "count_cycles",
    "count_paths",
    "distances",
    "path_matrices",
    "simple_adjacency",
]

LONGEST_PATH = 4


def simple_adjacency(edge_index: Tensor, nodes: int, dtype: torch.dtype) -> Tensor:
    """Returns the adjacency matrix without directions, self loops and double edges, ``(nodes, nodes)`` of zeros and ones."""
    dense = torch.zeros(nodes, nodes, dtype=dtype, device=edge_index.device)
    ones = torch.ones_like(edge_index[0], dtype=dtype)
    dense = dense.index_put((edge_index[0], edge_index[1]), ones)
    linked = (dense + dense.T) > 0
    order = torch.arange(nodes, device=edge_index.device)
    return (linked & (order[:, None] != order[None, :])).to(dtype)


def path_matrices(adjacency: Tensor, longest: int) -> list[Tensor]:
    """Returns for l = 1 .. ``longest`` the number of simple paths of length l between any two nodes.

    Args:
        adjacency: of a simple undirected graph, ``(nodes, nodes)``.
        longest: 1 to 4.

    Returns:
        Matrices ``(nodes, nodes)`` with zeros on the diagonal.

    Raises:
        SpaceError: ``longest`` is out of range.
    """
    if not 1 <= longest <= LONGEST_PATH:
        raise SpaceError(f"paths of length {longest} cannot be counted; expected 1 to {LONGEST_PATH}.")
    a, found = adjacency, [adjacency]
    degree = a.sum(1)
    off = 1 - torch.eye(a.shape[0], dtype=a.dtype, device=a.device)
    pair = degree[:, None] + degree[None, :]
    if longest >= 2:
        a2 = a @ a
        found.append(a2 * off)
    if longest >= 3:
        a3 = a2 @ a
        found.append((a3 - a * (pair - 1)) * off)
    if longest >= 4:
        closed = a3.diagonal()
        through = (a * degree[None, :]) @ a
        repeated = pair * a2 + a * (closed[:, None] + closed[None, :]) + through
        found.append((a3 @ a - repeated + 2 * a2 + 3 * a * a2) * off)
    return found


def closing_paths(adjacency: Tensor, paths: Sequence[Tensor]) -> Tensor:
    """Returns for each node and each length from 2 the number of its paths whose end is its neighbour.

    Args:
        adjacency: of a simple undirected graph, ``(nodes, nodes)``.
        paths: what ``path_matrices`` gives.

    Returns:
        ``(nodes, len(paths) - 1)``; column l - 2 counts cycles of length l + 1 through the node, each twice.
    """
    columns = [(matrix * adjacency).sum(1) for matrix in paths[1:]]
    return torch.stack(columns, dim=1) if columns else adjacency.new_zeros(adjacency.shape[0], 0)


def distances(adjacency: Tensor, longest: int) -> Tensor:
    """Returns the number of edges between any two nodes where it is at most ``longest``, else ``longest + 1``; int64."""
    nodes = adjacency.shape[0]
    reached = torch.eye(nodes, dtype=adjacency.dtype, device=adjacency.device)
    total = torch.full((nodes, nodes), longest + 1, dtype=torch.int64, device=adjacency.device)
    total = total - (longest + 1) * (reached > 0).to(torch.int64)
    for step in range(1, longest + 1):
        near = ((reached + reached @ adjacency) > 0).to(adjacency.dtype)
        total = total - (longest + 1 - step) * ((near > 0) & (reached == 0)).to(torch.int64)
        reached = near
    return total


def count_paths(edge_index: Tensor, nodes: int, length: int) -> int:
    """Returns the number of simple paths of a length in an undirected graph, each counted once."""
    adjacency = simple_adjacency(edge_index, nodes, torch.float64)
    return round(float(path_matrices(adjacency, length)[-1].sum()) / 2)


def count_cycles(edge_index: Tensor, nodes: int, length: int) -> int:
    """Returns the number of simple cycles of a length from 3 to 5 in an undirected graph."""
    adjacency = simple_adjacency(edge_index, nodes, torch.float64)
    closing = closing_paths(adjacency, path_matrices(adjacency, length - 1))
    return round(float(closing[:, -1].sum()) / (2 * length))
