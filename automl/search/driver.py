"""The loop that drives a search: ask, evaluate, record, tell; resumable after any interruption."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, TypeAlias

from automl.errors import ConfigError, RunError
from automl.search.ledger import Ledger
from automl.search.measurement import Measurement, Outcome
from automl.search.searcher import Searcher
from automl.search.state_file import read_state, write_state
from automl.space import Architecture, SearchSpace

__all__ = ["Evaluate", "run_search"]

Evaluate: TypeAlias = Callable[[Sequence[Architecture]], Iterable[Outcome]]
"""Measures architectures: one outcome for each, in order. A generator's outcomes are recorded one by one as they come."""

_log: Final = logging.getLogger(__name__)


def run_search(
    space: SearchSpace,
    searcher: Searcher,
    evaluate: Evaluate,
    ledger: Ledger,
    *,
    trials: int,
    group_size: int = 1,
    state_file: Path | None = None,
    time_budget: float | None = None,
    stop: Callable[[], bool] | None = None,
    progress: Callable[[Measurement], None] | None = None,
    failures_in_a_row: int = 50,
) -> list[Measurement]:
    """Searches until a budget is spent, the space is exhausted or ``stop`` says so; the same call again goes on.

    Every measurement is in the ledger before the searcher hears of it, and the searcher's state is saved after it has
    heard. On a restart the state is restored, and measurements that the ledger holds beyond it are used instead of
    measured again. So a search that is killed at any moment and restarted with equal arguments has the same history,
    trial by trial, as one that never was. Without a usable state file everything is replayed from the ledger.

    A candidate that raises, or whose values are no finite numbers, is recorded as failed. If the evaluation of a group
    raises as a whole, its members are evaluated one by one.

    Args:
        space: the search space.
        searcher: a new searcher over that space; its options and seed must be the same on a restart.
        evaluate: measures a group of architectures.
        ledger: where measurements are recorded; open for writing.
        trials: number of candidates in total, failed ones and those of earlier starts included.
        group_size: how many candidates are asked for and measured together.
        state_file: where the searcher's state is saved.
        time_budget: seconds for evaluating in total, earlier starts included. The group in flight is finished.
        stop: asked before every group whether to end now.
        progress: called after each new measurement is recorded; not for those of earlier starts.
        failures_in_a_row: number of consecutive failures after which the search gives up.

    Returns:
        All measurements in the order of the ledger.

    Raises:
        ConfigError: a budget or size is out of its range.
        RunError: too many candidates failed in a row, or ledger or state file cannot be read or written.
    """
    for name, value in (("trials", trials), ("group_size", group_size), ("failures_in_a_row", failures_in_a_row)):
        if value < 1:
            raise ConfigError(f"{name} is {value}; it must be at least 1.")
    if time_budget is not None and not time_budget > 0:
        raise ConfigError(f"time_budget is {time_budget} s; it must be above 0.")
    if space.digest != ledger.space.digest:
        raise ConfigError("the ledger was opened for another search space than the one to search.")
    return _Run(searcher, evaluate, ledger, state_file, progress, failures_in_a_row).until(
        trials, group_size, time_budget, stop
    )


