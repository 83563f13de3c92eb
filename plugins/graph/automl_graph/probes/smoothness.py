"""Smoothness of node features: how far their directions are apart.

Liu, Gao and Ji 2020, arXiv:2007.09296, section 3.
"""

from __future__ import annotations

from typing import Final, final

import torch
from torch import Tensor
from torch.nn import functional as F

from automl_graph.options import require_number

__all__ = ["Smoothness"]


@final
class Smoothness:
    """Mean distance between the directions of two different nodes, ``SMV`` in the paper; 0 is over-smoothed.

    ``D(i, j) = |x_i / |x_i| - x_j / |x_j|| / 2``, averaged over all ``j != i`` and all ``i``. It is 0 where all features
    point in one direction, 1 for two opposite ones, and does not change with the length of any feature vector.

    Args:
        sample: number of nodes ``i`` to average over, drawn without repetition, which gives an unbiased estimate; all by
            default.
        seed: decides which nodes are drawn.

    Shape:
        features: ``(nodes, width)``.

    Cost:
        ``sample * nodes * width`` operations, in memory of 256 rows of distances at a time.

    Raises:
        SpaceError: ``sample`` is no positive number.

    Source:
        Definition of SMV. Added here: a zero vector has no direction and counts as a point at the centre, at a distance of
        1/2 from every direction; a single node has no pair, so its value is ``nan``.

    Example:
        >>> Smoothness()(torch.tensor([[1.0, 0.0], [-3.0, 0.0]]))
        1.0
    """

    def __init__(self, *, sample: int | None = None, seed: int = 0) -> None:
        if sample is not None:
            require_number("sample", sample, smallest=1)
        self.sample: Final = sample
        self.seed: Final = seed

    def __call__(self, features: Tensor) -> float:
        """Returns the smoothness of features ``(nodes, width)``."""
        nodes = features.shape[0]
        if nodes < 2:
            return float("nan")
        directions = F.normalize(features.detach().double(), dim=1, eps=torch.finfo(torch.float64).tiny)
        chosen = directions
        if self.sample is not None and self.sample < nodes:
            generator = torch.Generator().manual_seed(self.seed)
            chosen = directions[torch.randperm(nodes, generator=generator)[: self.sample].to(directions.device)]
        total = torch.zeros((), dtype=torch.float64, device=directions.device)
        for rows in torch.split(chosen, 256):
            # Differences, not products: |a - b|² = 2 - 2ab loses half the digits where directions are nearly equal.
            total += torch.cdist(rows, directions, compute_mode="donot_use_mm_for_euclid_dist").sum()
        return float(total / 2 / (len(chosen) * (nodes - 1)))
