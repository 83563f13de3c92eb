"""Relations composed of others: which there are of each order, and their edges as sparse products.

Tran and Gao, "Layer-stacked attention for heterogeneous network embedding", arXiv:2009.08072. A relation of order t follows t
relations one after another, the tail of each being of the type of the next one's head. Its adjacency matrix is
``A_pq = A_p diag(1 / (colsum A_p + rowsum A_q)) A_q``, so that paths through nodes with many neighbours weigh little.

Edges are joined with memory that grows with them, never with the number of pairs of nodes. In training, a product of sparse
matrices joins them once for each graph. While a model is traced, the same is written in operations whose result may have any
length, because an exported model meets graphs of any size; its memory grows with the number of paths.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, MutableMapping, Sequence
from typing import Final, Literal, NamedTuple

import torch
from torch import Tensor
from torch.utils.weak import TensorWeakRef, WeakTensorKeyDictionary

from automl_graph.hetero.schema import Schema
from automl_graph.hetero.signal import HeteroGraph

__all__ = ["Joined", "MetaRelation", "joined_edges", "meta_relations"]

JoinedEdges = Literal["all", "sampled"]


class MetaRelation(NamedTuple):
    """One or several relations in a row.

    Args:
        steps: positions of the relations in the schema.
        head: position of the type of the first one's head.
        tail: position of the type of the last one's tail.
    """

    steps: tuple[int, ...]
    head: int
    tail: int

    def name(self, schema: Schema) -> str:
        """Returns the names of its relations in a row."""
        return " ∘ ".join(schema.relations[step].name for step in self.steps)


class Joined(NamedTuple):
    """Edges of a composed relation.

    Args:
        index: head and tail, ``(2, edges)`` int64; composed ones are sorted and stand there once.
        value: entries of the adjacency matrix, ``(edges,)``; 1 for the edges of the graph itself.
    """

    index: Tensor  # type: ignore[assignment]  # hides tuple.index, which nobody calls on edges
    value: Tensor


def meta_relations(schema: Schema, order: int) -> list[list[MetaRelation]]:
    """Returns the relations of each order from 1 to ``order``.

    Example:
        >>> from automl_graph.hetero.schema import Relation
        >>> schema = Schema(("p", "a"), (Relation("pa", "p", "a"), Relation("ap", "a", "p")))
        >>> [m.name(schema) for m in meta_relations(schema, 2)[1]]
        ['pa ∘ ap', 'ap ∘ pa']
    """
    base = [MetaRelation((step,), *schema.ends(step)) for step in range(len(schema.relations))]
    orders = [base]
    while len(orders) < order:
        orders.append(
            [MetaRelation(p.steps + q.steps, p.head, q.tail) for p in orders[-1] for q in base if p.tail == q.head]
        )
    return orders


def joined_edges(graph: HeteroGraph, relation: MetaRelation, schema: Schema, keep: JoinedEdges = "all") -> Joined:
    """Returns the edges of a composed relation in a graph.

    Args:
        graph: the graph.
        relation: what is composed.
        schema: types and relations of the graph.
        keep: ``"sampled"`` keeps no more edges than the smaller of two joined relations has, drawn in proportion to their
            value. The draw is a function of the numbers of the nodes: the same in every call, another after renumbering.

    Returns:
        The joined edges; the same tensors for the same unchanged graph, except while a model is traced.
    """
    edges = [graph.edges[step] for step in relation.steps]
    nodes = [graph.x[relation.head].shape[0]]
    nodes += [graph.x[schema.ends(step)[1]].shape[0] for step in relation.steps]
    if torch.compiler.is_compiling() or len(edges) == 1:
        return _chain(edges, nodes, keep, traced=True)  # nothing to keep of the edges of the graph itself
    key = (relation.steps, tuple(nodes), keep)
    versions = [0 if e.is_inference() else e._version for e in edges]
    of_graph = _KNOWN.setdefault(edges[0], {})
    known = of_graph.get(key)
    if known is None or known.versions != versions or not _same(known.edges, edges):
        # Kept indices are used with gradients later, which tensors made in inference mode cannot be.
        with torch.inference_mode(False), torch.no_grad():
            joined = _chain(edges, nodes, keep, traced=False)
        known = of_graph[key] = _Known(joined, [TensorWeakRef(e) for e in edges], versions)
    return known.joined


class _Known(NamedTuple):
    joined: Joined
    edges: list[TensorWeakRef]  # weak: relations in both directions would keep each other alive
    versions: list[int]


_KNOWN: Final[MutableMapping[Tensor, dict[tuple[object, ...], _Known]]] = WeakTensorKeyDictionary()


def _same(known: Iterable[TensorWeakRef], edges: Sequence[Tensor]) -> bool:
    return all(reference() is edge for reference, edge in zip(known, edges, strict=True))


def _chain(edges: Sequence[Tensor], nodes: Sequence[int], keep: JoinedEdges, *, traced: bool) -> Joined:
    joined = Joined(edges[0], _ones(edges[0]))
    for position, index in enumerate(edges[1:], start=1):
        smaller = torch.sym_min(joined.index.shape[1], index.shape[1])  # type: ignore[no-untyped-call]
        sizes = (nodes[0], nodes[position], nodes[position + 1])
        join = _traced_product if traced else _sparse_product
        joined = join(joined, Joined(index, _ones(index)), sizes)
        if keep == "sampled":
            joined = _sample(joined, smaller, sizes[2])
    return joined


def _ones(index: Tensor) -> Tensor:
    return torch.ones(index.shape[1], dtype=torch.float64, device=index.device)


def _damping(p: Joined, q: Joined, middle: int) -> Tensor:
    sums = p.value.new_zeros(middle).index_add(0, p.index[1], p.value).index_add(0, q.index[0], q.value)
    return torch.where(sums > 0, 1 / sums, 0.0)


def _sparse_product(p: Joined, q: Joined, sizes: tuple[int, int, int]) -> Joined:
    heads, middle, tails = sizes
    damped = p.value * _damping(p, q, middle)[p.index[1]]
    left = torch.sparse_coo_tensor(p.index, damped, (heads, middle), check_invariants=False)
    right = torch.sparse_coo_tensor(q.index, q.value, (middle, tails), check_invariants=False)
    with warnings.catch_warnings():
        # torch calls the layout that it multiplies in "beta" on first use; the product is compared with a dense one in tests.
        warnings.filterwarnings("ignore", "Sparse", UserWarning)
        product = torch.sparse.mm(left, right).coalesce()
    return Joined(product.indices(), product.values())


def _traced_product(p: Joined, q: Joined, sizes: tuple[int, int, int]) -> Joined:
    _, middle, tails = sizes
    order = torch.argsort(q.index[0], stable=True)
    count = torch.zeros(middle, dtype=torch.int64).index_add(0, q.index[0], torch.ones_like(q.index[0]))
    first = count.cumsum(0) - count
    through = p.index[1]
    paths = count[through]
    edge = torch.repeat_interleave(torch.arange(paths.shape[0]), paths)  # which edge of p each path begins with
    ahead = torch.arange(edge.shape[0]) - (paths.cumsum(0) - paths)[edge]
    second = order[first[through[edge]] + ahead]
    value = (p.value * _damping(p, q, middle)[through])[edge] * q.value[second]
    pair, place = torch.unique(p.index[0][edge] * tails + q.index[1][second], return_inverse=True)
    total = torch.zeros_like(pair, dtype=value.dtype).index_add(0, place, value)
    return Joined(torch.stack([pair // tails, pair % tails]), total)


def _sample(joined: Joined, size: int | torch.SymInt, tails: int) -> Joined:
    # Efraimidis and Spirakis 2006: the largest log(u) / weight are a draw in proportion to the weights.
    bits = _scramble(joined.index[0] * tails + joined.index[1])
    score = torch.log((bits.double() + 0.5) / _RANGE) / joined.value
    rank = torch.argsort(torch.argsort(score, descending=True, stable=True))
    kept = (rank < size).nonzero()[:, 0]  # type: ignore[union-attr]  # never a bool
    return Joined(joined.index[:, kept], joined.value[kept])


_RANGE: Final = 1 << 31


def _scramble(number: Tensor) -> Tensor:
    """Numbers below ``_RANGE`` that look random; finaliser of MurmurHash3, with shifts of the low 32 bits."""
    mask = 0xFFFFFFFF
    number = (number ^ (number >> 32)) & mask
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        number = ((number ^ (number >> shift)) * factor) & mask
    return (number ^ (number >> 16)) % _RANGE
