"""Graph Mamba networks: nodes as one sequence that selective state space layers read in both directions.

Behrouz and Hashemi 2024, "Graph Mamba: towards learning on graphs with state space models", arXiv:2402.08678. With walks of
length 0 every node is its own token; longer ones make each node a sequence of neighbourhoods, the farthest first, which layers
of the same kind read before the nodes are put in a row.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple, cast, final

from torch import Tensor, nn

from automl import elastic
from automl.space import Categorical, Scalar, SizeLike, as_categorical, as_ordinal, largest_value
from automl_graph.blocks.edge_mixing import GINE, GatedGCN, NoMixing
from automl_graph.options import current_choice, require_choice, require_number, require_share
from automl_graph.ordering import node_sequences
from automl_graph.signal import Graph
from automl_graph.ssm import BiSelectiveSSM

__all__ = ["GMN"]

_MIXINGS: Final[dict[str, Callable[[SizeLike], nn.Module]]] = {"none": NoMixing, "gine": GINE, "gatedgcn": GatedGCN}
_ORDERS: Final = ("degree", "random")


class _Stream(NamedTuple):
    """What flows from node layer to node layer."""

    x: Tensor
    edge_index: Tensor
    order: Tensor
    place: Tensor
    first: Tensor


@final
class _NodeLayer(nn.Module):
    """One step of all nodes: the state space layer along the sequence, plus message passing along the edges."""

    def __init__(
        self, width: SizeLike, inner: SizeLike, mpnn: Scalar | Categorical, shared: Mapping[str, Any], dropout: float
    ) -> None:
        super().__init__()
        self.sequence = BiSelectiveSSM(width, inner, dropout=dropout, **shared)
        self.mixing: nn.Module
        if isinstance(mpnn, Categorical):
            self.mixing = elastic.Choice({str(name): _MIXINGS[str(name)](width) for name in mpnn.choices}, choice=mpnn)
        else:
            self.mixing = _MIXINGS[str(mpnn)](width)

    def forward(self, stream: _Stream) -> _Stream:
        along = self.sequence(stream.x[stream.order][None], stream.first[None])[0]
        return stream._replace(x=along[stream.place] + self.mixing(stream.x, stream.edge_index))


@final
class GMN(nn.Module):
    """Graph Mamba network: embeds nodes, puts them in a row and reads that row in both directions, layer after layer.

    Args:
        inp: width of the input, in features.
        out: width of the output, in features.
        hidden: width of the layers, in features; ``d`` in the paper.
        layers: layers over the row of nodes.
        expand: channels inside a layer, as a multiple of ``hidden``.
        states: numbers that each channel remembers; ``N_s``.
        kernel: taps of the causal convolutions.
        direction: ``bi`` or ``forward``.
        mpnn: message passing beside each layer: ``none``, ``gine`` or ``gatedgcn``.
        order: nodes by ``degree``, well-connected ones last, or in a fixed ``random`` order. Ties go by number; in training, ties and
            random orders are drawn anew in every step.
        dropout: share of updates dropped in training.

    Shape:
        x: ``(nodes, inp)``. Returns the same graph with ``(nodes, out)``.

    Example:
        >>> block = GMN(4, 3, hidden=[8, 16], layers=2)
        >>> ring = torch.tensor([[0, 1, 2], [1, 2, 0]])
        >>> block(Graph(torch.randn(3, 4), ring)).x.shape
        torch.Size([3, 3])
    """

    def __init__(
        self,
        inp: SizeLike,
        out: SizeLike,
        *,
        hidden: int | Sequence[int] = (16, 32),
        layers: int | Sequence[int] = (1, 2),
        expand: int | Sequence[int] = (1, 2),
        states: int | Sequence[int] = (4, 8),
        kernel: int | Sequence[int] = 4,
        direction: str | Sequence[str] = ("bi", "forward"),
        mpnn: str | Sequence[str] = ("none", "gine"),
        order: str | Sequence[str] = "degree",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        for name, counts in (
            ("hidden", hidden),
            ("layers", layers),
            ("expand", expand),
            ("states", states),
            ("kernel", kernel),
        ):
            require_number(name, counts, smallest=1)
        require_choice("direction", direction, ("bi", "forward"))
        require_choice("mpnn", mpnn, _MIXINGS)
        require_choice("order", order, _ORDERS)
        require_share("dropout", dropout)
        self.hidden: Final = as_ordinal(hidden)
        self.expand: Final = as_ordinal(expand)
        self.states: Final = as_ordinal(states)
        self.kernel: Final = as_ordinal(kernel)
        self.layers: Final = as_ordinal(layers)
        self.direction: Final = as_categorical(direction)
        self.mpnn: Final = as_categorical(mpnn)
        self.order: Final = as_categorical(order)
        width = cast(SizeLike, self.hidden)
        inner = cast(SizeLike, self.hidden * self.expand)
        shared = {"states": self.states, "kernel": self.kernel, "direction": self.direction}
        self.embed = elastic.Linear(inp, width)
        depth = cast(SizeLike, self.layers)
        self.node_layers = elastic.Repeat(
            [_NodeLayer(width, inner, self.mpnn, shared, dropout) for _ in range(largest_value(depth))], depth
        )
        self.leave = elastic.Linear(width, out)

    def forward(self, graph: Graph) -> Graph:
        """Returns the graph with features that have read the whole graph."""
        x = self.embed(graph.x)
        sequences = node_sequences(
            graph.edge_index,
            graph.x.shape[0],
            getattr(graph, "batch", None),
            key=current_choice(self.order),
            shuffle_ties=self.training,
        )
        stream = self.node_layers(_Stream(x, graph.edge_index, *sequences))
        return graph._replace(x=self.leave(stream.x))
