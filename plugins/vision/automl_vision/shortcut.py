"""Shortcuts of residual blocks.

Two widths are the same where they are the same object (or the same plain number): only then do all subnetworks agree on
them, and the input can be added as it is. Widths that merely happen to be equal in one subnetwork are projected.
"""

from __future__ import annotations

from torch import nn

from automl import elastic
from automl.space import SizeLike

__all__ = ["keeps_shape", "shortcut"]


def keeps_shape(inp: SizeLike, out: SizeLike, stride: int) -> bool:
    """Tells whether a block maps each feature map to one of the same shape, in every subnetwork.

    Example:
        >>> from automl.space import Ordinal
        >>> width = Ordinal(8, 16)
        >>> keeps_shape(width, width, 1), keeps_shape(width, Ordinal(8, 16), 1), keeps_shape(8, 8, 2)
        (True, False, False)
    """
    same = inp == out if isinstance(inp, int) and isinstance(out, int) else inp is out
    return same and stride == 1


def shortcut(inp: SizeLike, out: SizeLike, stride: int) -> nn.Module:
    """Returns the identity where the shape is kept, else a strided pointwise convolution with batch norm.

    Source:
        He et al. 2016, arXiv:1512.03385, section 3.3, option B.
    """
    if keeps_shape(inp, out, stride):
        return nn.Identity()
    return nn.Sequential(elastic.Conv2d(inp, out, 1, stride=stride, bias=False), elastic.BatchNorm2d(out))
