"""A linear layer for each type of nodes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, final

from torch import Tensor, nn

from automl import elastic
from automl.space import SizeLike
from automl_graph.hetero.schema import TypeWidths, width_of

__all__ = ["TypeLinear"]


@final
class TypeLinear(nn.Module):
    """``y_i = W_a x_i + b_a`` for nodes ``i`` of type ``a``.

    For numbered nodes the features are one-hot, so their layer is a table with one row per node.

    Args:
        inp: width of the input, or of each type.
        out: width of the output.
        types: positions of the types that have a layer.

    Shape:
        x: for each type of the graph ``(nodes, inp)``. Returns by type ``(nodes, out)``.
    """

    def __init__(self, inp: SizeLike, out: SizeLike, types: Sequence[int]) -> None:
        super().__init__()
        self.types: Final = tuple(types)
        self.layers = nn.ModuleList(
            elastic.Embedding(inp.of(t), out)
            if isinstance(inp, TypeWidths) and inp.numbered[t]
            else elastic.Linear(width_of(inp, t), out)
            for t in self.types
        )

    def forward(self, x: Sequence[Tensor]) -> dict[int, Tensor]:
        """Returns the transformed features of the types that have a layer."""
        return {t: layer(x[t]) for t, layer in zip(self.types, self.layers, strict=True)}
