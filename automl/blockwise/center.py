"""Rating paths by how close they are to the population centre: the mean target projection of all paths of a stage.

Source:
    Li et al. 2021 (BossNAS), arXiv:2103.12424, section 3.3. Deviations: targets are normalised before they are averaged, as in
    training; batch statistics are those of the rated batch itself, which every path sees alike; of a stage with more paths
    than a limit a random part stands for all.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Final, TypeAlias, final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from automl.blockwise.ensemble import two_view_loss
from automl.blockwise.paths import Positions, StagePaths
from automl.blockwise.siamese import Siamese
from automl.blockwise.stage_run import frozen_statistics, pooled_features, searched_stages
from automl.supernet import Stage, Supernet
from automl.supernet.calibration import calibration_mode

__all__ = ["Center", "CenterRating", "Views"]

Views: TypeAlias = tuple[tuple[Tensor, ...], tuple[Tensor, ...]]
"""Inputs of a network for two augmented views of the same samples."""
Center: TypeAlias = tuple[Tensor, Tensor]
"""Mean target projections ``(rows, features)`` of two views."""


@final
class CenterRating:
    """Rates paths of a supernet that was trained block-wise; leaves weights, statistics and modes as they are.

    Args:
        supernet: a supernet with a ``Siamese`` as its companion.
        siamese: its companion.
        views: two views of held-out samples, the same for every path.
    """

    def __init__(self, supernet: Supernet, siamese: Siamese, views: Views) -> None:
        self._supernet: Final = supernet
        self._siamese: Final = siamese
        self._views: Final = views
        self._stages: Final = searched_stages(supernet.network)
        self._twin_stages: Final = searched_stages(siamese.twin)
        self.paths: Final = StagePaths(supernet, self._stages)

    @torch.no_grad()
    def center(self, stage: int, population: Sequence[Positions]) -> Center:
        """Returns the mean of the normalised target projections of paths, for each view."""
        sums: list[Tensor] = []
        projector = self._siamese.twin_projectors[stage]
        with self._rating():
            for positions in population:
                self._supernet.activate(self.paths.architecture(positions))
                features = self._features(self._siamese.twin, self._twin_stages, stage)
                targets = [F.normalize(projector(view), dim=-1) for view in features]
                sums = [a + b for a, b in zip(sums, targets, strict=True)] if sums else targets
        first, second = (total / len(population) for total in sums)
        return first, second

    @torch.no_grad()
    def score(self, stage: int, positions: Positions, center: Center) -> float:
        """Returns the two-view distance of a path's predictions from the centre, from 0 to 8; smaller is better."""
        predict = nn.Sequential(self._siamese.projectors[stage], self._siamese.predictors[stage])
        with self._rating():
            self._supernet.activate(self.paths.architecture(positions))
            features = self._features(self._supernet.network, self._stages, stage)
            return float(two_view_loss([predict(view) for view in features], center))

    def best(self, stage: int, population: Sequence[Positions]) -> Positions:
        """Returns the path of a population that is the closest to its centre, the first of equals."""
        center = self.center(stage, population)
        scores = [self.score(stage, positions, center) for positions in population]
        return population[scores.index(min(scores))]

    def _features(self, network: nn.Module, stages: Sequence[Stage], stage: int) -> list[Tensor]:
        return [pooled_features(partial(network, *inputs), stages, stage) for inputs in self._views]

    @contextmanager
    def _rating(self) -> Iterator[None]:
        """Inside, statistics are those of the batch; nothing of the supernet changes, nor which subnetwork is active."""
        active = self._supernet.active
        try:
            with frozen_statistics([self._supernet]), calibration_mode([self._supernet]):
                yield
        finally:
            self._supernet.activate(active)
