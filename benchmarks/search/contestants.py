"""Who takes part: our searchers, the samplers of Optuna and the algorithms of pymoo, each over the same table.

A contestant evaluates through a ``Meter``, which counts *distinct networks* and ends the run when the budget is spent. A
network that is proposed again, in this or another spelling, is answered and not counted, for everybody alike.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import optuna
from pymoo.algorithms.moo.age import AGEMOEA
from pymoo.algorithms.moo.nsga2 import NSGA2
from pymoo.core.problem import Problem
from pymoo.operators.crossover.sbx import SBX
from pymoo.operators.mutation.pm import PM
from pymoo.operators.repair.rounding import RoundingRepair
from pymoo.operators.sampling.rnd import IntegerRandomSampling
from pymoo.optimize import minimize
from tables import Table

from automl.builtins import automl_searchers
from automl.search import Measurement, Searcher

__all__ = ["LIMITS", "RIVALS", "BudgetSpentError", "Meter", "run_contestant"]

POPULATION: Final = 20
LIMITS: Final = {"optuna-gp": 200, "optuna-tpe": 200, "optuna-tpe-multivariate": 200}
"""Evaluations after which a contestant stops because it would take hours."""
_MOST_ANSWERS: Final = 10
"""Answers per network of the budget after which a contestant that only repeats itself is sent home."""


class BudgetSpentError(Exception):
    """The budget is used up."""


class Meter:
    """Evaluates networks and counts the distinct ones.

    Args:
        table: the table to look them up in.
        budget: distinct networks.
    """

    def __init__(self, table: Table, budget: int) -> None:
        self._table: Final = table
        self._budget: Final = budget
        self._answers = 0
        self.order: Final[dict[int, None]] = {}

    def __call__(self, positions: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """Returns ``(n, 2)`` objectives of ``(n, dimensions)`` positions; forbidden ones are worth the reference point."""
        values = []
        for row in self._table.rows(positions).tolist():
            self._answers += 1
            if row >= 0 and row not in self.order:
                if len(self.order) >= self._budget:
                    raise BudgetSpentError
                self.order[row] = None
            values.append(self._table.seen[row] if row >= 0 else np.ones(2))
        if self._answers > _MOST_ANSWERS * self._budget:
            raise BudgetSpentError
        return np.array(values)


def run_contestant(name: str, table: Table, seed: int, budget: int) -> list[int]:
    """Returns the rows of the distinct networks that a contestant evaluated, in order."""
    meter = Meter(table, budget)
    with contextlib.suppress(BudgetSpentError):
        (RIVALS.get(name) or _ours(name))(table, seed, meter)
    return list(meter.order)


def _ours(name: str) -> Callable[[Table, int, Meter], None]:
    """Any registered searcher, asked in groups of at most 8."""
    kind = next(component for component in automl_searchers() if component.name == name).load()

    def run(table: Table, seed: int, meter: Meter) -> None:
        searcher: Searcher = kind(table.space, objectives=2, seed=seed)
        while asked := searcher.ask(8):
            values = meter(table.space.to_indices(asked))
            searcher.tell(
                [Measurement(architecture=a, values=tuple(v)) for a, v in zip(asked, values.tolist(), strict=True)]
            )

    return run


def _optuna(make: Callable[[int], optuna.samplers.BaseSampler]) -> Callable[[Table, int, Meter], None]:
    def run(table: Table, seed: int, meter: Meter) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        study = optuna.create_study(directions=["minimize"] * 2, sampler=make(seed))
        dimensions = table.space.dimensions
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # experimental features, and repeated categories
            while True:
                trial = study.ask()
                values = {name: trial.suggest_categorical(name, d.choices) for name, d in dimensions.items()}
                positions = np.array([[dimensions[name].position(v) for name, v in values.items()]])
                study.tell(trial, meter(positions)[0].tolist())

    return run


def _pymoo(make: Callable[..., Any]) -> Callable[[Table, int, Meter], None]:
    def run(table: Table, seed: int, meter: Meter) -> None:
        counts = [len(d.choices) for d in table.space.dimensions.values()]

        class Lookup(Problem):  # type: ignore[misc]
            def __init__(self) -> None:
                super().__init__(n_var=len(counts), n_obj=2, xl=0, xu=np.array(counts) - 1, vtype=int)

            def _evaluate(self, x: Any, out: Any, *_: Any, **__: Any) -> None:
                out["F"] = meter(np.asarray(x, dtype=np.int64))

        algorithm = make(
            pop_size=POPULATION,
            sampling=IntegerRandomSampling(),
            crossover=SBX(prob=0.9, eta=15, vtype=float, repair=RoundingRepair()),
            mutation=PM(eta=20, vtype=float, repair=RoundingRepair()),
            eliminate_duplicates=True,
        )
        minimize(Lookup(), algorithm, ("n_gen", 2000), seed=seed, verbose=False)

    return run


RIVALS: Final[dict[str, Callable[[Table, int, Meter], None]]] = {
    "optuna-random": _optuna(lambda seed: optuna.samplers.RandomSampler(seed=seed)),
    "optuna-tpe": _optuna(lambda seed: optuna.samplers.TPESampler(seed=seed)),
    "optuna-tpe-multivariate": _optuna(lambda seed: optuna.samplers.TPESampler(seed=seed, multivariate=True)),
    "optuna-nsga2": _optuna(lambda seed: optuna.samplers.NSGAIISampler(seed=seed, population_size=POPULATION)),
    "optuna-gp": _optuna(lambda seed: optuna.samplers.GPSampler(seed=seed)),
    "pymoo-nsga2": _pymoo(NSGA2),
    "pymoo-age-moea": _pymoo(AGEMOEA),
}
