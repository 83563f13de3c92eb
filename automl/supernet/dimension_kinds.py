"""What a dimension changes in a network: how many modules run, how wide they are, or something else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias

import torch
from torch import nn

from automl.elastic.layer import ElasticLayer
from automl.space import Dimension, Ordinal, dimensions_of
from automl.space.walk import Conditional

__all__ = ["DimensionKind", "dimension_kinds"]

DimensionKind: TypeAlias = Literal["depth", "width", "other"]


def dimension_kinds(network: nn.Module, dimensions: Mapping[str, Dimension]) -> dict[str, DimensionKind]:
    """Returns the kind of each dimension, found by what it does rather than by what it is called.

    An ordinal dimension under whose condition modules come and go is a ``"depth"``; one that changes the number of input or
    output units of an elastic layer (the first two axes of a weight) is a ``"width"``, as an expansion or a number of heads
    is; every further one, such as a kernel length, and every categorical one is ``"other"``.

    Args:
        network: a module of elastic layers; the current values are left as they are.
        dimensions: the dimensions of the network by name.
    """
    guards = {
        guard.dimension
        for module in network.modules()
        if isinstance(module, Conditional)
        for guard in module.conditions().values()
    }
    widths: set[Dimension] = set()
    for layer in network.modules():
        if isinstance(layer, ElasticLayer):
            held = dimensions_of([value for name, value in vars(layer).items() if not name.startswith("_")])
            widths.update(d for d in held if d not in widths and d not in guards and _changes_units(layer, d))

    def kind(dimension: Dimension) -> DimensionKind:
        if not isinstance(dimension, Ordinal):
            return "other"
        return "depth" if dimension in guards else "width" if dimension in widths else "other"

    return {name: kind(dimension) for name, dimension in dimensions.items()}


def _changes_units(layer: ElasticLayer[object, object], dimension: Dimension) -> bool:
    before = dimension.index
    try:
        shapes = []
        for index in (0, len(dimension.choices) - 1):
            dimension.set_index(index)
            shapes.append([_units(parameter) for parameter in layer.specialise().parameters()])
    finally:
        dimension.set_index(before)
    return shapes[0] != shapes[1]


def _units(parameter: torch.Tensor) -> tuple[int, ...]:
    return tuple(parameter.shape[:2])
