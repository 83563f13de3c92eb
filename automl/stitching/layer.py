"""The stitching layer: a linear map from the features of one network to those of another, and what fits it.

Source:
    Pan, Cai, Zhuang 2023 (SN-Net), arXiv:2302.06586, section 3.2 (layer and least squares). Deviation: maps may be
    resized and converted from and to tokens in front of the linear map, which the paper does not need.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from automl.errors import SpaceError
from automl.stitching.layout import Layout

__all__ = ["StitchingLayer", "least_squares"]


@final
class StitchingLayer(nn.Module):
    """One linear map for all positions, with what brings the positions into the form that the back takes.

    ``y = linear(adapt(x))``; ``linear`` is a 1x1 convolution where the back takes maps.

    Args:
        front: form of the features of the front.
        back: form of the features that the back takes.
        adapters: what may be done beside the linear map: ``resize`` maps, convert maps from and to ``tokens``.

    Shape:
        x: as ``front`` with a batch axis. Returns the form of ``back`` with the same batch axis.

    Raises:
        SpaceError: the forms differ by what no adapter was declared for, or cannot be adapted.
    """

    def __init__(self, front: Layout, back: Layout, adapters: Collection[str] = ()) -> None:
        super().__init__()
        self.adapt = _adapter(front, back, adapters)
        self.linear: nn.Conv2d | nn.Linear = (
            nn.Conv2d(front.width, back.width, 1) if back.kind == "map" else nn.Linear(front.width, back.width)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Maps features of the front to features of the back."""
        y: Tensor = self.linear(self.adapt(x))
        return y

    def rows(self, features: Tensor, *, adapted: bool) -> Tensor:
        """Returns features as ``(positions, width)``; those of the front are brought to the back's positions first."""
        features = features if adapted else self.adapt(features)
        return features.movedim(1, -1).flatten(0, -2) if isinstance(self.linear, nn.Conv2d) else features.flatten(0, -2)

    @torch.no_grad()
    def fit(self, pairs: Sequence[tuple[Tensor, Tensor]]) -> None:
        """Sets the linear map to the mean of the least-squares solutions of each pair of features.

        Args:
            pairs: for each join that uses this layer the output of the front's block and the input of the back's.
        """
        solutions = [least_squares(self.rows(x, adapted=False), self.rows(y, adapted=True)) for x, y in pairs]
        weight = torch.stack([w for w, _ in solutions]).mean(0)
        bias = torch.stack([b for _, b in solutions]).mean(0)
        self.linear.weight.copy_(weight.view_as(self.linear.weight))
        assert self.linear.bias is not None
        self.linear.bias.copy_(bias)


def least_squares(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Returns weight and bias that minimise ``||x @ weight.T + bias - y||²``, the smallest ones where several do.

    Solved in float64 by singular values, so features that are always zero or copies of each other do no harm.

    Shape:
        x: ``(rows, inp)``; y: ``(rows, out)``. Returns ``(out, inp)`` and ``(out,)`` in float64.
    """
    inputs = torch.cat([x, torch.ones_like(x[:, :1])], dim=1).double().cpu()
    solution = torch.linalg.lstsq(inputs, y.double().cpu(), driver="gelsd").solution
    return solution[:-1].T, solution[-1]


def _adapter(front: Layout, back: Layout, adapters: Collection[str]) -> nn.Module:
    """Returns what turns the positions of ``front`` into those of ``back``."""
    if front.place == back.place:
        return nn.Identity()
    source, target = front.grid(back), back.grid(front)
    if source is None or target is None:
        raise SpaceError(f"{front} cannot be turned into {back}.")
    needed = (["tokens"] if front.kind != back.kind or source[2] != target[2] else []) + (
        ["resize"] if source[:2] != target[:2] else []
    )
    missing = [name for name in needed if name not in adapters]
    if missing:
        raise SpaceError(f"{front} become {back} only by an adapter: declare 'adapters: [{', '.join(needed)}]'.")
    steps: list[nn.Module] = []
    if front.kind == "tokens":
        steps.append(_ToMap(*source))
    if source[:2] != target[:2]:
        steps.append(_Resize(*target[:2]))
    if back.kind == "tokens":
        steps.append(_ToTokens(target[2]))
    return nn.Sequential(*steps)


@final
class _Resize(nn.Module):
    """Bilinear interpolation of maps."""

    def __init__(self, height: int, width: int) -> None:
        super().__init__()
        self.size = (height, width)

    def forward(self, x: Tensor) -> Tensor:
        return F.interpolate(x, self.size, mode="bilinear", align_corners=False)


@final
class _ToMap(nn.Module):
    """Tokens ``(N, T, C)`` to a map ``(N, C, H, W)``; class tokens are left out."""

    def __init__(self, height: int, width: int, extra: int) -> None:
        super().__init__()
        self.size, self.extra = (height, width), extra

    def forward(self, x: Tensor) -> Tensor:
        pixels: Tensor = x[:, self.extra :].transpose(1, 2)
        return pixels.reshape(*pixels.shape[:2], *self.size)


@final
class _ToTokens(nn.Module):
    """A map ``(N, C, H, W)`` to tokens ``(N, T, C)``; the mean of all pixels is the class token where there is one."""

    def __init__(self, extra: int) -> None:
        super().__init__()
        self.extra = extra

    def forward(self, x: Tensor) -> Tensor:
        tokens = x.flatten(2).transpose(1, 2)
        return torch.cat([tokens.mean(1, keepdim=True), tokens], dim=1) if self.extra else tokens
