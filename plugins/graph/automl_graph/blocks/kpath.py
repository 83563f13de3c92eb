"""Path-rooted subgraph encoder: a small network on the surroundings of every node, tagged with distances and path counts.

Li, Xu, Zhang, Zhou, Chen and Li 2025, "Revisiting graph neural networks on graph-level tasks", arXiv:2501.00773, first version.
The text of the method was not available: this is a reconstruction that keeps what the abstract promises, the counting of
paths and cycles, which tests check.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple, cast, final

import torch
from torch import Tensor, nn

from automl import elastic
from automl.space import Categorical, Guard, SizeLike, as_categorical, as_ordinal, largest_value
from automl_graph.blocks.update import NodeUpdate
from automl_graph.options import choices_of, current_choice, require_choice, require_number
from automl_graph.propagation import adjacency
from automl_graph.pyg import scatter
from automl_graph.rooted import rooted_subgraphs
from automl_graph.signal import Graph
from automl_graph.substructures import (
    LONGEST_PATH,
    closing_paths,
    distances,
    path_matrices,
    simple_adjacency,
)

__all__ = ["KPath"]


@final
class KPath(nn.Module):
    """Encodes for every node v the subgraph that simple paths of length at most k from v reach.

        z_u   = W x_u + distance tag + path tag              for every node u of the subgraph of v
        z_u   = z_u + relu(A (z_u + sum of neighbours) + a)    ``layers`` times, inside the subgraph
        out_v = relu(B z_v + C sum_u z_u + D closing_v + b)    then dropout and an optional residual connection

    Sums of n terms are divided by the root of n, so that they stay moderate in dense graphs and still differ from each other.

    The path tag tells how many simple paths of length at most k there are from v to u, up to ``cap``; ``closing_v`` holds for
    each length from 2 to k how many paths from v end at a neighbour of v, that is twice its cycles of that length + 1.

    Args:
        inp: width of the input, in features.
        out: width of the output, and inside, in features.
        k: largest length of a path, 1 to 4. Smaller ones are parts of larger ones and train the same weights.
        layers: layers inside the subgraphs.
        closing: what is known of cycles through the root: ``none``, their ``count``, or ``log`` of 1 + count, for dense graphs.
        tags: whether nodes are tagged with distances and paths.
        cap: larger numbers of paths count as this one.
        residual: add the input to the output; no choice where their widths can differ.
        dropout: share of features dropped in training.
        batch_norm: normalise features over the nodes, before the last ReLU.

    Shape:
        x: ``(nodes, inp)``. Returns the same graph with ``(nodes, out)``.

    Cost:
        ``nodes * inp * out + pairs * layers * out² + nodes * 2 out²`` multiply-accumulates and ``layers * edges * out``
        additions, with a pair for each node of each subgraph. An exported program computes paths from the adjacency matrix of
        the whole batch and needs memory for ``nodes² * out`` numbers, so give it few graphs at a time.

    Raises:
        SpaceError: an option has a value that does not exist.

    Specialised:
        The same block with ``nn.Linear`` and ``nn.Embedding``.

    Source:
        See the module. Paths are counted exactly by powers of the adjacency matrix; none are sampled.

    Example:
        >>> ring = torch.tensor([[0, 1, 2], [1, 2, 0]])
        >>> KPath(4, 3, k=2)(Graph(torch.randn(3, 4), ring)).x.shape
        torch.Size([3, 3])
    """

    def __init__(
        self,
        inp: SizeLike,
        out: SizeLike,
        *,
        k: int | Sequence[int] = (1, 2, 3),
        layers: int | Sequence[int] = (1, 2),
        closing: str | Sequence[str] = ("none", "log"),
        tags: bool | Sequence[bool] = True,
        cap: int = 8,
        residual: bool | Sequence[bool] = (True, False),
        dropout: float = 0.5,
        batch_norm: bool = False,
    ) -> None:
        super().__init__()
        for length in choices_of(k):
            require_choice("k", length, range(1, LONGEST_PATH + 1))
        require_number("layers", layers, smallest=1)
        require_choice("closing", closing, ("none", "count", "log"))
        require_choice("tags", tags, (True, False))
        require_number("cap", cap, smallest=1)
        self.k: Final = as_ordinal(k)
        self.closing: Final = as_categorical(closing)
        self.tags: Final = as_categorical(tags)
        self.cap: Final = cap
        tagged, counted = True in choices_of(tags), set(choices_of(closing)) != {"none"}
        depth = cast(SizeLike, as_ordinal(layers))
        self.enter = elastic.Linear(inp, out)
        self.distance_tag = elastic.Embedding(cast(SizeLike, self.k) + 1, out) if tagged else None
        self.path_tag = elastic.Embedding(cap + 1, out) if tagged else None
        self.inner = elastic.Repeat([_InnerLayer(out) for _ in range(int(largest_value(depth)))], depth)
        self.root = elastic.Linear(out, out)
        self.whole = elastic.Linear(out, out, bias=False)
        # max(1, k - 1) in the arithmetic of sizes: with k = 1 there are still the paths of length 2 that close a triangle.
        lengths = (cast(SizeLike, self.k) * 3 + 1) // 4
        self.cycles = elastic.Linear(lengths, out, bias=False) if counted else None
        self.update = NodeUpdate(inp, out, residual=residual, dropout=dropout, batch_norm=batch_norm)

    def conditions(self) -> Mapping[str, Guard]:
        """Parts that only some settings use."""
        guards: dict[str, Guard] = {}
        if isinstance(self.tags, Categorical):
            guards |= dict.fromkeys(("distance_tag", "path_tag"), Guard(self.tags, frozenset({True})))
        if isinstance(self.closing, Categorical) and "none" in self.closing.choices:
            guards["cycles"] = Guard(self.closing, frozenset(self.closing.choices) - {"none"})
        return guards

    def forward(self, graph: Graph) -> Graph:
        """Returns the graph with encoded surroundings."""
        encode = self._encode_dense if torch.compiler.is_compiling() else self._encode_pairs
        root, whole, closing = encode(graph)
        y = self.root(root) + self.whole(whole)
        kind = current_choice(self.closing)
        if kind != "none":
            assert self.cycles is not None
            y = y + self.cycles((torch.log1p(closing) if kind == "log" else closing).to(y.dtype))
        return graph._replace(x=self.update(graph.x, y))

    def _encode_pairs(self, graph: Graph) -> tuple[Tensor, Tensor, Tensor]:
        """Features of roots and of whole subgraphs, from remembered lists of nodes and edges."""
        nodes = graph.x.shape[0]
        sub = rooted_subgraphs(graph.edge_index, nodes, int(self.k), graph.sizes)
        pairs = sub.root.shape[0]
        matrix = adjacency(sub.edges, pairs)
        scale = torch.bincount(sub.edges[1], minlength=pairs).clamp(min=1).to(graph.x.dtype).rsqrt()[:, None]
        tagged = self._tag(self.enter(graph.x)[sub.node], sub.distance, sub.paths)
        z = self.inner(_State(tagged, lambda z: matrix.propagate(z, norm="none", self_loops=False) * scale)).z
        sizes = torch.bincount(sub.root, minlength=nodes).clamp(min=1).to(z.dtype).rsqrt()[:, None]
        total = scatter(z, sub.root, dim=0, dim_size=nodes, reduce="sum")
        return z[sub.distance == 0], total * sizes, sub.closing

    def _encode_dense(self, graph: Graph) -> tuple[Tensor, Tensor, Tensor]:
        """The same from dense matrices of all pairs of nodes, whose shapes do not depend on the edges."""
        k = int(self.k)
        counted = simple_adjacency(graph.edge_index, graph.x.shape[0], torch.float64)
        paths = path_matrices(counted, max(2, k))
        far = distances(counted, k)
        a, ball, border = (m.to(graph.x.dtype) for m in (counted, far <= k, far == k))
        # Two nodes at distance k from the root are no neighbours in its subgraph.
        scale = (ball @ a - border * (border @ a)).clamp(min=1).rsqrt()[:, :, None]
        inside, edge = ball[:, :, None], border[:, :, None]

        def neighbours(z: Tensor) -> Tensor:
            return (a @ (z * inside) - edge * (a @ (z * edge))) * scale

        z = self._tag(self.enter(graph.x)[None], far.clamp(max=k), torch.stack(paths[:k]).sum(0))
        z = self.inner(_State(z * inside, neighbours)).z * inside
        return z.diagonal(dim1=0, dim2=1).T, z.sum(1) * ball.sum(1).rsqrt()[:, None], closing_paths(counted, paths)

    def _tag(self, z: Tensor, distance: Tensor, paths: Tensor) -> Tensor:
        if not current_choice(self.tags):
            return z
        assert self.distance_tag is not None
        assert self.path_tag is not None
        tagged: Tensor = z + self.distance_tag(distance) + self.path_tag(paths.clamp(max=self.cap).to(torch.int64))
        return tagged


class _State(NamedTuple):
    """Features of pairs, and how to sum those of their neighbours."""

    z: Tensor
    neighbours: Callable[[Tensor], Tensor]


@final
class _InnerLayer(nn.Module):
    """``z = z + relu(A (z + sum of neighbours / sqrt(their number)) + b)``."""

    def __init__(self, width: SizeLike) -> None:
        super().__init__()
        self.linear = elastic.Linear(width, width)

    def forward(self, state: _State) -> _State:
        return state._replace(z=state.z + torch.relu(self.linear(state.z + state.neighbours(state.z))))
