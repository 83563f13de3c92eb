"""The unified layer of Auto-GNN: Zhou et al. 2019, "Auto-GNN: neural architecture search of graph neural networks".

arXiv:1909.03184, section 3. Not to be confused with AGNN of Thekumparampil et al. 2018, an attention model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, cast, final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from automl import elastic
from automl.space import Categorical, Scalar, SizeLike, as_categorical, as_ordinal
from automl_graph.attention import Links, links_of
from automl_graph.attention_functions import ATTENTION_FUNCTIONS
from automl_graph.options import current_choice, require_choice, require_number, require_share
from automl_graph.pyg import scatter
from automl_graph.repeated_width import RepeatedWidth
from automl_graph.signal import Graph

__all__ = ["AutoGNNLayer"]

_ACTIVATIONS: Final[Mapping[str, Callable[[Tensor], Tensor]]] = {
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "relu": F.relu,
    "identity": lambda x: x,
    "softplus": F.softplus,
    "leaky_relu": F.leaky_relu,
    "relu6": F.relu6,
    "elu": F.elu,
}
_AGGREGATIONS: Final = ("sum", "mean", "max")
_COMBINATIONS: Final = ("identity", "mlp")
_SHARING: Final = ("relaxed", "constrained")


@final
class AutoGNNLayer(nn.Module):
    """``out = activation(combine(x_i, concat_h(aggregate_j a_ij^h W_h x_j)))``.

    Every node is its own neighbour once. Heads and the features of each are ordered: fewer are a prefix of more.

    Args:
        inp: width of the input, in features.
        out: width of the output, in features.
        hidden: features of one head.
        attention: how links are weighed: ``const`` (1), ``gcn``, ``gat``, ``gat_sym``, ``cos``, ``linear`` or ``gene_linear``;
            see ``automl_graph.attention_functions``.
        heads: number of heads.
        aggregation: ``sum``, ``mean`` or ``max`` over the neighbours.
        combine: ``identity`` takes what was aggregated, ``mlp`` is a perceptron of it and the node's own features.
        activation: what follows.
        sharing: ``relaxed`` has all architectures use the same weights. ``constrained`` gives each pair of attention function
            and activation weights of its own, as weights that were trained under another pair mislead; such a layer
            holds as many copies as there are pairs, and each is trained so much less.
        attention_dropout: share of the weights of links dropped in training.
        dropout: share of features dropped in training.

    Shape:
        x: ``(nodes, inp)``. Returns the same graph with ``(nodes, out)``.

    Cost:
        With ``h = heads * hidden``: ``nodes * h * (inp + out)`` multiply-accumulates, those of the attention function and
        ``(edges + nodes) * h`` element-wise operations. Training keeps ``(edges + nodes) * h`` values.

    Raises:
        SpaceError: an option has a value that does not exist.

    Specialised:
        The same block with ``nn.Linear``, the chosen parts and plain values.

    Source:
        Section 3 and, for sharing, section 5. Deviations: a linear map takes the concatenated heads to the width of the slot,
        so no layer need average its heads; widths are elastic, so of the paper's rules for sharing the one about equal
        shapes holds only where ``hidden`` and ``heads`` are single values.

    Example:
        >>> ring = torch.tensor([[0, 1, 2], [1, 2, 0]])
        >>> AutoGNNLayer(4, 3)(Graph(torch.randn(3, 4), ring)).x.shape
        torch.Size([3, 3])
    """

    def __init__(
        self,
        inp: SizeLike,
        out: SizeLike,
        *,
        hidden: int | Sequence[int] = (4, 8, 16),
        attention: str | Sequence[str] = tuple(ATTENTION_FUNCTIONS),
        heads: int | Sequence[int] = (1, 2, 4),
        aggregation: str | Sequence[str] = _AGGREGATIONS,
        combine: str | Sequence[str] = _COMBINATIONS,
        activation: str | Sequence[str] = tuple(_ACTIVATIONS),
        sharing: str = "relaxed",
        attention_dropout: float = 0.0,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        require_number("hidden", hidden, smallest=1)
        require_number("heads", heads, smallest=1)
        require_choice("attention", attention, ATTENTION_FUNCTIONS)
        require_choice("aggregation", aggregation, _AGGREGATIONS)
        require_choice("combine", combine, _COMBINATIONS)
        require_choice("activation", activation, _ACTIVATIONS)
        require_choice("sharing", sharing, _SHARING)
        require_share("attention_dropout", attention_dropout)
        require_share("dropout", dropout)
        # Held here, before any part that uses them, so that these are their names in the space.
        self.hidden: Final = cast(SizeLike, as_ordinal(hidden))
        self.attention: Final = as_categorical(attention)
        self.heads: Final = cast(SizeLike, as_ordinal(heads))
        self.aggregation: Final = as_categorical(aggregation)
        self.combine: Final = as_categorical(combine)
        self.activation: Final = as_categorical(activation)

        def convolution(attention: Scalar | Categorical, activation: Scalar | Categorical) -> _Convolution:
            return _Convolution(
                inp,
                out,
                hidden=self.hidden,
                attention=attention,
                heads=self.heads,
                aggregation=self.aggregation,
                combine=self.combine,
                activation=activation,
                attention_dropout=attention_dropout,
            )

        if sharing == "relaxed":
            self.convolution: nn.Module = convolution(self.attention, self.activation)
        else:
            self.convolution = _one_of(self.attention, lambda a: _one_of(self.activation, lambda f: convolution(a, f)))
        self.drop = nn.Dropout(dropout)

    def forward(self, graph: Graph) -> Graph:
        """Returns the graph with convolved features."""
        return graph._replace(x=self.drop(self.convolution(graph)))


@final
class _Convolution(nn.Module):
    def __init__(
        self,
        inp: SizeLike,
        out: SizeLike,
        *,
        hidden: SizeLike,
        attention: Scalar | Categorical,
        heads: SizeLike,
        aggregation: Scalar | Categorical,
        combine: Scalar | Categorical,
        activation: Scalar | Categorical,
        attention_dropout: float,
    ) -> None:
        super().__init__()
        width = RepeatedWidth(heads, hidden)
        self.hidden: Final = hidden
        self.heads: Final = heads
        self.aggregation: Final = aggregation
        self.activation: Final = activation
        self.attention_dropout: Final = attention_dropout
        self.transform = elastic.Linear(inp, width, bias=False)
        self.weigh = _one_of(attention, lambda name: ATTENTION_FUNCTIONS[name](hidden, heads))
        self.merge = _one_of(
            combine, lambda name: _Perceptron(inp, width, out) if name == "mlp" else _Aggregated(width, out)
        )

    def forward(self, graph: Graph) -> Tensor:
        nodes = graph.x.shape[0]
        links = links_of(graph.edge_index, nodes, self_loops=True)
        values: Tensor = self.transform(graph.x).view(nodes, int(self.heads), int(self.hidden))
        weights = F.dropout(self.weigh(values, links), self.attention_dropout, self.training)
        combined: Tensor = self.merge(graph.x, self._aggregate(weights[:, :, None] * values[links.source], links))
        return _ACTIVATIONS[current_choice(self.activation)](combined)

    def _aggregate(self, messages: Tensor, links: Links) -> Tensor:
        aggregation = current_choice(self.aggregation)
        if links.hidden is not None and aggregation == "max":
            messages = messages.masked_fill(links.hidden[:, None, None], float("-inf"))
        reduce = "max" if aggregation == "max" else "sum"
        total: Tensor = scatter(messages, links.target, dim=0, dim_size=links.nodes, reduce=reduce)
        if aggregation == "mean":
            counted = torch.ones_like(links.target) if links.hidden is None else (~links.hidden).to(links.target.dtype)
            count: Tensor = scatter(counted, links.target, dim=0, dim_size=links.nodes, reduce="sum")
            total = total / count.clamp(min=1)[:, None, None]
        return total.flatten(1)


@final
class _Aggregated(nn.Module):
    """A linear map of what was aggregated."""

    def __init__(self, width: SizeLike, out: SizeLike) -> None:
        super().__init__()
        self.near = elastic.Linear(width, out)

    def forward(self, x: Tensor, aggregated: Tensor) -> Tensor:
        result: Tensor = self.near(aggregated)
        return result


@final
class _Perceptron(nn.Module):
    """A perceptron of ``[x, aggregated]``, its first layer written as two."""

    def __init__(self, inp: SizeLike, width: SizeLike, out: SizeLike) -> None:
        super().__init__()
        self.own = elastic.Linear(inp, out)
        self.near = elastic.Linear(width, out, bias=False)
        self.last = elastic.Linear(out, out)

    def forward(self, x: Tensor, aggregated: Tensor) -> Tensor:
        result: Tensor = self.last(torch.relu(self.own(x) + self.near(aggregated)))
        return result


def _one_of(option: Scalar | Categorical, make: Callable[[str], nn.Module]) -> nn.Module:
    """The module of a name, or a choice of one for each."""
    if isinstance(option, Categorical):
        return elastic.Choice({str(name): make(str(name)) for name in option.choices}, choice=option)
    return make(str(option))
