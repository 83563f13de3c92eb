"""Rating by the population centre: order does not matter, nothing is changed, labels are not seen."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from automl.blockwise import CenterDistance
from automl.blockwise.center import CenterRating
from automl.errors import ConfigError
from automl.objectives import Candidate
from automl.progress import SilentProgress


@pytest.fixture
def trained(strategy, config, context, new_supernet):
    supernet = new_supernet()
    strategy.prepare(supernet, config)
    for seed, progress in enumerate((0.1, 0.5, 0.9)):
        strategy.step(context(supernet, progress, seed))
    return supernet


def test_scores_do_not_depend_on_the_order_and_leave_no_trace(trained, new_task):
    task, rng = new_task(), np.random.default_rng(2)
    batch = next(task.batches("validation", 99))
    rating = CenterRating(
        trained, trained.companion, (task.augment(batch, rng).inputs, task.augment(batch, rng).inputs)
    )
    before = {name: tensor.clone() for name, tensor in trained.state_dict().items()}
    active = trained.active
    population = rating.paths.all(0, (-1,) * 4, 99, rng)
    center = rating.center(0, population)
    forwards = [rating.score(0, row, center) for row in population]
    backwards = [rating.score(0, row, center) for row in reversed(population)]
    assert forwards == backwards[::-1]
    assert len(set(forwards)) == len(population)
    assert all(0 <= score <= 8 for score in forwards)
    assert rating.best(0, population) == population[int(np.argmin(forwards))]
    assert all((view.norm(dim=-1) <= 1).all() for view in center)
    assert trained.active == active
    assert all(torch.equal(tensor, before[name]) for name, tensor in trained.state_dict().items())


def test_the_objective_adds_up_stages_and_repeats_itself(trained, new_task):
    architectures = list(trained.space.enumerate())[::5]
    values = []
    for order in (architectures, architectures[::-1]):
        objective, task = CenterDistance(), new_task()
        objective.prepare(trained, task, SilentProgress())
        found = {a: objective.measure(Candidate(a, trained.extract(a), task)).value for a in order}
        values.append([found[a] for a in architectures])
    assert values[0] == values[1]
    assert len(set(values[0])) > 1
    assert all(0 <= value <= 16 for value in values[0])


def test_the_objective_refuses_other_supernets(new_supernet, new_task):
    with pytest.raises(ConfigError, match="'center-distance' rates supernets that the strategy 'blockwise' trained"):
        CenterDistance().prepare(new_supernet(), new_task(), SilentProgress())
