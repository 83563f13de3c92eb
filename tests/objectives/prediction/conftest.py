"""A machine whose time is counted, not measured: every part of a network costs what its shape says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from automl.host import Host
from automl.objectives import Candidate, Trace
from automl.objectives.prediction.parts import part_paths
from automl.objectives.prediction.predictor import LatencyPredictor
from automl.objectives.prediction.table import BlockTable
from automl.objectives.runtimes import PartSession, Runtime
from automl.space import Architecture
from automl.supernet import Supernet, build_supernet, load_skeleton
from automl.tasks import ImageClassification


def weight(module: nn.Module) -> float:
    """Seconds of a part: a thousandth, and one for each million of its weights."""
    return 1e-3 + 1e-6 * sum(p.numel() for p in module.parameters())


@dataclass
class Machine:
    """A clock that only networks move.

    Attributes:
        now: seconds.
        speed: factor on all times, such as that of a throttled processor.
        prepared: number of parts of each network that was prepared.
        broken: numbers of the networks, in the order in which they are prepared, that raise.
    """

    now: float = 0.0
    speed: float = 1.0
    prepared: list[int] = field(default_factory=list)
    broken: set[int] = field(default_factory=set)

    def clock(self) -> float:
        return self.now


class CountedSession(PartSession):
    """Runs nothing; moves the clock by what the parts cost, and by 0.002 s that belong to no part."""

    def __init__(self, machine: Machine, model: nn.Module, parts: Sequence[str]) -> None:
        self._machine = machine
        self._costs = {path: 1e-3 if path == "" else weight(model.get_submodule(path)) for path in parts}
        self._runs: list[dict[str, float]] = []
        self.whole = self._whole

    def _whole(self) -> None:
        self._machine.now += self._machine.speed * (2e-3 + sum(self._costs.values()))

    def run(self) -> None:
        self._whole()
        self._runs.append({path: self._machine.speed * cost for path, cost in self._costs.items()})

    def finish(self) -> list[dict[str, float]]:
        return self._runs


class Counted(Runtime):
    name = "counted"

    def __init__(self, machine: Machine) -> None:
        self.machine = machine

    def prepare(
        self, model: nn.Module, inputs: Sequence[Tensor], *, threads: int, trace: Callable[[], Trace]
    ) -> Callable[[], None]:
        raise AssertionError("a predictor that looks inside needs no whole sessions of its own")

    def prepare_parts(
        self,
        model: nn.Module,
        inputs: Sequence[Tensor],
        *,
        threads: int,
        trace: Callable[[], Trace],
        parts: Sequence[str],
    ) -> PartSession:
        self.machine.prepared.append(len(parts))
        if len(self.machine.prepared) in self.machine.broken:
            raise RuntimeError("no such network here")
        return CountedSession(self.machine, model, parts)


@pytest.fixture(scope="session")
def task() -> ImageClassification:
    return ImageClassification.load("digits", seed=0)


@pytest.fixture(scope="session")
def supernet(task: ImageClassification) -> Supernet:
    host = Host.load()
    torch.manual_seed(1)
    return build_supernet(load_skeleton("image/tiny", host), task, host)


@pytest.fixture
def network(supernet: Supernet, task: ImageClassification) -> Callable[[Architecture], Candidate]:
    return lambda architecture: Candidate(architecture, supernet.extract(architecture), task)


@pytest.fixture
def machine() -> Machine:
    return Machine()


@pytest.fixture
def make_predictor(supernet: Supernet, machine: Machine, tmp_path: Path) -> Callable[..., LatencyPredictor]:
    def make(
        runtime: Runtime | None = None,
        measure_whole: Callable[[Sequence[Candidate], int], list[float | Exception]] | None = None,
        **context: Any,
    ) -> LatencyPredictor:
        table = BlockTable(
            tmp_path, space=supernet.space.digest, inputs="digits", context={"runtime": "counted", **context}
        )
        return LatencyPredictor(
            table,
            runtime=runtime or Counted(machine),
            batch_size=1,
            threads=1,
            repeats=3,
            warmup=1,
            budget=1e9,
            measure_whole=measure_whole or (lambda candidates, repeats: [_true_ms(c.model) for c in candidates]),
            clock=machine.clock,
        )

    return make


@pytest.fixture
def true_ms() -> Callable[[nn.Module], float]:
    """What a network takes on the counted machine at speed 1."""
    return _true_ms


@pytest.fixture
def counted(machine: Machine) -> Counted:
    return Counted(machine)


def _true_ms(model: nn.Module) -> float:
    return 1e3 * (2e-3 + sum(1e-3 if path == "" else weight(model.get_submodule(path)) for path in part_paths(model)))
