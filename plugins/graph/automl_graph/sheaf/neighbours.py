"""Weighted sums over neighbours where both the weights of pairs and the features learn.

A diagonal sheaf Laplacian is ``D x`` minus such a sum, with ``F_v F_u`` as the weight of a pair. Written with a row for each
pair and channel it spends its time on memory; as a sparse product, and a sampled dense product backward, it never holds them.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any, Final, NamedTuple

import torch
from torch import Tensor
from torch.utils.flop_counter import register_flop_formula
from torch.utils.weak import WeakTensorKeyDictionary

from automl_graph.sheaf.pairs import NodePairs
from automl_graph.sparse import csr_matrix, row_starts

__all__ = ["sum_over_neighbours"]


class _Pattern(NamedTuple):
    """Compressed sparse rows of the symmetric adjacency matrix.

    Args:
        starts: first entry of each row, ``(nodes + 1,)``.
        columns: column of each entry, ``(2 pairs,)``.
        places: entry of each pair in the row of its first node, then in that of its second, ``(2, pairs)``.
    """

    starts: Tensor
    columns: Tensor
    places: Tensor


def sum_over_neighbours(pairs: NodePairs, weights: Tensor, x: Tensor) -> Tensor:
    """Returns ``y_v = sum_u w_vu x_u`` over the neighbours of each node, for each dimension of a stalk by itself.

    Args:
        pairs: neighbouring nodes, each pair once.
        weights: of each pair, the same in both directions, ``(pairs, d)``.
        x: ``(nodes, d, channels)``, in one of ``SPARSE_DTYPES``.

    Returns:
        ``(nodes, d, channels)``.

    Cost:
        Counted as ``4 * pairs * d * channels`` multiply-accumulates, those of both ends of each pair there and back, as an
        exported network computes it and as matrix-valued maps count.
    """
    pattern = _pattern(pairs)
    product: Tensor = _sum(pattern.starts, pattern.columns, pattern.places, weights, x)
    return product


def _pattern(pairs: NodePairs) -> _Pattern:
    known = _KNOWN.get(pairs.first)
    if known is None:
        rows, columns = torch.cat([pairs.first, pairs.second]), torch.cat([pairs.second, pairs.first])
        order = torch.argsort(rows * pairs.nodes + columns)
        starts = row_starts(rows, pairs.nodes)
        known = _KNOWN[pairs.first] = _Pattern(starts, columns[order], torch.argsort(order).view(2, -1))
    return known


def _matrix(starts: Tensor, columns: Tensor, places: Tensor, weights: Tensor) -> Tensor:
    values = weights.new_empty(columns.shape)
    values[places] = weights.expand(2, -1)
    return csr_matrix(starts, columns, values, (len(starts) - 1, len(starts) - 1))


@torch.library.custom_op("automl_graph::sum_over_neighbours", mutates_args=())
def _sum(starts: Tensor, columns: Tensor, places: Tensor, weights: Tensor, x: Tensor) -> Tensor:
    products = [_matrix(starts, columns, places, weights[:, k]) @ x[:, k].contiguous() for k in range(x.shape[1])]
    return torch.stack(products, dim=1)


@_sum.register_fake
def _(starts: Tensor, columns: Tensor, places: Tensor, weights: Tensor, x: Tensor) -> Tensor:
    return x.new_empty(x.shape)


@torch.library.custom_op("automl_graph::agreement_of_neighbours", mutates_args=())
def _agreement(starts: Tensor, columns: Tensor, places: Tensor, left: Tensor, right: Tensor) -> Tensor:
    """``<l_v, r_u> + <l_u, r_v>`` for each pair and dimension of the stalk: the gradient of the weights."""
    empty = csr_matrix(starts, columns, left.new_zeros(columns.shape), (len(starts) - 1, len(starts) - 1))
    found = [
        torch.sparse.sampled_addmm(empty, left[:, k].contiguous(), right[:, k].contiguous().T, beta=0.0)
        .values()[places]
        .sum(0)
        for k in range(left.shape[1])
    ]
    return torch.stack(found, dim=1)


@_agreement.register_fake
def _(starts: Tensor, columns: Tensor, places: Tensor, left: Tensor, right: Tensor) -> Tensor:
    return left.new_empty(places.shape[1], left.shape[1])


def _keep(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
    ctx.save_for_backward(*inputs)


def _backward(ctx: Any, gradient: Tensor) -> tuple[None, None, None, Tensor | None, Tensor | None]:
    starts, columns, places, weights, x = ctx.saved_tensors
    by_weights = _agreement(starts, columns, places, gradient, x) if ctx.needs_input_grad[3] else None
    by_x = _sum(starts, columns, places, weights, gradient) if ctx.needs_input_grad[4] else None
    return None, None, None, by_weights, by_x


_sum.register_autograd(_backward, setup_context=_keep)


@register_flop_formula(torch.ops.automl_graph.sum_over_neighbours)
def _count(starts: Any, columns: Any, places: Any, weights: Any, x: Any, *, out_shape: Any = None, **_: Any) -> int:
    (_, pairs), (_, stalk, channels) = places, x
    return int(8 * pairs * stalk * channels)


# Keyed by identity and weak: an entry lives as long as the pairs that it describes.
_KNOWN: Final[MutableMapping[Tensor, _Pattern]] = WeakTensorKeyDictionary()
