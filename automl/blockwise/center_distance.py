"""Objective: distance of a network's stages from the population centres, rated without labels."""

from __future__ import annotations

from typing import ClassVar, Final, final

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from automl.blockwise.center import Center, CenterRating
from automl.blockwise.paths import Positions
from automl.blockwise.siamese import Siamese
from automl.errors import ConfigError
from automl.objectives.candidate import Candidate
from automl.objectives.objective import Objective
from automl.objectives.value import Value
from automl.progress import Progress
from automl.supernet import Supernet
from automl.tasks import Task

__all__ = ["CenterDistance", "CenterDistanceOptions"]


class CenterDistanceOptions(BaseModel):
    """Options of ``center-distance``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    samples: int = Field(256, ge=2, description="samples of the validation part that paths are rated on")
    paths: int = Field(256, ge=1, description="paths of a stage whose mean is its centre; of more a random part")


@final
class CenterDistance(Objective):
    """Sum over the stages of the two-view distance from the centre of all paths of the stage, 0 to 8 for each.

    Labels are not used. A stage gets its input from the best path before it, as in training; where the candidate's path cannot
    follow that one, from the candidate's own.

    Args:
        samples: samples of the validation part, in one batch.
        paths: most paths whose mean is the centre of a stage.

    Source:
        Li et al. 2021 (BossNAS), arXiv:2103.12424, section 3.3, equation 10. Deviation: the input of stages as said above.
    """

    name: ClassVar[str] = "center-distance"
    options_model: ClassVar[type[BaseModel]] = CenterDistanceOptions

    def __init__(self, *, samples: int = 256, paths: int = 256) -> None:
        self._samples: Final = samples
        self._paths: Final = paths
        self._rating: CenterRating | None = None
        self._prefixes: list[Positions] = []
        self._centers: list[Center] = []
        self._scores: dict[tuple[int, Positions], float] = {}

    def check(self, supernet: Supernet, task: Task) -> None:
        _siamese(supernet)

    def prepare(self, supernet: Supernet, task: Task, progress: Progress) -> None:
        siamese = _siamese(supernet)
        rng = np.random.default_rng(0)  # the same views and population whenever the search is started
        batch = next(iter(task.batches("validation", self._samples, self._samples)))
        views = (task.augment(batch, rng).inputs, task.augment(batch, rng).inputs)
        self._rating = rating = CenterRating(supernet, siamese, views)
        self._prefixes, self._centers, self._scores = [], [], {}
        best: Positions = tuple(siamese.best[0].tolist())
        stages = len(rating.paths.own)
        progress.begin("finding the centre of all paths", stages, "stage")
        try:
            for stage in range(stages):
                prefix = rating.paths.prefix(stage, best)
                population = rating.paths.all(stage, prefix, self._paths, rng)
                self._prefixes.append(prefix)
                self._centers.append(rating.center(stage, population))
                chosen = stage < int(siamese.chosen)
                best = tuple(siamese.best[stage].tolist()) if chosen else rating.best(stage, population)
                progress.advance()
        finally:
            progress.end()

    def measure(self, candidate: Candidate) -> Value:
        rating = self._rating
        if rating is None or candidate.architecture is None:
            raise ConfigError(
                "objectives: 'center-distance' rates subnetworks of a supernet that was trained block-wise."
            )
        own = rating.paths.positions(candidate.architecture)
        total = 0.0
        for stage, (prefix, center) in enumerate(zip(self._prefixes, self._centers, strict=True)):
            rated = rating.paths.joined(stage, prefix, own) or own
            key = (stage, rating.paths.prefix(stage + 1, rated))
            if key not in self._scores:
                self._scores[key] = rating.score(stage, rated, center)
            total += self._scores[key]
        return Value(total, context={"part": "validation", "samples": self._samples})


def _siamese(supernet: Supernet) -> Siamese:
    if not isinstance(supernet.companion, Siamese):
        raise ConfigError(
            "objectives: 'center-distance' rates supernets that the strategy 'blockwise' trained; choose that strategy or "
            "another objective."
        )
    return supernet.companion
