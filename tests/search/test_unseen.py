from __future__ import annotations

import numpy as np
import pytest

from automl.search import Unseen
from automl.search import unseen as unseen_module
from automl.space import SearchSpace
from automl.testing.problems import large_space, small_space


def draw_all(unseen: Unseen, space: SearchSpace, n: int) -> list[object]:
    rng, drawn = np.random.default_rng(4), []
    while len(rows := unseen.draw(rng, n)):
        assert len(rows) <= n
        assert len(drawn) <= space.size()
        unseen.add_rows(rows)
        drawn += space.from_indices(rows)
    return drawn


@pytest.mark.parametrize("n", [1, 7, 100])
def test_every_architecture_is_drawn_exactly_once(n: int) -> None:
    space = small_space()
    unseen = Unseen(space)
    drawn = draw_all(unseen, space, n)
    assert len(drawn) == space.size()
    assert set(drawn) == set(space.enumerate())
    assert unseen.exhausted
    assert len(unseen) == space.size()


def test_draws_stay_within_given_values_and_end_with_them() -> None:
    space = small_space()
    drawn = draw_all(Unseen(space, only={"op": ["conv"], "kernel": [3, 7]}), space, 3)
    assert set(drawn) == {a for a in space.enumerate() if a["op"] == "conv" and a["kernel"] != 5}


def test_a_draw_in_a_space_too_large_to_list_gives_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unseen_module, "_LARGEST_LIST", 10)
    space = small_space()
    drawn = draw_all(Unseen(space), space, 5)
    assert set(drawn) <= set(space.enumerate())
    assert len(drawn) == len(set(drawn)) > space.size() // 2


def test_new_rows_are_unseen_allowed_and_distinct() -> None:
    space = small_space()
    forbidden = [2, 2, -1, -1, 2]
    assert space.names == ("op", "depth", "kernel", "width", "heads")
    known, fresh = space.to_indices([space.smallest(), space.largest()])
    row = np.where(np.array(forbidden) < 0, fresh, forbidden)
    unseen = Unseen(space)
    unseen.add_rows(known[None])
    assert unseen.new(np.stack([known, fresh, fresh, row])).tolist() == [False, True, False, False]
    assert space.smallest() not in unseen
    assert space.largest() in unseen


def test_draws_depend_on_the_generator_only() -> None:
    space = large_space()
    rows = [Unseen(space).draw(np.random.default_rng(seed), 20).tolist() for seed in (1, 1, 2)]
    assert rows[0] == rows[1] != rows[2]
