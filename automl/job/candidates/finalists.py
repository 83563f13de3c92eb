"""Finalists: architectures of the search that are trained alone, with weights that they share with none.

The better half of them is trained again with each of some other settings, since no setting is right for all data.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar, Final, final

from automl.errors import InterruptedJobError, RunError
from automl.host import Host
from automl.job.candidates.kind import (
    CandidateKind,
    Entrant,
    Network,
    measurement_after,
    searched_front,
    spread,
)
from automl.job.finalist import finalist_network, train_finalist
from automl.job.opened import OpenRun
from automl.job.pruning import training_after
from automl.job_config import JobConfig
from automl.options import parse_options
from automl.progress import Progress
from automl.search.measurement import Measurement
from automl.space import Architecture
from automl.supernet import FamilySlot, family_slots
from automl.tasks import Task
from automl.training import TrainingConfig

__all__ = ["Finalists", "chosen_finalists"]

_EPOCHS: Final = 20
_RATE_SHARE: Final = 0.5


@final
class Finalists(CandidateKind):
    """The best architecture with each family, then members of the searched front, each trained alone."""

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
        chosen = chosen_finalists(history, slots, job.finalists.members)
        entrants, problems = [], []

        def train_all(bases: Sequence[Measurement], settings: Mapping[str, Any]) -> list[Measurement]:
            """Enters the architectures and returns those that were trained, the best first."""
            config = _training(job, weights, task.finalist_training, settings)
            trained = []
            for base in bases:
                try:
                    families = _families(base.architecture, slots)
                    result = train_finalist(opened, base, families, weights, config, progress, stop)
                except (InterruptedJobError, RunError):
                    raise
                except Exception as error:  # of a network that a plugin made; the others are trained all the same
                    reason = str(error).strip().splitlines() or [type(error).__name__]
                    problems.append(f"no finalist of {base.architecture.id}: {reason[0]}")
                    continue
                entrants.append(_entrant(opened, base, result))
                trained.append((entrants[-1].measurement.values, base.architecture.id, base))
            return [base for *_, base in sorted(trained, key=lambda row: row[:2])]

        ranked = train_all(chosen, {})
        for settings in _alternatives(job, weights, task):
            train_all(ranked[: math.ceil(len(ranked) / 2)], settings)
        return entrants, problems

    def rebuild(self, opened: OpenRun, member: Mapping[str, Any]) -> Network:
        return finalist_network(opened, member["id"])


def chosen_finalists(
    history: Sequence[Measurement], slots: Mapping[str, FamilySlot], members: int
) -> list[Measurement]:
    """Returns the measured architectures that are trained alone; they depend on the measurements only, not on their order.

    First the best with each family of each slot by the first objective, the best first. Places that are left go to further
    members of the searched front, spread over it by cost.

    Args:
        history: the measurements of the search.
        slots: where families compete.
        members: how many at most.
    """
    ranked = sorted(
        (m for m in history if m.feasible and m.values is not None), key=lambda m: (m.values, m.architecture.id)
    )
    chosen, seen = [], set[tuple[str, str]]()
    for measurement in ranked:
        own = {(slot, family) for slot, names in _families(measurement.architecture, slots).items() for family in names}
        if own - seen:
            chosen.append(measurement)
        seen |= own
    chosen = chosen[:members]
    known = {m.architecture for m in chosen}
    rest = [m for m in searched_front(ranked) if m.architecture not in known]
    return [*chosen, *(rest[place] for place in spread(len(rest), members - len(chosen)))]


def _entrant(opened: OpenRun, base: Measurement, result: Mapping[str, Any]) -> Entrant:
    origin = {key: result[key] for key in ("member", "families", "weights", "best_epoch", "shared")}
    measurement = measurement_after(opened, base, result["measured"])
    return Entrant(Finalists.name, result["id"], measurement, partial(finalist_network, opened, result["id"]), origin)


def _families(architecture: Architecture, slots: Mapping[str, FamilySlot]) -> dict[str, list[str]]:
    """The families of an architecture by slot; slots that it leaves out are not there."""
    found = {
        name: sorted({str(architecture[dimension]) for dimension in slot.dimensions if dimension in architecture})
        for name, slot in slots.items()
    }
    return {name: families for name, families in found.items() if families}


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
