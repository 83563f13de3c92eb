"""The seven ways in which Auto-GNN weighs the links of a graph.

A module takes the features of all nodes, ``(nodes, heads, head width)``, and the links, and returns a weight for each link and
head, ``(links, heads)``; hidden links weigh 0. ``const`` and ``gcn`` are fixed; the others have learned scores, whose softmax
over the links of a target is the weight.

Source:
    Zhou et al. 2019 (Auto-GNN), arXiv:1909.03184, table 1.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Final, final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from automl import elastic
from automl.space import SizeLike
from automl_graph.attention import Links, score_heads
from automl_graph.pyg import scatter, softmax

__all__ = ["ATTENTION_FUNCTIONS", "LearnedScores"]

_SLOPE: Final = 0.2


@final
class _Constant(nn.Module):
    """1 for every link."""

    def __init__(self, width: SizeLike, heads: SizeLike) -> None:
        super().__init__()

    def forward(self, values: Tensor, links: Links) -> Tensor:
        return _visible(links, values.dtype)[:, None].expand(-1, values.shape[1])


@final
class _Normalised(nn.Module):
    """``1 / sqrt(d_i d_j)``, degrees with self loops."""

    def __init__(self, width: SizeLike, heads: SizeLike) -> None:
        super().__init__()

    def forward(self, values: Tensor, links: Links) -> Tensor:
        visible = _visible(links, values.dtype)
        degree: Tensor = scatter(visible, links.target, dim=0, dim_size=links.nodes, reduce="sum")
        inverse = torch.where(degree > 0, degree.clamp(min=1).rsqrt(), 0)
        weights = visible * inverse[links.source] * inverse[links.target]
        return weights[:, None].expand(-1, values.shape[1])


class LearnedScores(nn.Module, ABC):
    """Weights that are the softmax of scores."""

    @abstractmethod
    def scores(self, values: Tensor, links: Links) -> Tensor:
        """Returns ``(links, heads)``."""

    def forward(self, values: Tensor, links: Links) -> Tensor:
        """Returns ``(links, heads)`` weights, which add up to 1 for each target."""
        scores = self.scores(values, links)
        if links.hidden is not None:
            scores = scores.masked_fill(links.hidden[:, None], float("-inf"))
        weights: Tensor = softmax(scores, links.target, num_nodes=links.nodes)
        return weights


class _GAT(LearnedScores):
    """``leaky_relu(s W h_j + t W h_i)`` with vectors ``s``, ``t`` of each head."""

    def __init__(self, width: SizeLike, heads: SizeLike) -> None:
        super().__init__()
        self.as_source = elastic.Linear(width, heads, bias=False)
        self.as_target = elastic.Linear(width, heads, bias=False)

    def scores(self, values: Tensor, links: Links) -> Tensor:
        sent, received = self._ends(values)
        return F.leaky_relu(sent[links.source] + received[links.target], _SLOPE)

    def _ends(self, values: Tensor) -> tuple[Tensor, Tensor]:
        return score_heads(values, self.as_source), score_heads(values, self.as_target)


@final
class _SymmetricGAT(_GAT):
    """The score of ``gat`` for a link plus that for its reverse."""

    def scores(self, values: Tensor, links: Links) -> Tensor:
        sent, received = self._ends(values)
        forth = F.leaky_relu(sent[links.source] + received[links.target], _SLOPE)
        return forth + F.leaky_relu(sent[links.target] + received[links.source], _SLOPE)


@final
class _Product(LearnedScores):
    """``<W1 h_i, W2 h_j>``."""

    def __init__(self, width: SizeLike, heads: SizeLike) -> None:
        super().__init__()
        self.from_target = elastic.Linear(width, width, bias=False)
        self.from_source = elastic.Linear(width, width, bias=False)

    def scores(self, values: Tensor, links: Links) -> Tensor:
        received, sent = self.from_target(values), self.from_source(values)
        products: Tensor = received[links.target] * sent[links.source]
        return products.sum(-1)


@final
class _Linear(LearnedScores):
    """``tanh(w h_j)`` with a vector ``w`` of each head: what a source sends does not depend on who receives it."""

    def __init__(self, width: SizeLike, heads: SizeLike) -> None:
        super().__init__()
        self.as_source = elastic.Linear(width, heads, bias=False)

    def scores(self, values: Tensor, links: Links) -> Tensor:
        return torch.tanh(score_heads(values, self.as_source))[links.source]


@final
class _GeneralisedLinear(LearnedScores):
    """``w tanh(W1 h_i + W2 h_j)`` with a vector ``w`` of each head."""

    def __init__(self, width: SizeLike, heads: SizeLike) -> None:
        super().__init__()
        self.from_target = elastic.Linear(width, width, bias=False)
        self.from_source = elastic.Linear(width, width, bias=False)
        self.judge = elastic.Linear(width, heads, bias=False)

    def scores(self, values: Tensor, links: Links) -> Tensor:
        received, sent = self.from_target(values), self.from_source(values)
        return score_heads(torch.tanh(received[links.target] + sent[links.source]), self.judge)


def _visible(links: Links, dtype: torch.dtype) -> Tensor:
    if links.hidden is None:
        return torch.ones_like(links.target, dtype=dtype)
    return (~links.hidden).to(dtype)


ATTENTION_FUNCTIONS: Final[Mapping[str, Callable[[SizeLike, SizeLike], nn.Module]]] = {
    "const": _Constant,
    "gcn": _Normalised,
    "gat": _GAT,
    "gat_sym": _SymmetricGAT,
    "cos": _Product,
    "linear": _Linear,
    "gene_linear": _GeneralisedLinear,
}
"""By name: takes the width of a head and the number of heads."""
