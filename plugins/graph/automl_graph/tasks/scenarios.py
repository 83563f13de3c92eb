"""Scenarios: the training part made harder in a reproducible way, the same for all candidates.

Source:
    The scenarios are those of Li et al. 2025, arXiv:2501.00773 (noisy, imbalanced, few-shot graphs). How edges are moved and
    graphs are left out is a choice of this library.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch

from automl.errors import DataError
from automl_graph.data.graph_collection import Sample
from automl_graph.pyg import coalesce, to_undirected
from automl_graph.signal import select_edges

__all__ = ["few_shot", "imbalance", "move_edges", "target_groups"]

_BINS = 4


def target_groups(y: npt.NDArray[np.generic]) -> npt.NDArray[np.int64]:
    """Returns the class of each graph; values are put into four bins of equally many graphs (fewer where values repeat)."""
    if y.dtype.kind in "iu":
        return y.astype(np.int64)
    inner = np.unique(np.quantile(y.astype(np.float64), np.linspace(0, 1, _BINS + 1)[1:-1]))
    bins = np.searchsorted(inner, y.astype(np.float64), side="right")
    return np.unique(bins, return_inverse=True)[1].astype(np.int64)


def imbalance(rows: Sequence[int], groups: npt.NDArray[np.int64], ratio: float, seed: int) -> list[int]:
    """Returns rows of which group i of C keeps ``largest * ratio ** (-i / (C - 1))``, at least one, or all if it has fewer.

    Args:
        rows: graphs of the training part.
        groups: group of every graph of the data.
        ratio: size of the first group against that of the last.
        seed: decides which graphs stay.
    """
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(11,)))
    chosen = np.asarray(rows)
    members = [chosen[groups[chosen] == group] for group in range(int(groups.max()) + 1)]
    largest, last = max(map(len, members)), max(1, len(members) - 1)
    wanted = [max(1, round(largest * ratio ** (-group / last))) for group in range(len(members))]
    kept = [rng.permutation(m)[:count].tolist() for m, count in zip(members, wanted, strict=True)]
    return sorted(row for group in kept for row in group)


def few_shot(rows: Sequence[int], groups: npt.NDArray[np.int64], count: int, seed: int, where: str) -> list[int]:
    """Returns ``count`` rows of each group.

    Raises:
        DataError: a group has fewer.
    """
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(12,)))
    chosen = np.asarray(rows)
    kept: list[int] = []
    for group in range(int(groups.max()) + 1):
        members = chosen[groups[chosen] == group]
        if len(members) < count:
            raise DataError(
                f"{where}: group {group} has {len(members)} training graphs; 'few_shot: {count}' asks for more."
            )
        kept += rng.permutation(members)[:count].tolist()
    return sorted(kept)


def move_edges(graph: Sample, share: float, seed: int) -> Sample:
    """Returns an undirected graph of which a share of the edges is replaced by as many edges that were not there.

    An edge takes its features with it; both directions have their mean.

    Args:
        graph: with both directions of every edge.
        share: share of the edges to move.
        seed: decides which ones, and to where; the same seed gives the same graph.

    Returns:
        The same nodes with both directions of as many edges, without self loops and double edges; fewer where the graph has no
        room.
    """
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(13,)))
    nodes = len(graph.x)
    pairs, edge_attr = coalesce(
        torch.sort(graph.edge_index, dim=0).values, graph.edge_attr, num_nodes=nodes, reduce="mean"
    )
    pairs, edge_attr = select_edges(pairs, edge_attr, pairs[0] != pairs[1])
    codes = (pairs[0] * nodes + pairs[1]).numpy()
    first, second = np.triu_indices(nodes, 1)
    free = np.setdiff1d(first * nodes + second, codes, assume_unique=True)
    moved = min(round(share * len(codes)), len(free))
    order = rng.permutation(len(codes))
    result = np.concatenate([codes[order[moved:]], rng.choice(free, size=moved, replace=False)]).astype(np.int64)
    forward = torch.from_numpy(np.stack([result // nodes, result % nodes]))
    if edge_attr is not None:
        edge_attr = edge_attr[torch.from_numpy(np.concatenate([order[moved:], order[:moved]]))]
    return Sample(graph.x, *to_undirected(forward, edge_attr, num_nodes=nodes, reduce="mean"))
