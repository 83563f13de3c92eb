"""Tickets: members of the searched front that are pruned while they are trained on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar, final

from automl.errors import ConfigError, ExportError, TrainingError
from automl.host import Host
from automl.job.candidates.kind import (
    CandidateKind,
    Entrant,
    Network,
    measurement_after,
    repeatable_values,
    spread_over_front,
)
from automl.job.opened import OpenRun
from automl.job.parts import build_component
from automl.job.pruned_network import restored_network
from automl.job.pruning import PruneRequest, prune_member, training_after
from automl.job_config import JobConfig
from automl.progress import Progress
from automl.search.measurement import Measurement
from automl.tickets import Pruner
from automl.training import TrainingConfig

__all__ = ["Tickets"]

_EPOCHS = 20


@final
class Tickets(CandidateKind):
    """Some members of the searched front, each pruned to every sparsity that the job names.

    Kept as ``automl prune`` keeps them, in ``tickets/<id>/``. A network with masked weights has the cost of its dense base; only
    with whole channels taken out does it have a cost of its own.
    """

    name: ClassVar[str] = "ticket"

    def check(self, job: JobConfig, host: Host) -> None:
        host.find("compressor", job.tickets.schedule, where="tickets.schedule")
        _training(job)
        for request in _requests(job):
            compressor = build_component(host, "compressor", request.schedule, request.options, where="tickets.options")
            if not isinstance(compressor, Pruner):
                raise ConfigError(f"tickets.schedule: {request.schedule!r} prunes no single networks.")

    def enter(
        self, opened: OpenRun, history: Sequence[Measurement], progress: Progress, stop: Callable[[], bool]
    ) -> tuple[list[Entrant], list[str]]:
        job = opened.run.job
        config, seed = _training(job), job.seed
        entrants, problems = [], []
        for base in spread_over_front(history, job.tickets.members):
            for request in _requests(job):
                try:
                    result = prune_member(opened, base.architecture, request, config, seed, progress, stop)
                    entrants.append(self._entrant(opened, base, result))
                except (ConfigError, ExportError, TrainingError) as error:
                    problems.append(f"no ticket of {base.architecture.id} with {dict(request.options)}: {error}")
        return entrants, problems

    def rebuild(self, opened: OpenRun, member: Mapping[str, Any]) -> Network:
        return _network(opened, opened.run.read_json(f"tickets/{member['id']}/result.json"))

    def _entrant(self, opened: OpenRun, base: Measurement, result: Mapping[str, Any]) -> Entrant:
        network = _network(opened, result)
        try:
            measurement = measurement_after(opened, base, repeatable_values(opened, network))
        except Exception as error:  # of a network that an objective cannot measure
            raise ExportError(str(error)) from error
        origin = {"member": result["member"], "sparsity": result["sparsity"], "masked": result["channels"] is None}
        return Entrant(self.name, result["id"], measurement, partial(_network, opened, result), origin)


def _requests(job: JobConfig) -> list[PruneRequest]:
    settings = job.tickets
    shares: list[dict[str, Any]] = [{"sparsity": share} for share in settings.sparsities] or [{}]
    return [PruneRequest(settings.schedule, {**settings.options, **share}) for share in shares]


def _training(job: JobConfig) -> TrainingConfig:
    """Not longer than the training of the supernet: a job of two epochs is meant to be quick."""
    changes = {"epochs": min(_EPOCHS, job.training.epochs), **job.tickets.training}
    return training_after(job.training, changes, where="tickets.training")


def _network(opened: OpenRun, result: Mapping[str, Any]) -> Network:
    restored = restored_network(opened, result["id"])
    architecture, evaluator = restored.architecture, opened.evaluator
    candidate = evaluator.candidate_of(architecture, restored.model)
    digest, facts = opened.supernet.space.digest, {"ticket": restored.about}
    if result["channels"] is not None:
        return Network(candidate, opened.task, facts, digest, result["id"])
    base, _ = evaluator.candidate(architecture)
    return Network(candidate, opened.task, facts, digest, architecture.id, dense=base)
