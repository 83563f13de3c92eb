"""Racing: stop measuring a candidate once a member of the front is better with confidence. Any number of objectives.

Candidates are measured on growing samples of one validation set, each sample holding the one before. A candidate is
compared with members of the front, whose scores on every validation sample are known, by paired differences on the samples
that it has seen. The question is always what the mean over the *whole* set would be, which is what a full measurement gives;
chance is only in the order of the samples, drawn without replacement. How well that set stands for others is not judged.

A member shows a candidate to be dominated where it is at least as good in every exact objective and significantly better in
every sampled one. If the candidate would dominate or escape the member, it is better or equal in at least one sampled
objective, and that one is rejected at most at the level of the test; so several sampled objectives need no correction
(intersection-union test, Berger 1982). Rungs and members are corrected for by Bonferroni: the levels of one candidate sum to
``1 - confidence``, which bounds the chance that a candidate that belongs to the front is stopped.

Source:
    Racing by paired comparison: Maron, Moore 1994, "Hoeffding races"; Birattari et al. 2002, "A racing algorithm for
    configuring metaheuristics". Wrong or right answers: exact sign test of McNemar 1947 on the samples that tell the two
    apart; its binomial tail is valid without replacement, because a hypergeometric distribution with an even share has the
    lighter tail. Scores from 0 to 1: empirical Bernstein-Serfling bound of Bardenet, Maillard 2015, "Concentration
    inequalities for sampling without replacement", theorem 4.3. Deviation: opponents are members of the front instead of all
    survivors, and dominance takes the place of one mean.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, final

import numpy as np
import numpy.typing as npt

from automl.errors import ConfigError
from automl.search.pareto import FloatVector

__all__ = ["Race", "Scores", "Standing", "rung_sizes"]

Scores: TypeAlias = npt.NDArray[Any]
"""One score for each sample, small is good: truth values for wrong answers, or numbers from 0 to 1."""

_FIRST: Final = 128
_GROWTH: Final = 2


def rung_sizes(samples: int, first: int = _FIRST, growth: int = _GROWTH) -> list[int]:
    """Returns how many validation samples a candidate has seen at each rung; the last rung is all of them.

    Args:
        samples: number of validation samples.
        first: samples of the first rung.
        growth: factor from rung to rung.

    Example:
        >>> rung_sizes(1000), rung_sizes(100)
        ([128, 256, 512, 1000], [100])
    """
    sizes = []
    size = first
    while size < samples:
        sizes.append(size)
        size *= growth
    return [*sizes, samples]


@dataclass(frozen=True)
class Standing:
    """What is known of one candidate.

    Attributes:
        low: lower end of each exact objective; the value itself where it has no noise. ``(exact objectives,)``.
        high: upper end of each exact objective.
        scores: for each sampled objective the scores on the samples seen, ``(samples,)`` each, in one order for all
            standings that are compared.
    """

    low: FloatVector
    high: FloatVector
    scores: tuple[Scores, ...]


@final
class Race:
    """Decides which candidates are dominated.

    Args:
        samples: number of samples in the whole validation set.
        rungs: at how many rungs a candidate may be stopped.
        confidence: lowest probability that a candidate of the front is not stopped, over the order of the samples.

    Raises:
        ConfigError: ``confidence`` is not between 0.5 and 1.

    Example:
        >>> def standing(cost, wrong):
        ...     return Standing(np.array([cost]), np.array([cost]), (np.arange(200) < wrong,))
        >>> race = Race(samples=1000, rungs=3, confidence=0.999)
        >>> race.dominator(standing(2.0, 60), [standing(3.0, 5), standing(1.0, 20)])
        1
        >>> race.dominator(standing(2.0, 24), [standing(1.0, 20)]) is None
        True
    """

    def __init__(self, *, samples: int, rungs: int, confidence: float) -> None:
        if not 0.5 <= confidence < 1:
            raise ConfigError(f"confidence is {confidence}; it must be at least 0.5 and below 1, such as 0.999.")
        self._samples: Final = samples
        self._rungs: Final = rungs
        self._level: Final = 1 - confidence

    def dominator(self, candidate: Standing, members: Sequence[Standing]) -> int | None:
        """Returns the position of the first member that dominates the candidate with confidence; None if none does.

        Args:
            candidate: its standing after a rung.
            members: standings of the front on the same samples.
        """
        if not candidate.scores:
            return None
        # Which members can dominate at all follows from the exact objectives, whatever the order of the samples is.
        rivals = [i for i, member in enumerate(members) if (member.high <= candidate.low).all()]
        if not rivals:
            return None
        level = self._level / (self._rungs * len(rivals))
        for i in rivals:
            pairs = zip(candidate.scores, members[i].scores, strict=True)
            if all(_surely_worse(mine, theirs, self._samples, level) for mine, theirs in pairs):
                return i
        return None


def _surely_worse(mine: Scores, theirs: Scores, samples: int, level: float) -> bool:
    """Tells whether the mean of ``mine`` over all samples is the larger one, wrong with a chance of at most ``level``."""
    if mine.dtype == np.bool_ and theirs.dtype == np.bool_:
        worse = int(np.count_nonzero(mine > theirs))
        return float(_coin_tails(int(np.count_nonzero(mine != theirs)))[worse]) <= level
    seen = len(mine)
    if not seen:
        return False
    difference = np.asarray(mine, dtype=np.float64) - np.asarray(theirs, dtype=np.float64)
    share = 1 - (seen - 1) / samples if 2 * seen <= samples else (1 - seen / samples) * (1 + 1 / seen)
    term = math.log(5 / level) / seen
    spread, span = float(difference.std()), 2.0
    margin = spread * math.sqrt(2 * share * term) + (7 / 3 + 3 / math.sqrt(2)) * span * term
    return float(difference.mean()) > margin


@functools.lru_cache(maxsize=1024)
def _coin_tails(tosses: int) -> FloatVector:
    """Chances of at least 0, 1, … heads, ``(tosses + 1,)``."""
    heads = np.arange(tosses)
    logs = np.concatenate([[0.0], np.cumsum(np.log((tosses - heads) / (heads + 1)))]) - tosses * math.log(2)
    tails: FloatVector = np.minimum(1.0, np.cumsum(np.exp(logs[::-1]))[::-1])
    tails.flags.writeable = False
    return tails
