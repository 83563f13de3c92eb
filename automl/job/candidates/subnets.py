"""Subnetworks of the trained supernet: what the search has measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar, final

from automl.host import Host
from automl.job.candidates.kind import CandidateKind, Entrant, Network
from automl.job.opened import OpenRun
from automl.job_config import JobConfig
from automl.progress import Progress
from automl.search.measurement import Measurement
from automl.space import Architecture

__all__ = ["Subnets", "subnet"]


@final
class Subnets(CandidateKind):
    """The architectures of the search, each with its part of the supernet's weights."""

    name: ClassVar[str] = "subnet"

    def check(self, job: JobConfig, host: Host) -> None:
        """Nothing to set: the search has its own options."""

    def enter(
        self, opened: OpenRun, history: Sequence[Measurement], progress: Progress, stop: Callable[[], bool]
    ) -> tuple[list[Entrant], list[str]]:
        return [
            Entrant(self.name, m.architecture.id, m, partial(subnet, opened, m.architecture), searched=True)
            for m in history
        ], []

    def rebuild(self, opened: OpenRun, member: Mapping[str, Any]) -> Network:
        return subnet(opened, opened.supernet.space.architecture(member["architecture"]))


def subnet(opened: OpenRun, architecture: Architecture) -> Network:
    """Returns an extracted, calibrated subnetwork of the run's supernet."""
    candidate, calibration = opened.evaluator.candidate(architecture)
    supernet = opened.supernet
    sets = {} if supernet.weight_sets is None else {"weight_set": supernet.set_of(architecture)}
    facts = {"calibration": calibration, **sets}
    return Network(candidate, opened.task, facts, supernet.space.digest, architecture.id)
