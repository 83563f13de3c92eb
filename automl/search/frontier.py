"""The front of a search while it runs, and how much it still grows: kept up to date trial by trial.

A trial that was dominated when it came can never matter again, so only the others are kept; from them the front after
any number of trials follows.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import Final

import numpy as np

from automl.search.hypervolume import hypervolume
from automl.search.measurement import Measurement
from automl.search.pareto import FloatMatrix, FloatVector, pareto_front

__all__ = ["Frontier"]

_EXACT_UP_TO: Final = 3
_SAMPLES: Final = 4096
_MARGIN: Final = 0.1


class Frontier:
    """Non-dominated feasible values of a search, in order of arrival.

    Adding a trial costs one comparison with the front. Hypervolumes are exact for up to three objectives; for more, the
    share of 4,096 fixed random points of the box that are dominated stands in for them, which resolves 0.03 %.

    The reference point of all hypervolumes lies a tenth of the front's extent beyond its worst value in each objective, so
    outliers that are dominated do not move it. Where the front has no extent, the worst feasible value takes its place.

    Args:
        objectives: number of objectives, all minimised.

    Attributes:
        trials: number of trials heard, failed ones included.
        failed: number of them without values.
        infeasible: number of them that miss a constraint.
        stopped: number of them that were stopped early, so that their values are estimates.

    Source:
        Where the reference point should lie: Ishibuchi, Imada, Setoguchi, Nojima 2018, "How to specify a reference point in
        hypervolume calculation for fair performance comparison". Deviation: the margin does not depend on the front's size.

    Example:
        >>> frontier = Frontier(2)
        >>> [frontier.add(values) for values in ((1.0, 4.0), (2.0, 5.0), (2.0, 2.0))]
        [True, False, True]
        >>> frontier.front.tolist(), frontier.trials
        ([[1.0, 4.0], [2.0, 2.0]], 3)
    """

    def __init__(self, objectives: int) -> None:
        self.trials = 0
        self.failed = 0
        self.infeasible = 0
        self.stopped = 0
        self._objectives: Final = objectives
        self._arrivals: Final[list[int]] = []
        self._rows: Final[list[tuple[float, ...]]] = []
        self._front: FloatMatrix = np.zeros((0, objectives))
        self._worst: FloatVector = np.full(objectives, -np.inf)

    @property
    def front(self) -> FloatMatrix:
        """``(members, objectives)``, distinct, by the first objective."""
        return self._front

    @property
    def last_change(self) -> int:
        """Number of trials heard when the front last changed; 0 without a front."""
        return self._arrivals[-1] if self._arrivals else 0

    def hear(self, measurement: Measurement) -> bool:
        """Hears of one measurement; tells whether the front changed."""
        return self.add(
            measurement.values,
            not any(violation > 0 for violation in measurement.violations),
            measurement.fidelity >= 1,
        )

    def add(self, values: Sequence[float] | None, feasible: bool = True, complete: bool = True) -> bool:
        """Hears of one trial; tells whether the front changed.

        Args:
            values: one finite number per objective; ``None`` if the trial failed.
            feasible: it meets every constraint.
            complete: it was measured to the end.
        """
        self.trials += 1
        if values is None:
            self.failed += 1
            return False
        if not complete:
            self.stopped += 1
            return False
        if not feasible:
            self.infeasible += 1
            return False
        row = np.asarray(values, dtype=np.float64)
        self._worst = np.maximum(self._worst, row)
        if (self._front <= row).all(axis=1).any():
            return False
        kept = self._front[~(self._front >= row).all(axis=1)]
        place = int(np.searchsorted(kept[:, 0], row[0], side="right"))
        self._front = np.insert(kept, place, row, axis=0)
        self._arrivals.append(self.trials)
        self._rows.append(tuple(row.tolist()))
        return True

    def gain(self, trials: int) -> float | None:
        """Returns the share of today's hypervolume that the last ``trials`` trials added, from 0 to 1.

        ``None`` while there are fewer trials, or no feasible one: nothing can be said then. 1 if the first feasible one is
        among them.
        """
        if self.trials < trials or not self._rows:
            return None
        if self.last_change <= self.trials - trials:
            return 0.0
        before, now = self._volumes([self.trials - trials, self.trials])
        return 1.0 - before / now

    def curve(self, points: int) -> list[float]:
        """Returns the hypervolume after evenly spaced numbers of trials, the last of them all; as shares of the last."""
        if not self._rows:
            return []
        stops = np.unique(np.linspace(1, self.trials, min(points, self.trials)).round().astype(int)).tolist()
        volumes = self._volumes(stops)
        return [volume / volumes[-1] for volume in volumes]

    def _volumes(self, stops: Sequence[int]) -> list[float]:
        """Hypervolumes of the fronts after numbers of trials, the last of which is today's and above 0."""
        rows = np.array(self._rows).reshape(-1, self._objectives)
        reference = self._reference()
        ends = [bisect_right(self._arrivals, stop) for stop in stops]
        if self._objectives <= _EXACT_UP_TO:
            return self._exact_volumes(rows, reference, ends)
        low = self._front.min(axis=0)
        points = low + (reference - low) * np.random.default_rng(0).random((_SAMPLES, self._objectives))
        left, volumes, start = points, [], 0
        for end in ends:
            for row in rows[start:end]:
                left = left[~(row <= left).all(axis=1)]
            start = max(start, end)
            volumes.append(float(len(points) - len(left)))
        # No point is dominated where the front is small and the box has many sides; a first member still counts.
        return [volume + (end > 0) for volume, end in zip(volumes, ends, strict=True)]

    @staticmethod
    def _exact_volumes(rows: FloatMatrix, reference: FloatVector, ends: Sequence[int]) -> list[float]:
        front, start, volumes = rows[:0], 0, [0.0]
        for end in ends:
            if end > start:
                front = np.concatenate([front, rows[start:end]])
                front = front[pareto_front(front)]
                volumes.append(hypervolume(front, reference))
                start = end
            else:
                volumes.append(volumes[-1])
        return volumes[1:]

    def _reference(self) -> FloatVector:
        best, worst = self._front.min(axis=0), self._front.max(axis=0)
        worst = np.where(worst > best, worst, self._worst)
        extent = np.where(worst > best, worst - best, np.maximum(np.abs(worst), 1e-9))
        reference: FloatVector = worst + _MARGIN * extent
        return reference
