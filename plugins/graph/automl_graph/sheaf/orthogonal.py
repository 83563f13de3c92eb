"""Orthogonal matrices from free numbers, in four parametrisations.

A matrix of a smaller stalk takes a prefix of the numbers of a larger one, because triangles are filled row by row.
"""

from __future__ import annotations

import math
from typing import Final, Literal

import torch
from torch import Tensor

__all__ = ["ORTHOGONAL_MAPS", "OrthogonalMap", "orthogonal", "orthogonal_numbers"]

OrthogonalMap = Literal["householder", "cayley", "matrix_exp", "euler"]
ORTHOGONAL_MAPS: Final = ("householder", "cayley", "matrix_exp", "euler")


def orthogonal_numbers(kind: OrthogonalMap, stalk: int) -> int:
    """Returns how many numbers a matrix takes: ``d (d - 1) / 2``, or ``d (d + 1) / 2`` where a full triangle is read.

    Example:
        >>> orthogonal_numbers("householder", 3), orthogonal_numbers("cayley", 3)
        (3, 6)
    """
    return stalk * (stalk + 1) // 2 if kind in ("cayley", "matrix_exp") else stalk * (stalk - 1) // 2


def orthogonal(numbers: Tensor, kind: OrthogonalMap, stalk: int) -> Tensor:
    """Returns orthogonal matrices.

    Args:
        numbers: free numbers, ``(*, orthogonal_numbers(kind, stalk))``.
        kind: ``householder``: the product of d reflections, whose vectors are the columns of a unit lower triangular matrix.
            ``cayley``: ``(I + A)^-1 (I - A)`` and ``matrix_exp``: ``exp(A)`` of the skew matrix below the diagonal of a full
            triangle; the diagonal is not used. ``euler``: rotations by 2 pi times each number, for stalks of 2 and 3.
        stalk: size d of a matrix.

    Returns:
        ``(*, d, d)``; determinant ``(-1)^d`` for reflections, 1 for the others.

    Source:
        Bodnar et al. 2022, arXiv:2202.04579, appendix on orthogonal maps; the unused diagonal as in the reference code.
    """
    if kind == "householder":
        return _reflections(numbers, stalk)
    if kind == "euler":
        return _rotations(numbers, stalk)
    lower = _triangle(numbers, stalk, offset=0).tril(-1)
    skew = lower - lower.mT
    if kind == "matrix_exp":
        return torch.matrix_exp(skew)
    eye = torch.eye(stalk, dtype=numbers.dtype, device=numbers.device)
    turned: Tensor = torch.linalg.solve(eye + skew, eye - skew)
    return turned


def _reflections(numbers: Tensor, stalk: int) -> Tensor:
    eye = torch.eye(stalk, dtype=numbers.dtype, device=numbers.device)
    vectors = _triangle(numbers, stalk, offset=-1) + eye
    product = eye.expand(*numbers.shape[:-1], stalk, stalk)
    for column in range(stalk):
        vector = vectors[..., column : column + 1]
        product = product - (product @ vector) @ (vector.mT * (2 / (vector * vector).sum((-2, -1), keepdim=True)))
    return product


def _rotations(numbers: Tensor, stalk: int) -> Tensor:
    product = torch.eye(stalk, dtype=numbers.dtype, device=numbers.device)
    planes = [(0, 1)] if stalk == 2 else [(0, 1), (0, 2), (1, 2)]
    for position, plane in enumerate(planes):
        product = product @ _rotation(2 * math.pi * numbers[..., position], plane, stalk)
    return product


def _rotation(angle: Tensor, plane: tuple[int, int], stalk: int) -> Tensor:
    cosine, sine, zero, one = angle.cos(), angle.sin(), torch.zeros_like(angle), torch.ones_like(angle)
    low, high = plane
    entries = {(low, low): cosine, (high, high): cosine, (low, high): -sine, (high, low): sine}
    rows = [
        torch.stack([entries.get((row, column), one if row == column else zero) for column in range(stalk)], dim=-1)
        for row in range(stalk)
    ]
    return torch.stack(rows, dim=-2)


def _triangle(numbers: Tensor, stalk: int, offset: int) -> Tensor:
    """Puts numbers below a diagonal, row by row; ``offset`` 0 fills the diagonal too."""
    padded = torch.cat([numbers, torch.zeros_like(numbers[..., :1])], dim=-1)
    nothing = numbers.shape[-1]
    positions: list[int] = []
    used = 0
    for row in range(stalk):
        filled = row + 1 + offset
        positions += [*range(used, used + filled), *[nothing] * (stalk - filled)]
        used += filled
    return torch.unflatten(padded[..., positions], -1, (stalk, stalk))
