"""How much better or worse than the front a candidate is: one number for any objectives and constraints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from automl.search.measurement import Measurement
from automl.search.unseen import IndexRow

__all__ = ["FAILED", "FrontReward", "Member"]

FAILED: Final = -3.0
"""Reward of a candidate that has no values, and the lowest there is."""
_WORSE: Final = -1.0


class Member(NamedTuple):
    """A candidate on the front."""

    row: IndexRow
    values: tuple[float, ...]


class FrontReward:
    """The front of what was heard, and the signed distance of a candidate from it.

    The reward of a feasible candidate ``v`` is ``min_f max_o (f_o - v_o) / s_o`` over the front's members ``f`` and the
    objectives ``o``, in units of the standard deviation ``s_o`` of everything heard: positive exactly if no member is as good
    in all objectives. With one objective it is the best value minus the own one. An infeasible candidate has −1 and below,
    by its violations; while there is no feasible one, the front is the one that violates least, and the reward is what a
    candidate violates less. All rewards lie within ±3.

    Candidates as good as a member do not enter, so of equals the earlier stays.

    Source:
        Additive epsilon indicator: Zitzler et al. 2003, "Performance assessment of multiobjective optimizers", made a
        distance of a single candidate.
    """

    def __init__(self) -> None:
        self.members: list[Member] = []
        self.feasible = False
        self._values: list[tuple[float, ...]] = []
        self._worst: np.ndarray[tuple[int], np.dtype[np.float64]] = np.zeros(0)
        self._least: tuple[float, ...] = ()

    def hear(self, row: IndexRow, result: Measurement) -> float:
        """Returns the reward of a candidate against the front from before, then takes it in."""
        if result.values is None:
            return FAILED
        self._values.append(result.values)
        self._worst = _largest(self._worst, result.violations)
        reward = self.reward(result)
        if not result.complete:
            return reward
        if result.feasible:
            if not self.feasible:
                self.feasible, self.members = True, []
            if not any(_covers(m.values, result.values) for m in self.members):
                kept = [m for m in self.members if not _covers(result.values, m.values)]
                self.members = [*kept, Member(row, result.values)]
        elif not self.feasible and (not self.members or self._excess(result.violations) < self._excess(self._least)):
            self.members, self._least = [Member(row, result.values)], result.violations
        return reward

    def reward(self, result: Measurement) -> float:
        """Returns the reward of a candidate against the front as it is; 0 while there is none."""
        if result.values is None:
            return FAILED
        infeasible = any(violation > 0 for violation in result.violations)
        if infeasible and self.feasible:
            return _bounded(_WORSE - self._excess(result.violations))
        if not self.members:
            return 0.0
        if not self.feasible:
            return _bounded(self._excess(self._least) - self._excess(result.violations))
        scale = np.array(self._values).std(axis=0)
        front = np.array([member.values for member in self.members])
        better = (front - np.array(result.values)) / np.where(scale > 0, scale, 1.0)
        return _bounded(float(better.max(axis=1).min()))

    def _excess(self, violations: Sequence[float]) -> float:
        """Mean violation, each constraint in units of the largest heard."""
        own = _largest(np.zeros(len(self._worst)), violations)
        worst = _largest(self._worst, np.zeros(len(own)).tolist())
        return float((own / np.where(worst > 0, worst, 1.0)).mean()) if len(own) else 0.0


def _covers(first: Sequence[float], second: Sequence[float]) -> bool:
    return all(a <= b for a, b in zip(first, second, strict=True))


def _largest(
    first: np.ndarray[tuple[int], np.dtype[np.float64]], second: Sequence[float]
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    result = np.zeros(max(len(first), len(second)))
    result[: len(first)] = first
    result[: len(second)] = np.maximum(result[: len(second)], second)
    return result


def _bounded(reward: float) -> float:
    return min(-FAILED, max(FAILED, reward))