class _Run:
    """One start of a search."""

    def __init__(
        self,
        searcher: Searcher,
        evaluate: Evaluate,
        ledger: Ledger,
        state_file: Path | None,
        progress: Callable[[Measurement], None] | None,
        failures_in_a_row: int,
    ) -> None:
        self._searcher: Final = searcher
        self._evaluate: Final = evaluate
        self._ledger: Final = ledger
        self._state_file: Final = state_file
        self._progress: Final = progress
        self._patience: Final = failures_in_a_row
        recorded = ledger.read()
        told = self._restore(recorded)
        self._measured: Final[list[Measurement]] = recorded[:told]
        self._leftover: Final[list[Measurement]] = recorded[told:]
        self._spent = sum(_seconds(measurement) for measurement in recorded)
        self._failures = 0
        for measurement in self._measured:
            self._count_failure(measurement)

    def until(
        self, trials: int, group_size: int, time_budget: float | None, stop: Callable[[], bool] | None
    ) -> list[Measurement]:
        while len(self._measured) + len(self._leftover) < trials:
            if stop is not None and stop():
                break
            if time_budget is not None and self._spent >= time_budget:
                break
            asked = self._searcher.ask(min(group_size, trials - len(self._measured)))
            if not asked:
                break
            results = self._reuse(asked)
            known = {result.architecture for result in results}
            for result in self._measure([a for a in asked if a not in known]):
                results.append(result)
                if self._progress is not None:
                    self._progress(result)
            self._searcher.tell(results)
            self._measured.extend(results)
            self._save()
            for result in results:
                if self._count_failure(result) and not self._leftover:
                    self._give_up(result)
        return [*self._measured, *self._leftover]

    def _restore(self, recorded: Sequence[Measurement]) -> int:
        """Restores the searcher; returns how many measurements it has heard."""
        saved = None if self._state_file is None else read_state(self._state_file)
        if saved is None:
            return 0
        told, kind, state = saved.get("told"), saved.get("searcher"), saved.get("state")
        if kind != _name(self._searcher) or not isinstance(state, dict):
            _log.warning(
                "%s: not the state of this searcher; the search is replayed from the ledger.", self._state_file
            )
            return 0
        if not isinstance(told, int) or not 0 <= told <= len(recorded):
            _log.warning("%s: does not fit the ledger; the search is replayed from the ledger.", self._state_file)
            return 0
        self._searcher.restore(state, recorded[:told])
        return told

    def _save(self) -> None:
        if self._state_file is not None:
            content: dict[str, Any] = {
                "searcher": _name(self._searcher),
                "told": len(self._measured),
                "state": self._searcher.state(),
            }
            write_state(self._state_file, content)

    def _reuse(self, asked: Sequence[Architecture]) -> list[Measurement]:
        """Takes what the ledger holds beyond the saved state; normally the first members of this very group."""
        if not self._leftover:
            return []
        expected = [measurement.architecture for measurement in self._leftover[: len(asked)]]
        if expected == list(asked[: len(expected)]):
            taken = self._leftover[: len(expected)]
        else:
            # Another searcher, seed or version wrote them. They were measured all the same, so they count and are told.
            _log.warning(
                "the ledger holds %d measurements that this searcher would not have asked for; it learns from them.",
                len(self._leftover),
            )
            taken = list(self._leftover)
        del self._leftover[: len(taken)]
        return taken

    def _measure(self, architectures: Sequence[Architecture]) -> Iterator[Measurement]:
        """Evaluates and records, each as soon as its outcome is there."""
        outcomes: Iterator[Outcome] | None = None
        share = 0.0
        for position, architecture in enumerate(architectures):
            start = time.monotonic()
            try:
                if outcomes is None:
                    given = self._evaluate(architectures)
                    outcomes = iter(given)
                    if isinstance(given, Sequence):
                        share = (time.monotonic() - start) / len(architectures)
                        start = time.monotonic()
                outcome = next(outcomes, None)
                if outcome is None:
                    raise ValueError(f"the evaluation of {len(architectures)} architectures gave {position} outcomes.")
                outcome = outcome.checked(self._ledger.objectives)
            except Exception as error:
                if outcomes is None and len(architectures) > 1:
                    # Which of them it was is not known; alone, each answers for itself.
                    for single in architectures:
                        yield from self._measure([single])
                    return
                outcome = Outcome.failed(error).checked(self._ledger.objectives)
                yield self._record(architecture, outcome, share + time.monotonic() - start)
                yield from self._measure(architectures[position + 1 :])
                return
            yield self._record(architecture, outcome, share + time.monotonic() - start)

    def _record(self, architecture: Architecture, outcome: Outcome, seconds: float) -> Measurement:
        self._spent += seconds
        return self._ledger.append(
            Measurement(
                architecture=architecture,
                values=None if outcome.values is None else tuple(outcome.values),
                violations=tuple(outcome.violations),
                details={**outcome.details, "seconds": round(seconds, 6)},
                failure=outcome.failure,
            )
        )

    def _count_failure(self, measurement: Measurement) -> bool:
        """Counts consecutive failures; tells whether the limit is reached and starts over then.

        So a search that gave up gets as many chances again when it is restarted, and one that was killed on the way
        gives up at the same trial as if it had not been.
        """
        self._failures = self._failures + 1 if measurement.values is None else 0
        reached = self._failures >= self._patience
        if reached:
            self._failures = 0
        return reached

    def _give_up(self, last: Measurement) -> None:
        lines = (last.failure or "").strip().splitlines() or ["no reason given"]
        raise RunError(
            f"the last {self._patience} candidates failed, so the search stops. The last one (number {last.number}) failed "
            f"with: {lines[-1]} Every failure is in the ledger with its traceback. When the cause is mended, the same "
            "command goes on."
        )


def _name(searcher: Searcher) -> str:
    return type(searcher).__name__


def _seconds(measurement: Measurement) -> float:
    seconds = measurement.details.get("seconds", 0.0)
    return float(seconds) if isinstance(seconds, int | float) else 0.0
