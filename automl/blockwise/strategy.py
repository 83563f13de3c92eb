"""Block-wise self-supervised training with ensemble bootstrapping.

The stages of the network learn one after another, without labels. In each step a few paths of the stage are drawn; each predicts,
from one augmented view, the mean of what all of them project in the momentum twin from the other view. When a stage is done,
all its paths are rated on held-out samples, and the next stage gets its input from the best path. At last the head learns
from the labels, on stages that stay as they are.

Source:
    Li et al. 2021 (BossNAS), arXiv:2103.12424, section 3 and algorithm 1. Deviations: the head, which the paper trains with
    each found network from scratch, is trained for all subnetworks, so that the run can be measured at once; optimiser and
    augmentation are those of the job; features are averaged over all positions before the projection, which has one first
    layer for each width.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any, ClassVar, Final, NamedTuple, final
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from automl.blockwise.center import CenterRating
from automl.blockwise.ensemble import ensemble_target, momentum, spread, two_view_loss
from automl.blockwise.paths import Positions, StagePaths
from automl.blockwise.siamese import Siamese
from automl.blockwise.stage_run import pooled_features, searched_stages, stopped_gradient
from automl.errors import ConfigError
from automl.space import Architecture
from automl.supernet import Stage, Supernet
from automl.training.config import TrainingConfig
from automl.training.option_checks import check_share, check_whole
from automl.training.strategy import StepContext, Strategy

__all__ = ["Blockwise"]


class _Parts(NamedTuple):
    """What follows from the structure of a supernet."""

    stages: list[Stage]
    twin_stages: list[Stage]
    paths: StagePaths


@final
class Blockwise(Strategy):
    """Trains the paths of one stage at a time towards their common target, then the head.

    Cost per step is ``4 * paths`` forward passes up to the stage and ``2 * paths`` backward passes through it.

    Args:
        paths: paths per step. With as many as a dimension has choices, each choice is trained once in every step.
        head: share of the training for the head, at least 0 and below 1; the stages have equal parts of the rest.
        momentum: share of the twin that a step keeps at the beginning of a stage, at least 0 and below 1; it rises to 1.
        hidden: hidden width of projections.
        projection: width of projections.
        rated: most paths of a stage that are rated when it is done.

    Raises:
        ConfigError: an option is out of its range.
    """

    name: ClassVar[str] = "blockwise"

    def __init__(
        self,
        *,
        paths: int = 4,
        head: float = 0.25,
        momentum: float = 0.99,
        hidden: int = 256,
        projection: int = 64,
        rated: int = 64,
    ) -> None:
        self._count: Final = check_whole("paths", paths, at_least=1, at_most=64)
        self._head: Final = check_share("head", head)
        self._momentum: Final = check_share("momentum", momentum)
        self._hidden: Final = check_whole("hidden", hidden, at_least=1)
        self._projection: Final = check_whole("projection", projection, at_least=2)
        self._rated: Final = check_whole("rated", rated, at_least=1)
        self._known: Final[WeakKeyDictionary[Supernet, _Parts]] = WeakKeyDictionary()

    def prepare(self, supernet: Supernet, config: TrainingConfig) -> None:
        if config.validation_samples == 1:
            raise ConfigError(
                "training.validation_samples: strategy 'blockwise' rates paths by statistics of held-out samples, which need at "
                "least 2."
            )
        stages = searched_stages(supernet.network)
        if supernet.companion is None:
            supernet.companion = Siamese(
                supernet.network,
                stages,
                dimensions=len(supernet.space.names),
                hidden=self._hidden,
                out=self._projection,
            )

    def check_length(self, supernet: Supernet, steps: int) -> None:
        stages = len(self._parts(supernet).stages)
        # A step belongs to the phase that its beginning lies in, so every phase of at least one step has one.
        shortest = min((1 - self._head) / stages, self._head or 1.0)
        needed = math.ceil(1 / shortest - 1e-9)
        if steps < needed:
            raise ConfigError(
                f"strategy 'blockwise': the training has {steps} steps, but with {stages} stages, one after the other, and a "
                f"share of {self._head:g} for the head it needs {needed}; raise training.epochs or lower training.batch_size."
            )

    def phase(self, supernet: Supernet, progress: float) -> tuple[float, float]:
        share, stages = 1 - self._head, len(self._parts(supernet).stages)
        if progress >= share:
            return share, 1.0
        stage = self._stage(progress, stages)
        return share * stage / stages, share * (stage + 1) / stages

    def step(self, context: StepContext) -> dict[str, float]:
        parts = self._parts(context.supernet)
        if context.progress >= 1 - self._head:
            self._choose(context, parts, len(parts.stages))
            return self._train_head(context, parts)
        stage = self._stage(context.progress, len(parts.stages))
        self._choose(context, parts, stage)
        return self._train_stage(context, parts, stage)

    def _train_stage(self, context: StepContext, parts: _Parts, stage: int) -> dict[str, float]:
        siamese = _siamese(context.supernet)
        begin, end = self.phase(context.supernet, context.progress)
        kept = momentum(self._momentum, (context.progress - begin) / (end - begin))
        siamese.follow(stage, parts.stages[stage], parts.twin_stages[stage], kept)

        drawn = parts.paths.fair(stage, self._prefix(siamese, parts, stage), self._count, context.rng)
        architectures = [parts.paths.architecture(p) for p in drawn] or [self._fallback(context, parts, stage)]
        views = [(context.augmented(), context.augmented()) for _ in architectures]
        targets = self._targets(siamese, parts, stage, architectures, views)
        losses = []
        for architecture, pair in zip(architectures, views, strict=True):
            predictions = []
            for view in pair:
                run = partial(view.forward, architecture)
                projection = siamese.projectors[stage](pooled_features(run, parts.stages, stage))
                predictions.append(siamese.predictors[stage](projection))
            loss = two_view_loss(predictions, targets)
            context.backward(loss / len(architectures))
            losses.append(loss.item())
        return {"loss": sum(losses) / len(losses), "spread": spread(targets[0])}

    @torch.no_grad()
    def _targets(
        self,
        siamese: Siamese,
        parts: _Parts,
        stage: int,
        architectures: list[Architecture],
        views: list[tuple[StepContext, StepContext]],
    ) -> list[Tensor]:
        """The mean of the normalised projections of all paths in the twin, for each of the two views."""
        projections: tuple[list[Tensor], list[Tensor]] = ([], [])
        for architecture, pair in zip(architectures, views, strict=True):
            for view, found in zip(pair, projections, strict=True):
                view.supernet.activate(architecture)
                run = partial(siamese.twin, *view.batch.inputs)
                found.append(siamese.twin_projectors[stage](pooled_features(run, parts.twin_stages, stage)))
        return [ensemble_target(found) for found in projections]

    def _train_head(self, context: StepContext, parts: _Parts) -> dict[str, float]:
        with stopped_gradient(parts.stages, len(parts.stages)):
            loss = context.loss(context.forward(context.sample()))
        context.backward(loss)
        return {"loss": loss.item()}

    def _choose(self, context: StepContext, parts: _Parts, stage: int) -> None:
        """Rates the paths of the stages before ``stage`` that are done and not rated yet, and keeps the best."""
        siamese = _siamese(context.supernet)
        while (done := int(siamese.chosen)) < stage:
            held_out = context.held_out()
            views = (held_out.augmented().batch.inputs, held_out.augmented().batch.inputs)
            rating = CenterRating(context.supernet, siamese, views)
            prefix = self._prefix(siamese, parts, done)
            population = parts.paths.all(done, prefix, self._rated, context.rng)
            if not population:
                population = [parts.paths.positions(self._fallback(context, parts, done))]
            siamese.best[done] = torch.tensor(rating.best(done, population)).to(siamese.best)
            siamese.chosen += 1

    def _prefix(self, siamese: Siamese, parts: _Parts, stage: int) -> Positions:
        best = tuple(siamese.best[max(0, stage - 1)].tolist())
        return parts.paths.prefix(stage, best)

    def _fallback(self, context: StepContext, parts: _Parts, stage: int) -> Architecture:
        """An architecture with the best path before ``stage``, where rules forbid nearly all others."""
        if not stage:
            return context.sample()
        return parts.paths.architecture(_siamese(context.supernet).best[stage - 1].tolist())

    def _stage(self, progress: float, stages: int) -> int:
        return min(int(progress / (1 - self._head) * stages), stages - 1)

    def _parts(self, supernet: Supernet) -> _Parts:
        if supernet not in self._known:
            stages = searched_stages(supernet.network)
            twin_stages = searched_stages(_siamese(supernet).twin)
            self._known[supernet] = _Parts(stages, twin_stages, StagePaths(supernet, stages))
        return self._known[supernet]

    def describe(self) -> dict[str, Any]:
        return {
            "paths": self._count,
            "head": self._head,
            "momentum": self._momentum,
            "hidden": self._hidden,
            "projection": self._projection,
            "rated": self._rated,
        }

    def __repr__(self) -> str:
        return f"Blockwise({', '.join(f'{name}={value}' for name, value in self.describe().items())})"


def _siamese(supernet: Supernet) -> Siamese:
    assert isinstance(supernet.companion, Siamese)  # prepare() has put it there
    return supernet.companion
