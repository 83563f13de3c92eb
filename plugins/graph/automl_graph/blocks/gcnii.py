"""Deep graph convolution with initial residual and identity mapping: Chen et al., "Simple and deep graph convolutional networks".

ICML 2020, arXiv:2007.02133.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final, final

import torch
from torch import Tensor, nn

from automl import elastic
from automl.space import Guard, Ordinal, SizeLike, as_categorical, as_ordinal, largest_value, smallest_value
from automl_graph.options import choices_of, current_choice, require_number, require_share
from automl_graph.propagation import adjacency
from automl_graph.signal import Graph

__all__ = ["GCNII"]


@final
class GCNII(nn.Module):
    """``h_0 = relu(X W + b)``, then ``h_l = relu(P_l ((1 - beta_l) I + beta_l W_l))`` with
    ``P_l = (1 - alpha) Â h_{l-1} + alpha h_0``.

    ``beta_l = log(theta / l + 1)`` falls with the depth ``l``, so deep layers change little and are safe to add. Layers of a
    shallow network are a prefix of those of a deep one.

    Args:
        inp: width of the input, in features.
        out: width of the output, in features; all layers have it.
        layers: number of convolutions.
        alpha: share of the initial features in each layer.
        theta: how strongly weights act.
        dropout: share of features dropped in training, before each layer.

    Shape:
        x: ``(nodes, inp)``. Returns the same graph with ``(nodes, out)``.

    Cost:
        ``nodes * inp * out + layers * ((edges + nodes) * out + nodes * out * out)`` multiply-accumulates.

    Raises:
        SpaceError: an option has a value that does not exist.

    Specialised:
        The same block with ``nn.Linear`` and plain values.

    Source:
        Equation 5; ``beta_l`` after it. One matrix per layer, as in the paper's main form.

    Example:
        >>> ring = torch.tensor([[0, 1, 2], [1, 2, 0]])
        >>> GCNII(4, 3)(Graph(torch.randn(3, 4), ring)).x.shape
        torch.Size([3, 3])
    """

    def __init__(
        self,
        inp: SizeLike,
        out: SizeLike,
        *,
        layers: int | Sequence[int] = (2, 4, 8),
        alpha: float | Sequence[float] = (0.1, 0.5),
        theta: float | Sequence[float] = 0.5,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        require_number("layers", layers, smallest=1)
        for share in choices_of(alpha):
            require_share("alpha", share)
        require_share("dropout", dropout)
        self.layers: Final = as_ordinal(layers)
        self.alpha: Final = as_categorical(alpha)
        self.theta: Final = as_categorical(theta)
        self.transform = elastic.Linear(inp, out)
        for i in range(largest_value(self.layers)):
            self.add_module(f"layer_{i}", elastic.Linear(out, out, bias=False))
        self.drop = nn.Dropout(dropout)

    def conditions(self) -> Mapping[str, Guard]:
        """Layers that only some depths use."""
        if not isinstance(self.layers, Ordinal):
            return {}
        return {
            f"layer_{i}": Guard.above(self.layers, i)
            for i in range(smallest_value(self.layers), largest_value(self.layers))
        }

    def forward(self, graph: Graph) -> Graph:
        """Returns the graph with deeply convolved features."""
        matrix = adjacency(graph.edge_index, graph.x.shape[0])
        alpha = current_choice(self.alpha)
        initial: Tensor = torch.relu(self.transform(graph.x))
        features = initial
        for i in range(int(self.layers)):
            mixed = matrix.propagate(self.drop(features), norm="sym", self_loops=True)
            mixed = (1 - alpha) * mixed + alpha * initial
            beta = math.log(current_choice(self.theta) / (i + 1) + 1)
            features = torch.relu((1 - beta) * mixed + beta * self.get_submodule(f"layer_{i}")(mixed))
        return graph._replace(x=features)
