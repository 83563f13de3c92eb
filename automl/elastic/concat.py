"""Concatenation of signals of elastic widths."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import final

import torch
from torch import Tensor, nn

from automl.elastic.validation import check_count
from automl.errors import SpaceError
from automl.space import Dimension, Number, Size, SizeLike, dimensions_of, largest_value

__all__ = ["Concat"]


@final
class Concat(nn.Module):
    """Concatenation along one axis.

    Every source has its own range of units in the largest width, so a layer that takes ``width`` as its input uses the same
    weights for a source whatever the widths of the others are.

    Args:
        widths: width of each source, in order.
        dim: axis of the features.

    Attributes:
        width: width of the result, a size with index selection; a plain number where all sources have plain ones.

    Shape:
        features: one tensor per source, ``width`` units each along ``dim`` and equal along the other axes. Returns their
        concatenation.

    Raises:
        SpaceError: no source, or a width that can be fractional or below 1.

    Specialised:
        The same module with plain numbers; it needs no elastic layer.

    Example:
        >>> from automl.space import Ordinal
        >>> left, right = Ordinal(1, 3), Ordinal(1, 2)
        >>> concat = Concat([left, right])
        >>> left.value = 1
        >>> int(concat.width), concat.width.indices()
        (3, (0, 3, 4))
        >>> concat(torch.zeros(2, 1), torch.ones(2, 2))
        tensor([[0., 1., 1.],
                [0., 1., 1.]])
    """

    def __init__(self, widths: Sequence[SizeLike], *, dim: int = 1) -> None:
        super().__init__()
        if not widths:
            raise SpaceError("Concat: expected at least one source, got none.")
        for width in widths:
            check_count("Concat: widths", width)
        self.dim = dim
        self.width: SizeLike = ConcatWidth(widths) if dimensions_of(list(widths)) else sum(map(int, widths))

    def forward(self, *features: Tensor) -> Tensor:
        """Concatenates the features of all sources."""
        return torch.cat(features, dim=self.dim)

    def extra_repr(self) -> str:
        """Returns the arguments."""
        return f"{self.width!r}, dim={self.dim}"


@final
class ConcatWidth(Size):
    """Sum of widths in which every source keeps its own range of units, ``[offset, offset + maximum)``."""

    def __init__(self, widths: Sequence[SizeLike]) -> None:
        self._widths = tuple(widths)
        self._offsets = (0, *accumulate(map(largest_value, widths)))
        self._dimensions = dimensions_of(self._widths)

    @property
    def value(self) -> Number:
        """Number of active units of all sources."""
        return sum(map(int, self._widths))

    @property
    def minimum(self) -> Number:
        """Number of units with all sources at their smallest."""
        return sum(width.minimum if isinstance(width, Size) else width for width in self._widths)

    @property
    def maximum(self) -> Number:
        """Number of units with all sources at their largest."""
        return self._offsets[-1]

    @property
    def dimensions(self) -> tuple[Dimension, ...]:
        """The dimensions of all sources."""
        return self._dimensions

    def indices(self) -> tuple[int, ...] | None:
        """Returns the active units, those of each source within its range."""
        units: list[int] = []
        for width, offset in zip(self._widths, self._offsets, strict=False):
            own = width.indices() if isinstance(width, Size) else None
            units.extend(offset + unit for unit in (range(int(width)) if own is None else own))
        return None if units == list(range(len(units))) else tuple(units)

    def __repr__(self) -> str:
        return f"Concat({list(self._widths)!r}).width"
