"""LATTE: Tran and Gao, "Layer-stacked attention for heterogeneous network embedding".

arXiv:2009.08072. The text of the paper was not at hand; the method follows its abstract and what its authors published with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal, cast, final

import torch
from torch import Tensor, nn

from automl import elastic
from automl.space import SizeLike, as_ordinal, largest_value
from automl_graph.hetero.joining import JoinedEdges, meta_relations
from automl_graph.hetero.latte_layer import AttentionActivation, LATTELayer, Orders
from automl_graph.hetero.schema import Schema
from automl_graph.hetero.signal import HeteroGraph
from automl_graph.hetero.type_linear import TypeLinear
from automl_graph.options import require_choice, require_number, require_share
from automl_graph.repeated_width import RepeatedWidth

__all__ = ["LATTE", "LATTEHead", "StackedOrders"]

Context = Literal["input", "previous"]
Updates = Literal["all", "labelled"]


@final
class StackedOrders(nn.Module):
    """Features of all orders side by side, ``h_i = concat(h_i^1, ..., h_i^T)``; see ``LATTELayer`` for one.

    Fewer orders are a prefix of more, and narrower heads of wider ones.

    Args:
        inp: width of the input, or of each type.
        schema: types and relations.
        orders: number of orders.
        heads: attention heads.
        head_width: features of one attention head.
        attention: what is done to logits of edges.
        context: where the features of neighbours are from, for orders above 1.
        updates: ``"labelled"``: only nodes of the first type look at others, which is all that a head needs behind the last
            block; relations that lead elsewhere are then never joined.
        joined_edges: keep all joined edges, or no more than the smaller of both joined relations has.
        attention_dropout: share of attention weights dropped in training.
        proximity: weight of the proximity loss in training; 0 turns it off.
        negatives: pairs without an edge for each edge in that loss.

    Shape:
        x: for each type ``(nodes, inp)``. Returns for each type ``(nodes, orders * heads * head_width)``.

    Raises:
        SpaceError: an option has a value that does not exist.
    """

    def __init__(
        self,
        inp: SizeLike,
        *,
        schema: Schema,
        orders: int | Sequence[int],
        heads: int | Sequence[int],
        head_width: int | Sequence[int],
        attention: AttentionActivation,
        context: Context,
        updates: Updates,
        joined_edges: JoinedEdges,
        attention_dropout: float,
        proximity: float,
        negatives: float,
    ) -> None:
        super().__init__()
        for name, option in (("orders", orders), ("heads", heads), ("head_width", head_width)):
            require_number(name, option, smallest=1)
        require_choice("attention", attention, ("sharpening", "prelu", "leaky_relu", "none"))
        require_choice("context", context, ("input", "previous"))
        require_choice("updates", updates, ("all", "labelled"))
        require_choice("joined_edges", joined_edges, ("all", "sampled"))
        require_share("attention_dropout", attention_dropout)
        self.orders: Final = cast(SizeLike, as_ordinal(orders))
        self.heads: Final = cast(SizeLike, as_ordinal(heads))
        self.head_width: Final = cast(SizeLike, as_ordinal(head_width))
        one_order = RepeatedWidth(self.heads, self.head_width)
        relations = meta_relations(schema, largest_value(self.orders))
        self.layers = elastic.Repeat(
            [
                LATTELayer(
                    schema,
                    position + 1,
                    [r for r in of_order if updates == "all" or r.head == 0],
                    one_order if position else inp,
                    one_order if position and context == "previous" else inp,
                    heads=self.heads,
                    head_width=self.head_width,
                    previous_context=context == "previous",
                    attention=attention,
                    joined_edges=joined_edges,
                    attention_dropout=attention_dropout,
                    proximity=proximity,
                    negatives=negatives,
                )
                for position, of_order in enumerate(relations)
            ],
            self.orders,
        )

    @property
    def width(self) -> SizeLike:
        """Width of the output; columns of an order keep their place whatever the widths are."""
        return RepeatedWidth(self.orders, RepeatedWidth(self.heads, self.head_width))

    def forward(self, graph: HeteroGraph) -> tuple[Tensor, ...]:
        """Returns the features of each type."""
        outputs = self.layers(Orders(graph)).outputs
        return tuple(torch.cat(of_type, dim=1) for of_type in zip(*outputs, strict=True))


@final
class LATTE(nn.Module):
    """Attention over relations of rising length, ``out = dropout(W_a concat(h^1, ..., h^T) + b_a)`` for each type.

    Args:
        inp: width of the input, or of each type.
        out: width of the output, in features.
        schema: types and relations.
        orders: number of orders T; relations of order t follow t relations in a row.
        heads: attention heads.
        head_width: features of one attention head.
        attention: what is done to logits of edges: ``"sharpening"``, ``"prelu"``, ``"leaky_relu"`` or ``"none"``.
        context: features of neighbours in orders above 1 are from the ``"input"`` or from the ``"previous"`` order.
        updates: ``"labelled"``: only nodes of the first type look at others; right for the last block before the head.
        joined_edges: ``"all"``, or ``"sampled"``: no more than the smaller of both joined relations has.
        attention_dropout: share of attention weights dropped in training.
        dropout: share of features dropped in training.
        proximity: weight of the proximity loss in training; 0 turns it off.
        negatives: pairs without an edge for each edge in that loss.

    Shape:
        x: for each type ``(nodes, inp)``. Returns the same graph with ``(nodes, out)``.

    Cost:
        For each order and relation ``edges * heads * head_width`` element-wise operations, for each type three linear layers.

    Raises:
        SpaceError: an option has a value that does not exist.

    Specialised:
        The same block with ``nn.Linear`` and plain values.

    Source:
        The method as its authors published it in 2020. Deviations: a linear layer per type maps all orders to the width of the
        slot, whereas ``LATTEHead`` is the whole network; attention may have several heads; neighbourhoods are not sampled.

    Example:
        >>> from automl_graph.hetero import Relation
        >>> block = LATTE(4, 3, schema=Schema(("p", "a"), (Relation("by", "p", "a"),)))
        >>> graph = HeteroGraph((torch.randn(2, 4), torch.randn(5, 4)), (torch.tensor([[0, 1], [4, 2]]),))
        >>> [tuple(x.shape) for x in block(graph).x]
        [(2, 3), (5, 3)]
    """

    def __init__(
        self,
        inp: SizeLike,
        out: SizeLike,
        *,
        schema: Schema,
        orders: int | Sequence[int] = (1, 2),
        heads: int | Sequence[int] = 1,
        head_width: int | Sequence[int] = (16, 32),
        attention: AttentionActivation = "sharpening",
        context: Context = "input",
        updates: Updates = "all",
        joined_edges: JoinedEdges = "all",
        attention_dropout: float = 0.2,
        dropout: float = 0.4,
        proximity: float = 0.0,
        negatives: float = 2.0,
    ) -> None:
        super().__init__()
        require_share("dropout", dropout)
        self.stack = StackedOrders(
            inp,
            schema=schema,
            orders=orders,
            heads=heads,
            head_width=head_width,
            attention=attention,
            context=context,
            updates=updates,
            joined_edges=joined_edges,
            attention_dropout=attention_dropout,
            proximity=proximity,
            negatives=negatives,
        )
        self.merge = TypeLinear(self.stack.width, out, range(len(schema.types)))
        self.drop = nn.Dropout(dropout)

    def forward(self, graph: HeteroGraph) -> HeteroGraph:
        """Returns the graph with composed features."""
        merged = self.merge(self.stack(graph))
        return graph._replace(x=tuple(self.drop(x) for x in merged.values()))


@final
class LATTEHead(nn.Module):
    """The whole network: ``logits = W dropout(concat(h^1, ..., h^T)) + b`` for the nodes of the first type.

    Args:
        inp: width of the input, or of each type.
        out: number of classes.
        schema: types and relations; the first type is classified.
        orders: see ``LATTE``, as for all options that follow.
        heads: attention heads.
        head_width: features of one attention head.
        attention: what is done to logits of edges.
        context: features of neighbours in orders above 1.
        updates: which nodes look at others.
        joined_edges: how many joined edges are kept.
        attention_dropout: share of attention weights dropped in training.
        dropout: share of features dropped before the linear layer in training.
        proximity: weight of the proximity loss in training.
        negatives: pairs without an edge for each edge in that loss.

    Shape:
        x: for each type ``(nodes, inp)``. Returns logits ``(nodes of the first type, out)``.

    Specialised:
        The same head with ``nn.Linear`` and plain values.

    Example:
        >>> from automl_graph.hetero import Relation
        >>> head = LATTEHead(4, 3, schema=Schema(("p", "a"), (Relation("by", "p", "a"),)))
        >>> head(HeteroGraph((torch.randn(2, 4), torch.randn(5, 4)), (torch.tensor([[0, 1], [4, 2]]),))).shape
        torch.Size([2, 3])
    """

    def __init__(
        self,
        inp: SizeLike,
        out: int,
        *,
        schema: Schema,
        orders: int | Sequence[int] = (1, 2),
        heads: int | Sequence[int] = 1,
        head_width: int | Sequence[int] = (32, 64, 128),
        attention: AttentionActivation = "sharpening",
        context: Context = "input",
        updates: Updates = "labelled",
        joined_edges: JoinedEdges = "all",
        attention_dropout: float = 0.2,
        dropout: float = 0.4,
        proximity: float = 0.0,
        negatives: float = 2.0,
    ) -> None:
        super().__init__()
        require_share("dropout", dropout)
        self.stack = StackedOrders(
            inp,
            schema=schema,
            orders=orders,
            heads=heads,
            head_width=head_width,
            attention=attention,
            context=context,
            updates=updates,
            joined_edges=joined_edges,
            attention_dropout=attention_dropout,
            proximity=proximity,
            negatives=negatives,
        )
        self.linear = TypeLinear(self.stack.width, out, [0])
        self.drop = nn.Dropout(dropout)

    def forward(self, graph: HeteroGraph) -> Tensor:
        """Returns the logits of the nodes of the first type."""
        logits: Tensor = self.linear([self.drop(x) for x in self.stack(graph)])[0]
        return logits
