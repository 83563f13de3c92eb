"""Several weight sets: which one an architecture uses is part of what is activated, extracted, stored and loaded."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import nn

from automl import elastic
from automl.errors import RunError, SpaceError
from automl.space import Categorical, Ordinal, SearchSpace
from automl.supernet import Supernet
from automl.supernet.weight_sets import WeightSets
from automl.testing.weights import randomise


def build(seed: int = 0) -> Supernet:
    width = Ordinal(2, 5, 7)
    network = nn.Sequential(
        elastic.Linear(3, width),
        elastic.BatchNorm1d(width),
        elastic.Choice({"a": nn.ReLU(), "b": elastic.Linear(width, width)}),
        elastic.Linear(width * 2 // 2, 4),
    )
    supernet = Supernet(network)
    randomise(supernet, seed)
    return supernet


def multiplied(sets: int = 3, seed: int = 0) -> Supernet:
    """Sets with weights of their own, and scores that assign architectures to all of them."""
    supernet = build(seed)
    supernet.multiply(sets)
    for number in range(1, sets):
        randomise(supernet.network_of(number), seed + 100 * number)
    generator = torch.Generator().manual_seed(seed)
    supernet.weight_sets.scores.copy_(torch.rand(supernet.weight_sets.scores.shape, generator=generator))
    return supernet.eval()


def test_all_sets_are_used_and_extraction_equals_activation():
    supernet, x = multiplied(), torch.randn(5, 3)
    used = set()
    for architecture in supernet.space.enumerate():
        supernet.activate(architecture)
        used.add(supernet.active_set)
        assert supernet.active_set == supernet.set_of(architecture)
        assert supernet.active == architecture
        expected = supernet(x)
        assert torch.allclose(supernet.extract(architecture)(x), expected, atol=1e-6)
        outputs = [supernet.extract(architecture, number)(x) for number in range(3)]
        assert torch.allclose(outputs[supernet.active_set], expected, atol=1e-6)
        assert not torch.allclose(outputs[0], outputs[1], atol=1e-3)
    assert used == {0, 1, 2}


def test_extraction_leaves_the_active_subnetwork_and_its_set_alone():
    supernet, x = multiplied(), torch.randn(5, 3)
    architectures = list(supernet.space.enumerate())
    supernet.activate(architectures[1], 2)
    before = supernet(x)
    for architecture in architectures:
        supernet.extract(architecture)
    assert (supernet.active, supernet.active_set) == (architectures[1], 2)
    assert torch.equal(supernet(x), before)


def test_gradient_reaches_the_active_set_only():
    supernet = multiplied()
    supernet.activate(supernet.space.largest(), 1)
    supernet(torch.randn(5, 3)).sum().backward()
    assert any(p.grad is not None and p.grad.any() for p in supernet.network_of(1).parameters())
    for number in (0, 2):
        assert all(p.grad is None for p in supernet.network_of(number).parameters())


def test_sets_start_equal_share_no_memory_and_span_one_space():
    supernet = build()
    digest, x = supernet.space.digest, torch.randn(5, 3)
    expected = {a: supernet.extract(a)(x) for a in supernet.space.enumerate()}
    supernet.multiply(3)
    supernet.multiply(3)  # again: nothing changes
    assert supernet.space.digest == digest
    for architecture, outputs in expected.items():
        for number in range(3):
            assert torch.equal(supernet.extract(architecture, number)(x), outputs)
    addresses = [p.data_ptr() for p in supernet.parameters()]
    assert len(set(addresses)) == len(addresses) == 3 * len(list(supernet.network.parameters()))
    with pytest.raises(SpaceError, match="has 3 weight sets already"):
        supernet.multiply(2)


def test_one_set_is_a_supernet_as_ever():
    supernet, plain = build(), build()
    supernet.multiply(1)
    assert supernet.weight_sets is None
    assert list(supernet.state_dict()) == list(plain.state_dict())


def test_files_hold_the_sets_and_what_assigns_them(tmp_path):
    supernet, x = multiplied(), torch.randn(5, 3)
    supernet.save(tmp_path / "s.safetensors")
    loaded = build(seed=9)
    loaded.multiply(3)
    loaded.set_of(loaded.space.largest())  # an assignment that must not be remembered
    loaded.load(tmp_path / "s.safetensors")
    for architecture in supernet.space.enumerate():
        assert loaded.set_of(architecture) == supernet.set_of(architecture)
        assert torch.equal(loaded.extract(architecture)(x), supernet.extract(architecture)(x))


def test_files_of_another_number_of_sets_are_refused(tmp_path):
    multiplied(3).save(tmp_path / "three.safetensors")
    build().save(tmp_path / "one.safetensors")
    two = build()
    two.multiply(2)
    for supernet, name in ((two, "three"), (build(), "three"), (two, "one")):
        with pytest.raises(RunError, match="damaged or foreign"):
            supernet.load(tmp_path / f"{name}.safetensors")


def test_a_copy_is_independent():
    supernet = multiplied()
    twin = copy.deepcopy(supernet)
    twin.weight_sets.scores.zero_()
    architectures = list(supernet.space.enumerate())
    assert {twin.set_of(a) for a in architectures} == {0}
    assert {supernet.set_of(a) for a in architectures} == {0, 1, 2}


def test_architectures_of_a_small_space_have_rows_of_their_own():
    space = build().space
    sets = WeightSets(space, 2)
    assert sorted(sets.row(a) for a in space.enumerate()) == list(range(space.size()))
    assert sets.scores.shape == (6, 2)


def test_architectures_of_a_large_space_share_rows_by_dimensions_that_always_exist():
    space = SearchSpace.build(
        {
            "width": Ordinal(*range(1, 21)),
            "op": Categorical("x", "y", "z"),
            "depth": Ordinal(*range(1, 31)),
            "kernel": Ordinal(3, 5),
        },
        conditions={"kernel": {"op": "x"}},
    )
    sets = WeightSets(space, 2)
    assert space.size() > 1024
    assert len(sets.scores) == 3 * 20  # with the 30 depths there would be more than 1024
    rng = np.random.default_rng(0)
    for _ in range(300):
        a, b = space.sample(rng), space.sample(rng)
        assert (sets.row(a) == sets.row(b)) is ((a["op"], a["width"]) == (b["op"], b["width"]))
        assert 0 <= sets.row(a) < 60


def test_the_temperature_falls_linearly_to_a_hundredth_of_a_set():
    sets = WeightSets(build().space, 4)
    assert sets.temperature(0.0) == 1
    assert sets.temperature(1.0) == pytest.approx(1 / 400)
    assert sets.temperature(0.5) == pytest.approx((1 + 1 / 400) / 2)
