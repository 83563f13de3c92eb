"""Linear layer with elastic input and output width."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from automl.elastic.layer import ElasticLayer
from automl.elastic.selection import Selection, dense
from automl.elastic.specialise import plain_layer
from automl.elastic.validation import check_count
from automl.space import SizeLike

__all__ = ["Linear"]


class _Active(NamedTuple):
    inputs: Selection
    outputs: Selection


class Linear(ElasticLayer[_Active, tuple[Tensor, Tensor | None]]):
    """Linear layer whose widths are searched.

    ``y = weight[outputs][:, inputs] @ x + bias[outputs]`` over the active units, a prefix or those of ``indices()``.

    Args:
        in_features: width of the input, in features.
        out_features: width of the output, in features.
        bias: add a learned offset per output feature.

    Shape:
        x: ``(*, in_features)``, any number of leading dimensions. Returns ``(*, out_features)``.
        weight: ``(max out_features, max in_features)``; bias: ``(max out_features,)``.

    Cost:
        ``in_features * out_features`` multiply-accumulates for each position.

    Raises:
        SpaceError: a width is no whole number of at least 1 under every setting.

    Specialised:
        ``nn.Linear``.

    Example:
        >>> from automl.space import Ordinal
        >>> width = Ordinal(4, 8)
        >>> layer = Linear(3, width)
        >>> width.value = 4
        >>> layer(torch.randn(5, 3)).shape
        torch.Size([5, 4])
    """

    def __init__(self, in_features: SizeLike, out_features: SizeLike, bias: bool = True) -> None:
        super().__init__()
        largest_in = check_count("Linear: in_features", in_features)
        largest_out = check_count("Linear: out_features", out_features)
        self.in_features = in_features
        self.out_features = out_features
        self.weight = nn.Parameter(torch.empty(largest_out, largest_in))
        self.bias = nn.Parameter(torch.empty(largest_out)) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws new weights as ``nn.Linear`` of the largest size does."""
        bound = 1 / math.sqrt(self.weight.shape[1])
        nn.init.uniform_(self.weight, -bound, bound)
        if self.bias is not None:
            nn.init.uniform_(self.bias, -bound, bound)

    def forward(self, x: Tensor) -> Tensor:
        """Applies the active slice."""
        weight, bias = self._arguments()
        return F.linear(x, weight, bias)

    def specialise(self) -> nn.Linear:
        """Returns ``nn.Linear`` with copied active weights."""
        selection = self._selection()
        weight, bias = self._cut(selection)
        return plain_layer(
            nn.Linear,
            selection.inputs.count,
            selection.outputs.count,
            bias=bias is not None,
            training=self.training,
            weights={"weight": (weight, self.weight), "bias": (bias, self.bias)},
        )

    def _select(self) -> _Active:
        device = self._device()
        return _Active(Selection.of(self.in_features, device), Selection.of(self.out_features, device))

    def _cut(self, selection: _Active) -> tuple[Tensor, Tensor | None]:
        weight = selection.inputs.take(selection.outputs.take(self.weight, 0), 1)
        bias = None if self.bias is None else selection.outputs.take(self.bias)
        return weight, bias

    def _compact(self, arguments: tuple[Tensor, Tensor | None]) -> tuple[Tensor, Tensor | None]:
        weight, bias = arguments
        return dense(weight, self.weight), bias

    def extra_repr(self) -> str:
        """Returns the arguments."""
        return f"{self.in_features!r}, {self.out_features!r}, bias={self.bias is not None}"
