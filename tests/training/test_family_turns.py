"""Each step is about some families: its subnetworks have them, and all families get the same share of a training."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from automl import elastic
from automl.space import Ordinal
from automl.supernet import Supernet
from automl.training import FamilyTurns, Progressive, Sandwich

FAMILIES = ("straight", "bent", "deep")


def block(inp: int, out: int) -> elastic.Choice:
    hidden = Ordinal(2, 3, 7)
    bent = nn.Sequential(elastic.Linear(inp, hidden), nn.Tanh(), elastic.Linear(hidden, out))
    deep = nn.Sequential(nn.Linear(inp, 4), nn.ReLU(), nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, out))
    return elastic.Choice({"straight": nn.Linear(inp, out), "bent": bent, "deep": deep})


class Repeated(nn.Module):
    """Two blocks in a row, as a slot repeats them."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([block(16, 5), block(5, 3)])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for one in self.blocks:
            x = one(x)
        return x


def competing(forbidden: tuple[dict[str, Any], ...] = ()) -> Supernet:
    """One slot of two blocks of three families, and a choice between a module and nothing."""
    extra = elastic.Choice({"off": nn.Identity(), "on": nn.Linear(3, 3)})
    torch.manual_seed(0)
    return Supernet(nn.Sequential(nn.Flatten(), Repeated(), extra), forbidden=forbidden)


@given(seed=st.integers(0, 2**32 - 1))
def test_both_ends_have_the_families_of_their_turn(seed: int) -> None:
    supernet, rng = competing(), np.random.default_rng(seed)
    turn = FamilyTurns(supernet).draw(rng)
    first, second = turn.largest["1.blocks.0.choice"], turn.largest["1.blocks.1.choice"]
    for architecture in (turn.smallest, turn.largest):
        assert (architecture["1.blocks.0.choice"], architecture["1.blocks.1.choice"]) == (first, second)
        assert architecture == supernet.space.canonical(architecture)
    assert (turn.smallest["2.choice"], turn.largest["2.choice"]) == ("off", "on")
    if first == "bent":
        assert (turn.smallest["1.blocks.0.bent.0.out_features"], turn.largest["1.blocks.0.bent.0.out_features"]) == (
            2,
            7,
        )


def test_all_families_are_drawn_alike_and_independently_in_both_slots() -> None:
    turns, rng = FamilyTurns(competing()), np.random.default_rng(0)
    pairs = Counter(
        (t.largest["1.blocks.0.choice"], t.largest["1.blocks.1.choice"]) for t in (turns.draw(rng) for _ in range(1800))
    )
    assert set(pairs) == {(a, b) for a in FAMILIES for b in FAMILIES}
    assert all(140 < count < 260 for count in pairs.values()), pairs


def test_without_competing_families_the_generator_is_left_alone_and_the_ends_are_those_of_the_space() -> None:
    width = Ordinal(3, 5)
    extra = elastic.Choice({"off": nn.Identity(), "on": nn.Linear(3, 3)})
    supernet = Supernet(nn.Sequential(elastic.Linear(4, width), elastic.Linear(width, 3), extra))
    rng, untouched = np.random.default_rng(5), np.random.default_rng(5)
    turn = FamilyTurns(supernet).draw(rng)
    assert (turn.smallest, turn.largest) == (supernet.space.smallest(), supernet.space.largest())
    assert rng.bit_generator.state == untouched.bit_generator.state


def test_a_combination_that_the_space_forbids_falls_back_to_the_whole_space() -> None:
    supernet = competing(forbidden=({"1.blocks.0.choice": "bent", "1.blocks.1.choice": "deep"},))
    turns, rng = FamilyTurns(supernet), np.random.default_rng(1)
    for _ in range(60):
        turn = turns.draw(rng)
        for architecture in (turn.smallest, turn.largest):
            assert (architecture["1.blocks.0.choice"], architecture["1.blocks.1.choice"]) != ("bent", "deep")


def test_with_several_slots_the_ends_are_those_of_the_space() -> None:
    supernet = Supernet(nn.Sequential(nn.Flatten(), block(16, 5), nn.ReLU(), block(5, 3)))
    rng, untouched = np.random.default_rng(5), np.random.default_rng(5)
    turn = FamilyTurns(supernet).draw(rng)
    assert (turn.smallest, turn.largest) == (supernet.space.smallest(), supernet.space.largest())
    assert rng.bit_generator.state == untouched.bit_generator.state


def test_no_family_is_starved_in_a_sandwich(spy: Callable[..., Any]) -> None:
    counts: Counter[str] = Counter()
    for seed in range(150):
        case = spy(seed=seed, supernet=competing())
        Sandwich(random=2).step(case.context)
        counts.update(str(architecture["1.blocks.0.choice"]) for architecture in case.ran)
    shares = {family: counts[family] / counts.total() for family in FAMILIES}
    assert all(0.24 < share < 0.43 for share in shares.values()), shares


def test_progressive_shrinking_begins_with_the_largest_of_the_space(spy: Callable[..., Any]) -> None:
    for seed in range(5):
        case = spy(seed=seed, supernet=competing())
        Progressive(first=0.3).step(case.context)
        assert case.ran == [case.supernet.space.largest()]


def test_where_families_compete_all_of_a_sandwich_learn_from_the_targets(spy: Callable[..., Any]) -> None:
    for supernet, distilled in ((competing(), False), (None, True)):
        case = spy(supernet=supernet)
        losses = Sandwich(random=0).step(case.context)
        case.supernet.activate(case.context.turn.smallest)
        with torch.no_grad():
            own = float(case.context.loss(case.supernet(*case.batch.inputs)))
        assert bool(case.context.turn.families) is not distilled
        assert (abs(losses["smallest"] - own) > 1e-6) is distilled
