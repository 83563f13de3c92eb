"""Racing on synthetic candidates: what is stopped is dominated, and how often that is wrong."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest

from automl.errors import ConfigError
from automl.search import pareto_front
from automl.search.racing import Race, Scores, Standing, _coin_tails, _surely_worse, rung_sizes

SAMPLES = 2000
DEFAULT = 0.999


def front_search(seed: int, *, objectives: int = 2, real: bool = False) -> tuple[int, int, float]:
    """A search over candidates with correlated mistakes: front members, members lost, share of samples used."""
    rng = np.random.default_rng(seed)
    count, sizes = 120, rung_sizes(SAMPLES)
    difficulty = rng.random(SAMPLES)
    skill = rng.uniform(0.05, 0.5, (count, objectives - 1))
    cost = np.round((0.6 - skill.mean(1)) * rng.uniform(0.6, 1.6, count), 2)
    noise = 0.15 * rng.normal(size=(count, objectives - 1, SAMPLES))
    raw = 1 / (1 + np.exp(-8 * (skill[:, :, None] - 1 + difficulty + noise)))
    scores: npt.NDArray[np.float64] = raw if real else (raw > 0.5).astype(np.float64)
    values = np.column_stack([scores.mean(2), cost])
    true_front = set(pareto_front(values).tolist())
    order = rng.permutation(SAMPLES)
    race = Race(samples=SAMPLES, rungs=len(sizes) - 1, confidence=DEFAULT)

    def standing(candidate: int, seen: int) -> Standing:
        chosen = tuple(s[order[:seen]] if real else s[order[:seen]] > 0 for s in scores[candidate])
        return Standing(cost[candidate : candidate + 1], cost[candidate : candidate + 1], chosen)

    complete: list[int] = []
    used = 0
    for candidate in range(count):
        front = [complete[i] for i in pareto_front(values[complete])] if complete else []
        seen = next(
            (
                n
                for n in sizes[:-1]
                if race.dominator(standing(candidate, n), [standing(m, n) for m in front]) is not None
            ),
            SAMPLES,
        )
        used += seen
        if seen == SAMPLES:
            complete.append(candidate)
    return len(true_front), len(true_front - set(complete)), used / (count * SAMPLES)


@pytest.mark.parametrize(
    ("objectives", "real", "bound"), [(2, False, 0.65), (3, False, 0.85), (2, True, 0.95)], ids=str
)
def test_no_member_of_the_true_front_is_lost_over_20_seeds_and_samples_are_saved(
    objectives: int, real: bool, bound: float
) -> None:
    runs = [front_search(seed, objectives=objectives, real=real) for seed in range(20)]
    assert sum(lost for _, lost, _ in runs) == 0
    assert min(members for members, _, _ in runs) >= 3
    used = float(np.mean([share for _, _, share in runs]))
    assert used < bound, f"{used:.0%} of the samples were used"


@pytest.mark.parametrize("real", [False, True])
def test_equal_candidates_are_stopped_no_more_often_than_the_stated_rate(real: bool) -> None:
    """The hardest case that still belongs to the front: as good as a member, in means over the whole set."""
    rng = np.random.default_rng(1)
    confidence, sizes, tries = 0.9, rung_sizes(600, first=40), 1500
    race = Race(samples=600, rungs=len(sizes) - 1, confidence=confidence)
    mine = np.concatenate([np.ones(60), np.zeros(540)])
    theirs = np.concatenate([np.zeros(540), np.ones(60)])
    if real:
        mine, theirs = 0.3 + 0.5 * mine, 0.3 + 0.5 * theirs
    stopped = 0
    for _ in range(tries):
        order = rng.permutation(600)

        def standing(scores: Scores, seen: int, order: npt.NDArray[np.int64] = order) -> Standing:
            taken = scores[order[:seen]]
            return Standing(np.zeros(1), np.zeros(1), (taken if real else taken > 0,))

        stopped += any(race.dominator(standing(mine, n), [standing(theirs, n)]) is not None for n in sizes[:-1])
    assert stopped / tries <= 1 - confidence + 3 * math.sqrt(0.09 / tries)
    if not real:
        assert stopped, "a test that never stops anything keeps every rate"


def test_tails_of_the_sign_test_are_exact() -> None:
    for tosses in (0, 1, 7, 60):
        exact = [sum(math.comb(tosses, k) for k in range(least, tosses + 1)) / 2**tosses for least in range(tosses + 1)]
        np.testing.assert_allclose(_coin_tails(tosses), exact, rtol=1e-12)


def test_the_last_samples_decide_alone_what_real_scores_cannot_yet() -> None:
    rng = np.random.default_rng(3)
    theirs = rng.random(500) * 0.4
    mine = theirs + 0.3
    assert _surely_worse(mine, theirs, 500, 0.001)
    assert not _surely_worse(theirs, mine, 500, 0.001)
    assert not _surely_worse(mine[:10], theirs[:10], 500, 0.001)


def test_a_candidate_that_is_better_in_anything_is_never_stopped() -> None:
    race = Race(samples=1000, rungs=1, confidence=0.5)
    bad, good = np.ones(500, dtype=np.bool_), np.zeros(500, dtype=np.bool_)

    def standing(*costs: float, scores: tuple[Scores, ...] = (good,)) -> Standing:
        return Standing(np.array(costs), np.array(costs), scores)

    assert race.dominator(standing(1.0, 5.0, scores=(bad,)), [standing(0.5, 5.1)]) is None
    assert race.dominator(standing(1.0, 5.0, scores=(bad,)), [standing(0.5, 5.1), standing(1.0, 5.0)]) == 1
    assert race.dominator(standing(1.0, scores=(bad, good)), [standing(0.5, scores=(good, good))]) is None
    assert race.dominator(standing(1.0, scores=(bad, bad)), [standing(0.5, scores=(good, good))]) == 0
    assert race.dominator(standing(1.0, scores=()), [standing(0.5, scores=())]) is None


def test_noisy_costs_are_compared_by_the_ends_of_their_intervals() -> None:
    race = Race(samples=1000, rungs=1, confidence=0.5)
    bad, good = np.ones(500, dtype=np.bool_), np.zeros(500, dtype=np.bool_)
    member = Standing(np.array([0.9]), np.array([1.1]), (good,))
    assert race.dominator(Standing(np.array([1.0]), np.array([1.4]), (bad,)), [member]) is None
    assert race.dominator(Standing(np.array([1.1]), np.array([1.4]), (bad,)), [member]) == 0


def test_scores_that_are_no_numbers_stop_nothing() -> None:
    race = Race(samples=1000, rungs=1, confidence=0.5)
    broken = Standing(np.ones(1), np.ones(1), (np.full(500, np.nan),))
    assert race.dominator(broken, [Standing(np.zeros(1), np.zeros(1), (np.zeros(500),))]) is None


@pytest.mark.parametrize("confidence", [0.4, 1.0, float("nan")])
def test_a_confidence_that_is_none_is_refused(confidence: float) -> None:
    with pytest.raises(ConfigError, match=r"it must be at least 0\.5 and below 1"):
        Race(samples=10, rungs=1, confidence=confidence)


def test_rungs_grow_and_end_with_all_samples() -> None:
    assert rung_sizes(128) == [128]
    assert rung_sizes(129) == [128, 129]
    assert rung_sizes(2000) == [128, 256, 512, 1024, 2000]
    assert rung_sizes(0) == [0]
