"""The Laplacian of a cellular sheaf on a graph, as block-sparse maps on the pairs of neighbours.

Every node and every pair of neighbours carries a stalk R^d, every end of a pair a restriction map. With the coboundary
``(delta x)_e = F_v x_v - F_u x_u`` the Laplacian is ``delta^T delta``: symmetric and positive semidefinite, never a dense matrix.

Source: Bodnar et al. 2022, "Neural Sheaf Diffusion", arXiv:2202.04579, section 2.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

import torch
from torch import Tensor

from automl_graph.sheaf.inverse_root import inverse_root
from automl_graph.sheaf.neighbours import sum_over_neighbours
from automl_graph.sheaf.pairs import NodePairs
from automl_graph.sheaf.scaling import scale_stalks
from automl_graph.sparse import SPARSE_DTYPES

__all__ = ["NORMALISATIONS", "Normalisation", "SheafLaplacian", "build_laplacian"]

Normalisation = Literal["none", "symmetric", "augmented", "degree"]
NORMALISATIONS: Final = ("none", "symmetric", "augmented", "degree")


class SheafLaplacian(NamedTuple):
    """A sheaf Laplacian; its normalisation is part of the maps.

    Args:
        pairs: neighbouring nodes.
        first: map of the first node of each pair; diagonal ``(pairs, d)`` or full ``(pairs, d, d)``.
        second: map of the second node, in the same form.
    """

    pairs: NodePairs
    first: Tensor
    second: Tensor

    @property
    def stalk(self) -> int:
        """Dimension d of the stalks."""
        return int(self.first.shape[-1])

    def apply(self, x: Tensor) -> Tensor:
        """Returns the product with a signal.

        Args:
            x: ``(nodes, d, channels)``.

        Returns:
            ``(nodes, d, channels)``; exactly 0 at nodes without neighbours.

        Cost:
            ``4 * pairs * d * d * channels`` multiply-accumulates, ``4 * pairs * d * channels`` with diagonal maps.
        """
        if self.first.dim() == 2 and self._has_sparse_form(x):
            diagonal = self.pairs.gather(self.first.square(), self.second.square())
            return diagonal[..., None] * x - sum_over_neighbours(self.pairs, self.first * self.second, x)
        difference = self.coboundary(x)
        if self.first.dim() == 2:
            at_first, at_second = scale_stalks(self.first, difference), scale_stalks(self.second, difference)
        else:
            at_first, at_second = self.first.mT @ difference, self.second.mT @ difference
        return self.pairs.gather(at_first, -at_second)

    def coboundary(self, x: Tensor) -> Tensor:
        """Returns how far the two ends of each pair disagree, ``(pairs, d, channels)``."""
        at_first, at_second = self.through_edges(x)
        return at_first - at_second

    def through_edges(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Returns what each pair gets from its first and from its second node, ``F x``, each ``(pairs, d, channels)``."""
        at_first, at_second = x[self.pairs.first], x[self.pairs.second]
        if self.first.dim() == 2:
            return scale_stalks(self.first, at_first), scale_stalks(self.second, at_second)
        return self.first @ at_first, self.second @ at_second

    def energy(self, x: Tensor) -> Tensor:
        """Returns the Dirichlet energy ``trace(x^T L x)``, a scalar; 0 exactly for harmonic signals."""
        return self.coboundary(x).square().sum()

    def _has_sparse_form(self, x: Tensor) -> bool:
        """An export has no sparse matrices, and stored pairs there can repeat."""
        known = self.pairs.share is None and not torch.compiler.is_compiling()
        return known and x.dtype == self.first.dtype and x.dtype in SPARSE_DTYPES

    def dense(self) -> Tensor:
        """Returns the matrix ``(nodes * d, nodes * d)``, for graphs small enough to look at."""
        size = self.pairs.nodes * self.stalk
        eye = torch.eye(size, dtype=self.first.dtype, device=self.first.device)
        return self.apply(eye.view(self.pairs.nodes, self.stalk, size)).reshape(size, size)


def build_laplacian(
    pairs: NodePairs,
    first: Tensor,
    second: Tensor,
    *,
    normalisation: Normalisation = "augmented",
    orthogonal_weight: Tensor | None = None,
) -> SheafLaplacian:
    """Returns the normalised Laplacian of a sheaf.

    With ``D_v`` the sum of ``F^T F`` over all pairs of a node, ``augmented`` is ``(D + I)^-1/2 L (D + I)^-1/2`` and ``symmetric``
    the same without ``I``, with a pseudo-inverse where a node has no extent. ``degree`` replaces ``D + I`` by a bound for
    entries of at most 1: the degree plus 1 for diagonal maps, d times the degree plus 1 for full ones.

    Args:
        pairs: neighbouring nodes.
        first: restriction map of the first node of each pair, ``(pairs, d)`` or ``(pairs, d, d)``.
        second: restriction map of the second node, in the same form.
        normalisation: see above, or ``none``.
        orthogonal_weight: says that full maps are orthogonal up to this factor, ``(pairs,)``; it is applied here to both,
            and ``D`` is then a number for each node, the sum of its squares.
    """
    if orthogonal_weight is not None:
        first, second = (maps * orthogonal_weight[:, None, None] for maps in (first, second))
    if pairs.share is not None:
        part = pairs.share.to(first.dtype).sqrt().view(-1, *[1] * (first.dim() - 1))
        first, second = first * part, second * part
    if normalisation == "none":
        return SheafLaplacian(pairs, first, second)
    if normalisation == "degree":
        bound = pairs.degree(first.dtype) * (1 if first.dim() == 2 else first.shape[-1]) + 1
        scale = bound.rsqrt().view(-1, *[1] * (first.dim() - 1))
        return SheafLaplacian(pairs, first * scale[pairs.first], second * scale[pairs.second])
    extra = 1.0 if normalisation == "augmented" else 0.0
    if orthogonal_weight is not None:
        # F^T F = w^2 I, so that any column of it tells w
        own = first[..., 0].square().sum(-1)
        scale = _inverse_roots(pairs.gather(own, own) + extra)[:, None, None]
        return SheafLaplacian(pairs, first * scale[pairs.first], second * scale[pairs.second])
    if first.dim() == 2:
        roots = _inverse_roots(pairs.gather(first.square(), second.square()) + extra)
        return SheafLaplacian(pairs, first * roots[pairs.first], second * roots[pairs.second])
    eye = torch.eye(first.shape[-1], dtype=first.dtype, device=first.device)
    root = inverse_root(pairs.gather(first.mT @ first, second.mT @ second) + extra * eye)
    return SheafLaplacian(pairs, first @ root[pairs.first], second @ root[pairs.second])


def _inverse_roots(values: Tensor) -> Tensor:
    return torch.where(values > 0, values.clamp(min=torch.finfo(values.dtype).tiny).rsqrt(), 0)
