"""The default head of image classification."""

from __future__ import annotations

from torch import Tensor, nn

from automl import elastic
from automl.space import SizeLike

__all__ = ["PooledClassifier"]


class PooledClassifier(nn.Module):
    """Mean over all positions, then a linear layer.

    ``logits = weight @ mean(x, positions) + bias``

    Args:
        width: channels of the feature map; may depend on dimensions.
        classes: number of logits.

    Shape:
        x: ``(batch, width, height, width in pixels)``. Returns ``(batch, classes)``.

    Source:
        Global average pooling: Lin, Chen, Yan 2013, arXiv:1312.4400, section 3.2.
    """

    def __init__(self, width: SizeLike, classes: int) -> None:
        super().__init__()
        self.linear = elastic.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Returns the logits of a batch of feature maps."""
        logits: Tensor = self.linear(x.mean(dim=(2, 3)))
        return logits
