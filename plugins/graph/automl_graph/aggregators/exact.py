"""A learned aggregator that is an exact commutative monoid: the sum, seen through an invertible map."""

from __future__ import annotations

from typing import Final, final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from automl import elastic
from automl.space import SizeLike
from automl_graph.pyg import scatter

__all__ = ["ExactAggregator"]

_LARGEST: Final = 40.0


@final
class ExactAggregator(nn.Module):
    """``a + b = psi⁻¹(psi(a) + psi(b))`` with ``psi(x) = sinh(r x)`` and one learned rate ``r > 0`` for each feature.

    Small rates give the sum, large ones the value that is largest in magnitude. Associative and commutative for any weights, with
    the neutral element 0, and n messages cost one sum.

    Args:
        width: width of the messages, in features.

    Shape:
        messages: ``(messages, width)``; index: ``(messages,)``. Returns ``(size, width)``; zeros without messages.

    Source:
        Not in the paper. ``r x`` is kept within ±40, beyond which float32 would overflow.
    """

    def __init__(self, width: SizeLike) -> None:
        super().__init__()
        self.rate = elastic.Embedding(1, width)
        nn.init.zeros_(self.rate.weight)

    def forward(self, messages: Tensor, index: Tensor, size: int) -> Tensor:
        """Returns the aggregated messages."""
        rate = self._rate(messages)
        image = torch.sinh((rate * messages).clamp(-_LARGEST, _LARGEST))
        total: Tensor = scatter(image, index, dim=0, dim_size=size, reduce="sum")
        return torch.asinh(total) / rate

    def combine(self, a: Tensor, b: Tensor) -> Tensor:
        """Returns ``a + b`` in this monoid; all ``(rows, width)``."""
        rate = self._rate(a)
        images = [torch.sinh((rate * state).clamp(-_LARGEST, _LARGEST)) for state in (a, b)]
        return torch.asinh(images[0] + images[1]) / rate

    def _rate(self, messages: Tensor) -> Tensor:
        raw: Tensor = self.rate(torch.zeros(1, dtype=torch.int64, device=messages.device))
        return F.softplus(raw) + 0.01
