"""What a pruned network takes to store: dense, or sparse with the index that says where its values belong.

Source:
    Zhu, Gupta 2017, arXiv:1710.01878, section 4 (bit masks and rows of positions).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from torch import Tensor, nn

from automl.objectives.params import count_params
from automl.objectives.size import state_bytes
from automl.objectives.sparse_size import bitmask_bytes

__all__ = ["StorageReport", "row_bytes", "storage_report"]


@dataclass(frozen=True)
class StorageReport:
    """Numbers and bytes of a pruned network; none of them says anything about its speed.

    Attributes:
        parameters: parameters of the network as it is, zeros included.
        nonzero: parameters without those that are masked.
        prunable: parameters that have a mask.
        prunable_nonzero: those of them that are kept.
        dense_bytes: parameters and buffers as they are.
        sparse_bytes: the same with masked weights stored as a bit mask and their kept values, where that is less.
    """

    parameters: int
    nonzero: int
    prunable: int
    prunable_nonzero: int
    dense_bytes: int
    sparse_bytes: int

    def to_json(self) -> dict[str, int]:
        """Returns the numbers by name."""
        return asdict(self)


def storage_report(network: nn.Module, masks: Mapping[str, Tensor]) -> StorageReport:
    """Returns the numbers of a network with masks.

    Raises:
        KeyError: the masks are of another network.
    """
    weights = dict(network.named_parameters())
    prunable = sum(mask.numel() for mask in masks.values())
    kept = {name: int(mask.sum()) for name, mask in masks.items()}
    dense = state_bytes(network)
    saved = 0
    for name, mask in masks.items():
        item = weights[name].element_size()
        saved += max(0, mask.numel() * item - bitmask_bytes(mask.numel(), kept[name], item))
    parameters = count_params(network)
    nonzero = parameters - prunable + sum(kept.values())
    return StorageReport(parameters, nonzero, prunable, sum(kept.values()), dense, dense - saved)


def row_bytes(nonzero: int, item: int = 4, index: int = 2) -> int:
    """Returns the bytes of a tensor stored as values and their positions, without the pointers to rows.

    Example:
        >>> row_bytes(1000, index=4), 2000 * 4  # break-even at a sparsity of 1/2
        (8000, 8000)
    """
    return nonzero * (item + index)
