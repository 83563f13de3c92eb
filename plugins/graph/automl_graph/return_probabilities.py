"""How likely a random walk is back where it began, after 1, 2, ... steps: random-walk structural encodings.

Source:
    Dwivedi et al. 2022, "Graph neural networks with learnable structural and positional representations", arXiv:2110.07875,
    section 3.2.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Final

import torch
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from automl_graph.propagation import adjacency

__all__ = ["return_probabilities"]

_STARTS_AT_ONCE: Final = 256


def return_probabilities(edge_index: Tensor, nodes: int, steps: int, like: Tensor) -> Tensor:
    """Returns the diagonals of the powers of ``D^-1 A``; computed once for the same unchanged tensor.

    Args:
        edge_index: ``(2, edges)`` int64; self loops are steps that stay.
        nodes: number of nodes.
        steps: largest number of steps.
        like: gives dtype and device.

    Returns:
        ``(nodes, steps)``, without gradient.

    Cost:
        ``steps * edges * nodes`` multiply-accumulates and ``256 * nodes`` numbers of memory; traced, ``nodes`` squared.
    """
    if torch.compiler.is_compiling():
        return _returns(edge_index, nodes, steps, torch.eye(nodes, dtype=like.dtype, device=like.device))
    key = (0 if edge_index.is_inference() else edge_index._version, nodes, steps, like.dtype)
    known = _KNOWN.get(edge_index)
    if known is None or known[0] != key:
        known = _KNOWN[edge_index] = (key, _in_parts(edge_index, nodes, steps, like))
    return known[1]


@torch.no_grad()
def _in_parts(edge_index: Tensor, nodes: int, steps: int, like: Tensor) -> Tensor:
    parts = [like.new_zeros(0, steps)]
    for first in range(0, nodes, _STARTS_AT_ONCE):
        chosen = torch.arange(first, min(first + _STARTS_AT_ONCE, nodes), device=like.device)
        starts = like.new_zeros(nodes, len(chosen))
        starts[chosen, chosen - first] = 1
        parts.append(_returns(edge_index, nodes, steps, starts, first))
    return torch.cat(parts)


def _returns(edge_index: Tensor, nodes: int, steps: int, state: Tensor, first: int = 0) -> Tensor:
    matrix = adjacency(edge_index, nodes)
    found = []
    for _ in range(steps):
        state = matrix.propagate(state, norm="row", self_loops=False)
        found.append(state.diagonal(-first))
    return torch.stack(found, dim=1)


# Keyed by identity and weak: an entry lives as long as the graph tensor that it describes.
_KNOWN: Final[MutableMapping[Tensor, tuple[tuple[int, int, int, torch.dtype], Tensor]]] = WeakTensorKeyDictionary()
