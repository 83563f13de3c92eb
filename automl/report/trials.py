"""The measured candidates of a run, read from its ledger as columns.

A report needs values and ids, not architectures, so it reads Optuna's records directly: no search space has to be
rebuilt, and 50,000 trials take seconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from automl.errors import RunError

__all__ = ["Failure", "Trials", "no_trials", "read_trials"]


@dataclass(frozen=True)
class Failure:
    """A candidate that could not be measured."""

    number: int
    id: str
    reason: str


@dataclass(frozen=True)
class Trials:
    """All measured candidates of a run, in the order in which they were measured.

    Attributes:
        ids: architecture of each measured trial.
        numbers: trial number of each.
        values: ``(trials, objectives)``, all to be minimised.
        feasible: ``(trials,)``, whether every constraint is met.
        complete: ``(trials,)``, whether it was measured in full; the values of others are estimates and on no front.
        failures: candidates without values; they are in none of the arrays.
    """

    ids: list[str]
    numbers: list[int]
    values: npt.NDArray[np.float64]
    feasible: npt.NDArray[np.bool_]
    complete: npt.NDArray[np.bool_]
    failures: list[Failure] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def usable(self) -> npt.NDArray[np.bool_]:
        """``(trials,)``, whether it may enter a front."""
        return self.feasible & self.complete & np.isfinite(self.values).all(axis=1)


def no_trials(objectives: int) -> Trials:
    """Returns no trials."""
    return _collect((), objectives, "")


def read_trials(folder: Path, storage: str | None, objectives: int) -> Trials:
    """Reads the ledger of a run.

    Args:
        folder: the run folder; its ``ledger.log`` is read unless ``storage`` names another place.
        storage: Optuna storage URL of the job, if it has one.
        objectives: number of objectives.

    Raises:
        RunError: the ledger is damaged, or is of another search; the message names it.
    """
    path = folder / "ledger.log"
    if storage:
        return _collect(_stored(storage, folder.name), objectives, storage)
    return _collect(_journalled(path) if path.is_file() else (), objectives, str(path))


def _journalled(path: Path) -> Iterable[Mapping[str, Any]]:
    from automl.search.journal import CREATE_TRIAL, read_operations  # brings Optuna, not needed without a ledger

    for line, operation in read_operations(path, [CREATE_TRIAL]):
        try:
            value = operation["value"]
            yield {
                "values": operation["values"] if value is None else [value],
                "user": operation["user_attrs"],
                "system": operation["system_attrs"],
            }
        except KeyError as error:
            raise RunError(f"{path}: line {line} is no finished trial: {error} is missing.") from error


def _stored(storage: str, study: str) -> Iterable[Mapping[str, Any]]:
    import optuna

    from automl.search.quiet import quiet_optuna

    with quiet_optuna():
        try:
            trials = optuna.load_study(study_name=study, storage=storage).get_trials(deepcopy=False)
        except Exception as error:  # every database has errors of its own
            raise RunError(f"{study}: the job's storage cannot be read: {type(error).__name__}: {error}") from error
    for trial in trials:
        yield {"values": trial.values, "user": trial.user_attrs, "system": trial.system_attrs}


def _collect(rows: Iterable[Mapping[str, Any]], objectives: int, source: str) -> Trials:
    ids: list[str] = []
    numbers: list[int] = []
    values: list[Sequence[float]] = []
    feasible: list[bool] = []
    complete: list[bool] = []
    failures: list[Failure] = []
    for number, row in enumerate(rows):
        identifier = str(row["user"].get("architecture", ""))
        if row["values"] is None:
            failures.append(Failure(number, identifier, str(row["user"].get("failure") or "no reason given")))
            continue
        if len(row["values"]) != objectives:
            raise RunError(
                f"{source}: trial {number} has {len(row['values'])} values, the job has {objectives} objectives; "
                "the ledger is of another search."
            )
        ids.append(identifier)
        numbers.append(number)
        values.append(row["values"])
        complete.append(float((row["user"].get("details") or {}).get("fidelity", 1.0)) >= 1)
        feasible.append(not any(violation > 0 for violation in row["system"].get("constraints", ())))
    matrix = np.array(values, dtype=np.float64).reshape(len(values), objectives)
    return Trials(
        ids, numbers, matrix, np.array(feasible, dtype=np.bool_), np.array(complete, dtype=np.bool_), failures
    )
