"""Activations by the name that papers use."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from torch import nn

from automl.errors import SpaceError, did_you_mean

__all__ = ["ACTIVATIONS", "activation_layer"]

ACTIVATIONS: Final[Mapping[str, type[nn.Module]]] = {
    "gelu": nn.GELU,
    "hardswish": nn.Hardswish,
    "relu": nn.ReLU,
    "silu": nn.SiLU,
}


def activation_layer(name: str) -> nn.Module:
    """Returns a new activation.

    Args:
        name: one of ``gelu``, ``hardswish``, ``relu``, ``silu``.

    Raises:
        SpaceError: the name is none of these.

    Example:
        >>> activation_layer("relu")
        ReLU()
    """
    if name not in ACTIVATIONS:
        raise SpaceError(f"activation: unknown activation {name!r}.{did_you_mean(str(name), ACTIVATIONS)}")
    return ACTIVATIONS[name]()
