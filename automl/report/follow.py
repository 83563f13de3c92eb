"""A run that another process is working on, seen from its folder: read only, and nobody is kept out of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from automl.report.axis import Axis
from automl.report.record import read_run
from automl.report.trials import read_trials
from automl.run_folder import folder_in_use
from automl.search.frontier import Frontier
from automl.search.journal import CREATE_TRIAL, JournalTail

__all__ = ["RunFollower"]


class RunFollower:
    """The front of a run as it grows.

    A journal file is read on from where the last look ended; a database has to be read as a whole each time.

    Args:
        folder: the run folder.

    Attributes:
        axes: the objectives.
        total: number of candidates that the job asks for; ``None`` if the job does not say.
        frontier: the front so far.

    Raises:
        RunError: there is no such folder, or one of its files is damaged.
    """

    def __init__(self, folder: Path) -> None:
        record = read_run(folder, trials=False)
        self.axes: Final[list[Axis]] = record.axes
        total = record.job.get("trials")
        self.total: Final[int | None] = total if isinstance(total, int) else None
        self.frontier = Frontier(len(self.axes))
        self._folder: Final = folder
        self._storage: Final[str | None] = record.job.get("storage")
        self._tail: Final = JournalTail(folder / "ledger.log", [CREATE_TRIAL])
        self._generation = 0

    def poll(self) -> bool:
        """Reads what is new; tells whether anything was.

        Raises:
            RunError: the ledger is damaged or cannot be read.
        """
        before = self.frontier.trials
        if self._storage is not None:
            self._read_database()
            return self.frontier.trials != before
        operations = self._tail.read()
        if self._tail.generation != self._generation:
            self._generation = self._tail.generation
            self.frontier = Frontier(len(self.axes))
        for operation in operations:
            values = operation["values"] if operation["value"] is None else [operation["value"]]
            violations = operation["system_attrs"].get("constraints", ())
            fidelity = operation["user_attrs"].get("details", {}).get("fidelity", 1.0)
            self.frontier.add(values, not any(violation > 0 for violation in violations), fidelity >= 1)
        return bool(operations)

    @property
    def finished(self) -> bool:
        """Whether the front of exactly these trials was written."""
        trials = self._trials_of_front()
        return trials is not None and trials == self.frontier.trials

    @property
    def in_use(self) -> bool:
        """Whether a process works on the run; true as well where that cannot be told."""
        return folder_in_use(self._folder)

    @property
    def epochs(self) -> int:
        """Number of epochs that the supernet was trained."""
        try:
            return len(json.loads((self._folder / "training.json").read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return 0

    def _trials_of_front(self) -> int | None:
        try:
            counted: dict[str, Any] = json.loads((self._folder / "front.json").read_text(encoding="utf-8"))["trials"]
            return int(counted["complete"]) + int(counted["failed"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _read_database(self) -> None:
        trials = read_trials(self._folder, self._storage, len(self.axes))
        self.frontier = Frontier(len(self.axes))
        for row, feasible, complete in zip(trials.values, trials.feasible, trials.complete, strict=True):
            self.frontier.add(row, bool(feasible), bool(complete))
        for _ in trials.failures:
            self.frontier.add(None)
