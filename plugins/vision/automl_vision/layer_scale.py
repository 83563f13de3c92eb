"""Layer scale: one learned factor for each channel at the end of a residual branch."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from automl.space import Size, SizeLike, largest_value

__all__ = ["ChannelScale", "LayerScale"]


class LayerScale(nn.Module):
    """Multiplies each channel by a learned factor.

    ``y = weight * x`` over the active channels.

    Args:
        width: number of channels.
        initial: value that all factors start from.

    Shape:
        x: ``(*, width)``. Returns the same shape.
        weight: ``(max width,)``.

    Specialised:
        ``ChannelScale`` with copied factors.

    Source:
        Touvron et al. 2021 (CaiT), arXiv:2103.17239, equation 4; their initial value for up to 18 blocks is 0.1.

    Example:
        >>> LayerScale(3, initial=0.5)(torch.ones(2, 3))[0]
        tensor([0.5000, 0.5000, 0.5000], grad_fn=<SelectBackward0>)
    """

    def __init__(self, width: SizeLike, *, initial: float = 0.1) -> None:
        super().__init__()
        self.width = width
        self.weight = nn.Parameter(torch.full((largest_value(width),), initial))

    def forward(self, x: Tensor) -> Tensor:
        """Scales the channels."""
        return x * self._active()

    def specialise(self) -> ChannelScale:
        """Returns the plain layer with copied active factors."""
        weight = nn.Parameter(self._active().detach().clone(), requires_grad=self.weight.requires_grad)
        return ChannelScale(weight).train(self.training)

    def _active(self) -> Tensor:
        units = self.width.indices() if isinstance(self.width, Size) else None
        if units is not None:
            return self.weight[list(units)]
        count = int(self.width)
        return self.weight if count == len(self.weight) else self.weight[:count]

    def extra_repr(self) -> str:
        """Returns the arguments."""
        return repr(self.width)


class ChannelScale(nn.Module):
    """Multiplies each channel by a learned factor; what ``LayerScale`` becomes in an extracted model.

    Args:
        weight: the factors, ``(width,)``.

    Shape:
        x: ``(*, width)``. Returns the same shape.
    """

    def __init__(self, weight: nn.Parameter) -> None:
        super().__init__()
        self.weight = weight

    def forward(self, x: Tensor) -> Tensor:
        """Scales the channels."""
        return x * self.weight

    def extra_repr(self) -> str:
        """Returns the width."""
        return str(len(self.weight))
