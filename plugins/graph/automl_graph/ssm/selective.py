"""The selective scan of Mamba as one differentiable operator for CPU, with a backward pass written by hand.

Gu and Dao 2023, "Mamba: linear-time sequence modeling with selective state spaces", arXiv:2312.00752, section 3. States
``(rows, length, channels, states)`` never exist as a whole in the forward pass: chunks of about sqrt(L) steps run side by
side, once to find their last states and once more, from the right start, to give outputs. Nothing but the inputs is kept
for the backward pass, which computes the states again.
"""

from __future__ import annotations

from typing import Any, Final

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.flop_counter import register_flop_formula

from automl_graph.ssm.scan import chunk_length, chunked_scan, doubling_scan, sequential_scan

__all__ = ["selective_scan"]

_SHORT: Final = 64
"""Up to this length single steps are faster than chunks."""
_ROUNDS: Final = 20
"""Makes traced networks right up to a million nodes; each round more makes conversions slower."""


def selective_scan(step: Tensor, rate: Tensor, write: Tensor, read: Tensor, x: Tensor, first: Tensor) -> Tensor:
    """Returns ``y_t = <C_t, h_t>`` with ``h_t = exp(step_t A) h_{t-1} + step_t B_t x_t``.

    Args:
        step: step sizes, positive, ``(rows, length, channels)``; 0 keeps the state as it is.
        rate: ``A``, negative, ``(channels, states)``.
        write: ``B``, ``(rows, length, states)``.
        read: ``C``, ``(rows, length, states)``.
        x: ``(rows, length, channels)``.
        first: ``(rows, length)`` bool, true where another sequence begins and the state is forgotten.

    Returns:
        ``(rows, length, channels)``.

    Cost:
        ``3 * rows * length * channels * states`` multiply-accumulates. Inference holds ``rows * sqrt(length) * channels *
        states`` numbers beside its inputs and outputs; a backward pass several times ``rows * length * channels * states``.
    """
    keep = (~first).to(x.dtype)
    if torch.compiler.is_compiling():
        return _traced(step, rate, write, read, x, keep)
    result: Tensor = _operator(step, rate, write, read, x, keep)
    return result


@torch.library.custom_op("automl_graph::selective_scan", mutates_args=())
def _operator(step: Tensor, rate: Tensor, write: Tensor, read: Tensor, x: Tensor, keep: Tensor) -> Tensor:
    rows, length, channels = x.shape
    if length <= _SHORT:
        state = x.new_zeros(rows, channels, rate.shape[1])
        return _steps(step, rate, write, read, step * x, keep, state)[1]
    chunk = chunk_length(length)
    chunks = -(-length // chunk)

    def split(values: Tensor) -> Tensor:
        # Steps of size 0 and inputs of 0 change no state, so sequences may be filled up with zeros.
        padded = F.pad(values, [0, 0] * (values.dim() - 2) + [0, chunks * chunk - length])
        return padded.reshape(rows * chunks, chunk, *values.shape[2:])

    driven = step * x
    parts = (split(step), rate, split(write), split(read), split(driven), split(keep))
    ends, _ = _steps(*parts, x.new_zeros(rows * chunks, channels, rate.shape[1]), outputs=False)
    ends = torch.unflatten(ends, 0, (rows, chunks))
    unbroken = torch.unflatten(parts[5], 0, (rows, chunks)).amin(2)[..., None]
    decay = (torch.unflatten(parts[0], 0, (rows, chunks)).sum(2)[..., None] * rate).exp_().mul_(unbroken[..., None])
    start, carry = torch.empty_like(ends), torch.zeros_like(ends[:, 0])
    for i in range(chunks):
        start[:, i] = carry
        carry = torch.addcmul(ends[:, i], decay[:, i], carry)
    _, y = _steps(*parts, start.flatten(0, 1))
    return torch.unflatten(y, 0, (rows, chunks)).flatten(1, 2)[:, :length].contiguous()


def _steps(
    step: Tensor,
    rate: Tensor,
    write: Tensor,
    read: Tensor,
    driven: Tensor,
    keep: Tensor,
    state: Tensor,
    *,
    outputs: bool = True,
) -> tuple[Tensor, Tensor]:
    """Runs from a state over all steps; returns the last state and, if asked for, the outputs."""
    y = torch.empty_like(driven if outputs else driven[:0])
    for t in range(driven.shape[1]):
        decay = (step[:, t, :, None] * rate).exp_().mul_(keep[:, t, None, None])
        state = torch.addcmul(driven[:, t, :, None] * write[:, t, None, :], decay, state)
        if outputs:
            y[:, t] = torch.matmul(state, read[:, t, :, None]).squeeze(-1)
    return state, y


@_operator.register_fake
def _(step: Tensor, rate: Tensor, write: Tensor, read: Tensor, x: Tensor, keep: Tensor) -> Tensor:
    return torch.empty_like(x, memory_format=torch.contiguous_format)


def _keep_inputs(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
    ctx.save_for_backward(*inputs)


def _backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
    step, rate, write, read, x, keep = ctx.saved_tensors
    with torch.no_grad():
        scan = sequential_scan if x.shape[1] <= _SHORT else chunked_scan
        decay = (step[..., None] * rate).exp_().mul_(keep[..., None, None])
        states = scan(decay, (step * x)[..., None] * write[:, :, None, :])
        later = torch.cat([decay, torch.zeros_like(decay[:, :1])], dim=1)[:, 1:]
        reached = scan(later.flip(1), (gradient[..., None] * read[:, :, None, :]).flip(1)).flip(1)
        earlier = torch.cat([torch.zeros_like(states[:, :1]), states], dim=1)[:, :-1]
        exponent = reached * earlier * decay
        driven = torch.einsum("rlcs,rls->rlc", reached, write)
        return (
            driven * x + torch.einsum("rlcs,cs->rlc", exponent, rate),
            torch.einsum("rlcs,rlc->cs", exponent, step),
            torch.einsum("rlcs,rlc->rls", reached, step * x),
            torch.einsum("rlcs,rlc->rls", states, gradient),
            driven * step,
            None,
        )


_operator.register_autograd(_backward, setup_context=_keep_inputs)


@register_flop_formula(torch.ops.automl_graph.selective_scan)
def _count(step: Any, rate: Any, write: Any, read: Any, x: Any, keep: Any, *args: Any, **kwargs: Any) -> int:
    rows, length, channels = x
    return 6 * int(rows * length * channels * rate[1])


def _traced(step: Tensor, rate: Tensor, write: Tensor, read: Tensor, x: Tensor, keep: Tensor) -> Tensor:
    """The same of plain operations, whose number does not depend on a length that is open."""
    decay = torch.exp(step[..., None] * rate) * keep[..., None, None]
    added = (step * x)[..., None] * write[:, :, None, :]
    length = x.shape[1]
    if isinstance(length, int) and length <= _SHORT:
        state, states = torch.zeros_like(added[:, 0]), []
        for t in range(length):
            state = decay[:, t] * state + added[:, t]
            states.append(state)
        stacked = torch.stack(states, dim=1)
    else:
        stacked = doubling_scan(decay, added, rounds=_ROUNDS)
    return torch.matmul(stacked, read[..., None]).squeeze(-1)
