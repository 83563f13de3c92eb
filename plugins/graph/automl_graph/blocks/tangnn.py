"""TANGNN: neighbours on one side, a few selected nodes of the whole graph on the other, concatenated.

E, Zhang, Xia, Xu 2024, "TANGNN: a concise, scalable and effective graph neural networks with top-m attention mechanism for graph
representation learning", arXiv:2411.15458.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple, cast, final

import torch
from torch import Tensor, nn

from automl import elastic
from automl.elastic.validation import check_divisible
from automl.space import SizeLike, as_categorical, as_ordinal, largest_value
from automl_graph.blocks.local_conv import AttentionConv, MeanConv, SymmetricConv
from automl_graph.blocks.top_tokens import TopTokens
from automl_graph.options import choices_of, require_choice, require_number, require_share
from automl_graph.signal import Graph

__all__ = ["TANGNN"]

_CONVOLUTIONS: Final[dict[str, Callable[[SizeLike, SizeLike], nn.Module]]] = {
    "sage": MeanConv,
    "gcn": SymmetricConv,
    "gat": AttentionConv,
}
_VARIANTS: Final = ("chained", "concat", "first", "near_first", "tokens_first")


class _Stream(NamedTuple):
    """What flows from layer to layer: features, and what the tokens gave in each layer so far."""

    x: Tensor
    edge_index: Tensor
    batch: Tensor | None
    read: tuple[Tensor, ...]


@final
class _Layer(nn.Module):
    """Neighbourhood branch and Top-m branch; gives their concatenation, ``2 * width`` features.

    ``near_first`` scores and selects by what the neighbourhood branch gives, ``tokens_first`` hands what the tokens give to the
    neighbourhood branch; otherwise both read the same input. With ``tokens=None`` the layer has no tokens of its own and
    passes on those of the first one.
    """

    def __init__(
        self,
        inp: SizeLike,
        width: SizeLike,
        variant: str,
        local: Callable[[SizeLike, SizeLike], nn.Module],
        dropout: float,
        tokens: Mapping[str, Any] | None,
    ) -> None:
        super().__init__()
        self.variant: Final = variant
        self.joined = elastic.Concat([inp, width]) if variant == "tokens_first" else None
        self.near = local(inp if self.joined is None else self.joined.width, width)
        self.far = None if tokens is None else TopTokens(width if variant == "near_first" else inp, width, **tokens)
        self.drop = nn.Dropout(dropout)

    def forward(self, stream: _Stream) -> _Stream:
        x, edge_index, batch, read = stream
        if self.variant == "near_first":
            near = self._near(x, edge_index)
            far = self._far(near, batch)
        elif self.variant == "tokens_first":
            far = self._far(x, batch)
            near = self._near(torch.cat([x, far], dim=1), edge_index)
        else:
            near = self._near(x, edge_index)
            far = read[0] if self.far is None else self._far(x, batch)
        both = near if self.variant == "first" else torch.cat([near, far], dim=1)
        return _Stream(both, edge_index, batch, read if self.far is None else (*read, far))

    def _near(self, x: Tensor, edge_index: Tensor) -> Tensor:
        near: Tensor = self.drop(torch.relu(self.near(x, edge_index)))
        return near

    def _far(self, x: Tensor, batch: Tensor | None) -> Tensor:
        assert self.far is not None
        far: Tensor = self.drop(self.far(x, batch))
        return far


@final
class _Wiring(nn.Module):
    """Layers in one of the variants and the perceptron behind them."""

    def __init__(
        self,
        inp: SizeLike,
        out: SizeLike,
        width: SizeLike,
        layers: SizeLike,
        variant: str,
        local: Callable[[SizeLike, SizeLike], nn.Module],
        dropout: float,
        tokens: Mapping[str, Any],
    ) -> None:
        super().__init__()
        self.variant: Final = variant
        deepest = largest_value(layers)
        pair = elastic.Concat([width, width]).width
        inner = width if variant == "first" else pair
        self.layers = elastic.Repeat(
            [
                _Layer(
                    inner if i else inp, width, variant, local, dropout, None if variant == "first" and i else tokens
                )
                for i in range(deepest)
            ],
            layers,
        )
        hidden = width * 2
        if variant == "concat":
            # The first linear layer over all layers side by side, as one block for each layer: depth takes a prefix.
            parts = [elastic.Linear(width, hidden, bias=i == 0) for i in range(deepest)]
            self.parts: nn.Module = elastic.Repeat(parts, layers)
        else:
            self.join = elastic.Linear(pair, hidden)
        self.leave = elastic.Linear(hidden, out)

    def forward(self, graph: Graph) -> Tensor:
        """Returns the output features."""
        stream = self.layers(_Stream(graph.x, graph.edge_index, graph.batch, ()))
        if self.variant == "concat":
            parts = self.parts.active() if isinstance(self.parts, elastic.Repeat) else self.parts.children()
            first, *others = (part(read) for part, read in zip(parts, stream.read, strict=True))
            hidden = sum(others, start=first)
        elif self.variant == "first":
            hidden = self.join(torch.cat([stream.x, stream.read[0]], dim=1))
        else:
            hidden = self.join(stream.x)
        result: Tensor = self.leave(torch.relu(hidden))
        return result


@final
class TANGNN(nn.Module):
    """Layers of two branches: a convolution over neighbours, and attention to the m nodes of the graph that score best.

    ``X' = [relu(conv(X)) ; tokens(X)]``, layer after layer, then a perceptron. Information travels any distance in one layer at a
    cost of ``nodes * m``; see ``TopTokens`` for the selection.

    Args:
        inp: width of the input, in features.
        out: width of the output, in features.
        hidden: width of each branch, in features; ``F`` in the paper.
        layers: number of layers.
        m: tokens of each graph; fewer are a prefix of more.
        mode: how nodes read tokens: ``cross``, ``broadcast`` or ``window``.
        heads: attention heads; every choice divides every width.
        aux: ``random_fixed``, ``orthogonal_update`` or ``gated``.
        local_conv: ``sage``, ``gcn`` or ``gat``.
        variant: ``chained``; ``concat``: the perceptron reads what the tokens gave in all layers; ``first``: tokens in the first
            layer only; ``near_first``: tokens are selected among the outputs of the convolution; ``tokens_first``: the
            convolution also reads what the tokens gave. Variants share no weights.
        feed_forward: transformer layer around the attention, as in the paper.
        dropout: share of features dropped in training, behind each branch.

    Shape:
        x: ``(nodes, inp)``; top-m is taken per graph where the payload says which node is of which. Returns the same graph with
        ``(nodes, out)``.

    Cost:
        That of the convolution, plus ``nodes * (hidden * (layer input + 10 * hidden) + 2 * m * hidden)`` multiply-accumulates a
        layer.

    Raises:
        SpaceError: an option has a value that does not exist, or a width that the heads do not divide.

    Specialised:
        The same block with plain layers, of the chosen variant and convolution.

    Source:
        Section 3 and the authors' scripts, which disagree with each other; names of the variants there: TANGNN, LC, FLC, NAI and
        TAI. ``cross`` and ``window`` are readings of the text, ``gated`` and neighbours without sampling are ours.

    Example:
        >>> block = TANGNN(4, 3, hidden=[4, 8], layers=[1, 2], m=2)
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
        m: int | Sequence[int] = (5, 20),
        mode: str | Sequence[str] = ("cross", "broadcast", "window"),
        heads: int | Sequence[int] = (1, 2),
        aux: str | Sequence[str] = "random_fixed",
        local_conv: str | Sequence[str] = "sage",
        variant: str | Sequence[str] = "chained",
        feed_forward: bool | Sequence[bool] = True,
        dropout: float = 0.3,
    ) -> None:
        super().__init__()
        for name, counts in (("hidden", hidden), ("layers", layers), ("m", m), ("heads", heads)):
            require_number(name, counts, smallest=1)
        require_choice("mode", mode, ("cross", "broadcast", "window"))
        require_choice("aux", aux, ("random_fixed", "orthogonal_update", "gated"))
        require_choice("local_conv", local_conv, _CONVOLUTIONS)
        require_choice("variant", variant, _VARIANTS)
        require_choice("feed_forward", feed_forward, (True, False))
        require_share("dropout", dropout)
        self.hidden: Final = as_ordinal(hidden)
        self.layers: Final = as_ordinal(layers)
        self.m: Final = as_ordinal(m)
        self.mode: Final = as_categorical(mode)
        self.heads: Final = as_ordinal(heads)
        self.aux: Final = as_categorical(aux)
        self.feed_forward: Final = as_categorical(feed_forward)
        width = cast(SizeLike, self.hidden)
        check_divisible("heads", width, cast(SizeLike, self.heads))
        tokens = {
            "count": self.m,
            "mode": self.mode,
            "heads": self.heads,
            "auxiliary": self.aux,
            "feed_forward": self.feed_forward,
        }

        def wiring(kind: str, convolution: str) -> nn.Module:
            depth = cast(SizeLike, self.layers)
            return _Wiring(inp, out, width, depth, kind, _CONVOLUTIONS[convolution], dropout, tokens)

        def local(kind: str) -> nn.Module:
            return _either({name: wiring(kind, name) for name in choices_of(local_conv)})

        self.network = _either({kind: local(kind) for kind in choices_of(variant)})

    def forward(self, graph: Graph) -> Graph:
        """Returns the graph with features from near and far."""
        return graph._replace(x=self.network(graph))


def _either(candidates: dict[str, nn.Module]) -> nn.Module:
    return elastic.Choice(candidates) if len(candidates) > 1 else next(iter(candidates.values()))
