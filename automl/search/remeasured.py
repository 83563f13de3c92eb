"""The front of a noisy function: its contenders measured again, so that lucky measurements do not win."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from automl.search.measurement import Measurement, Outcome
from automl.search.pareto import FloatMatrix, nondominated_sort, pareto_front

if TYPE_CHECKING:
    from automl.search.driver import Evaluate

__all__ = ["CONTENDERS", "Remeasured", "contenders", "remeasured_front"]

CONTENDERS: Final = 64
"""At most so many candidates beyond the front itself are measured again."""


@dataclass(frozen=True)
class Remeasured:
    """A member of a front whose noisy objectives were measured again.

    Attributes:
        measurement: what the search saw.
        values: one number per objective: the mean of the new measurements where it is noisy, else what the search saw.
        half_widths: half of the 95 % interval of each mean; 0 where an objective is repeatable.
    """

    measurement: Measurement
    values: tuple[float, ...]
    half_widths: tuple[float, ...]


def contenders(history: Sequence[Measurement], *, noisy: bool) -> list[Measurement]:
    """Returns the candidates that may be on the front: the feasible front, and the second one too if values are noisy.

    At most ``CONTENDERS`` or the front itself, whichever is more.
    """
    feasible = [m for m in history if m.feasible]
    if not feasible:
        return []
    ranks = nondominated_sort(np.array([m.values for m in feasible]))
    order = [i for i in np.argsort(ranks, kind="stable").tolist() if ranks[i] <= int(noisy)]
    return [feasible[i] for i in order[: max(int((ranks == 0).sum()), CONTENDERS)]]


def remeasured_front(
    history: Sequence[Measurement],
    evaluate: Evaluate,
    objectives: Sequence[str],
    *,
    repeatable: Sequence[bool] | None = None,
    repeats: int = 5,
) -> list[Remeasured]:
    """Measures the contenders of a search again and returns the front of the new values, by the first objective.

    The first measurements chose the contenders, so they are not averaged in: the best of many are partly the luckiest.
    Repeats are interleaved (all contenders, then all again), so that a drift touches all alike. A contender that fails or
    misses a constraint in any repeat is left out.

    Args:
        history: the measurements of a finished search.
        evaluate: the function that was searched; its noise must be independent from call to call.
        objectives: names of the objectives.
        repeatable: for each objective whether a second measurement gives the same value; left out, none does.
        repeats: how often each contender is measured; at least 2, as an interval needs.

    Raises:
        ValueError: a length is wrong, or ``repeats`` is below 2.

    Source:
        Intervals by Student's t over the repeats, each objective by itself.
    """
    fixed = np.array([False] * len(objectives) if repeatable is None else list(repeatable), dtype=np.bool_)
    if len(fixed) != len(objectives) or repeats < 2:
        raise ValueError(f"{len(objectives)} objectives, {len(fixed)} in 'repeatable', {repeats} repeats (at least 2).")
    candidates = contenders(history, noisy=not bool(fixed.all()))
    searched = np.array([m.values for m in candidates], dtype=np.float64).reshape(len(candidates), len(objectives))
    means, halves = searched, np.zeros_like(searched)
    if candidates and not fixed.all():
        rounds = np.stack([_measure(candidates, evaluate, objectives) for _ in range(repeats)])
        usable = np.flatnonzero(~np.isnan(rounds).any(axis=(0, 2)))
        candidates = [candidates[i] for i in usable.tolist()]
        searched, rounds = searched[usable], rounds[:, usable]
        means = np.where(fixed, searched, rounds.mean(axis=0))
        halves = np.where(fixed, 0.0, _quantile(repeats) * rounds.std(axis=0, ddof=1) / np.sqrt(repeats))
    chosen = sorted(pareto_front(means).tolist(), key=lambda i: tuple(means[i]))
    return [Remeasured(candidates[i], tuple(means[i].tolist()), tuple(halves[i].tolist())) for i in chosen]


def _measure(candidates: Sequence[Measurement], evaluate: Evaluate, objectives: Sequence[str]) -> FloatMatrix:
    """``(candidates, objectives)``; NaN where a candidate failed or missed a constraint."""
    values: npt.NDArray[np.float64] = np.full((len(candidates), len(objectives)), np.nan)
    for row, candidate in enumerate(candidates):
        try:
            (outcome,) = evaluate([candidate.architecture])
            checked = outcome.checked(objectives)
        except Exception as error:
            checked = Outcome.failed(error)
        if checked.values is not None and not any(violation > 0 for violation in checked.violations):
            values[row] = checked.values
    return values


def _quantile(repeats: int) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(repeats - 1, 0.975))
