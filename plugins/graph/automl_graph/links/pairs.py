"""Links as pairs of nodes: found among edges, divided into parts, and sampled where there are none."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from automl.errors import DataError
from automl_graph.pyg import negative_sampling

__all__ = ["FEWEST_LINKS", "both_directions", "sample_unlinked", "split_links", "unique_links"]

FEWEST_LINKS = 5
"""Three parts, of which that for training has most."""


def unique_links(edge_index: Tensor) -> Tensor:
    """Returns each link once, smaller node first, in rising order; double edges, other directions and self loops are left out.

    An edge that stood in the data twice could be in two parts, and be trained on while it is tested.

    Args:
        edge_index: ``(2, edges)``.

    Returns:
        ``(2, links)``.
    """
    ordered = edge_index.sort(dim=0).values
    links: Tensor = torch.unique(ordered[:, ordered[0] != ordered[1]], dim=1)
    return links


def both_directions(links: Tensor) -> Tensor:
    """Returns edges in both directions, ``(2, 2 links)``."""
    return torch.cat([links, links.flip(0)], dim=1)


def split_links(links: int, *, validation: float, test: float, seed: int, where: str) -> dict[str, list[int]]:
    """Divides links at random.

    Args:
        links: their number.
        validation: share of the validation part.
        test: share of the test part.
        seed: decides which links go where.
        where: the data, for messages.

    Raises:
        DataError: there are too few.
    """
    held_out = max(1, round(validation * links)), max(1, round(test * links))
    if links < FEWEST_LINKS or sum(held_out) >= links:
        raise DataError(
            f"{where}: has {links} undirected edges between different nodes; link prediction needs at least {FEWEST_LINKS}, "
            "and some that are left for training. Add edges, or hold out a smaller share."
        )
    order = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(21,))).permutation(links)
    first, second = held_out[0], sum(held_out)
    parts = {"train": order[second:], "validation": order[:first], "test": order[first:second]}
    return {part: sorted(rows.tolist()) for part, rows in parts.items()}


def sample_unlinked(links: Tensor, nodes: int, count: int, rng: np.random.Generator) -> Tensor:
    """Returns different pairs of different nodes that are no links.

    Args:
        links: what not to give, each once, ``(2, links)``.
        nodes: number of nodes.
        count: how many pairs; there are fewer where the graph has no more, and may be where it has hardly more.
        rng: source of the pairs.

    Returns:
        ``(2, pairs)``, in random order and direction-free: smaller node first.
    """
    with _seeded(rng):
        # one half of what it returns is the other half turned round
        found: Tensor = negative_sampling(
            both_directions(links).cpu(), num_nodes=nodes, num_neg_samples=2 * count, force_undirected=True
        )
    found = found[:, : found.shape[1] // 2].sort(dim=0).values
    order = torch.from_numpy(rng.permutation(found.shape[1]))
    return found[:, order].to(links.device)


@contextmanager
def _seeded(rng: np.random.Generator) -> Iterator[None]:
    """Lets Python's own generator, from which torch-geometric draws, follow another one for a while."""
    state = random.getstate()
    random.seed(int(rng.integers(2**63)))
    try:
        yield
    finally:
        random.setstate(state)
