"""What block-wise training keeps beside a network: its momentum twin, projections, and the best path so far."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from typing import Final, final

import torch
from torch import Tensor, nn

from automl.space.walk import read_dimensions
from automl.supernet import Stage

__all__ = ["Projector", "Siamese"]


@final
class Projector(nn.Module):
    """Linear, batch norm, rectifier, linear; with a first layer for each width that features can have.

    Args:
        widths: widths of the features.
        hidden: hidden width.
        out: width of the projection.

    Shape:
        features: ``(rows, one of widths)``. Returns ``(rows, out)``.
    """

    def __init__(self, widths: Iterable[int], hidden: int, out: int) -> None:
        super().__init__()
        self.enter = nn.ModuleDict({str(width): nn.Linear(width, hidden) for width in widths})
        self.rest = nn.Sequential(nn.BatchNorm1d(hidden), nn.ReLU(), nn.Linear(hidden, out))

    def forward(self, features: Tensor) -> Tensor:
        """Projects; the width of the features tells which first layer."""
        projection: Tensor = self.rest(self.enter[str(features.shape[1])](features))
        return projection


@final
class Siamese(nn.Module):
    """Companion of a supernet in block-wise training; starts with equal weights on both sides.

    Args:
        network: the network of the supernet; its twin holds the same dimensions, so both run the same subnetwork.
        stages: its stages.
        dimensions: number of dimensions of the space.
        hidden: hidden width of projections.
        out: width of projections.

    Attributes:
        twin: the network with averaged weights, never trained by a gradient.
        projectors: of the network, one for each stage.
        predictors: from projections of the network to those of the twin.
        twin_projectors: of the twin.
        best: positions of the architecture with the best path up to each stage, ``(stages, dimensions)`` int64.
        chosen: number of stages whose best path is known.
    """

    best: Tensor
    chosen: Tensor

    def __init__(self, network: nn.Module, stages: Sequence[Stage], *, dimensions: int, hidden: int, out: int) -> None:
        super().__init__()
        shared = {id(dimension): dimension for dimension in read_dimensions(network)[1]}
        self.twin: Final = copy.deepcopy(network, dict(shared)).requires_grad_(False)
        self.projectors: Final = nn.ModuleList(Projector(stage.widths, hidden, out) for stage in stages)
        self.predictors: Final = nn.ModuleList(Projector((out,), hidden, out) for _ in stages)
        self.twin_projectors: Final = copy.deepcopy(self.projectors).requires_grad_(False)
        self.register_buffer("best", torch.full((len(stages), dimensions), -1))
        self.register_buffer("chosen", torch.tensor(0))

    @torch.no_grad()
    def follow(self, stage: int, online: Stage, twin: Stage, kept: float) -> None:
        """Moves the twin of a stage and of its projector: ``twin ← kept · twin + (1 − kept) · network``.

        Args:
            stage: number of the stage.
            online: the stage in the network.
            twin: the same stage in the twin.
            kept: share that the twin keeps.
        """
        sources = [*online.modules, self.projectors[stage]]
        targets = [*twin.modules, self.twin_projectors[stage]]
        for source, target in zip(sources, targets, strict=True):
            for new, old in zip(source.parameters(), target.parameters(), strict=True):
                old.lerp_(new, 1 - kept)

    def forward(self) -> None:
        """A companion is asked for its parts, not run."""
        raise NotImplementedError("Siamese has no forward pass; run its parts.")
