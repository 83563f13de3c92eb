"""The contract of a kind of candidate, and how networks of all kinds are measured alike."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from automl.host import Host
from automl.job.evaluation import Evaluator
from automl.job.opened import OpenRun
from automl.job_config import JobConfig
from automl.objectives.candidate import Candidate
from automl.objectives.objective import Objective
from automl.objectives.value import Value
from automl.progress import Progress
from automl.search.measurement import Measurement
from automl.search.pareto import pareto_front
from automl.tasks.task import Task

__all__ = [
    "CandidateKind",
    "Entrant",
    "Network",
    "measure_networks",
    "measurement_after",
    "repeatable_values",
    "searched_front",
    "spread",
    "spread_over_front",
]


@dataclass(frozen=True)
class Network:
    """A network, ready to be measured and exported.

    Attributes:
        candidate: the network.
        task: what it is for.
        facts: what its manifest says beside metrics: calibration, ticket and the like, as JSON.
        space_digest: digest of the space that its architecture is in.
        dense: the network without zeros where this one differs from it in masked weights only.
        timing: equal for networks that compute the same, whatever their weights.
    """

    candidate: Candidate
    task: Task
    facts: Mapping[str, Any]
    space_digest: str
    timing: str
    dense: Candidate | None = None


@dataclass(frozen=True)
class Entrant:
    """A network that may be on the front.

    Attributes:
        kind: name of its kind, as members of the front carry it.
        id: its id, unique among all kinds.
        measurement: all objectives, those that are not repeatable as they were seen before the front is measured.
        build: returns the network.
        origin: where it comes from, as JSON; ``rebuild`` needs no more.
        searched: whether it is of the search itself, where objectives may be predicted that are measured for the front.
    """

    kind: str
    id: str
    measurement: Measurement
    build: Callable[[], Network]
    origin: Mapping[str, Any] = field(default_factory=dict)
    searched: bool = False


class CandidateKind(ABC):
    """A kind of network in a front.

    Attributes:
        name: what a member of the front carries as ``kind``.
    """

    name: ClassVar[str]

    @abstractmethod
    def check(self, job: JobConfig, host: Host) -> None:
        """Refuses options before anything of a job is written.

        Raises:
            UserError: an option is unknown or wrong.
        """

    @abstractmethod
    def enter(
        self, opened: OpenRun, history: Sequence[Measurement], progress: Progress, stop: Callable[[], bool]
    ) -> tuple[list[Entrant], list[str]]:
        """Makes the networks of this kind, or goes on where that was interrupted, and measures them.

        Args:
            opened: the run; its search has ended.
            history: the measurements of the search.
            progress: shown the stages.
            stop: asked between steps.

        Returns:
            The networks, and one sentence for each that could not be made.

        Raises:
            InterruptedJobError: ``stop`` ended it; the next call goes on.
        """

    @abstractmethod
    def rebuild(self, opened: OpenRun, member: Mapping[str, Any]) -> Network:
        """Returns the network of a member of a finished front.

        Raises:
            UserError: a file of the run is missing or was changed.
        """


def measure_networks(
    evaluator: Evaluator, networks: Sequence[Network], objectives: Sequence[Objective]
) -> list[dict[str, Value] | Exception]:
    """Measures networks of any kinds in one group.

    What is not repeatable, such as latency, is measured once for all networks that compute the same. A network with masked
    weights computes what its dense base computes, so it has the base's value and cannot seem faster by chance.
    """
    exact, noisy = [o for o in objectives if o.repeatable], [o for o in objectives if not o.repeatable]
    timed: dict[str, Candidate] = {}
    for network in networks:
        timed.setdefault(network.timing, network.dense or network.candidate)
    own = evaluator.measure([network.candidate for network in networks], exact)
    shared = dict(zip(timed, evaluator.measure(list(timed.values()), noisy), strict=True))
    results: list[dict[str, Value] | Exception] = []
    for network, values in zip(networks, own, strict=True):
        further = shared[network.timing]
        if isinstance(values, Exception):
            results.append(values)
        elif isinstance(further, Exception):
            results.append(further)
        else:
            results.append({**values, **further})
    return results


def repeatable_values(opened: OpenRun, network: Network) -> dict[str, Any]:
    """Returns what is repeatable of a network, by name, as JSON.

    Raises:
        Exception: whatever measuring raises.
    """
    (found,) = measure_networks(opened.evaluator, [network], [o for o in opened.parts.quantities if o.repeatable])
    if isinstance(found, Exception):
        raise found
    return {name: value.to_json() for name, value in found.items()}


def measurement_after(opened: OpenRun, base: Measurement, values: Mapping[str, Any]) -> Measurement:
    """Returns the measurement of a network that was made of one that the search has measured.

    Args:
        opened: the run.
        base: the measurement of the search.
        values: what is repeatable of the new network; the rest is, until the front is measured, what the search saw of the base.
    """
    measured = {**base.details["measured"], **values}
    return Measurement(
        architecture=base.architecture,
        values=tuple(measured[o.name]["value"] for o in opened.parts.objectives),
        violations=tuple(c.violation(measured[c.objective]["value"]) for c in opened.parts.constraints),
        details={"measured": measured},
    )


def spread_over_front(history: Sequence[Measurement], count: int) -> list[Measurement]:
    """Returns members of the searched front, evenly spread from cheap to expensive by the second objective, ends included.

    The same history gives the same members, whatever the machine measures afterwards.
    """
    front = searched_front(history)
    return [front[place] for place in spread(len(front), count)]


def searched_front(history: Sequence[Measurement]) -> list[Measurement]:
    """Returns the members of the searched front from cheap to expensive by the second objective."""
    feasible = [m for m in history if m.feasible and m.values is not None]
    if not feasible:
        return []
    values = np.array([m.values for m in feasible])
    cost = min(1, values.shape[1] - 1)
    front = sorted(pareto_front(values).tolist(), key=lambda i: (values[i, cost], tuple(values[i])))
    return [feasible[i] for i in front]


def spread(length: int, count: int) -> list[int]:
    """Returns ``count`` positions out of ``length``, or all, evenly spaced and with both ends; the last one for a single.

    Example:
        >>> spread(9, 3), spread(2, 5), spread(4, 1)
        ([0, 4, 8], [0, 1], [3])
    """
    if count >= length:
        return list(range(length))
    if count == 1:
        return [length - 1]
    return [round(i * (length - 1) / (count - 1)) for i in range(count)]
