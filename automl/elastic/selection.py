"""Which units of a size are active, and how they are taken out of a tensor allocated at the largest size."""

from __future__ import annotations

import operator
from dataclasses import dataclass

import torch
from torch import Tensor

from automl.errors import SpaceError
from automl.space import Size, SizeLike, largest_value

__all__ = ["Selection", "dense", "plain_number"]


@dataclass(frozen=True, eq=False)
class Selection:
    """The active units of a size.

    Attributes:
        count: number of active units.
        total: number of units that are allocated.
        index: ``(count,)`` positions of the active units, int64; ``None`` where they are the prefix ``range(count)``.
    """

    count: int
    total: int
    index: Tensor | None = None

    @classmethod
    def of(cls, size: SizeLike, device: torch.device | None = None) -> Selection:
        """Returns the selection under the current values of the dimensions.

        Args:
            size: a size, or a plain number whose units are all active.
            device: where the index vector is put.

        Raises:
            SpaceError: the indices of the size are repeated, out of range, or not as many as its value.
        """
        if not isinstance(size, Size):
            return cls(size, size)
        count, total, units = operator.index(size), largest_value(size), size.indices()
        if units is None:
            return cls(count, total)
        if len(set(units)) != count or len(units) != count or not all(0 <= unit < total for unit in units):
            raise SpaceError(f"{size!r} selects the units {units}; expected {count} different ones below {total}.")
        with torch.inference_mode(False):  # the index is kept, and used with gradients later
            return cls(count, total, torch.tensor(units, dtype=torch.int64, device=device))

    def take(self, tensor: Tensor, axis: int = 0) -> Tensor:
        """Returns the active units along an axis: the tensor itself if all, a view of a prefix, else a gathered copy."""
        if self.index is not None:
            return tensor.index_select(axis, self.index.to(tensor.device))
        if self.count == tensor.shape[axis]:
            return tensor
        return tensor.narrow(axis, 0, self.count)

    def put(self, tensor: Tensor, values: Tensor) -> None:
        """Writes values into the active units of a vector in place; the other units keep theirs."""
        if self.index is None:
            tensor[: self.count].copy_(values)
        else:
            tensor.index_copy_(0, self.index.to(tensor.device), values.to(tensor))


def plain_number(size: SizeLike) -> int:
    """Returns the number of active units as the plain number that replaces the size in an extracted model."""
    return operator.index(size)


def dense(active: Tensor, source: Tensor) -> Tensor:
    """Returns a slice in dense memory: itself where it is dense or nothing was cut off, else a copy."""
    return active if active is source or active.is_contiguous() else active.clone()
