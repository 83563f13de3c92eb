"""Inverse square root of symmetric positive semidefinite matrices with a finite gradient where eigenvalues repeat."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor

__all__ = ["inverse_root"]


def inverse_root(matrix: Tensor) -> Tensor:
    """Returns ``matrix^-1/2``; directions without any extent stay without (pseudo-inverse).

    The gradient of eigenvectors is infinite where eigenvalues are equal, that of a function of the matrix is not: its
    derivative in the eigenbasis has the factors ``-1 / (sqrt(a) sqrt(b) (sqrt(a) + sqrt(b)))``, which are written out here.

    Args:
        matrix: ``(*, d, d)``, symmetric, no negative eigenvalue.

    Returns:
        ``(*, d, d)``, symmetric.
    """
    return cast(Tensor, _InverseRoot.apply(matrix))  # type: ignore[no-untyped-call]


class _InverseRoot(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, matrix: Tensor) -> Tensor:
        values, vectors = torch.linalg.eigh(matrix)
        limit = values.amax(-1, keepdim=True) * values.shape[-1] * torch.finfo(values.dtype).eps
        roots = torch.where(values > limit, values.clamp(min=torch.finfo(values.dtype).tiny).rsqrt(), 0)
        ctx.save_for_backward(roots, vectors)
        inverse: Tensor = (vectors * roots.unsqueeze(-2)) @ vectors.mT
        return inverse

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        roots, vectors = ctx.saved_tensors
        a, b = roots.unsqueeze(-1), roots.unsqueeze(-2)
        # with r = 1/sqrt(value): 1 / (sqrt(a) sqrt(b) (sqrt(a) + sqrt(b))) = (ra rb)^2 / (ra + rb)
        factor = -((a * b) ** 2) / (a + b).clamp(min=torch.finfo(roots.dtype).tiny)
        gradient = (gradients[0] + gradients[0].mT) / 2
        return cast(Tensor, vectors @ (factor * (vectors.mT @ gradient @ vectors)) @ vectors.mT)
