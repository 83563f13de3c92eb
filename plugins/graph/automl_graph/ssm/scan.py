"""First-order linear recurrences ``h_t = a_t * h_{t-1} + b_t`` with ``h_0 = 0``, element by element, in four ways.

Steps compose associatively: ``(a2, b2) after (a1, b1)`` is ``(a2 a1, a2 b1 + b2)``. All functions take ``a`` and ``b`` of shape
``(rows, length, *)`` and return all states in that shape.

| function | operations on whole tensors | work | where it is best |
|---|---|---|---|
| ``sequential_scan`` | L | L | short sequences in large batches |
| ``chunked_scan`` | about 2 sqrt(L) | L | long sequences |
| ``doubling_scan`` | log2(L), or any fixed number | L log2(L) | tracing, where the length is not known |
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["chunk_length", "chunked_scan", "doubling_scan", "sequential_scan"]


def sequential_scan(a: Tensor, b: Tensor) -> Tensor:
    """Takes one step after the other."""
    states = torch.empty_like(b)
    state = b.new_zeros(b.shape[0], *b.shape[2:])
    for t in range(b.shape[1]):
        state = torch.addcmul(b[:, t], a[:, t], state)
        states[:, t] = state
    return states


def doubling_scan(a: Tensor, b: Tensor, *, rounds: int | None = None) -> Tensor:
    """Composes every step with the one before, then with the two before, and so on (Hillis and Steele 1986).

    Args:
        a: factors, ``(rows, length, *)``.
        b: terms, in the same shape.
        rounds: how often the reach is doubled; covers lengths up to ``2 ** rounds``. Left out, as often as this length needs.
            With a given number no operation depends on the length, so that a tracer may leave it open.
    """
    length = b.shape[1]
    position = torch.arange(length, device=b.device)
    # Nothing comes before the first step, so its factor may be 0; then no step reaches past the beginning.
    a = a * (position > 0).to(a.dtype).view(-1, *[1] * (a.dim() - 2))
    for round_ in range((length - 1).bit_length() if rounds is None else rounds):
        before = (position - 2**round_).clamp(min=0)
        b = torch.addcmul(b, a, b.index_select(1, before))
        a = a * a.index_select(1, before)
    return b


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


def _split(x: Tensor, chunks: int, chunk: int, fill: float) -> Tensor:
    """Returns ``(rows, chunks, chunk, *)``, filled up with ``fill`` at the end."""
    missing = chunks * chunk - x.shape[1]
    padded = F.pad(x, [0, 0] * (x.dim() - 2) + [0, missing], value=fill)
    return padded.reshape(x.shape[0], chunks, chunk, *x.shape[2:])
