"""Group normalisation with elastic width and number of groups."""

from __future__ import annotations

from typing import NamedTuple, final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from automl.elastic.layer import ElasticLayer
from automl.elastic.selection import Selection, plain_number
from automl.elastic.specialise import plain_layer
from automl.elastic.validation import check_count, check_divisible
from automl.space import SizeLike

__all__ = ["GroupNorm"]


class _Active(NamedTuple):
    groups: int
    channels: Selection


class _Arguments(NamedTuple):
    groups: int
    weight: Tensor | None
    bias: Tensor | None


@final
class GroupNorm(ElasticLayer[_Active, _Arguments]):
    """Group normalisation whose width and number of groups are searched.

    The active channels are cut into groups of equal size in their order. With ``num_groups=width // 4`` a channel keeps its
    partners in all subnetworks; with a plain number the groups get narrower with the width.

    Args:
        num_groups: number of groups; divides the width under every setting.
        num_channels: width, in channels.
        eps: added to the variance.
        affine: scale and shift each channel by learned numbers.

    Shape:
        x: ``(batch, num_channels, *)``. Returns the same.
        weight, bias: ``(max num_channels,)``.

    Raises:
        SpaceError: a size that can be fractional or below 1, or groups that do not divide the width.

    Specialised:
        ``nn.GroupNorm``.

    Source:
        Wu and He 2018, arXiv:1803.08494, equation 7.

    Example:
        >>> from automl.space import Ordinal
        >>> width = Ordinal(4, 8)
        >>> layer = GroupNorm(width // 2, width)
        >>> width.value = 4
        >>> layer(torch.randn(2, 4, 3)).shape
        torch.Size([2, 4, 3])
    """

    def __init__(self, num_groups: SizeLike, num_channels: SizeLike, *, eps: float = 1e-5, affine: bool = True) -> None:
        super().__init__()
        check_count("GroupNorm: num_groups", num_groups)
        largest = check_count("GroupNorm: num_channels", num_channels)
        check_divisible("GroupNorm: num_channels", num_channels, num_groups)
        self.num_groups = num_groups
        self.num_channels = num_channels
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(largest)) if affine else None
        self.bias = nn.Parameter(torch.zeros(largest)) if affine else None

    def forward(self, x: Tensor) -> Tensor:
        """Normalises the active channels."""
        groups, weight, bias = self._arguments()
        return F.group_norm(x, groups, weight, bias, self.eps)

    def specialise(self) -> nn.GroupNorm:
        """Returns ``nn.GroupNorm`` with copied active weights."""
        selection = self._selection()
        groups, weight, bias = self._cut(selection)
        return plain_layer(
            nn.GroupNorm,
            groups,
            selection.channels.count,
            eps=self.eps,
            affine=weight is not None,
            training=self.training,
            weights={"weight": (weight, self.weight), "bias": (bias, self.bias)},
        )

    def _select(self) -> _Active:
        return _Active(plain_number(self.num_groups), Selection.of(self.num_channels, self._device()))

    def _cut(self, selection: _Active) -> _Arguments:
        return _Arguments(
            selection.groups,
            None if self.weight is None else selection.channels.take(self.weight),
            None if self.bias is None else selection.channels.take(self.bias),
        )

    def extra_repr(self) -> str:
        """Returns the arguments."""
        return f"{self.num_groups!r}, {self.num_channels!r}, eps={self.eps}, affine={self.weight is not None}"
