"""Finalists: architectures of the search that are trained alone, with weights that they share with none.

Many begin, and the better half goes on after a while, again and again. The better half of those that are trained to the end is
trained again with each of some other settings, since no setting is right for all data.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar, Final, final

from automl.host import Host
from automl.job.candidates.finalist_choice import (
    best_measurement,
    chosen_finalists,
    families_by_slot,
    largest_with_each_family,
)
from automl.job.candidates.finalist_race import Race
from automl.job.candidates.kind import CandidateKind, Entrant, Network
from automl.job.finalist import Finalist, finalist_network
from automl.job.opened import OpenRun
from automl.job.pruning import training_after
from automl.job_config import JobConfig
from automl.options import parse_options
from automl.progress import Progress
from automl.search.measurement import Measurement
from automl.supernet import FamilySlot, family_slots, head_slot
from automl.tasks import Task
from automl.training import TrainingConfig

__all__ = ["Finalists"]

_EPOCHS: Final = 20
_RATE_SHARE: Final = 0.5


@final
class Finalists(CandidateKind):
    """The best and the largest architectures with each family, and members of the searched front, each trained alone."""

    name: ClassVar[str] = "finalist"

    def check(self, job: JobConfig, host: Host) -> None:
        for settings in ({}, *(job.finalists.alternatives or ())):
            _training(job, job.finalists.weights or "inherited", {}, settings)

    def enter(
        self, opened: OpenRun, history: Sequence[Measurement], progress: Progress, stop: Callable[[], bool]
    ) -> tuple[list[Entrant], list[str]]:
        job, task = opened.run.job, opened.task
        weights = job.finalists.weights or task.finalist_weights
        slots = family_slots(opened.supernet.network, opened.supernet.space)
        heads = head_slot(opened.supernet.network, opened.supernet.space)
        competing = {**slots, **heads}
        race = Race(progress, stop)

        def finalist(base: Measurement, settings: Mapping[str, Any]) -> Finalist:
            config = _training(job, weights, task.finalist_training, settings)
            return Finalist(opened, base, families_by_slot(base.architecture, competing), weights, config)

        chosen = chosen_finalists(history, competing, job.finalists.members, job.finalists.entrants)
        if weights == "new" and job.finalists.entrants is None:
            chosen += _largest(opened, history, slots, heads.get("head"), chosen)
        epochs = _training(job, weights, task.finalist_training, {}).epochs
        field = race.narrow([finalist(base, {}) for base in chosen], job.finalists.members, epochs)
        ranked = race.finish(field)
        for settings in _alternatives(job, weights, task):
            race.finish([finalist(f.base, settings) for f in ranked[: math.ceil(len(ranked) / 2)]])
        return [_entrant(opened, finalist, result) for finalist, result in race.results], race.notes

    def rebuild(self, opened: OpenRun, member: Mapping[str, Any]) -> Network:
        return finalist_network(opened, member["id"])


def _largest(
    opened: OpenRun,
    history: Sequence[Measurement],
    slots: Mapping[str, FamilySlot],
    heads: FamilySlot | None,
    known: Sequence[Measurement],
) -> list[Measurement]:
    """The largest architectures of the families, measured with shared weights, which often rank sizes too badly to choose one."""
    best = best_measurement(history)
    if best is None:
        return []
    found = {m.architecture: m for m in history}
    asked = largest_with_each_family(opened.supernet.space, slots, best.architecture, heads)
    new = [architecture for architecture in asked if architecture not in found]
    found.update({a: Measurement.of(a, o, o.details) for a, o in zip(new, opened.evaluator(new), strict=True)})
    entered = {m.architecture for m in known}
    return [found[a] for a in asked if a not in entered and found[a].values is not None and found[a].feasible]


def _entrant(opened: OpenRun, finalist: Finalist, result: Mapping[str, Any]) -> Entrant:
    origin = {key: result[key] for key in ("member", "families", "weights", "best_epoch", "shared")}
    network = partial(finalist_network, opened, finalist.id)
    return Entrant(Finalists.name, finalist.id, finalist.measurement(result), network, origin)


def _training(
    job: JobConfig, weights: str, of_task: Mapping[str, Any], alternative: Mapping[str, Any]
) -> TrainingConfig:
    """Inherited weights are trained on as those of a ticket are; new ones as the supernet was, or as suits the task.

    A step of a supernet sums the gradients of several networks, mostly; one of a network alone has half of its learning rate.
    """
    settings, own = {**job.finalists.training, **alternative}, job.training
    where = "finalists.alternatives" if alternative else "finalists.training"
    if weights == "inherited":
        return training_after(own, {"epochs": min(_EPOCHS, own.epochs), **settings}, where)
    suited = {"learning_rate": own.learning_rate * _RATE_SHARE}
    return parse_options(TrainingConfig, {**own.model_dump(), **suited, **of_task, **settings}, where)


def _alternatives(job: JobConfig, weights: str, task: Task) -> Sequence[Mapping[str, Any]]:
    if job.finalists.alternatives is not None:
        return job.finalists.alternatives
    return task.finalist_alternatives if weights == "new" else ()
