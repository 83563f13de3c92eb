"""Layer and root-mean-square normalisation over an elastic last axis."""

from __future__ import annotations

from typing import NamedTuple, final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from automl.elastic.layer import ElasticLayer
from automl.elastic.selection import Selection
from automl.elastic.specialise import plain_layer
from automl.elastic.validation import check_count
from automl.space import SizeLike

__all__ = ["LayerNorm", "RMSNorm"]


class _Arguments(NamedTuple):
    shape: tuple[int, ...]
    weight: Tensor | None
    bias: Tensor | None


@final
class LayerNorm(ElasticLayer[Selection, _Arguments]):
    """Layer normalisation over the last axis, whose width is searched.

    ``y = (x - mean(x)) / sqrt(var(x) + eps) * weight + bias`` over the active features of each position.

    Args:
        normalized_shape: width, in features.
        eps: added to the variance.
        elementwise_affine: scale each feature by a learned number.
        bias: also shift it; only with ``elementwise_affine``.

    Shape:
        x: ``(*, normalized_shape)``. Returns the same.
        weight, bias: ``(max normalized_shape,)``.

    Raises:
        SpaceError: a width that is no whole number of at least 1 under every setting.

    Specialised:
        ``nn.LayerNorm``.

    Example:
        >>> from automl.space import Ordinal
        >>> width = Ordinal(4, 6)
        >>> layer = LayerNorm(width)
        >>> width.value = 4
        >>> layer(torch.randn(2, 4)).shape
        torch.Size([2, 4])
    """

    def __init__(
        self, normalized_shape: SizeLike, *, eps: float = 1e-5, elementwise_affine: bool = True, bias: bool = True
    ) -> None:
        super().__init__()
        largest = check_count("LayerNorm: normalized_shape", normalized_shape)
        self.normalized_shape = normalized_shape
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(largest)) if elementwise_affine else None
        self.bias = nn.Parameter(torch.zeros(largest)) if elementwise_affine and bias else None

    def forward(self, x: Tensor) -> Tensor:
        """Normalises the active features."""
        shape, weight, bias = self._arguments()
        return F.layer_norm(x, shape, weight, bias, self.eps)

    def specialise(self) -> nn.LayerNorm:
        """Returns ``nn.LayerNorm`` with copied active weights."""
        shape, weight, bias = self._cut(self._selection())
        return plain_layer(
            nn.LayerNorm,
            shape,
            eps=self.eps,
            elementwise_affine=weight is not None,
            bias=bias is not None,
            training=self.training,
            weights={"weight": (weight, self.weight), "bias": (bias, self.bias)},
        )

    def _select(self) -> Selection:
        return Selection.of(self.normalized_shape, self._device())

    def _cut(self, selection: Selection) -> _Arguments:
        return _Arguments(
            (selection.count,),
            None if self.weight is None else selection.take(self.weight),
            None if self.bias is None else selection.take(self.bias),
        )

    def extra_repr(self) -> str:
        """Returns the arguments."""
        affine, bias = self.weight is not None, self.bias is not None
        return f"{self.normalized_shape!r}, eps={self.eps}, elementwise_affine={affine}, bias={bias}"


@final
class RMSNorm(ElasticLayer[Selection, _Arguments]):
    """Root-mean-square normalisation over the last axis, whose width is searched.

    ``y = x / sqrt(mean(x²) + eps) * weight`` over the active features of each position.

    Args:
        normalized_shape: width, in features.
        eps: added to the mean square; ``None`` takes the machine epsilon of the computation.
        elementwise_affine: scale each feature by a learned number.

    Shape:
        x: ``(*, normalized_shape)``. Returns the same.
        weight: ``(max normalized_shape,)``.

    Raises:
        SpaceError: a width that is no whole number of at least 1 under every setting.

    Specialised:
        ``nn.RMSNorm``.

    Source:
        Zhang and Sennrich 2019, arXiv:1910.07467, equation 4.

    Example:
        >>> RMSNorm(4)(torch.randn(2, 4)).shape
        torch.Size([2, 4])
    """

    def __init__(
        self, normalized_shape: SizeLike, *, eps: float | None = None, elementwise_affine: bool = True
    ) -> None:
        super().__init__()
        largest = check_count("RMSNorm: normalized_shape", normalized_shape)
        self.normalized_shape = normalized_shape
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(largest)) if elementwise_affine else None

    def forward(self, x: Tensor) -> Tensor:
        """Normalises the active features."""
        shape, weight, _ = self._arguments()
        return F.rms_norm(x, shape, weight, self.eps)

    def specialise(self) -> nn.RMSNorm:
        """Returns ``nn.RMSNorm`` with copied active weights."""
        shape, weight, _ = self._cut(self._selection())
        return plain_layer(
            nn.RMSNorm,
            shape,
            eps=self.eps,
            elementwise_affine=weight is not None,
            training=self.training,
            weights={"weight": (weight, self.weight)},
        )

    def _select(self) -> Selection:
        return Selection.of(self.normalized_shape, self._device())

    def _cut(self, selection: Selection) -> _Arguments:
        return _Arguments((selection.count,), None if self.weight is None else selection.take(self.weight), None)

    def extra_repr(self) -> str:
        """Returns the arguments."""
        return f"{self.normalized_shape!r}, eps={self.eps}, elementwise_affine={self.weight is not None}"
