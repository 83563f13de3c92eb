"""Sparse size: bytes that a network needs where zeros are left out of its weights.

Source:
    Zhu, Gupta 2017, arXiv:1710.01878, section 4 (bit masks).
"""

from __future__ import annotations

from typing import ClassVar, final

from torch import nn

from automl.objectives.candidate import Candidate
from automl.objectives.objective import Objective
from automl.objectives.size import state_bytes
from automl.objectives.value import Value

__all__ = ["SparseSize", "bitmask_bytes", "sparse_bytes"]


@final
class SparseSize(Objective):
    """Bytes of parameters and buffers, each matrix or kernel as a bit mask with its non-zero values where that is less.

    The same formula for dense and for pruned networks. A measure of what has to be kept or sent, not of time: exported files
    hold the zeros, and zeros take as long as other numbers.
    """

    name: ClassVar[str] = "sparse-size"
    unit: ClassVar[str] = "B"

    def measure(self, candidate: Candidate) -> Value:
        return Value(float(sparse_bytes(candidate.model)))


def sparse_bytes(model: nn.Module) -> int:
    """Returns the bytes of a network with its matrices and kernels stored the shorter way, dense or with a bit mask.

    Example:
        >>> layer = nn.Linear(8, 4)
        >>> _ = nn.init.zeros_(layer.weight[:3].data)
        >>> sparse_bytes(layer)  # 4 bytes of mask, 8 values, 4 biases
        52
    """
    saved = 0
    for weight in model.parameters():
        if weight.ndim > 1:
            item, kept = weight.element_size(), int(weight.detach().count_nonzero())
            saved += max(0, weight.numel() * item - bitmask_bytes(weight.numel(), kept, item))
    return state_bytes(model) - saved


def bitmask_bytes(entries: int, nonzero: int, item: int = 4) -> int:
    """Returns the bytes of a tensor stored as one bit for each entry and its values that are not zero.

    Example:
        >>> bitmask_bytes(3200, 3100), 3200 * 4  # break-even at a sparsity of 1/32
        (12800, 12800)
    """
    return -(-entries // 8) + item * nonzero
