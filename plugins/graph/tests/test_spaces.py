"""Shared spaces on graphs: every block that fits competes, and each has an equal share of what training draws."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch
from automl_graph import plugin
from automl_graph.tasks import NodeClassification

from automl.host import Family, Host
from automl.supernet import load_skeleton

HOST = Host.load(entry_points=False, plugins=[plugin])
BLOCKS = sorted(
    name
    for name, family in HOST.components("family").items()
    if isinstance(family, Family)
    and (family.accepts, family.produces) == ("graph", "graph")
    and not family.by_name_only
)
NAMED = {"graph/heterophily": {"graph.sheaf_ode"}}


@pytest.mark.parametrize(
    ("space", "slot"),
    [
        ("graph/node", "message"),
        ("graph/homophily", "propagation"),
        ("graph/heterophily", "neighbours"),
        ("graph/augmented", "propagation"),
    ],
)
def test_every_fitting_block_competes_with_an_equal_share(space: str, slot: str) -> None:
    task = NodeClassification.load("karate", seed=0)
    supernet = load_skeleton(space, HOST).build(task, HOST)
    choice = f"{slot}.blocks.0.choice"
    # A space may name further blocks itself.
    competing = sorted(str(block) for block in supernet.space.dimensions[choice].choices)
    assert set(competing) == {*BLOCKS, *NAMED.get(space, ())}
    rng = np.random.default_rng(0)
    draws = 1500
    found = Counter(supernet.space.sample(rng).get(choice) for _ in range(draws))
    del found[None]  # of a slot that is left out
    expected = found.total() / len(competing)
    assert expected > draws / len(competing) / 2
    # Chi square with one degree of freedom less than blocks: its mean is that number, its deviation sqrt(2 n).
    square = sum((found[block] - expected) ** 2 / expected for block in competing)
    assert square < len(competing) + 5 * (2 * len(competing)) ** 0.5


def test_heterophilous_space_keeps_own_features_beside_those_of_neighbours() -> None:
    task = NodeClassification.load("karate", seed=0)
    torch.manual_seed(0)
    supernet = load_skeleton("graph/heterophily", HOST).build(task, HOST).double().eval()
    supernet.activate(supernet.space.largest())
    widths = {
        name: int(p.shape[1]) for name, p in supernet.named_parameters() if name.endswith("weight") and p.dim() == 2
    }
    assert 128 in widths.values()
