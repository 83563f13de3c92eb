from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from automl.search import (
    Aging,
    Evolution,
    Ledger,
    Local,
    Measurement,
    OptunaSampler,
    Outcome,
    Random,
    Searcher,
    run_search,
)
from automl.search.sampler_kinds import sampler_names
from automl.space import Architecture, SearchSpace
from automl.testing.problems import error_and_cost, large_space

MakeSearcher = Callable[..., Searcher]

# Fitting a Gaussian process costs seconds, so its tests see only a few fits.
SAMPLER_OPTIONS: dict[str, dict[str, Any]] = {
    "GPSampler": {"n_startup_trials": 5},
    "TPESampler": {"n_startup_trials": 6},
    "NSGAIISampler": {"population_size": 5},
    "NSGAIIISampler": {"population_size": 5},
    "PartialFixedSampler": {"fixed_params": {"depth": 3}, "base_sampler": "NSGAIISampler", "population_size": 5},
    "GridSampler": {
        "search_space": {"depth": [3], "layer1.width": [8, 64], "layer1.kernel": [3], "layer2.kernel": [5, 7]}
        | {f"layer{i}.op": ["attention"] for i in (3, 4, 5, 6)}
        | {f"layer{i}.{part}": [value] for i in (3, 4, 5, 6) for part, value in (("width", 16), ("kernel", 5))}
    },
}


def _optuna(sampler: str) -> MakeSearcher:
    def make(space: SearchSpace, *, objectives: int, seed: int, **options: Any) -> Searcher:
        defaults = SAMPLER_OPTIONS.get(sampler, {}) if space.names == large_space().names else {}
        return OptunaSampler(space, objectives=objectives, seed=seed, sampler=sampler, options={**defaults, **options})

    return make


SEARCHERS: dict[str, MakeSearcher] = {
    "random": Random,
    "aging": lambda space, **given: Aging(space, population=6, tournament=3, **given),
    "local": lambda space, **given: Local(space, starts=2, **given),
    "evolution": lambda space, **given: Evolution(space, population=6, offspring=4, **given),
    **{name: _optuna(name) for name in sampler_names()},
}


@pytest.fixture(params=sorted(SEARCHERS))
def searcher_name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def make_searcher(searcher_name: str) -> MakeSearcher:
    return SEARCHERS[searcher_name]


@pytest.fixture
def objectives(searcher_name: str) -> int:
    return 1 if searcher_name == "CmaEsSampler" else 2


@pytest.fixture(scope="session")
def space() -> SearchSpace:
    return large_space()


class Tabular:
    """The known function as an evaluation: one candidate in seven raises, one in nine gives NaN."""

    def __init__(self, objectives: int, *, constrained: bool = False, failing: bool = True) -> None:
        self.objectives = objectives
        self.constrained = constrained
        self.failing = failing
        self.evaluated: list[Architecture] = []

    def __call__(self, architectures: Sequence[Architecture]) -> Iterator[Outcome]:
        for architecture in architectures:
            self.evaluated.append(architecture)
            fate = int(architecture.id, 16)
            if self.failing and fate % 7 == 0:
                raise ArithmeticError(f"no memory for {architecture.id}")
            error, cost = error_and_cost(architecture)
            if self.failing and fate % 9 == 0:
                error = float("nan")
            yield Outcome(
                values=(error, cost)[: self.objectives],
                violations=(max(0.0, cost - 1),) if self.constrained else (),
                details={"fate": fate},
            )


NAMES = ("error", "cost")


def search(folder: Path, searcher: Searcher, evaluate: Tabular, space: SearchSpace, **given: Any) -> list[Measurement]:
    """One start of a search in a folder."""
    with Ledger(folder / "ledger.log", space=space, objectives=NAMES[: evaluate.objectives]) as ledger:
        return run_search(space, searcher, evaluate, ledger, state_file=folder / "searcher.json", **given)


@pytest.fixture
def tabular() -> type[Tabular]:
    return Tabular


@pytest.fixture
def start() -> Callable[..., list[Measurement]]:
    return search


def outline(history: Sequence[Measurement]) -> list[Any]:
    """What must be equal between an interrupted and an uninterrupted search."""
    return [(m.number, m.architecture, m.values, m.violations, m.feasible, m.details.get("fate")) for m in history]


@pytest.fixture
def outline_of() -> Callable[[Sequence[Measurement]], list[Any]]:
    return outline
