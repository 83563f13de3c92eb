"""Personalised propagation: Gasteiger, Bojchevski and Günnemann, "Predict then propagate".

ICLR 2019, arXiv:1810.05997.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, cast, final

from torch import nn

from automl.space import SizeLike, as_categorical, as_ordinal
from automl_graph.blocks.perceptron import MultilayerPerceptron
from automl_graph.options import choices_of, current_choice, require_number, require_share
from automl_graph.propagation import adjacency
from automl_graph.signal import Graph

__all__ = ["APPNP"]


@final
class APPNP(nn.Module):
    """``H = MLP(X)``, ``Z_0 = H``, ``Z_k = (1 - alpha) Â Z_{k-1} + alpha H``, ``out = Z_hops``.

    A random walk that returns home with probability ``alpha``: far nodes count less, and propagation may go on for long
    without forgetting where it began. No weights are added by hops.

    Args:
        inp: width of the input, in features.
        out: width of the output, in features.
        hops: number of propagations, K in the paper.
        alpha: probability of the return.
        hidden: width inside the perceptron, in features.
        dropout: share of features dropped in training, in the perceptron only.

    Shape:
        x: ``(nodes, inp)``. Returns the same graph with ``(nodes, out)``.

    Cost:
        ``nodes * hidden * (inp + out) + hops * (edges + 2 * nodes) * out`` multiply-accumulates.

    Raises:
        SpaceError: an option has a value that does not exist.

    Specialised:
        The perceptron as ``nn.Sequential``, all else as numbers.

    Source:
        Equation 4 with a perceptron of two linear layers. Deviations: no softmax at the end, as this is a block; edges
        are not dropped.

    Example:
        >>> ring = torch.tensor([[0, 1, 2], [1, 2, 0]])
        >>> APPNP(4, 3)(Graph(torch.randn(3, 4), ring)).x.shape
        torch.Size([3, 3])
    """

    def __init__(
        self,
        inp: SizeLike,
        out: SizeLike,
        *,
        hops: int | Sequence[int] = (2, 5, 10),
        alpha: float | Sequence[float] = (0.1, 0.2, 0.5),
        hidden: int | Sequence[int] = (32, 64),
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        require_number("hops", hops, smallest=1)
        require_number("hidden", hidden, smallest=1)
        for share in choices_of(alpha):
            require_share("alpha", share)
        require_share("dropout", dropout)
        self.hops: Final = as_ordinal(hops)
        self.alpha: Final = as_categorical(alpha)
        self.hidden: Final = cast(SizeLike, as_ordinal(hidden))
        self.transform = MultilayerPerceptron(inp, out, hidden=self.hidden, layers=2, dropout=dropout)

    def forward(self, graph: Graph) -> Graph:
        """Returns the graph with propagated features."""
        matrix = adjacency(graph.edge_index, graph.x.shape[0])
        home = self.transform(graph.x)
        alpha, features = current_choice(self.alpha), home
        for _ in range(int(self.hops)):
            features = (1 - alpha) * matrix.propagate(features, norm="sym", self_loops=True) + alpha * home
        return graph._replace(x=features)
