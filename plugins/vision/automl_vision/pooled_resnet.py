"""A residual network whose layers are fixed and whose places of down-sampling are searched."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, combinations, pairwise

from torch import Tensor, nn

from automl.errors import SpaceError
from automl.space import Categorical, SizeLike, as_categorical
from automl_vision.conv_stem import ConvStem
from automl_vision.options import fixed_option
from automl_vision.residual import Residual

__all__ = ["PooledResNet", "pooling_configurations"]


def pooling_configurations(layers: int, poolings: int) -> list[str]:
    """Returns all ways to spread layers over ``poolings + 1`` resolutions, as ``"4-3-3"``, in lexicographic order.

    Each resolution has at least one layer, so there are ``binomial(layers - 1, poolings)`` ways.

    Example:
        >>> pooling_configurations(4, 2)
        ['1-1-2', '1-2-1', '2-1-1']
    """
    borders = ((0, *places, layers) for places in combinations(range(1, layers), poolings))
    return ["-".join(str(end - start) for start, end in pairwise(places)) for places in borders]


class PooledResNet(nn.Module):
    """A convolution and basic residual blocks, with 2x2 max poolings in front of some of them.

    ``x_i = layer_i(pool(x_{i-1}) if a pooling stands there else x_{i-1})``. Every layer has stride 1 and its channels by its
    place, so all configurations have the same weights; the earlier the poolings, the fewer multiply-accumulates.

    Args:
        inp: width of the input, in channels.
        out: width of the output and of the last layer, in channels.
        stride: step between output pixels, in input pixels; ``2 ** poolings``.
        channels: channels of all layers but the last, the first of which is the convolution.
        activation: name of the activation: ``gelu``, ``hardswish``, ``relu`` or ``silu``.

    Shape:
        x: ``[N, inp, H, W]``. Returns ``[N, out, ceil(H / stride), ceil(W / stride)]``.

    Cost:
        ``9 * inp * c`` multiply-accumulates for each pixel of the first layer with ``c`` channels, ``9 * b * (a + b)`` for
        a block from ``a`` to ``b`` channels, and ``a * b`` where its shortcut changes the width.

    Raises:
        SpaceError: the stride is no power of two, or has more poolings than there are layers behind the first.

    Source:
        Javan Roshtkhari, Toews, Pedersoli 2023, Balanced Mixture of SuperNets, PMLR 224:8, section 4. Deviations: batch norm has
        scales and statistics, which calibration sets for each subnetwork, where the paper has neither; shortcuts that change
        the width are convolutions.

    Example:
        >>> net = PooledResNet(1, 8, stride=4, channels=[4, 4, 6])
        >>> net.blocks.choices
        ('1-1-2', '1-2-1', '2-1-1')
        >>> net(torch.randn(2, 1, 9, 8)).shape
        torch.Size([2, 8, 3, 2])
    """

    def __init__(
        self,
        inp: SizeLike,
        out: SizeLike,
        *,
        stride: int = 1,
        channels: Sequence[int] = (8, 8),
        activation: str = "relu",
    ) -> None:
        super().__init__()
        widths: list[SizeLike] = [*(fixed_option("channels", width) for width in channels), out]
        poolings = stride.bit_length() - 1
        if stride != 2**poolings or poolings >= len(widths):
            raise SpaceError(
                f"stride: {stride} is not valid for {len(widths)} layers; it must be a power of two up to "
                f"{2 ** (len(widths) - 1)}."
            )
        self.blocks = as_categorical(pooling_configurations(len(widths), poolings))
        self.layers = nn.ModuleList(
            [
                ConvStem(inp, widths[0], kernel=3, activation=activation),
                *(Residual(a, b, branch="basic", activation=activation) for a, b in pairwise(widths)),
            ]
        )
        self.pool = nn.MaxPool2d(2, ceil_mode=True)

    def forward(self, x: Tensor) -> Tensor:
        """Runs all layers, pooling where the configuration says."""
        blocks = self.blocks.value if isinstance(self.blocks, Categorical) else self.blocks
        pooled = set(accumulate(map(int, str(blocks).split("-")[:-1])))
        for place, layer in enumerate(self.layers):
            x = layer(self.pool(x) if place in pooled else x)
        return x
