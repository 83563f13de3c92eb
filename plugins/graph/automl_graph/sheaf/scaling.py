"""Entry-wise product of diagonal maps with features, as one operator with a known cost.

Matrix-valued maps act by matrix products, which are counted as multiply-accumulates. Diagonal maps act by products of
entries, which are not, though they do the same work: without a cost of their own they would look free beside the others.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import register_flop_formula

__all__ = ["scale_stalks"]


def scale_stalks(maps: Tensor, features: Tensor) -> Tensor:
    """Returns ``maps[..., None] * features``.

    Args:
        maps: one number for each stalk dimension, ``(pairs, d)``.
        features: ``(pairs, d, channels)``.

    Returns:
        ``(pairs, d, channels)``.

    Cost:
        ``pairs * d * channels`` multiply-accumulates.
    """
    if torch.compiler.is_compiling():
        return maps.unsqueeze(-1) * features
    product: Tensor = _scale(maps, features)
    return product


@torch.library.custom_op("automl_graph::scale_stalks", mutates_args=())
def _scale(maps: Tensor, features: Tensor) -> Tensor:
    return maps.unsqueeze(-1) * features


@_scale.register_fake
def _(maps: Tensor, features: Tensor) -> Tensor:
    return torch.empty_like(features)


def _keep(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
    ctx.save_for_backward(*inputs)


def _backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
    maps, features = ctx.saved_tensors
    return (gradient * features).sum(-1), maps.unsqueeze(-1) * gradient


_scale.register_autograd(_backward, setup_context=_keep)


@register_flop_formula(torch.ops.automl_graph.scale_stalks)
def _count(maps: Any, features: Any, *, out_shape: Any = None, **_: Any) -> int:
    pairs, stalk, channels = features
    return int(2 * pairs * stalk * channels)
