"""Paths of stages: which there are, and that draws are fair."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from automl.blockwise.paths import StagePaths
from automl.blockwise.stage_run import searched_stages


@pytest.fixture
def paths_of(new_supernet):
    supernet = new_supernet()
    return supernet, StagePaths(supernet, searched_stages(supernet.network))


def test_every_path_of_a_stage_is_listed_once(paths_of):
    _, paths = paths_of
    rng, everything_open = np.random.default_rng(0), (-1,) * 4
    first = paths.all(0, everything_open, 99, rng)
    assert len({paths.path(0, row) for row in first}) == len(first) == 9
    second = paths.all(1, paths.prefix(1, first[4]), 99, rng)
    assert len({paths.path(1, row) for row in second}) == len(second) == 4
    assert {paths.path(0, row) for row in second} == {paths.path(0, first[4])}
    assert len({paths.path(0, row) for row in paths.all(0, everything_open, 5, rng)}) == 5


def test_fair_draws_use_every_choice_of_every_layer_once(paths_of):
    _, paths = paths_of
    for seed in range(20):
        drawn = paths.fair(0, (-1,) * 4, 3, np.random.default_rng(seed))
        for number in paths.own[0]:
            assert Counter(row[number] for row in drawn) == {0: 1, 1: 1, 2: 1}


def test_a_path_is_moved_behind_another_prefix(paths_of):
    supernet, paths = paths_of
    a, b = (paths.positions(supernet.space.sample(np.random.default_rng(seed))) for seed in (1, 4))
    joined = paths.joined(1, paths.prefix(1, a), b)
    assert paths.path(0, joined) == paths.path(0, a)
    assert paths.path(1, joined) == paths.path(1, b)
