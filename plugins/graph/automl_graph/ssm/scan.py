"""First-order linear recurrences ``h_t = a_t * h_{t-1} + b_t`` with ``h_0 = 0``, element by element, in four ways.

Steps compose associatively: ``(a2, b2) after (a1, b1)`` is ``(a2 a1, a2 b1 + b2)``. All functions take ``a`` and ``b`` of shape
``(rows, length, *)`` and return all states in that shape.

| function | operations on whole tensors | work | where it is best |
|---|---|---|---|
| ``sequential_scan`` | L | L | short sequences in large batches |
| ``chunked_scan`` | about 2 sqrt(L) | L | long sequences |
| ``doubling_scan`` | log2(L) | L log2(L) | comparison only |
| ``nested_scan`` | 24, whatever the length | about 5 L | tracing, where the length is not known |
"""

from __future__ import annotations

import math
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["LONGEST_NESTED", "chunk_length", "chunked_scan", "doubling_scan", "nested_scan", "sequential_scan"]

_CHUNK: Final = 16
_LEVELS: Final = 6
LONGEST_NESTED: Final = (_CHUNK - 2) * _CHUNK ** (_LEVELS - 1)
"""Length up to which ``nested_scan`` works, 14.7 million."""


def sequential_scan(a: Tensor, b: Tensor) -> Tensor:
    """Takes one step after the other."""
    states = torch.empty_like(b)
    state = b.new_zeros(b.shape[0], *b.shape[2:])
    for t in range(b.shape[1]):
        state = torch.addcmul(b[:, t], a[:, t], state)
        states[:, t] = state
    return states


def doubling_scan(a: Tensor, b: Tensor) -> Tensor:
    """Composes every step with the one before, then with the two before, and so on (Hillis and Steele 1986)."""
    return _doubled(a, b, axis=1)[1]


def chunk_length(length: int) -> int:
    """Returns the length of chunks that makes the steps within and between chunks about equally many."""
    return math.isqrt(max(0, length - 1)) + 1


def chunked_scan(a: Tensor, b: Tensor) -> Tensor:
    """Scans chunks of about sqrt(L) steps all at once, then carries the last state from chunk to chunk."""
    length = b.shape[1]
    if length == 0:
        return torch.empty_like(b)
    chunk = chunk_length(length)
    chunks = -(-length // chunk)
    a, b = (_split(x, chunks, chunk, fill) for x, fill in ((a, 1.0), (b, 0.0)))
    local, decay = torch.empty_like(b), torch.empty_like(a)
    state, product = b[:, :, 0], a[:, :, 0]
    local[:, :, 0], decay[:, :, 0] = state, product
    for j in range(1, chunk):
        state = torch.addcmul(b[:, :, j], a[:, :, j], state)
        product = product * a[:, :, j]
        local[:, :, j], decay[:, :, j] = state, product
    start = torch.empty_like(b[:, :, 0])
    carry = torch.zeros_like(b[:, 0, 0])
    for i in range(chunks):
        start[:, i] = carry
        carry = torch.addcmul(local[:, i, -1], decay[:, i, -1], carry)
    return local.addcmul_(decay, start[:, :, None]).flatten(1, 2)[:, :length]


def nested_scan(a: Tensor, b: Tensor) -> Tensor:
    """Scans chunks of 16 by doubling, then the sequence of their last states in the same way, six levels deep.

    The number of operations does not depend on the length, so a traced network takes sequences of any length up to
    ``LONGEST_NESTED``; longer ones end in an error.
    """
    return _nested(a, b, _LEVELS)


def _nested(a: Tensor, b: Tensor, levels: int) -> Tensor:
    length = b.shape[1]
    # Two chunks more than are needed keep a tracer from taking 0 or 1 chunks for the general case.
    chunks = 1 if levels == 1 else length // _CHUNK + 2
    a, b = (_split(x, chunks, _CHUNK, fill) for x, fill in ((a, 1.0), (b, 0.0)))
    decay, states = _doubled(a, b, axis=2)
    if levels > 1:
        ends = _nested(decay[:, :, -1], states[:, :, -1], levels - 1)
        start = torch.cat([torch.zeros_like(ends[:, :1]), ends[:, :-1]], dim=1)
        states = states + decay * start[:, :, None]
    return states.flatten(1, 2)[:, :length]


def _split(x: Tensor, chunks: int, chunk: int, fill: float) -> Tensor:
    """Returns ``(rows, chunks, chunk, *)``, filled up with ``fill`` at the end."""
    missing = chunks * chunk - x.shape[1]
    padded = F.pad(x, [0, 0] * (x.dim() - 2) + [0, missing], value=fill)
    return padded.reshape(x.shape[0], chunks, chunk, *x.shape[2:])


def _doubled(a: Tensor, b: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    """Returns products of ``a`` and states along an axis of known length."""
    length, shift = b.shape[axis], 1
    while shift < length:
        before = [0, 0] * (b.dim() - 1 - axis) + [shift, 0]
        kept = length - shift
        b = torch.addcmul(b, a, F.pad(b.narrow(axis, 0, kept), before))
        a = a * F.pad(a.narrow(axis, 0, kept), before, value=1.0)
        shift *= 2
    return a, b
