"""Squeeze-and-excitation: channels are rescaled by what the whole map contains."""

from __future__ import annotations

from torch import Tensor, nn

from automl import elastic
from automl.space import SizeLike
from automl_vision.fraction import fraction

__all__ = ["SqueezeExcite"]


class SqueezeExcite(nn.Module):
    """Scales each channel by a gate that is computed from the means of all channels.

    ``y = x * gate(expand(relu(squeeze(mean(x)))))`` with the piecewise linear sigmoid as gate.

    Args:
        width: number of channels.
        reduction: ``width`` divided by the number of hidden units, before rounding.
        multiple: the number of hidden units is rounded to a multiple of this.

    Shape:
        x: ``[N, width, H, W]``. Returns the same shape.

    Cost:
        ``2 * width * hidden`` multiply-accumulates for each sample.

    Source:
        Hu et al. 2018, arXiv:1709.01507, equations 2 to 4; hard gate and a quarter as hidden width: Howard et al. 2019
        (MobileNetV3), arXiv:1905.02244, section 5.3.

    Example:
        >>> SqueezeExcite(16)(torch.randn(2, 16, 5, 7)).shape
        torch.Size([2, 16, 5, 7])
    """

    def __init__(self, width: SizeLike, *, reduction: int = 4, multiple: int = 8) -> None:
        super().__init__()
        hidden = fraction(width, reduction, multiple=multiple)
        self.squeeze = elastic.Conv2d(width, hidden, 1)
        self.act = nn.ReLU()
        self.expand = elastic.Conv2d(hidden, width, 1)
        self.gate = nn.Hardsigmoid()

    def forward(self, x: Tensor) -> Tensor:
        """Rescales the channels."""
        scale: Tensor = self.gate(self.expand(self.act(self.squeeze(x.mean((2, 3), keepdim=True)))))
        return x * scale
