"""What follows a graph convolution: normalisation, ReLU, dropout and, where widths allow it, a residual connection."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, final

import torch
from torch import Tensor, nn

from automl import elastic
from automl.space import SizeLike, as_categorical
from automl_graph.options import current_choice, require_choice, require_share

__all__ = ["NodeUpdate"]


@final
class NodeUpdate(nn.Module):
    """``dropout(relu(batch_norm(y))) [+ x]``.

    Args:
        inp: width of the features before the convolution.
        out: width of the features after it.
        residual: add the features from before; without effect, and no choice, where the two widths can differ.
        dropout: share of features dropped in training.
        batch_norm: normalise features over the nodes.

    Shape:
        x: ``(nodes, inp)``; y: ``(nodes, out)``. Returns ``(nodes, out)``.
    """

    def __init__(
        self, inp: SizeLike, out: SizeLike, *, residual: bool | Sequence[bool], dropout: float, batch_norm: bool
    ) -> None:
        super().__init__()
        require_choice("residual", residual, (True, False))
        require_share("dropout", dropout)
        same_width = inp is out or (isinstance(inp, int) and isinstance(out, int) and inp == out)
        self.residual: Final = as_categorical(residual) if same_width else False
        self.normalise = elastic.BatchNorm1d(out) if batch_norm else nn.Identity()
        self.drop = nn.Dropout(dropout)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Returns the updated features."""
        update: Tensor = self.drop(torch.relu(self.normalise(y)))
        return x + update if current_choice(self.residual) else update
