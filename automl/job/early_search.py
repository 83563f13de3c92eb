"""What a searcher has measured while the supernet is still in training, and what it makes of that.

The measurements are in a file of their own, ``early.jsonl``, since values of unfinished weights must not be mixed with those
of the search: one line for each epoch, at the end one line with the candidates that the search starts with. An epoch is
in this file before it is in the checkpoint of the training. So after an interruption no epoch is missing, and the one that
is trained again is either in the file or measured again with the same weights.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, final

from automl.errors import RunError, SpaceError
from automl.job.evaluation import Evaluator
from automl.objectives.objective import Objective
from automl.progress import Progress, SilentProgress
from automl.run_folder import Run
from automl.search.measurement import Measurement, Outcome
from automl.search.searcher import Searcher
from automl.space import Architecture
from automl.supernet import Supernet
from automl.tasks.task import Task

__all__ = ["EarlySearch"]

FILE: Final = "early.jsonl"


@final
class EarlySearch:
    """Measures what a searcher asks for during training. The supernet, the task and the searcher stay as they are.

    Args:
        run: the run whose folder gets the file; nothing is written for a searcher that asks for nothing.
        searcher: a searcher of the job.
        supernet: the supernet in training.
        task: its task.
        quantities: everything that is measured of a candidate.
        make_evaluator: called once the first candidates are asked for, when data and weights are where training has them.
        progress: receives notes.

    Raises:
        RunError: the file is damaged.
    """

    def __init__(
        self,
        run: Run,
        searcher: Searcher,
        supernet: Supernet,
        task: Task,
        *,
        quantities: Sequence[Objective],
        make_evaluator: Callable[[], Evaluator],
        progress: Progress,
    ) -> None:
        self._run: Final = run
        self._searcher: Final = searcher
        self._supernet: Final = supernet
        self._task: Final = task
        self._quantities: Final = tuple(quantities)
        self._make_evaluator: Final = make_evaluator
        self._progress: Final = progress
        self._evaluator: Evaluator | None = None
        self._lines: Final[list[dict[str, Any]]] = []
        self._history: Final[dict[int, list[Measurement]]] = {}
        self._first: list[Architecture] | None = None
        if run.has(FILE):
            self._read()

    def measure(self, epoch: int) -> None:
        """Measures what the searcher wants to know after an epoch, unless that is known."""
        if epoch in self._history:
            return
        asked = self._searcher.ask_early(epoch, self._run.job.training.epochs, self._history)
        if not asked:
            return
        measured = [Measurement.of(a, o, {}) for a, o in zip(asked, self._outcomes(asked), strict=True)]
        self._history[epoch] = measured
        self._write({"epoch": epoch, "measured": [_entry(measurement) for measurement in measured]})
        failed = sum(measurement.values is None for measurement in measured)
        self._progress.note(
            f"epoch {epoch}: measured {len(measured)} candidates of the search to come"
            + (f", {failed} failed" if failed else "")
        )

    def first(self) -> list[Architecture]:
        """Returns what the search starts with; fixed once training is over."""
        if self._first is None:
            self._first = self._searcher.ask_first(self._history) if self._history else []
            if self._history:
                self._write({"first": [dict(architecture) for architecture in self._first]})
        return self._first

    def _outcomes(self, asked: Sequence[Architecture]) -> list[Outcome]:
        if self._evaluator is None:
            self._evaluator = self._make_evaluator()
            for quantity in self._quantities:
                quantity.prepare(self._supernet, self._task, SilentProgress())
        try:
            outcomes = self._evaluator(asked)
        except Exception as error:
            # Which of them it was is not known; alone, each answers for itself.
            outcomes = [Outcome.failed(error)] if len(asked) == 1 else [self._outcomes([a])[0] for a in asked]
        names = [objective.name for objective in self._evaluator.objectives]
        return [outcome.checked(names) for outcome in outcomes]

    def _write(self, line: dict[str, Any]) -> None:
        self._lines.append(line)
        text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in self._lines)
        self._run.write_text(FILE, text)

    def _read(self) -> None:
        path = self._run.path(FILE)
        try:
            for text in path.read_text(encoding="utf-8").splitlines():
                line = json.loads(text)
                if "first" in line:
                    self._first = [self._supernet.space.architecture(entry) for entry in line["first"]]
                else:
                    self._history[int(line["epoch"])] = [self._measurement(entry) for entry in line["measured"]]
                self._lines.append(line)
        except (KeyError, TypeError, ValueError, AttributeError, SpaceError) as error:
            raise RunError(
                f"{path}: line {len(self._lines) + 1} is damaged: {error!r}. Restore the file from a copy, or --overwrite "
                "the run."
            ) from error

    def _measurement(self, entry: Mapping[str, Any]) -> Measurement:
        values = entry["values"]
        return Measurement(
            architecture=self._supernet.space.architecture(entry["architecture"]),
            values=None if values is None else tuple(float(value) for value in values),
            violations=tuple(float(violation) for violation in entry["violations"]),
            failure=entry.get("failure"),
        )


def _entry(measurement: Measurement) -> dict[str, Any]:
    entry = {
        "id": measurement.architecture.id,
        "architecture": dict(measurement.architecture),
        "values": measurement.values,
        "violations": measurement.violations,
    }
    return entry if measurement.failure is None else {**entry, "failure": measurement.failure}
