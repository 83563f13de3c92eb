"""Diverged training goes back to the last good epoch with half the learning rate, a bounded number of times."""

from __future__ import annotations

import logging
import math

import pytest
import torch

from automl.errors import TrainingError
from automl.training import SinglePath, Strategy, train
from automl.training.divergence import DivergedError, DivergenceGuard


class Sabotage(Strategy):
    """Single-path training that goes wrong at chosen calls of ``step``."""

    name = "sabotage"

    def __init__(self, calls, kind) -> None:
        self.calls, self.kind, self.count = calls, kind, 0

    def step(self, context):
        losses = SinglePath().step(context)
        self.count += 1
        if self.count in self.calls:
            if self.kind == "loss":
                return {"loss": math.nan}
            if self.kind == "exploding":
                return {"loss": 1e6}
            next(context.supernet.parameters()).grad.fill_(math.inf)  # only the weights go bad, after this step
        return losses


@pytest.mark.parametrize(("kind", "sign"), [("loss", "loss 'loss' is nan"), ("exploding", "times the first")])
@pytest.mark.parametrize("call", [1, 3, 7])
def test_bad_loss_halves_the_learning_rate_from_the_last_good_epoch(
    kind, sign, call, new_supernet, new_task, config, tmp_path, caplog
):
    if kind == "exploding" and call == 1:
        call = 2  # the first loss is the measure of the others
    good = train(
        new_supernet(), new_task(), config, strategy=SinglePath(), folder=_sub(tmp_path, "good"), seed=3, device="cpu"
    )
    with caplog.at_level(logging.WARNING):
        history = train(
            new_supernet(),
            new_task(),
            config,
            strategy=Sabotage({call}, kind),
            folder=_sub(tmp_path, "bad"),
            seed=3,
            device="cpu",
        )
    epoch = 1 + (call - 1) // 4
    assert [record["epoch"] for record in history] == [1, 2, 3, 4]
    assert [record["retries"] for record in history] == [0] * (epoch - 1) + [1] * (5 - epoch)
    for mine, theirs in zip(history, good, strict=True):
        factor = 1 if mine["epoch"] < epoch else 0.5
        assert mine["learning_rate"] == pytest.approx(theirs["learning_rate"] * factor)
    (note,) = history[epoch - 1]["warnings"][:1]
    assert note.startswith(f"diverged in epoch {epoch} (")
    assert sign in note
    assert f"went back to the end of epoch {epoch - 1}" in note
    assert note in caplog.text
    if epoch > 1:
        assert history[0]["loss"] == good[0]["loss"]


def _sub(folder, name):
    (folder / name).mkdir()
    return folder / name


def test_weights_that_are_not_finite_never_reach_a_checkpoint(new_supernet, new_task, config, tmp_path):
    config = config.model_copy(update={"clip_norm": 0.0})
    supernet = new_supernet()
    history = train(
        supernet, new_task(), config, strategy=Sabotage({8}, "weights"), folder=tmp_path, seed=3, device="cpu"
    )
    assert history[1]["retries"] == 1
    assert "weight" in history[1]["warnings"][0]
    assert all(bool(torch.isfinite(p).all()) for p in supernet.parameters())


def test_several_retries_keep_halving_and_are_all_noted(new_supernet, new_task, config, tmp_path):
    history = train(
        new_supernet(), new_task(), config, strategy=Sabotage({2, 3, 6}, "loss"), folder=tmp_path, seed=3, device="cpu"
    )
    assert [record["retries"] for record in history] == [3, 3, 3, 3]
    assert sum("diverged in epoch 1" in note for note in history[0]["warnings"]) == 3


def test_retries_are_bounded_and_the_error_says_what_to_change(new_supernet, new_task, config, tmp_path):
    with pytest.raises(TrainingError, match=r"after 3 retries .* Lower 'learning_rate' \(now 0\.01\)"):
        train(
            new_supernet(),
            new_task(),
            config,
            strategy=Sabotage(range(100), "loss"),
            folder=tmp_path,
            seed=3,
            device="cpu",
        )


def test_absurd_learning_rate_is_caught_and_mended(new_supernet, new_task, config, tmp_path):
    config = config.model_copy(
        update={
            "optimiser": "sgd",
            "learning_rate": 1000.0,
            "clip_norm": 0.0,
            "max_retries": 30,
            "warmup_epochs": 0,
            "weight_decay": 0.0,
        }
    )
    supernet = new_supernet(dropout=0.0)
    history = train(supernet, new_task(), config, strategy=SinglePath(), folder=tmp_path, seed=3, device="cpu")
    assert history[-1]["retries"] > 3
    assert all(bool(torch.isfinite(p).all()) for p in supernet.parameters())


class Wide(Sabotage):
    """A strategy whose losses differ by more than the sabotage."""

    name = "wide"
    loss_range = 1e7


def test_a_strategy_may_say_that_its_losses_differ_widely(new_supernet, new_task, config, tmp_path):
    history = train(
        new_supernet(), new_task(), config, strategy=Wide({3}, "exploding"), folder=tmp_path, seed=3, device="cpu"
    )
    assert history[-1]["retries"] == 0
    assert history[0]["loss"] > 1e5


class Phases(Strategy):
    """Two halves, each with losses of its own size, and one step of the second half that may be far above them."""

    name = "phases"

    def __init__(self, explodes_at=None) -> None:
        self.explodes_at, self.count = explodes_at, 0

    def phase(self, supernet, progress):
        return (0.0, 0.5) if progress < 0.5 else (0.5, 1.0)

    def step(self, context):
        SinglePath().step(context)
        self.count += 1
        if self.count == self.explodes_at:
            return {"loss": 1e6}
        return {"loss": 1.0 if context.progress < 0.5 else 90.0}


@pytest.mark.parametrize(("explodes_at", "retries"), [(None, [0, 0, 0, 0]), (10, [0, 0, 1, 1]), (14, [0, 0, 0, 1])])
def test_each_phase_of_a_strategy_is_measured_by_its_own_first_loss(
    explodes_at, retries, new_supernet, new_task, config, tmp_path
):
    history = train(
        new_supernet(), new_task(), config, strategy=Phases(explodes_at), folder=tmp_path, seed=3, device="cpu"
    )
    assert [record["retries"] for record in history] == retries


def test_guard_follows_a_slow_explosion_but_not_one_bad_step():
    guard = DivergenceGuard(factor=5)
    for loss in (2.0, 1.0, 20.0, 1.0, 0.5, 15.0):
        guard.check_losses({"loss": loss})
    climb = map(float, range(10, 100))
    with pytest.raises(DivergedError, match="more than 5 times the first, 2"):
        _check_all(guard, climb)
    assert next(climb) < 40


def _check_all(guard, losses):
    for loss in losses:
        guard.check_losses({"loss": loss})


def test_guard_does_not_tighten_as_the_loss_becomes_small():
    guard = DivergenceGuard(factor=5)
    for loss in (2.0, *[1e-4] * 100, 3.0, 3.0, 3.0):
        guard.check_losses({"loss": loss})


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_any_named_loss_that_is_not_finite_is_noticed(value):
    with pytest.raises(DivergedError, match="loss 'smallest' is"):
        DivergenceGuard(factor=5).check_losses({"loss": 1.0, "smallest": value})
