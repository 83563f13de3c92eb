"""One order of LATTE: attention inside every relation of that order, then across relations.

Tran and Gao, "Layer-stacked attention for heterogeneous network embedding", arXiv:2009.08072.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Literal, NamedTuple, final

import torch
from torch import Tensor, nn

from automl import elastic
from automl.space import SizeLike
from automl.supernet import add_auxiliary_loss, collects_auxiliary_losses
from automl_graph.attention import Links, attend, score_heads
from automl_graph.hetero.joining import Joined, JoinedEdges, MetaRelation, joined_edges
from automl_graph.hetero.proximity import proximity_loss, sample_non_edges
from automl_graph.hetero.schema import Schema
from automl_graph.hetero.signal import HeteroGraph
from automl_graph.hetero.type_linear import TypeLinear
from automl_graph.repeated_width import RepeatedWidth

__all__ = ["AttentionActivation", "LATTELayer", "Orders", "Preference", "RelationScore"]

AttentionActivation = Literal["sharpening", "prelu", "leaky_relu", "none"]


class Orders(NamedTuple):
    """What passes from one order to the next.

    Args:
        graph: the graph with its original features.
        outputs: for each order so far, the features of each type.
    """

    graph: HeteroGraph
    outputs: tuple[tuple[Tensor, ...], ...] = ()


@final
class RelationScore(nn.Module):
    """Logits of the edges of one relation, ``e_ij = f(u . l_i + c1 + v . r_j + c2)`` for each attention head.

    Args:
        head_width: features of one attention head.
        heads: attention heads.
        activation: ``f``; ``"sharpening"`` multiplies with a learned number that starts at 1.

    Shape:
        left: ``(heads of edges, attention heads, head_width)``; right: ``(tails, attention heads, head_width)``; index:
            ``(2, edges)``. Returns ``(edges, attention heads)``.
    """

    def __init__(self, head_width: SizeLike, heads: SizeLike, activation: AttentionActivation) -> None:
        super().__init__()
        self.head = elastic.Linear(head_width, heads)
        self.tail = elastic.Linear(head_width, heads)
        self.sharpness = nn.Parameter(torch.ones(())) if activation == "sharpening" else None
        self.activation = {"prelu": nn.PReLU(), "leaky_relu": nn.LeakyReLU(0.2)}.get(activation, nn.Identity())

    def forward(self, left: Tensor, right: Tensor, index: Tensor) -> Tensor:
        """Returns the logits of pairs of a head and a tail."""
        logits = score_heads(left, self.head)[index[0]] + score_heads(right, self.tail)[index[1]]
        return self.activation(logits) if self.sharpness is None else self.sharpness * logits


@final
class Preference(nn.Module):
    """Weights of relations for each node of a type, ``softmax(B x_i + b)``; the last one is that of the node itself.

    Args:
        layer: ``B`` and ``b``, a ``TypeLinear`` of one type.
        order: which order of relations it weighs, from 1.
        type_name: the type.
        relations: names of the relations.

    Shape:
        x: features of all types. Returns ``(nodes, relations + 1)``.
    """

    def __init__(self, layer: TypeLinear, order: int, type_name: str, relations: Sequence[str]) -> None:
        super().__init__()
        self.layer = layer
        self.order: Final = order
        self.type_name: Final = type_name
        self.relations: Final = tuple(relations)

    def forward(self, x: Sequence[Tensor]) -> Tensor:
        """Returns the weights; those of a node sum to 1."""
        (scores,) = self.layer(x).values()
        return torch.softmax(scores, dim=1)


@final
class LATTELayer(nn.Module):
    """Features of one order, ``h_i = relu(sum_phi beta_i,phi z_i^phi + beta_i,self l_i)``.

    ``l = W_l x + b`` of a node itself and ``r = W_r x' + b`` of others; ``z_i^phi = sum_j alpha_ij r_j`` over the neighbours of
    relation phi, with ``alpha_i = softmax_j(e_ij)``, zero without any; ``beta_i`` of ``Preference``, over all relations with the
    node's type as head, those without neighbours included.

    Args:
        schema: types and relations.
        order: number of relations in a row, from 1.
        relations: the relations of this order.
        inp: width of ``x``, the features that the layer is for.
        context: width of ``x'``: the original features.
        heads: attention heads.
        head_width: features of one attention head.
        previous_context: take ``x'`` from the order before instead.
        attention: see ``RelationScore``.
        joined_edges: see ``automl_graph.hetero.joining.joined_edges``.
        attention_dropout: share of attention weights dropped in training.
        proximity: weight of the proximity loss in training.
        negatives: sampled pairs without an edge for each edge.
    """

    def __init__(
        self,
        schema: Schema,
        order: int,
        relations: Sequence[MetaRelation],
        inp: SizeLike,
        context: SizeLike,
        *,
        heads: SizeLike,
        head_width: SizeLike,
        previous_context: bool,
        attention: AttentionActivation,
        joined_edges: JoinedEdges,
        attention_dropout: float,
        proximity: float,
        negatives: float,
    ) -> None:
        super().__init__()
        self.schema: Final = schema
        self.relations: Final = tuple(relations)
        self.heads: Final = heads
        self.head_width: Final = head_width
        self.previous_context: Final = previous_context
        self.joined_edges: Final = joined_edges
        self.attention_dropout: Final = attention_dropout
        self.proximity: Final = proximity
        self.negatives: Final = negatives
        width = RepeatedWidth(heads, head_width)
        every_type = range(len(schema.types))
        self.own = TypeLinear(inp, width, every_type)
        self.others = TypeLinear(context, width, sorted({relation.tail for relation in relations}))
        self.scores = nn.ModuleList(RelationScore(head_width, heads, attention) for _ in relations)
        self.preferences = nn.ModuleList(
            Preference(TypeLinear(inp, len(own) + 1, [t]), order, schema.types[t], [r.name(schema) for r in own])
            for t in every_type
            if (own := [relation for relation in relations if relation.head == t])
        )

    def forward(self, orders: Orders) -> Orders:
        """Returns the orders with one more."""
        graph = orders.graph
        x = orders.outputs[-1] if orders.outputs else graph.x
        left = self._heads_of(self.own(x))
        right = self._heads_of(self.others(x if self.previous_context else graph.x))
        gathered: dict[int, list[Tensor]] = {t: [] for t in left}
        losses: list[Tensor] = []
        for relation, score in zip(self.relations, self.scores, strict=True):
            own, others = left[relation.head], right[relation.tail]
            edges = joined_edges(graph, relation, self.schema, self.joined_edges)
            logits = score(own, others, edges.index)
            links = Links(edges.index[1], edges.index[0], own.shape[0], None)
            gathered[relation.head].append(
                attend(logits, others, links, dropout=self.attention_dropout, training=self.training)
            )
            if self.training and self.proximity and collects_auxiliary_losses():
                losses.append(self._proximity(score, own, others, edges, logits))
        if losses:
            add_auxiliary_loss(self.proximity * torch.stack(losses).sum() / (2 * len(losses)))
        return Orders(graph, (*orders.outputs, self._choose(x, left, gathered)))

    def _choose(
        self, x: Sequence[Tensor], left: Mapping[int, Tensor], gathered: Mapping[int, list[Tensor]]
    ) -> tuple[Tensor, ...]:
        preferences = iter(self.preferences)
        outputs = []
        for t, own in left.items():
            candidates = [*gathered[t], own.flatten(1)]
            if len(candidates) > 1:
                weights = next(preferences)(x)
                mixed = sum(weights[:, k : k + 1] * z for k, z in enumerate(candidates))
                assert isinstance(mixed, Tensor)
            else:
                (mixed,) = candidates
            outputs.append(torch.relu(mixed))
        return tuple(outputs)

    def _proximity(self, score: nn.Module, own: Tensor, others: Tensor, edges: Joined, logits: Tensor) -> Tensor:
        free = sample_non_edges(edges.index, own.shape[0], others.shape[0], ratio=self.negatives)
        return proximity_loss(logits, edges.value, score(own, others, free))

    def _heads_of(self, features: Mapping[int, Tensor]) -> dict[int, Tensor]:
        return {t: f.view(f.shape[0], int(self.heads), int(self.head_width)) for t, f in features.items()}
