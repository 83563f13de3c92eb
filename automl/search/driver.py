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
from automl.search.stopping import Ending, StoppingRule, TimeBudget, TrialBudget
from automl.space import Architecture, SearchSpace

__all__ = ["Evaluate", "History", "run_search"]

Evaluate: TypeAlias = Callable[[Sequence[Architecture]], Iterable[Outcome]]
"""Measures architectures: one outcome for each, in order. A generator's outcomes are recorded one by one as they come."""

_MISSING: Final = object()
_log: Final = logging.getLogger(__name__)


class History(list[Measurement]):
    """All measurements of a search in the order of the ledger, and why it ended.

    Args:
        measurements: the measurements.
        ending: why no more follow.
    """

    def __init__(self, measurements: Iterable[Measurement], ending: Ending) -> None:
        super().__init__(measurements)
        self.ending: Final = ending


def run_search(
    space: SearchSpace,
    searcher: Searcher,
    evaluate: Evaluate,
    ledger: Ledger,
    *,
    trials: int,
    group_size: int = 1,
    initial: Sequence[Architecture] = (),
    state_file: Path | None = None,
    time_budget: float | None = None,
    rules: Sequence[StoppingRule] = (),
    stop: Callable[[], bool] | None = None,
    progress: Callable[[Measurement], None] | None = None,
    heard: Callable[[Measurement], None] | None = None,
    failures_in_a_row: int = 50,
) -> History:
    """Searches until a budget is spent, the space is exhausted or a rule says so; the same call again goes on.

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
        initial: architectures that are measured before the searcher is asked for any, in this order, and told to it as
            measurements that it did not ask for. They count as trials. Repetitions, those that the ledger holds already
            and those that the space forbids are skipped. The same list must be given on a restart.
        state_file: where the searcher's state is saved.
        time_budget: seconds for evaluating in total, earlier starts included. The group in flight is finished.
        rules: further reasons to end; new ones, which have heard nothing.
        stop: asked before every group whether to end now.
        progress: called after each new measurement is recorded; not for those of earlier starts.
        heard: called for each measurement after the searcher has heard of it, those of earlier starts included. An
            evaluation that goes by what was measured before learns it from here, and then resumes exactly, too.
        failures_in_a_row: number of consecutive failures after which the search gives up.

    Returns:
        All measurements in the order of the ledger, with the reason why no more follow.

    Raises:
        ConfigError: a budget or size is out of its range.
        SpaceError: an initial architecture is of another space.
        RunError: too many candidates failed in a row, or ledger or state file cannot be read or written.
    """
    for name, value in (("group_size", group_size), ("failures_in_a_row", failures_in_a_row)):
        if value < 1:
            raise ConfigError(f"{name} is {value}; it must be at least 1.")
    budget = TrialBudget(trials)
    all_rules = [budget, *([] if time_budget is None else [TimeBudget(time_budget)]), *rules]
    if space.digest != ledger.space.digest:
        raise ConfigError("the ledger was opened for another search space than the one to search.")
    first = list(dict.fromkeys(space.architecture(a) for a in initial if space.allows(a)))
    run = _Run(searcher, evaluate, ledger, state_file, progress, heard, all_rules, failures_in_a_row)
    return run.until_it_ends(budget, first, group_size, stop)


class _Run:
    """One start of a search."""

    def __init__(
        self,
        searcher: Searcher,
        evaluate: Evaluate,
        ledger: Ledger,
        state_file: Path | None,
        progress: Callable[[Measurement], None] | None,
        heard: Callable[[Measurement], None] | None,
        rules: Sequence[StoppingRule],
        failures_in_a_row: int,
    ) -> None:
        self._searcher: Final = searcher
        self._evaluate: Final = evaluate
        self._ledger: Final = ledger
        self._state_file: Final = state_file
        self._progress: Final = progress
        self._heard: Final = heard
        self._rules: Final = rules
        self._patience: Final = failures_in_a_row
        recorded = ledger.read()
        told = self._restore(recorded)
        self._measured: Final[list[Measurement]] = []
        self._leftover: Final[list[Measurement]] = recorded[told:]
        self._failures = 0
        self._take(recorded[:told])

    def until_it_ends(
        self,
        budget: TrialBudget,
        initial: Sequence[Architecture],
        group_size: int,
        stop: Callable[[], bool] | None,
    ) -> History:
        known = {measurement.architecture for measurement in self._measured}
        queue = [architecture for architecture in initial if architecture not in known]
        while True:
            if (ending := self._ending(budget, stop)) is not None:
                return History([*self._measured, *self._leftover], ending)
            wanted = min(group_size, budget.left)
            asked, queue = queue[:wanted], queue[wanted:]
            asked = asked or self._searcher.ask(wanted)
            if not asked:
                ending = Ending("exhausted", "the searcher has nothing left to propose: it has seen the whole space")
                return History([*self._measured, *self._leftover], ending)
            results = self._reuse(asked)
            known = {result.architecture for result in results}
            for result in self._measure([a for a in asked if a not in known]):
                results.append(result)
                if self._progress is not None:
                    self._progress(result)
            self._searcher.tell(results)
            reached = self._take(results)
            queue = [architecture for architecture in queue if architecture not in known]
            self._save()
            if reached is not None and not self._leftover:
                self._give_up(reached)

    def _ending(self, budget: TrialBudget, stop: Callable[[], bool] | None) -> Ending | None:
        if len(self._leftover) >= budget.left:  # enough was measured already, by whatever searcher
            for measurement in self._leftover:
                budget.hear(measurement)
        for rule in self._rules:
            if (ending := rule.ending()) is not None:
                return ending
        if stop is not None and stop():
            return Ending("stopped", "it was stopped from outside")
        return None

    def _take(self, results: Sequence[Measurement]) -> Measurement | None:
        """Counts measurements that the searcher has heard; returns one with which too many in a row have failed."""
        reached = None
        for result in results:
            self._measured.append(result)
            if self._heard is not None:
                self._heard(result)
            for rule in self._rules:
                rule.hear(result)
            if self._count_failure(result):
                reached = reached or result
        return reached

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
        outcomes: Iterator[object] | None = None
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
                outcome = next(outcomes, _MISSING)
                if outcome is _MISSING:
                    raise ValueError(f"the evaluation of {len(architectures)} architectures gave {position} outcomes.")
                if not isinstance(outcome, Outcome):
                    raise TypeError(f"the evaluation gave {outcome!r:.100} instead of an Outcome.")
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
        details = {**outcome.details, "seconds": round(seconds, 6)}
        return self._ledger.append(Measurement.of(architecture, outcome, details))

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
            f"the last {self._patience} candidates failed, so the search stops (failures_in_a_row: {self._patience}). The "
            f"last one (number {last.number}) failed with: {lines[-1]} Every failure is in the ledger with its traceback. "
            "When the cause is mended, the same command goes on."
        )


def _name(searcher: Searcher) -> str:
    return type(searcher).__name__
