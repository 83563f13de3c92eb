"""When weights are pruned and how many: the schedules as functions of the step."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from automl.errors import ConfigError
from automl.tickets import Gradual, Iterative, OneShot, Pruner, SuperTickets
from automl.tickets.gradual import cubic_sparsity
from automl.training import TrainingPlan


def plan(epochs: int = 10, steps: int = 20, rate=lambda step: 1.0) -> TrainingPlan:
    return TrainingPlan(epochs * steps, steps, seed=3, learning_rate=rate, weight_decay=0.1)


def drawn(pruner: Pruner, training: TrainingPlan) -> dict[int, float]:
    """Sparsities by the step after which they are drawn."""
    pruner.attach(nn.Linear(7, 30), training)
    targets = {step: pruner.target(step) for step in range(training.total_steps + 1)}
    return {step: sparsity for step, sparsity in targets.items() if sparsity is not None}


def test_cubic_has_the_values_of_the_paper_at_quarters():
    values = [
        cubic_sparsity(t, start=100, updates=8, frequency=50, initial=0, final=0.9) for t in (100, 200, 300, 400, 500)
    ]
    assert values == pytest.approx([0, 0.9 * (1 - 0.421875), 0.7875, 0.8859375, 0.9], abs=1e-12)
    assert values[-1] == 0.9


@given(
    start=st.integers(0, 50),
    updates=st.integers(1, 40),
    frequency=st.integers(1, 30),
    initial=st.floats(0, 0.5),
    rise=st.floats(0, 0.49),
)
def test_cubic_is_monotone_and_concave_and_constant_outside(start, updates, frequency, initial, rise):
    options = {"start": start, "updates": updates, "frequency": frequency, "initial": initial, "final": initial + rise}
    end = start + updates * frequency
    values = [cubic_sparsity(step, **options) for step in range(end + 10)]
    rises = [b - a for a, b in itertools.pairwise(values)]
    assert all(r >= -1e-12 for r in rises)
    assert all(b <= a + 1e-12 for a, b in zip(rises[start:], rises[start + 1 :], strict=False))
    assert values[:start] == pytest.approx([initial] * start)
    assert values[end:] == [initial + rise] * 10


def test_cubic_starts_with_three_times_the_mean_slope_and_ends_flat():
    fine = {"start": 0, "updates": 1, "frequency": 10**6, "initial": 0.0, "final": 0.9}
    assert cubic_sparsity(1, **fine) == pytest.approx(3 * 0.9 / 10**6, rel=1e-4)
    assert 0.9 - cubic_sparsity(10**6 - 1, **fine) < 1e-15


def test_power_one_is_linear():
    linear = [
        cubic_sparsity(t, start=0, updates=4, frequency=5, initial=0.1, final=0.5, power=1) for t in range(0, 21, 5)
    ]
    assert linear == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5])


@pytest.mark.parametrize(("end", "last"), [(6.0, 120), (6.2, 120), (6.4, 125)])
def test_gradual_draws_at_both_ends_and_reaches_the_final_sparsity_exactly(end, last):
    found = drawn(Gradual(sparsity=0.7, start=1, end=end, frequency=5), plan())
    assert list(found) == list(range(20, last + 1, 5))
    assert found[20] == 0
    assert found[last] == 0.7


def test_gradual_chooses_a_schedule_that_fits_any_training():
    for epochs in (1, 3, 40):
        found = drawn(Gradual(sparsity=0.8), plan(epochs))
        assert max(found) <= 0.6 * epochs * 20
        assert found[max(found)] == 0.8


def test_one_shot_draws_once_before_in_or_after_the_training():
    for start, step in ((0, 0), (2.5, 50), (10, 200)):
        assert drawn(OneShot(sparsity=0.6, start=start), plan()) == {step: 0.6}


def test_iterative_prunes_equal_shares_of_what_is_left():
    found = drawn(Iterative(sparsity=0.8, rounds=3), plan(epochs=8))
    assert list(found) == [40, 80, 120]
    left = [1.0, *(1 - sparsity for sparsity in found.values())]
    shares = [b / a for a, b in itertools.pairwise(left)]
    assert shares == pytest.approx([0.2 ** (1 / 3)] * 3)
    assert found[120] == 0.8


def test_iterative_gives_each_cycle_the_whole_course_of_the_learning_rate():
    training = plan(epochs=7)
    pruner = Iterative(rounds=2)
    pruner.attach(nn.Linear(5, 3), training)
    assert [pruner.position(step, training) for step in (0, 45, 46, 91, 92, 139)] == [
        (0, 46),
        (45, 46),
        (0, 46),
        (45, 46),
        (0, 48),  # the last cycle takes what is left over
        (47, 48),
    ]


def test_supertickets_rise_by_tens_at_each_interval_and_are_drawn_anew_at_the_target():
    found = drawn(SuperTickets(sparsity=0.8, interval=25), plan(epochs=250, steps=2))
    assert list(found) == [50 * k for k in range(1, 11)]
    assert list(found.values()) == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.8, 0.8])


@pytest.mark.parametrize(
    ("pruner", "message"),
    [
        (Gradual(end=11), "the training has 200 steps (10 epochs); train longer"),
        (Gradual(start=8), "'end' that lie apart"),
        (Gradual(start=1, end=2, frequency=21), "frequency: 21 steps are more than the 20 steps"),
        (OneShot(start=11), "the last pruning would be after step 220 (epoch 11)"),
        (Iterative(rounds=200), "200 rounds need 201 cycles"),
        (Iterative(rounds=4, rewind=2), "more than 40 steps (the rewinding point)"),
        (SuperTickets(interval=2), "the last pruning would be after step 320 (epoch 16)"),
    ],
    ids=lambda value: value.name if isinstance(value, Pruner) else "",
)
def test_schedule_that_does_not_fit_the_training_is_refused(pruner, message):
    with pytest.raises(ConfigError) as caught:
        pruner.attach(nn.Linear(7, 30), plan())
    assert message in str(caught.value)


@pytest.mark.parametrize("end", [5, 10])
def test_pruning_with_a_tiny_learning_rate_is_warned_about(end):
    falling = plan(rate=lambda step: 1.0 if step < 150 else 0.005)
    warnings = Gradual(start=1, end=end).attach(nn.Linear(7, 30), falling)
    assert len(warnings) == (end == 10)
    assert all("learning rate has fallen below 1%" in warning for warning in warnings)


def test_warm_up_is_no_tiny_learning_rate():
    rising = plan(rate=lambda step: step / 200)
    assert not OneShot(start=0).attach(nn.Linear(7, 30), rising)


def test_random_scores_are_the_same_in_every_draw_so_masks_are_nested():
    pruner = Gradual(sparsity=0.9, start=0, end=8, frequency=10, criterion="random")
    layer = nn.Linear(11, 13)
    pruner.attach(layer, plan())
    before = pruner.masks["weight"].clone()
    for step in range(1, 200):
        with torch.no_grad():
            layer.weight.add_(torch.randn_like(layer.weight))
        pruner.weights_updated(step)
        assert not (pruner.masks["weight"] & ~before).any()
        before = pruner.masks["weight"].clone()
    assert int(before.sum()) == 143 - round(0.9 * 143)
