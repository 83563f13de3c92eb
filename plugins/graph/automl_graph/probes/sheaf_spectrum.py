"""Spectrum of a sheaf: how much room there is for signals that diffusion leaves alone, and how fast all else decays.

Bodnar et al. 2022, arXiv:2202.04579, section 3.
"""

from __future__ import annotations

from typing import Final, NamedTuple, final

import torch
from torch import Tensor

from automl_graph.options import require_number
from automl_graph.sheaf.laplacian import SheafLaplacian, build_laplacian
from automl_graph.sheaf.pairs import node_pairs

__all__ = ["SheafSpectrum", "SheafSummary"]


class SheafSummary(NamedTuple):
    """What a sheaf lets diffusion keep.

    Args:
        eigenvalues: of the Laplacian, ascending, ``(nodes * d,)`` float64.
        harmonic: dimension of the space of harmonic signals, the kernel.
        gap: smallest eigenvalue outside of the kernel; ``nan`` if there is none. Diffusion forgets as ``exp(-gap t)``.
        energy: Dirichlet energy of the given signal divided by its squared norm, 0 to 2; ``nan`` without a signal.
        negative_transports: share of negative traces of ``F_v^T F_u`` over the pairs; ``nan`` without pairs.
    """

    eigenvalues: Tensor
    harmonic: int
    gap: float
    energy: float
    negative_transports: float


@final
class SheafSpectrum:
    """Eigenvalues, harmonic space and Dirichlet energy of a sheaf Laplacian.

    Called with node features and edges it looks at the trivial sheaf of the graph, whose energy says how different neighbours are
    (0 is over-smoothed); ``of`` looks at any sheaf, such as one that a layer has learned.

    Args:
        largest: refuse graphs whose dense matrix has more rows; the probe is for graphs small enough to look at.
        tolerance: eigenvalues up to this count as 0.

    Shape:
        features: ``(nodes, width)``; edge_index: ``(2, edges)``.

    Cost:
        ``(nodes * d)^3`` operations.

    Raises:
        SpaceError: ``largest`` is no positive number.

    Example:
        >>> summary = SheafSpectrum()(torch.ones(3, 1), torch.tensor([[0, 1], [1, 2]]))
        >>> summary.harmonic, round(summary.energy, 4), summary.negative_transports
        (1, 0.0572, 0.0)
    """

    def __init__(self, *, largest: int = 4096, tolerance: float = 1e-9) -> None:
        require_number("largest", largest, smallest=1)
        self.largest: Final = largest
        self.tolerance: Final = tolerance

    def __call__(self, features: Tensor, edge_index: Tensor) -> SheafSummary:
        """Returns the summary of the trivial sheaf, with the energy of features ``(nodes, width)``."""
        pairs = node_pairs(edge_index, features.shape[0])
        ones = torch.ones(len(pairs.first), 1, dtype=torch.float64, device=features.device)
        return self.of(build_laplacian(pairs, ones, ones, normalisation="symmetric"), features[:, None, :])

    def of(self, laplacian: SheafLaplacian, signal: Tensor | None = None) -> SheafSummary:
        """Returns the summary of a sheaf.

        Args:
            laplacian: its Laplacian.
            signal: ``(nodes, d, channels)``.

        Raises:
            ValueError: the matrix has more than ``largest`` rows.
        """
        rows = laplacian.pairs.nodes * laplacian.stalk
        if rows > self.largest:
            raise ValueError(f"the Laplacian has {rows} rows; expected at most {self.largest}, the option 'largest'.")
        exact = laplacian._replace(first=laplacian.first.detach().double(), second=laplacian.second.detach().double())
        values = torch.linalg.eigvalsh(exact.dense())
        outside = values[values > self.tolerance]
        return SheafSummary(
            eigenvalues=values,
            harmonic=len(values) - len(outside),
            gap=float(outside[0]) if len(outside) else float("nan"),
            energy=float("nan") if signal is None else _relative_energy(exact, signal.detach().double()),
            negative_transports=_negative_share(exact),
        )


def _relative_energy(laplacian: SheafLaplacian, signal: Tensor) -> float:
    return float(laplacian.energy(signal) / signal.square().sum())


def _negative_share(laplacian: SheafLaplacian) -> float:
    """The trace is the sum of products of entries, in either form of the maps."""
    return float(((laplacian.first * laplacian.second).flatten(1).sum(1) < 0).double().mean())
