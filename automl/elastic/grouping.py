"""Which columns of a grouped weight belong to units that are selected by index."""

from __future__ import annotations

import torch
from torch import Tensor

from automl.elastic.selection import Selection

__all__ = ["columns_by_index"]


def columns_by_index(inputs: Selection, outputs: Selection, groups: int, largest: int) -> Tensor | None:
    """Returns the column of each active weight, where every active group lies inside one group of the largest layer.

    Args:
        inputs: active input channels.
        outputs: active output channels.
        groups: number of active groups.
        largest: input channels of one group of the largest layer.

    Returns:
        ``(outputs.count, inputs.count // groups)`` columns; ``None`` where units are no index selection or groups of the
        largest layer are cut through. Columns are then numbered by position within the group.

    Example:
        >>> inputs = Selection(4, 8, torch.tensor([1, 3, 4, 7]))
        >>> columns_by_index(inputs, Selection(2, 2), groups=2, largest=4)
        tensor([[1, 3],
                [0, 3]])
    """
    if groups == 1 or (inputs.index is None and outputs.index is None):
        return None
    rows_of_group = outputs.total * largest // inputs.total
    sources = _units(inputs).reshape(groups, -1)
    targets = _units(outputs).reshape(groups, -1)
    home = sources[:, :1] // largest
    if rows_of_group == 0 or (sources // largest != home).any() or (targets // rows_of_group != home).any():
        return None
    with torch.inference_mode(False):  # the index is kept, and used with gradients later
        return (sources % largest).repeat_interleave(targets.shape[1], dim=0)


def _units(selection: Selection) -> Tensor:
    return torch.arange(selection.count) if selection.index is None else selection.index.cpu()
