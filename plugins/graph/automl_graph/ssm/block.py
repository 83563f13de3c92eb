"""Bidirectional selective state space block with elastic widths."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final, final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from automl import elastic
from automl.space import Categorical, Guard, Scalar, SizeLike, largest_value
from automl_graph.options import current_choice
from automl_graph.ssm.selective import selective_scan

__all__ = ["BiSelectiveSSM", "SelectiveSSM"]

_SMALLEST_STEP, _LARGEST_STEP = 1e-3, 1e-1


@final
class SelectiveSSM(nn.Module):
    """Mamba in one direction: what a position gives depends on itself and the positions before it.

    ``z = silu(conv(W_in u))``, ``y = scan(z) + D z``, ``out = W_out (y * silu(W_gate u))``; ``B`` and ``C`` of the scan
    are linear in ``z``, ``step = softplus(W_step2 W_step z + b)`` and ``A = -exp(A_log)``.

    Args:
        width: width of input and output, in features; ``d``.
        inner: width inside, in channels; ``E``.
        states: numbers that each channel remembers; ``N_s``.
        kernel: taps of the causal depthwise convolution, the current position included.

    Shape:
        u: ``(rows, length, width)``; first: ``(rows, length)`` bool, true where a sequence begins. Returns the shape of ``u``.
        Parameters: ``3 d E + E (k + 1) + E (r + 2 N_s) + r E + E + E N_s + E`` with ``r = ceil(max d / 16)``.

    Source:
        Gu and Dao 2023, arXiv:2312.00752, section 3. Per-channel tables (taps, ``A_log``, ``D``) are embeddings, which can be
        cut in both directions. The initial step sizes are log-uniform from 0.001 to 0.1 and ``A`` is −1, −2, ..., as there.
    """

    def __init__(self, width: SizeLike, inner: SizeLike, *, states: SizeLike, kernel: SizeLike) -> None:
        super().__init__()
        self.inner = inner
        rank = -(-largest_value(width) // 16)
        self.enter = elastic.Linear(width, inner, bias=False)
        self.gate = elastic.Linear(width, inner, bias=False)
        self.taps = elastic.Embedding(inner, kernel)
        self.offset = elastic.Embedding(inner, 1)
        self.step_rank = elastic.Linear(inner, rank, bias=False)
        self.step = elastic.Linear(rank, inner)
        self.write = elastic.Linear(inner, states, bias=False)
        self.read = elastic.Linear(inner, states, bias=False)
        self.rate_log = elastic.Embedding(inner, states)
        self.skip = elastic.Embedding(inner, 1)
        self.leave = elastic.Linear(inner, width, bias=False)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws the weights that need another start than a linear layer or an embedding."""
        bound = 1 / math.sqrt(self.taps.weight.shape[1])
        nn.init.uniform_(self.taps.weight, -bound, bound)
        nn.init.zeros_(self.offset.weight)
        nn.init.ones_(self.skip.weight)
        with torch.no_grad():
            channels, states = self.rate_log.weight.shape
            self.rate_log.weight.copy_(torch.arange(1, states + 1).log().expand(channels, states))
            assert self.step.bias is not None
            size = torch.empty_like(self.step.bias).uniform_(math.log(_SMALLEST_STEP), math.log(_LARGEST_STEP)).exp()
            self.step.bias.copy_(size + torch.log(-torch.expm1(-size)))  # the inverse of softplus

    def forward(self, u: Tensor, first: Tensor) -> Tensor:
        """Returns the outputs of all positions."""
        channels = torch.arange(int(self.inner), device=u.device)
        z = F.silu(self._convolve(self.enter(u), first, self.taps(channels)) + self.offset(channels)[:, 0])
        step = F.softplus(self.step(self.step_rank(z)))
        rate = -torch.exp(self.rate_log(channels))
        y = selective_scan(step, rate, self.write(z), self.read(z), z, first) + self.skip(channels)[:, 0] * z
        result: Tensor = self.leave(y * F.silu(self.gate(u)))
        return result

    @staticmethod
    def _convolve(z: Tensor, first: Tensor, taps: Tensor) -> Tensor:
        """Sums taps over the positions before, of the same sequence only."""
        keep = (~first).to(z.dtype)[..., None]
        total = taps[:, 0] * z
        for tap in range(1, taps.shape[1]):
            z = keep * torch.cat([torch.zeros_like(z[:, :1]), z], dim=1)[:, : first.shape[1]]
            total = total + taps[:, tap] * z
        return total


@final
class BiSelectiveSSM(nn.Module):
    """``x + W (forward(LN x) + backward(LN x))``: each position reads the whole of its sequence.

    Args:
        width: width of the features.
        inner: channels inside each direction.
        states: numbers that each channel remembers.
        kernel: taps of the causal convolutions.
        direction: ``bi`` or ``forward``; the latter leaves out the second term.
        dropout: share of updates dropped in training.

    Shape:
        x: ``(rows, length, width)``; first: ``(rows, length)`` bool, true where a sequence begins, so that one row may hold
        several sequences of any length and none needs padding. Returns the shape of ``x``.

    Cost:
        For each position and direction ``width * inner * 3 + inner * (5 * states + rank * 2)`` multiply-accumulates, and
        ``width²`` once.

    Source:
        Behrouz and Hashemi 2024, arXiv:2402.08678, section 4. Added: the residual connection, as in GraphGPS.
    """

    def __init__(
        self,
        width: SizeLike,
        inner: SizeLike,
        *,
        states: SizeLike = 8,
        kernel: SizeLike = 4,
        direction: Scalar | Categorical = "bi",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.direction: Final = direction
        both = "bi" in direction.choices if isinstance(direction, Categorical) else direction == "bi"
        self.norm = elastic.LayerNorm(width)
        self.ahead = SelectiveSSM(width, inner, states=states, kernel=kernel)
        self.back = SelectiveSSM(width, inner, states=states, kernel=kernel) if both else None
        self.mix = elastic.Linear(width, width, bias=False)
        self.drop = nn.Dropout(dropout)

    def conditions(self) -> Mapping[str, Guard]:
        """The second direction, where it is a choice."""
        if not isinstance(self.direction, Categorical) or self.back is None:
            return {}
        return {"back": Guard(self.direction, frozenset({"bi"}))}

    def forward(self, x: Tensor, first: Tensor) -> Tensor:
        """Returns the updated features."""
        u = self.norm(x)
        y = self.ahead(u, first)
        if current_choice(self.direction) == "bi":
            assert self.back is not None
            last = torch.cat([first, torch.ones_like(first[:, :1])], dim=1)[:, 1:]
            y = y + self.back(u.flip(1), last.flip(1)).flip(1)
        mixed: Tensor = self.drop(self.mix(y))
        return x + mixed
