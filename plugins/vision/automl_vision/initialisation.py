"""Initial weights, as the sources of the blocks draw them."""

from __future__ import annotations

from torch import nn

from automl import elastic

__all__ = ["initialise_convolutions", "initialise_transformer"]


def initialise_convolutions(module: nn.Module) -> None:
    """Draws all convolution weights of a module so that variance is kept through ``relu``; biases become zero.

    The fan is the fan-in of the largest kernel: unlike the fan-out it is right for depthwise convolutions too.

    Source:
        He et al. 2015, arXiv:1502.01852, equation 10.
    """
    for layer in module.modules():
        if isinstance(layer, elastic.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_in", nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def initialise_transformer(module: nn.Module) -> None:
    """Draws all weights of a module from a normal distribution of deviation 0.02, cut at ±2; biases become zero.

    Source:
        Liu et al. 2022 (ConvNeXt), arXiv:2201.03545, appendix A.1; the same in ViT and Swin.
    """
    for layer in module.modules():
        if isinstance(layer, elastic.Conv2d | elastic.Linear | elastic.Embedding):
            nn.init.trunc_normal_(layer.weight, std=0.02)
            bias = getattr(layer, "bias", None)
            if bias is not None:
                nn.init.zeros_(bias)
