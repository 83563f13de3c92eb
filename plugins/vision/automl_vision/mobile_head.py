"""Classifier of MobileNetV3: the last expansion is pooled before the widest layer, which then costs little."""

from __future__ import annotations

from torch import Tensor, nn

from automl import elastic
from automl.space import SizeLike
from automl_vision.activation import activation_layer
from automl_vision.initialisation import initialise_convolutions
from automl_vision.options import Counts, count_option

__all__ = ["MobileHead"]


class MobileHead(nn.Module):
    """Pointwise expansion, pooling, a hidden linear layer and the classifier.

    ``logits = linear(dropout(act(hidden(mean(act(norm(expand(x))))))))``.

    Args:
        inp: width of the input, in channels.
        out: number of classes.
        expansion: width of the pooled features divided by ``inp``; several factors are searched.
        hidden: width of the hidden layer, in features; several widths are searched.
        dropout: share of hidden features set to zero while training.
        activation: name of the activation: ``gelu``, ``hardswish``, ``relu`` or ``silu``.

    Shape:
        x: ``[N, inp, H, W]``. Returns logits ``[N, out]``.

    Cost:
        ``expansion * inp² * H * W + hidden * (expansion * inp + out)`` multiply-accumulates for each sample.

    Raises:
        SpaceError: an expansion or hidden width below 1, or an unknown activation.

    Source:
        Howard et al. 2019, arXiv:1905.02244, section 5.1 and table 1 (``expansion=6``, ``hidden=1280``).

    Example:
        >>> MobileHead(8, 10)(torch.randn(2, 8, 5, 7)).shape
        torch.Size([2, 10])
    """

    def __init__(
        self,
        inp: SizeLike,
        out: int,
        *,
        expansion: Counts = 6,
        hidden: Counts = 1280,
        dropout: float = 0.2,
        activation: str = "hardswish",
    ) -> None:
        super().__init__()
        self.expansion = count_option("expansion", expansion)
        self.hidden = count_option("hidden", hidden)
        features = inp * self.expansion
        self.expand = nn.Sequential(
            elastic.Conv2d(inp, features, 1, bias=False),
            elastic.BatchNorm2d(features),
            activation_layer(activation),
        )
        self.classify = nn.Sequential(
            elastic.Linear(features, self.hidden),
            activation_layer(activation),
            nn.Dropout(dropout),
            elastic.Linear(self.hidden, out),
        )
        initialise_convolutions(self)

    def forward(self, x: Tensor) -> Tensor:
        """Returns the logits."""
        logits: Tensor = self.classify(self.expand(x).mean((2, 3)))
        return logits
