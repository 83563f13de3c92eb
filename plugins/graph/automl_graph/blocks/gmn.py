"""Graph Mamba networks: nodes as one sequence that selective state space layers read in both directions.

Behrouz and Hashemi 2024, "Graph Mamba: towards learning on graphs with state space models", arXiv:2402.08678. With walks of
length 0 every node is its own token; longer ones make each node a sequence of neighbourhoods, the farthest first, which layers
of the same kind read before the nodes are put in a row.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple, cast, final

import torch
from torch import Tensor, nn

from automl import elastic
from automl.space import Categorical, Guard, Ordinal, Scalar, SizeLike, as_categorical, as_ordinal, largest_value
from automl_graph.blocks.edge_mixing import GINE, GatedGCN, NoMixing
from automl_graph.blocks.subgraph_tokens import SubgraphTokens
from automl_graph.options import choices_of, current_choice, require_choice, require_number, require_share
from automl_graph.ordering import node_sequences
from automl_graph.signal import Graph
from automl_graph.ssm import BiSelectiveSSM

__all__ = ["GMN", "GraphMambaGPS"]

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
class _TokenStage(nn.Module):
    """Stage 1: every node reads its own tokens, the farthest first and itself last; its last state is its feature."""

    def __init__(self, tokens: SubgraphTokens, layers: Sequence[nn.Module]) -> None:
        super().__init__()
        self.tokens = tokens
        self.layers = nn.ModuleList(layers)

    def forward(self, x: Tensor, edge_index: Tensor, seed: int | Tensor) -> Tensor:
        items = self.tokens(x, edge_index, seed)
        first = (torch.arange(items.shape[1], device=x.device) == 0).expand(items.shape[:2])
        for layer in self.layers:
            items = layer(items, first)
        last: Tensor = items[:, -1]
        return last


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
        order: nodes by ``degree``, well-connected ones last, or in a fixed ``random`` order. Ties go by number; in training, ties
            and random orders are drawn anew in every step.
        m: longest walk; 0 makes every node its own token, without a stage of token layers.
        s: tokens of each length, up to ``m``; fewer tokens are the last ones of more.
        walks: walks of each token; ``M`` in the paper.
        token_layers: layers over the tokens of a node; the last one reads forwards only, since only its last item is used.
        local: what a layer sees of a token: ``mean`` of its nodes, or ``gcn``, a graph convolution on its induced subgraph.
        resample: ``once``: fixed walks; ``per_step``: other walks in every training step, the fixed ones in evaluation.
        dropout: share of updates dropped in training.

    Shape:
        x: ``(nodes, inp)``. Returns the same graph with ``(nodes, out)``.

    Cost:
        Linear in nodes and edges. With ``E = expand * hidden``, ``3 * hidden * E + 8 * E * states`` multiply-accumulates for
        a node, a layer and a direction; walks multiply the nodes of the first stage by ``m * s + 1``.

    Raises:
        SpaceError: an option has a value that does not exist.

    Specialised:
        The same block with plain layers and numbers.

    Source:
        Section 4. Deviations: message passing reads the features of the layer, not those of the input, and there is no positional
        encoding. ``A`` starts as in Mamba.

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
        m: int | Sequence[int] = 0,
        s: int | Sequence[int] = 1,
        walks: int | Sequence[int] = 4,
        token_layers: int = 1,
        local: str | Sequence[str] = "mean",
        resample: str = "per_step",
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
        require_number("m", m, smallest=0)
        for name, counts in (("s", s), ("walks", walks), ("token_layers", token_layers)):
            require_number(name, counts, smallest=1)
        require_choice("local", local, ("mean", "gcn"))
        require_choice("resample", resample, ("once", "per_step"))
        require_share("dropout", dropout)
        self.hidden: Final = as_ordinal(hidden)
        self.expand: Final = as_ordinal(expand)
        self.states: Final = as_ordinal(states)
        self.kernel: Final = as_ordinal(kernel)
        self.layers: Final = as_ordinal(layers)
        self.direction: Final = as_categorical(direction)
        self.mpnn: Final = as_categorical(mpnn)
        self.order: Final = as_categorical(order)
        self.m: Final = as_ordinal(m)
        self.s: Final = as_ordinal(s)
        self.walks: Final = as_ordinal(walks)
        self.local: Final = as_categorical(local)
        self.resample: Final = resample
        width = cast(SizeLike, self.hidden)
        inner = cast(SizeLike, self.hidden * self.expand)
        shared: dict[str, Any] = {"states": self.states, "kernel": self.kernel, "direction": self.direction}
        self.embed = elastic.Linear(inp, width)
        if max(choices_of(m)) > 0:
            tokens = SubgraphTokens(
                width,
                longest=cast(SizeLike, self.m),
                walks=cast(SizeLike, self.walks),
                repeats=cast(SizeLike, self.s),
                local=self.local,
            )
            # Of the last layer only the last item is used, and in the backward direction that has read nothing before it.
            directions = [self.direction] * (token_layers - 1) + ["forward"]
            self.token_stage = _TokenStage(
                tokens,
                [BiSelectiveSSM(width, inner, dropout=dropout, **shared | {"direction": d}) for d in directions],
            )
        depth = cast(SizeLike, self.layers)
        self.node_layers = elastic.Repeat(
            [_NodeLayer(width, inner, self.mpnn, shared, dropout) for _ in range(largest_value(depth))], depth
        )
        self.leave = elastic.Linear(width, out)

    def conditions(self) -> Mapping[str, Guard]:
        """Parts that only walks use."""
        if not isinstance(self.m, Ordinal):
            return {}
        return dict.fromkeys(("token_stage", "s", "walks", "local"), Guard.above(self.m, 0))

    def forward(self, graph: Graph) -> Graph:
        """Returns the graph with features that have read the whole graph."""
        x = self.embed(graph.x)
        if int(self.m):
            x = self.token_stage(x, graph.edge_index, self._seed(x))
        sequences = node_sequences(
            graph.edge_index,
            graph.x.shape[0],
            graph.batch,
            key=current_choice(self.order),
            shuffle_ties=self.training,
        )
        stream = self.node_layers(_Stream(x, graph.edge_index, *sequences))
        return graph._replace(x=self.leave(stream.x))

    def _seed(self, x: Tensor) -> int | Tensor:
        if self.training and self.resample == "per_step":
            return torch.randint(1, 2**30, (), device=x.device)
        return 0


@final
class GraphMambaGPS(nn.Module):
    """One forward pass over nodes sorted by degree, beside message passing, in every layer: ``GMN`` without walks.

    Args:
        inp: width of the input, in features.
        out: width of the output, in features.
        hidden: as for ``GMN``, like all further options.
        layers: see there.
        expand: see there.
        states: see there.
        kernel: see there.
        mpnn: message passing beside each layer: ``gatedgcn`` (paper) or ``gine``.
        dropout: see there.

    Shape:
        x: ``(nodes, inp)``. Returns the same graph with ``(nodes, out)``.

    Source:
        Wang, Tsepa, Ma, Wang 2024, arXiv:2402.00789. Deviations: no feed-forward layer behind each layer, no positional encoding,
        one order in evaluation instead of a mean over five.

    Example:
        >>> block = GraphMambaGPS(4, 3, hidden=8, layers=2)
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
        expand: int | Sequence[int] = 1,
        states: int | Sequence[int] = (8, 16),
        kernel: int | Sequence[int] = 4,
        mpnn: str | Sequence[str] = "gatedgcn",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        require_choice("mpnn", mpnn, ("gatedgcn", "gine"))
        self.block = GMN(
            inp,
            out,
            hidden=hidden,
            layers=layers,
            expand=expand,
            states=states,
            kernel=kernel,
            direction="forward",
            mpnn=mpnn,
            dropout=dropout,
        )

    def forward(self, graph: Graph) -> Graph:
        """Returns the graph with features that have read the nodes before and the neighbours."""
        result: Graph = self.block(graph)
        return result
