"""The mixture: which set a step trains, what it remembers of it, and how evenly the sets are used."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch

from automl.errors import ConfigError
from automl.job.rank_check import subnet_errors
from automl.job_config import resolve_job
from automl.training import Mixture, SinglePath, TrainingConfig, train


@pytest.fixture
def case(spy, new_supernet):
    def make(models=3, **options):
        supernet = new_supernet(dropout=0.0)
        Mixture(models=models).prepare(supernet, TrainingConfig())
        return spy(supernet=supernet, **options)

    return make


def test_a_step_trains_one_set_on_the_batch_and_moves_one_score(case):
    watched = case(progress=0.4)
    sets = watched.supernet.weight_sets
    sets.scores.uniform_(0.2, 0.9)
    for _ in range(20):
        watched.supernet.zero_grad()
        watched.ran.clear()
        before = sets.scores.clone()
        losses = Mixture(models=3, beta=0.75).step(watched.context)
        chosen = watched.supernet.active_set
        row = sets.row(watched.ran[0])
        moved = (sets.scores != before).nonzero().tolist()
        assert moved == [[row, chosen]]
        expected = 0.75 * before[row, chosen] + 0.25 * losses["accuracy"]
        assert float(sets.scores[row, chosen]) == pytest.approx(float(expected), abs=1e-6)
        assert len(set(watched.ran)) == 1
        for number in range(3):
            parameters = watched.supernet.network_of(number).parameters()
            assert any(p.grad is not None and bool(p.grad.any()) for p in parameters) is (number == chosen)


def test_the_gradient_is_that_of_the_batch_alone(case):
    watched = case()
    losses = Mixture(models=3).step(watched.context)
    found, chosen = watched.gradients(), watched.supernet.active_set
    watched.supernet.zero_grad()
    watched.supernet.activate(watched.ran[0], chosen)
    loss = watched.context.loss(watched.supernet(*watched.batch.inputs))
    loss.backward()
    assert losses["loss"] == pytest.approx(loss.item(), abs=1e-12)
    for mine, theirs in zip(found, watched.gradients(), strict=True):
        assert (mine is None) == (theirs is None)
        assert mine is None or torch.allclose(mine, theirs, rtol=0, atol=1e-12)


def test_accuracy_is_measured_on_validation_samples(case, monkeypatch):
    watched = case()
    scored = []
    original = watched.context._task.score
    monkeypatch.setattr(watched.context._task, "score", lambda answers: scored.extend(answers) or original(answers))
    Mixture(models=3).step(watched.context)
    ((outputs, batch),) = scored
    assert not outputs.requires_grad
    validation = torch.cat([b.inputs[0] for b in watched.context._validation()]).flatten(1).tolist()
    assert all(row in validation for row in batch.inputs[0].flatten(1).tolist())


def test_one_model_is_single_path_step_by_step(new_supernet, new_task, config, tmp_path):
    supernets, histories = [], []
    for strategy in (SinglePath(), Mixture(models=1)):
        supernet = new_supernet()
        folder = tmp_path / strategy.name
        folder.mkdir()
        histories.append(train(supernet, new_task(), config, strategy=strategy, folder=folder, seed=3, device="cpu"))
        supernets.append(supernet.state_dict())
    assert all(torch.equal(a, b) for a, b in zip(*(s.values() for s in supernets), strict=True))
    assert [r["loss"] for r in histories[0]] == [r["loss"] for r in histories[1]]


def test_sets_and_configurations_are_visited_evenly_whatever_the_scores(case):
    watched, steps, models = case(), 1200, 3
    sets, rng = watched.supernet.weight_sets, np.random.default_rng(0)
    sets.scores.copy_(torch.rand(sets.scores.shape, generator=torch.Generator().manual_seed(1)))
    sets.scores[:, 0] += 5  # without the balance the first set would get everything
    temperature = sets.temperature(0.9)
    tables = {row: sets.probabilities(row, temperature) for row in range(len(sets.scores))}
    visits, rows = Counter(), Counter()
    for _ in range(steps):
        row = sets.row(watched.supernet.space.sample(rng))
        rows[row] += 1
        visits[int(rng.choice(models, p=tables[row]))] += 1
    assert all(abs(visits[m] - steps / models) < 4 * (steps / models) ** 0.5 for m in range(models))
    expected = steps / len(sets.scores)
    assert all(abs(count - expected) < 4 * expected**0.5 for count in rows.values())


def test_checkpoints_hold_the_scores(new_supernet, new_task, config, tmp_path):
    strategy, supernets = Mixture(models=2), []
    for _ in range(2):  # the second one is loaded, not trained
        supernet = new_supernet(seed=len(supernets))
        train(supernet, new_task(), config, strategy=strategy, folder=tmp_path, seed=3, device="cpu")
        supernets.append(supernet)
    assert (supernets[0].weight_sets.scores != 1).any()
    assert torch.equal(supernets[0].weight_sets.scores, supernets[1].weight_sets.scores)


def test_a_trained_mixture_answers_with_the_assigned_set(new_supernet, new_task, config, tmp_path):
    supernet, task = new_supernet(), new_task()
    config = config.model_copy(update={"epochs": 40, "ema": 0.0, "learning_rate": 0.03})
    train(supernet, task, config, strategy=Mixture(models=2), folder=tmp_path, seed=3, device="cpu")
    architectures = list(supernet.space.enumerate())
    assert {supernet.set_of(a) for a in architectures} == {0, 1}
    errors = subnet_errors(supernet, task, architectures, resolve_job())
    assert np.mean(errors) < 0.1  # of 18 samples in 3 classes


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"models": 0}, "models: 0 is not valid: must be a whole number, from 1 to 64"),
        ({"models": 65}, "models: 65 is not valid"),
        ({"beta": 1.0}, "beta: 1.0 is not valid: must be a number, at least 0 and below 1"),
        ({"beta": "x"}, "beta: 'x' is not valid"),
    ],
)
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(ConfigError) as caught:
        Mixture(**options)
    assert message in str(caught.value)
