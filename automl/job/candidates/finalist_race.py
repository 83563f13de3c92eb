"""A race of finalists: many begin, the better ones go on, a few are trained to the end.

Source:
    Successive halving: Karnin, Koren and Somekh 2013, "Almost optimal exploration in multi-armed bandits"; Jamieson and
    Talwalkar 2016, arXiv:1502.07943, figure 1. Here the field shrinks by one factor at every cut, so that it has the wanted size
    after the last, which is after half of all epochs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final, final

from automl.errors import InterruptedJobError, RunError
from automl.job.finalist import Finalist
from automl.progress import Progress

__all__ = ["Race", "race_plan"]

_MOST_CUTS: Final = 3
"""The first is not before an eighth of the epochs: what learns slowly is to have a chance."""


def race_plan(entrants: int, places: int, epochs: int) -> list[tuple[int, int]]:
    """Returns after how many epochs a field is cut, and how many stay.

    Args:
        entrants: how many begin.
        places: how many are left after the last cut.
        epochs: of a whole training.

    Example:
        >>> race_plan(48, 6, 40)
        [(5, 24), (10, 12), (20, 6)]
    """
    surplus = entrants / places
    cuts = min(_MOST_CUTS, max(0, math.ceil(math.log2(surplus)))) if entrants else 0
    stay = {max(1, epochs >> (i + 1)): math.ceil(places * surplus ** (i / cuts)) for i in reversed(range(cuts))}
    return list(stay.items())  # in a short training several cuts are one


@final
class Race:
    """Trains finalists one after another; one that fails is noted, the others go on.

    Args:
        progress: shown the steps.
        stop: asked after each step.

    Attributes:
        results: finalists that were trained to the end, with the content of their ``result.json``.
        notes: one sentence on each that failed, and on each field that was cut.
    """

    def __init__(self, progress: Progress, stop: Callable[[], bool]) -> None:
        self._progress: Final = progress
        self._stop: Final = stop
        self.results: Final[list[tuple[Finalist, dict[str, Any]]]] = []
        self.notes: Final[list[str]] = []

    def narrow(self, field: Sequence[Finalist], places: int, epochs: int) -> list[Finalist]:
        """Returns those that are worth a whole training, and drops the others.

        Args:
            field: those that begin.
            places: how many may be left.
            epochs: epochs of a whole training.
        """
        left, counts = list(field), []
        for passed, stay in race_plan(len(field), places, epochs):
            left = self._ranked(left, partial(self._early_rank, passed))[:stay]
            counts.append(f"{len(left)} after {passed} epoch{'s' * (passed > 1)}")
        for finalist in field:
            if finalist not in left:
                finalist.drop()
        if counts:
            self.notes.append(f"{len(field)} finalists began; of these went on {', '.join(counts)}")
        return left

    def finish(self, finalists: Sequence[Finalist]) -> list[Finalist]:
        """Trains finalists to the end, and returns those that were, the best first."""
        return self._ranked(finalists, self._final_rank)

    def _early_rank(self, epochs: int, finalist: Finalist) -> Sequence[float]:
        return finalist.best_rank(epochs, self._progress, self._stop)

    def _final_rank(self, finalist: Finalist) -> Sequence[float]:
        result = finalist.train(self._progress, self._stop)
        self.results.append((finalist, result))
        return finalist.measurement(result).values or ()

    def _ranked(self, finalists: Sequence[Finalist], rank: Callable[[Finalist], Sequence[float]]) -> list[Finalist]:
        """Those that have a rank, the smallest first; what has none is noted."""
        found: list[tuple[list[float], str, Finalist]] = []
        for finalist in finalists:
            try:
                found.append((list(rank(finalist)), finalist.id, finalist))
            except (InterruptedJobError, RunError):
                raise
            except Exception as error:  # of a network that a plugin made; the others are trained all the same
                reason = str(error).strip().splitlines() or [type(error).__name__]
                self.notes.append(f"no finalist of {finalist.base.architecture.id}: {reason[0]}")
        return [finalist for *_, finalist in sorted(found, key=lambda row: row[:2])]
