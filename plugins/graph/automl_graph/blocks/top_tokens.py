"""The Top-m branch of TANGNN: nodes read a few selected nodes of their graph, however far away.

E, Zhang, Xia, Xu 2024, arXiv:2411.15458. Every tensor has at most ``nodes * m`` rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from automl import elastic
from automl.space import Categorical, Guard, Scalar, Size, SizeLike, largest_value
from automl_graph.options import current_choice
from automl_graph.selection import cosine_scores, graph_sizes, ranked_nodes

__all__ = ["AuxiliaryVector", "TopTokens"]

Mode = Literal["cross", "broadcast", "window"]


@final
class AuxiliaryVector(nn.Module):
    """The direction that scores nodes; a random unit vector at the start.

    Args:
        width: width of the scored features.
        trained: a parameter; otherwise a buffer that only ``turn_away_from`` changes.

    Shape:
        Returns ``(width,)``.
    """

    def __init__(self, width: SizeLike, *, trained: bool) -> None:
        super().__init__()
        self.width = width
        vector = F.normalize(torch.randn(largest_value(width)), dim=0)
        if trained:
            self.vector = nn.Parameter(vector)
        else:
            self.register_buffer("vector", vector)

    def forward(self) -> Tensor:
        """Returns the active part."""
        units = self._units()
        return self.vector[: int(self.width)] if units is None else self.vector[units]

    @torch.no_grad()
    def turn_away_from(self, x: Tensor) -> None:
        """Makes the active part orthogonal to the mean of features ``(nodes, width)``, at length 1.

        Nothing changes where the mean is zero or the part points along it.
        """
        mean = x.mean(0)
        direction = mean / mean.norm().clamp(min=torch.finfo(x.dtype).tiny)
        turned = self().clone()
        for _ in range(2):  # the second time removes what rounding left over
            turned = turned - (turned @ direction) * direction
        if bool(turned.norm() > 1e-6 * self().norm()):
            units = self._units()
            self.vector[slice(0, int(self.width)) if units is None else units] = turned / turned.norm()

    def specialise(self) -> nn.Module:
        """Returns the active part as a vector of its own."""
        return _PlainVector(self().detach().clone(), trained=isinstance(self.vector, nn.Parameter)).train(self.training)

    def _units(self) -> list[int] | None:
        units = self.width.indices() if isinstance(self.width, Size) else None
        return None if units is None else list(units)


@final
class _PlainVector(nn.Module):
    def __init__(self, vector: Tensor, *, trained: bool) -> None:
        super().__init__()
        if trained:
            self.vector = nn.Parameter(vector)
        else:
            self.register_buffer("vector", vector)

    def forward(self) -> Tensor:
        vector: Tensor = self.vector
        return vector

    def turn_away_from(self, x: Tensor) -> None:
        """Does nothing: an extracted model keeps its selection."""


@final
class TopTokens(nn.Module):
    """Nodes are scored by ``cos(relu(x_v), a)``; the ``m`` best of each graph become tokens that its nodes read.

    Args:
        inp: width of the input, in features.
        width: width inside and of the output, in features.
        count: number of tokens, m; fewer tokens are a prefix of more. A graph with fewer nodes has as many tokens as nodes.
        mode: ``cross``: every node attends to the tokens; ``broadcast``: tokens attend to each other, and all nodes get their
            mean; ``window``: every node attends to the m nodes nearest to it in the ranking.
        heads: attention heads; divide ``width``.
        auxiliary: ``random_fixed``: a stays as it was drawn; ``orthogonal_update``: a is kept orthogonal to the mean of the
            features in training; ``gated``: tokens are multiplied by ``tanh`` of their score, so a is trained.
        feed_forward: add the attended features to the projected ones, normalise, and add a perceptron of four times the width.

    Shape:
        x: ``(nodes, inp)``; batch: ``(nodes,)`` int64 in increasing order, or ``None`` for one graph. Returns ``(nodes, width)``.

    Cost:
        ``nodes * width * (inp + width)`` for the projection and ``2 * nodes * m * width`` for attention; ``broadcast`` attends at
        ``2 * m² * width``.
    """

    def __init__(
        self,
        inp: SizeLike,
        width: SizeLike,
        *,
        count: SizeLike,
        mode: Scalar | Categorical = "cross",
        heads: SizeLike = 1,
        auxiliary: Scalar | Categorical = "random_fixed",
        feed_forward: Scalar | Categorical = True,
    ) -> None:
        super().__init__()
        self.count: Final = count
        self.mode: Final = mode
        self.heads: Final = heads
        self.auxiliary: Final = auxiliary
        self.feed_forward: Final = feed_forward
        kinds = auxiliary.choices if isinstance(auxiliary, Categorical) else (auxiliary,)
        self.trained = AuxiliaryVector(inp, trained=True) if "gated" in kinds else None
        self.fixed = AuxiliaryVector(inp, trained=False) if set(kinds) - {"gated"} else None
        self.enter = elastic.Linear(inp, width)
        self.project = elastic.Linear(width, width)
        self.query = elastic.Linear(width, width)
        self.key = elastic.Linear(width, width, bias=False)
        self.value = elastic.Linear(width, width)
        self.refine = _FeedForward(width) if feed_forward is not False else None

    def conditions(self) -> Mapping[str, Guard]:
        """Parts that only some settings use."""
        guards: dict[str, Guard] = {}
        if isinstance(self.auxiliary, Categorical):
            kinds = frozenset(self.auxiliary.choices)
            guards["trained"] = Guard(self.auxiliary, kinds & {"gated"})
            guards["fixed"] = Guard(self.auxiliary, kinds - {"gated"})
        if isinstance(self.feed_forward, Categorical):
            guards["refine"] = Guard(self.feed_forward, frozenset({True}))
        return guards

    def scores(self, x: Tensor) -> Tensor:
        """Returns the score of every node, ``(nodes,)``."""
        kind = current_choice(self.auxiliary)
        if kind == "gated":
            assert self.trained is not None
            return cosine_scores(x, self.trained())
        assert self.fixed is not None
        if kind == "orthogonal_update" and self.training and x.shape[0]:
            self.fixed.turn_away_from(x)
        return cosine_scores(x.detach(), self.fixed())

    def forward(self, x: Tensor, batch: Tensor | None = None) -> Tensor:
        """Returns what every node read."""
        scores, nodes = self.scores(x), x.shape[0]
        features = self.project(torch.relu(self.enter(x)))
        tokens = features * torch.tanh(scores)[:, None] if current_choice(self.auxiliary) == "gated" else features
        graph = torch.zeros_like(scores, dtype=torch.int64) if batch is None else batch
        # Every graph has a node, so their number is at most that of the nodes; a traced network cannot know more.
        graphs = 1 if batch is None else nodes if torch.compiler.is_compiling() or not nodes else int(batch[-1]) + 1
        order, place = ranked_nodes(scores.detach(), graph)
        sizes = graph_sizes(graph, graphs)
        starts = torch.cumsum(sizes, 0) - sizes
        ranks = torch.arange(int(self.count), device=x.device)
        mode: Mode = current_choice(self.mode)
        if mode == "window":
            rank = place - starts[graph]
            spare = (sizes[graph] - int(self.count)).clamp(min=0)
            begin = torch.minimum((rank - int(self.count) // 2).clamp(min=0), spare)
            chosen, real = _pick(order, (starts[graph] + begin)[:, None] + ranks, begin[:, None] + ranks, sizes[graph])
            attended = self._attend(features[:, None], _rows(tokens, chosen), real[:, None])[:, 0]
            return attended if self._plain() else self._refined(features, attended)
        chosen, real = _pick(order, starts[:, None] + ranks, ranks[None], sizes)
        selected = _rows(tokens, chosen)
        if mode == "broadcast":
            attended = self._attend(selected, selected, real[:, None])
            attended = attended if self._plain() else self._refined(selected, attended)
            share = real.to(x.dtype) / real.sum(1, keepdim=True).clamp(min=1)
            return (share[..., None] * attended).sum(1)[graph]
        if batch is None:
            attended = self._attend(features[None], selected, real[:, None])[0]
        else:
            attended = self._attend(features[:, None], selected, real[:, None], of=graph)[:, 0]
        return attended if self._plain() else self._refined(features, attended)

    def _plain(self) -> bool:
        return not current_choice(self.feed_forward)

    def _refined(self, features: Tensor, attended: Tensor) -> Tensor:
        assert self.refine is not None
        refined: Tensor = self.refine(features, attended)
        return refined

    def _attend(self, asking: Tensor, context: Tensor, real: Tensor, of: Tensor | None = None) -> Tensor:
        """Attends from ``(rows, n, width)`` to ``(rows, m, width)``, of which ``real`` ``(rows, 1, m)`` are there.

        With ``of``, ``(rows,)``, context and ``real`` are those of graphs, of which every row takes one.
        """
        key, value = self.key(context), self.value(context)
        if of is not None:
            key, value, real = key[of], value[of], real[of]
        query, key, value = (self._heads(t) for t in (self.query(asking), key, value))
        # A graph without tokens exists only in traced networks, and none of its nodes do; its first place keeps softmax finite.
        first = torch.arange(real.shape[-1], device=real.device) == 0
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=(real | first)[:, None])
        return mixed.transpose(1, 2).flatten(2)

    def _heads(self, features: Tensor) -> Tensor:
        heads = int(self.heads)
        return torch.unflatten(features, -1, (heads, features.shape[-1] // heads)).transpose(1, 2)


def _pick(order: Tensor, positions: Tensor, ranks: Tensor, sizes: Tensor) -> tuple[Tensor, Tensor]:
    """Returns nodes at positions of the ranking, and whether their rank exists in their graph."""
    real = ranks < sizes[:, None]
    none = torch.full_like(order[:1].sum(0, keepdim=True), order.shape[0])
    return torch.cat([order, none])[torch.where(real, positions, order.shape[0])], real


def _rows(features: Tensor, chosen: Tensor) -> Tensor:
    """Returns rows of features by number; the number after the last one gives zeros."""
    return torch.cat([features, torch.zeros_like(features[:1].sum(0, keepdim=True))])[chosen]


@final
class _FeedForward(nn.Module):
    """``y = LN(x + attended)``, ``LN(y + W2 relu(W1 y))``."""

    def __init__(self, width: SizeLike) -> None:
        super().__init__()
        hidden = width * 4
        self.first_norm = elastic.LayerNorm(width)
        self.expand = elastic.Linear(width, hidden)
        self.reduce = elastic.Linear(hidden, width)
        self.second_norm = elastic.LayerNorm(width)

    def forward(self, x: Tensor, attended: Tensor) -> Tensor:
        y = self.first_norm(x + attended)
        result: Tensor = self.second_norm(y + self.reduce(torch.relu(self.expand(y))))
        return result
