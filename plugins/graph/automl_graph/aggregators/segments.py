"""Reduction of ragged segments with any binary operator, without padding: no segment ever depends on another.

Messages with the same destination are a segment. The balanced tree combines neighbours (0, 1), (2, 3), ... of all segments at
once and passes a single last one on, so n messages need n - 1 applications in ceil(log2 n) levels. The left fold combines one
message after the other.

In an exported program, where lengths are unknown, every level or step runs on all rows and keeps what applies; the number of
levels then follows from the largest number of messages that is allowed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from automl_graph.pyg import scatter

__all__ = ["Operator", "Segments", "balanced_tree", "left_fold"]

Operator = Callable[[Tensor, Tensor], Tensor]
"""Maps two states ``(rows, width)`` to one, row by row."""


class Segments(NamedTuple):
    """Messages sorted by destination.

    Args:
        values: messages, ``(messages, width)``.
        target: destination of each, ``(messages,)``, rising.
        position: number of each within its segment, ``(messages,)``.
        counts: messages of each destination, at most the limit, ``(size,)``.
        limit: largest count; messages at positions from here on are ignored.
    """

    values: Tensor
    target: Tensor
    position: Tensor
    counts: Tensor
    limit: int

    @classmethod
    def of(cls, values: Tensor, index: Tensor, size: int, *, limit: int, shuffle: bool) -> Segments:
        """Sorts messages by destination.

        Args:
            values: messages, ``(messages, width)``.
            index: destination of each, ``(messages,)``, in any order.
            size: number of destinations.
            limit: messages of one destination that count.
            shuffle: put the messages of each destination into a random order first.
        """
        if shuffle:
            order = torch.randperm(len(index), device=index.device)
            values, index = values[order], index[order]
        # Keys that all differ keep the order within a segment; ONNX has no stable sort.
        order = torch.argsort(index * index.shape[0] + torch.arange(index.shape[0], device=index.device))
        target = index[order]
        counts = scatter(torch.ones_like(index), index, dim=0, dim_size=size, reduce="sum")
        starts = counts.cumsum(0) - counts
        position = torch.arange(index.shape[0], device=index.device) - starts[target]
        values = values[order]
        if not torch.compiler.is_compiling():
            inside = position < limit
            if not bool(inside.all()):
                values, target, position = values[inside], target[inside], position[inside]
        return cls(values, target, position, counts.clamp(max=limit), limit)


def balanced_tree(segments: Segments, operator: Operator, observe: Callable[[Tensor], None] | None = None) -> Tensor:
    """Combines each segment by a balanced tree; destinations without messages get zeros.

    Args:
        segments: the messages.
        operator: combines two states.
        observe: shown the new states of each level.

    Returns:
        ``(size, width)``.
    """
    if torch.compiler.is_compiling():
        return _traced_tree(segments, operator)
    values, target, position, counts, _ = segments
    while bool((counts > 1).any()):
        even = (position % 2 == 0).nonzero().flatten()
        paired = position[even] + 1 < counts[target[even]]
        first = even[paired]
        combined = operator(values[first], values[first + 1])
        if observe is not None:
            observe(combined)
        values = values[even].index_copy(0, paired.nonzero().flatten(), combined)
        target, position, counts = target[even], position[even] // 2, (counts + 1) // 2
    empty = values.new_zeros(len(counts), values.shape[1])
    return empty.index_copy(0, target, values)


def _traced_tree(segments: Segments, operator: Operator) -> Tensor:
    values, target, position, counts, limit = segments
    own = counts[target]
    rows = torch.arange(values.shape[0], device=values.device)
    last = values.shape[0] - 1
    stride = 1
    while stride < limit:
        paired = (position % (2 * stride) == 0) & (position + stride < own)
        partner = values[(rows + stride).clamp(max=last)]
        values = torch.where(paired[:, None], operator(values, partner), values)
        stride *= 2
    roots = torch.where((position == 0)[:, None], values, torch.zeros_like(values))
    reduced: Tensor = scatter(roots, target, dim=0, dim_size=counts.shape[0], reduce="sum")
    return reduced


def left_fold(
    segments: Segments, step: Operator, *, start: bool, observe: Callable[[Tensor], None] | None = None
) -> Tensor:
    """Combines each segment one message after the other; destinations without messages get zeros.

    Args:
        segments: the messages.
        step: maps a message and the state so far to the next state.
        start: the state starts as zeros, so that the first message takes a step as well; otherwise it is the first message.
        observe: shown the new states of each step.

    Returns:
        ``(size, width)``; widths of messages and states are equal.
    """
    if torch.compiler.is_compiling():
        return _traced_fold(segments, step, start=start)
    values, target, position, counts, _ = segments
    size = counts.shape[0]
    # Longest segments first: those that still have messages are then a prefix, which shrinks from step to step.
    ranked = torch.sort(counts, descending=True, stable=True).indices
    rank = torch.empty_like(ranked).index_copy(0, ranked, torch.arange(size, device=ranked.device))
    values = values[torch.sort(position * max(1, size) + rank[target]).indices]
    state, finished, taken = values.new_zeros(size, values.shape[1]), [], 0
    for number, active in enumerate(torch.bincount(position).tolist()):
        message = values[taken : taken + active]
        taken += active
        finished.append(state[active:])
        state = message if number == 0 and not start else step(message, state[:active])
        if observe is not None:
            observe(state)
    return torch.cat([state, *reversed(finished)])[rank]


def _traced_fold(segments: Segments, step: Operator, *, start: bool) -> Tensor:
    values, target, position, counts, limit = segments
    size, width = counts.shape[0], values.shape[1]
    state = values.new_zeros(size, width)
    for number in range(limit):
        present = torch.where((position == number)[:, None], values, torch.zeros_like(values))
        message = scatter(present, target, dim=0, dim_size=size, reduce="sum")
        following = message if number == 0 and not start else step(message, state)
        state = torch.where((counts > number)[:, None], following, state)
    return state
