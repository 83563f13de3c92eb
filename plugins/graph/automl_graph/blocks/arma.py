"""Graph convolution with auto-regressive moving-average filters: Bianchi et al.

"Graph neural networks with convolutional ARMA filters", TPAMI 2021, arXiv:1901.01343.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, final

import torch
from torch import Tensor, nn

from automl import elastic
from automl.space import Guard, Number, Ordinal, SizeLike, as_ordinal, largest_value, smallest_value
from automl_graph.blocks.update import NodeUpdate
from automl_graph.options import require_number
from automl_graph.propagation import Adjacency, adjacency
from automl_graph.signal import Graph

__all__ = ["ARMA"]


@final
class ARMA(nn.Module):
    """The mean over stacks of ``h_{t+1} = relu(A_sym h_t W_t + X V + b)``, each stack repeated ``steps`` times from ``h_0 = X``.

    Every step meets the input again, so a stack comes near a filter with infinite response, which a polynomial cannot be.
    Stacks and steps are ordered: fewer are a prefix of more.

    Args:
        inp: width of the input, in features.
        out: width of the output, in features.
        stacks: number of filters in parallel, K in the paper.
        steps: number of repetitions, T in the paper.
        residual: add the input to the output; no choice where their widths can differ.
        dropout: share of features dropped in training.
        batch_norm: normalise features over the nodes.

    Shape:
        x: ``(nodes, inp)``. Returns the same graph with ``(nodes, out)``.

    Cost:
        ``stacks * (steps * edges * out + nodes * out * (2 * inp + (steps - 1) * out))`` multiply-accumulates.

    Raises:
        SpaceError: an option has a value that does not exist.

    Specialised:
        The same block with ``nn.Linear`` and plain values.

    Source:
        Equations 10 and 11, with weights shared by all steps after the first, as section 3 advises against overfitting.
        Deviation: no dropout on the repeated input.

    Example:
        >>> ring = torch.tensor([[0, 1, 2], [1, 2, 0]])
        >>> ARMA(4, 3)(Graph(torch.randn(3, 4), ring)).x.shape
        torch.Size([3, 3])
    """

    def __init__(
        self,
        inp: SizeLike,
        out: SizeLike,
        *,
        stacks: int | Sequence[int] = (1, 2, 3),
        steps: int | Sequence[int] = (1, 2),
        residual: bool | Sequence[bool] = (True, False),
        dropout: float = 0.5,
        batch_norm: bool = False,
    ) -> None:
        super().__init__()
        require_number("stacks", stacks, smallest=1)
        require_number("steps", steps, smallest=1)
        self.stacks: Final = as_ordinal(stacks)
        self.steps: Final = as_ordinal(steps)
        for i in range(largest_value(self.stacks)):
            self.add_module(f"stack_{i}", _Stack(inp, out, self.steps))
        self.update = NodeUpdate(inp, out, residual=residual, dropout=dropout, batch_norm=batch_norm)

    def conditions(self) -> Mapping[str, Guard]:
        """Stacks that only some numbers of them use."""
        if not isinstance(self.stacks, Ordinal):
            return {}
        return {
            f"stack_{i}": Guard.above(self.stacks, i)
            for i in range(smallest_value(self.stacks), largest_value(self.stacks))
        }

    def forward(self, graph: Graph) -> Graph:
        """Returns the graph with filtered features."""
        matrix = adjacency(graph.edge_index, graph.x.shape[0])
        filtered = [self.get_submodule(f"stack_{i}")(graph.x, matrix) for i in range(int(self.stacks))]
        return graph._replace(x=self.update(graph.x, torch.stack(filtered).mean(0)))


@final
class _Stack(nn.Module):
    """One recursive filter."""

    def __init__(self, inp: SizeLike, out: SizeLike, steps: Number | Ordinal) -> None:
        super().__init__()
        self.steps: Final = steps
        self.first = elastic.Linear(inp, out, bias=False)
        self.again = elastic.Linear(out, out, bias=False) if largest_value(steps) > 1 else None
        self.root = elastic.Linear(inp, out)

    def conditions(self) -> Mapping[str, Guard]:
        """The repeated map, which a single step does not use."""
        return {"again": Guard.above(self.steps, 1)} if isinstance(self.steps, Ordinal) else {}

    def forward(self, x: Tensor, matrix: Adjacency) -> Tensor:
        """Returns the filtered features."""
        features, root = self.first(x), self.root(x)
        for step in range(int(self.steps)):
            if step:
                assert self.again is not None
                features = self.again(features)
            features = torch.relu(matrix.propagate(features, norm="sym", self_loops=False) + root)
        result: Tensor = features
        return result
