"""When a search ends: rules that hear every measurement and say whether, and why, no more should follow.

What a rule says follows from the measurements it has heard and nothing else, so a search that is killed and started again
ends at the same trial as one that never was.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from automl.errors import ConfigError
from automl.search.frontier import Frontier
from automl.search.measurement import Measurement

__all__ = ["Ending", "Patience", "Reason", "StoppingRule", "TimeBudget", "TrialBudget"]

Reason: TypeAlias = Literal["trials", "time", "patience", "exhausted", "stopped"]


@dataclass(frozen=True)
class Ending:
    """Why a search ended.

    Attributes:
        reason: ``trials`` or ``time``: the budget was spent. ``patience``: the front had stopped growing. ``exhausted``:
            the searcher had nothing left to propose. ``stopped``: whoever runs the search asked for it.
        message: the same in one sentence for the user, with its numbers.
    """

    reason: Reason
    message: str

    def to_json(self) -> dict[str, Any]:
        """Returns the ending as a JSON object."""
        return {"reason": self.reason, "message": self.message}


class StoppingRule(ABC):
    """Decides whether a search should end.

    The search calls ``hear`` once for every measurement, in the order of the ledger and those of earlier starts first, and
    ``ending`` before every group of candidates.
    """

    @abstractmethod
    def hear(self, measurement: Measurement) -> None:
        """Takes note of one measurement."""

    @abstractmethod
    def ending(self) -> Ending | None:
        """Returns why the search should end now; ``None`` if it should go on."""


class TrialBudget(StoppingRule):
    """Ends a search after a number of trials, failed ones included.

    Args:
        trials: the number.

    Raises:
        ConfigError: it is below 1.
    """

    def __init__(self, trials: int) -> None:
        if trials < 1:
            raise ConfigError(f"trials is {trials}; it must be at least 1.")
        self._left = self._trials = trials

    @property
    def left(self) -> int:
        """Number of trials that may still follow."""
        return self._left

    def hear(self, measurement: Measurement) -> None:
        self._left -= 1

    def ending(self) -> Ending | None:
        if self._left > 0:
            return None
        return Ending("trials", f"the trial budget of {self._trials} was spent")


class TimeBudget(StoppingRule):
    """Ends a search after a time spent measuring, that of earlier starts included. The group in flight is finished.

    Args:
        seconds: the time; what counts are the seconds that the ledger holds for each candidate.

    Raises:
        ConfigError: it is not above 0.
    """

    def __init__(self, seconds: float) -> None:
        if not seconds > 0:
            raise ConfigError(f"time_budget is {seconds} s; it must be above 0.")
        self._budget: Final = seconds
        self._spent = 0.0

    def hear(self, measurement: Measurement) -> None:
        seconds = measurement.details.get("seconds", 0.0)
        self._spent += float(seconds) if isinstance(seconds, int | float) else 0.0

    def ending(self) -> Ending | None:
        if self._spent < self._budget:
            return None
        return Ending("time", f"the time budget of {self._budget:g} s was spent")


class Patience(StoppingRule):
    """Ends a search whose front has stopped growing: the last trials added too little to its hypervolume.

    Args:
        gain: smallest share of today's hypervolume, between 0 and 1, that the last ``trials`` trials must have added.
        trials: over how many trials it is judged; also the least number before the rule can end a search.
        objectives: number of objectives.
        after: so many first trials are heard, but are no part of a window: a warm start begins with the best it has.

    Raises:
        ConfigError: a number is out of its range.

    Source:
        Convergence detected from indicators over a window of the search: Trautmann, Wagner, Naujoks, Preuss, Mehnen 2009,
        "Statistical methods for convergence detection of multi-objective evolutionary algorithms". Deviation: no test of
        significance; a plain difference, which users can check against the curve of the report.
    """

    def __init__(self, gain: float, trials: int, *, objectives: int, after: int = 0) -> None:
        if not (0 < gain < 1):
            raise ConfigError(f"patience: gain is {gain}; it must be a share between 0 and 1, such as 0.001.")
        if trials < 1:
            raise ConfigError(f"patience: trials is {trials}; it must be at least 1.")
        self._gain: Final = gain
        self._trials: Final = trials
        self._after: Final = after
        self._frontier: Final = Frontier(objectives)

    def hear(self, measurement: Measurement) -> None:
        self._frontier.hear(measurement)

    def ending(self) -> Ending | None:
        if self._frontier.trials < self._after + self._trials:
            return None
        gained = self._frontier.gain(self._trials)
        if gained is None or gained >= self._gain:
            return None
        return Ending(
            "patience",
            f"the last {self._trials} trials added {gained:.2%} to the hypervolume, less than the {self._gain:.2%} asked for",
        )
