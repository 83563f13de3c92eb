"""The learning rate rises linearly and falls along a cosine."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest

from automl.training.schedule import learning_rate


def _rates(warmup: int, total: int) -> list[float]:
    return [learning_rate(step, highest=0.3, warmup_steps=warmup, total_steps=total) for step in range(total)]


def test_warm_up_rises_in_equal_steps_to_the_highest_rate():
    rates = _rates(4, 20)
    assert rates[:5] == pytest.approx([0.06, 0.12, 0.18, 0.24, 0.3])
    assert max(rates) == rates[4]


def test_cosine_is_half_way_in_the_middle_and_near_zero_at_the_end():
    rates = _rates(0, 40)
    assert rates[0] == 0.3
    assert rates[20] == pytest.approx(0.15)
    assert rates[10] == pytest.approx(0.15 * (1 + math.sqrt(0.5)))
    assert 0 < rates[-1] < 0.002
    assert all(a > b for a, b in pairwise(rates))


def test_warm_up_longer_than_the_training_only_rises():
    rates = _rates(50, 10)
    assert all(0 < a < b for a, b in pairwise(rates))
    assert rates[-1] < 0.3


def test_constant_rate_stays_after_the_warm_up():
    rates = [learning_rate(step, highest=0.3, warmup_steps=3, total_steps=9, schedule="constant") for step in range(9)]
    assert rates[:3] == pytest.approx([0.075, 0.15, 0.225])
    assert rates[3:] == [0.3] * 6
