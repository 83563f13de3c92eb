"""SortedNet: which members a step trains, on which samples, with which gradient; and that prefixes matter afterwards."""

from __future__ import annotations

import copy
import math
from collections import Counter

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from automl import elastic
from automl.errors import ConfigError
from automl.space import Categorical, Ordinal
from automl.supernet import Supernet
from automl.training import SortedNetworks, TrainingConfig, train
from automl.training.untouched import untouched_weights_kept


class ResidualPerceptron(nn.Module):
    """Pixels to a stream of elastic width, residual blocks of elastic depth, a norm and a head that all of them share."""

    def __init__(
        self, pixels: int, classes: int, depths: range, widths: range, norm: bool, activation: type[nn.Module]
    ) -> None:
        super().__init__()
        self.depth, self.width = Ordinal(*depths), Ordinal(*widths)
        self.stem = elastic.Linear(pixels, self.width)
        blocks = [nn.Sequential(activation(), elastic.Linear(self.width, self.width)) for _ in range(max(depths))]
        self.blocks = elastic.Repeat([_Residual(block) for block in blocks], self.depth)
        self.norm = elastic.LayerNorm(self.width) if norm else nn.Identity()
        self.head = elastic.Linear(self.width, classes)

    def forward(self, x):
        return self.head(self.norm(self.blocks(self.stem(x.flatten(1)))))


class _Residual(nn.Module):
    def __init__(self, branch: nn.Module) -> None:
        super().__init__()
        self.branch = branch

    def forward(self, x):
        return x + self.branch(x)


def perceptron(
    seed=0, pixels=16, classes=3, depths=range(3), widths=range(2, 9, 3), norm=True, activation=nn.ReLU
) -> Supernet:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Supernet(ResidualPerceptron(pixels, classes, depths, widths, norm, activation))


def one_member(supernet: Supernet) -> Supernet:
    """The same network where all but the largest subnetwork are forbidden."""
    rules = [{name: d.choices[:-1]} for name, d in supernet.space.dimensions.items()]
    return Supernet(supernet.network, forbidden=rules)


def test_each_drawn_member_sees_its_own_equal_part_of_the_batch(spy):
    case = spy(supernet=perceptron(), samples=24)
    parts = case.context.shares(4)
    rows = torch.cat([part.batch.inputs[0] for part in parts]).flatten(1)
    assert sorted(map(tuple, rows.tolist())) == sorted(map(tuple, case.batch.inputs[0].flatten(1).tolist()))
    SortedNetworks(accumulation=4).step(case.context)
    assert case.seen == [6, 6, 6, 6]


def test_a_small_batch_is_cut_into_fewer_parts_of_at_least_two_samples(spy):
    case = spy(supernet=perceptron(), samples=5)
    SortedNetworks(accumulation=4).step(case.context)
    assert case.seen == [2, 2]


@pytest.mark.parametrize("parts", [1, 2, 4])
def test_parts_of_one_member_add_up_to_the_step_on_the_whole_batch(parts, spy):
    case = spy(supernet=one_member(perceptron()), samples=24, label_smoothing=0.0)
    losses = SortedNetworks(accumulation=parts).step(case.context)
    found = case.gradients()
    case.supernet.zero_grad()
    whole = F.cross_entropy(case.supernet(*case.batch.inputs), case.batch.target)
    whole.backward()
    assert losses["loss"] == pytest.approx(whole.item(), abs=1e-12)
    for mine, theirs in zip(found, case.gradients(), strict=True):
        assert torch.allclose(mine, theirs, rtol=0, atol=1e-12)


class InTurn:
    """Draws all numbers in turn."""

    def __init__(self) -> None:
        self.next = 0

    def integers(self, bound: int) -> int:
        self.next += 1
        return (self.next - 1) % bound


def test_all_members_in_turn_give_the_gradient_of_their_mean_loss(spy):
    supernet = perceptron()
    strategy = SortedNetworks(accumulation=9)
    members = strategy.nested_family(supernet).members
    assert len(members) == 9
    case = spy(supernet=supernet, samples=24, label_smoothing=0.0)
    case.context._task.shard = lambda batch, rank, size: batch  # samples that depend on each other are not divided
    case.context.rng = InTurn()
    strategy.step(case.context)
    found = case.gradients()
    assert set(case.ran) == set(members)
    case.supernet.zero_grad()
    losses = []
    for member in members:
        case.supernet.activate(member)
        losses.append(F.cross_entropy(case.supernet(*case.batch.inputs), case.batch.target))
    (sum(losses) / len(losses)).backward()
    for mine, theirs in zip(found, case.gradients(), strict=True):
        assert torch.allclose(mine, theirs, rtol=0, atol=1e-12)


def test_units_are_trained_the_more_often_the_earlier_they_stand(spy):
    case = spy(supernet=perceptron(), samples=4)
    strategy, steps = SortedNetworks(accumulation=1), 600
    for _ in range(steps):
        strategy.step(case.context)
    widths = Counter(architecture["width"] for architecture in case.ran)
    visits = [sum(count for width, count in widths.items() if width > unit) / steps for unit in range(8)]
    expected = [sum(width > unit for width in (2, 5, 8)) / 3 for unit in range(8)]
    assert visits[0] == 1
    assert visits == sorted(visits, reverse=True)
    assert np.abs(np.array(visits) - expected).max() < 4 * math.sqrt(0.25 / steps)


def test_a_step_reaches_exactly_the_drawn_members_and_all_together_everything(spy):
    case = spy(supernet=perceptron(activation=nn.GELU), samples=24)  # a rectifier may be off for all samples
    reached = [torch.zeros_like(p, dtype=torch.bool) for p in case.supernet.parameters()]
    strategy = SortedNetworks(accumulation=1)
    for _ in range(60):
        case.supernet.zero_grad()
        case.ran.clear()
        strategy.step(case.context)
        (ran,) = case.ran
        width = ran["width"]
        stem = case.supernet.network.stem.weight.grad
        assert not stem[width:].any()
        assert stem[:width].any()
        for i, block in enumerate(case.supernet.network.blocks.children()):
            gradient = block.branch[1].weight.grad
            if i >= ran["depth"]:
                assert gradient is None or not gradient.any()
        for mark, gradient in zip(reached, case.gradients(), strict=True):
            if gradient is not None:
                mark |= gradient != 0
    assert all(mark.all() for mark in reached)


def test_costs_rise_along_each_dimension_and_follow_the_slices():
    supernet = perceptron(pixels=6, classes=4, depths=range(5), widths=range(1, 33), norm=False)
    family = SortedNetworks().nested_family(supernet)
    assert len(family) == 160
    sizes = {}
    for member in family.members:
        depth, width = member["depth"], member["width"]
        expected = (6 * width + width) + depth * (width * width + width) + (4 * width + 4)
        sizes[depth, width] = sum(p.numel() for p in supernet.extract(member).parameters())
        assert sizes[depth, width] == expected
    for (depth, width), size in sizes.items():
        assert size < sizes.get((depth + 1, width), math.inf)
        assert size < sizes.get((depth, width + 1), math.inf)


def test_many_sub_models_store_no_more_than_one():
    supernet = perceptron()
    before = {name: tensor.shape for name, tensor in supernet.state_dict().items()}
    SortedNetworks(sub_models=9).prepare(supernet, TrainingConfig())
    assert {name: tensor.shape for name, tensor in supernet.state_dict().items()} == before


def test_every_depth_keeps_the_shared_norm_and_head():
    supernet = perceptron(seed=3).double().eval()
    x = torch.randn(5, 16, dtype=torch.float64)
    network = supernet.network
    nn.init.normal_(network.norm.weight)
    for member in SortedNetworks().nested_family(supernet).members:
        width = member["width"]
        model = supernet.extract(member)
        h = F.linear(x, network.stem.weight[:width], network.stem.bias[:width])
        for block in list(network.blocks.children())[: member["depth"]]:
            layer = block.branch[1]
            h = h + F.linear(h.relu(), layer.weight[:width, :width], layer.bias[:width])
        h = F.layer_norm(h, (width,), network.norm.weight[:width], network.norm.bias[:width], network.norm.eps)
        expected = F.linear(h, network.head.weight[:, :width], network.head.bias)
        assert torch.allclose(model(x), expected, rtol=0, atol=1e-12)
        supernet.activate(member)
        assert torch.allclose(supernet(x), expected, rtol=0, atol=1e-12)


def test_a_stream_that_is_cut_in_one_place_only_raises():
    cut, whole = Ordinal(4, 8), 8
    network = nn.Sequential(elastic.Linear(3, cut), elastic.Linear(whole, whole))
    supernet = Supernet(network)
    supernet.activate(supernet.space.smallest())
    with pytest.raises(RuntimeError):
        supernet(torch.randn(2, 3))


def test_chain_and_number_of_sub_models_are_options():
    supernet = perceptron()
    chain = SortedNetworks(family="chain").nested_family(supernet).members
    assert len(chain) == 5
    assert (np.diff(supernet.space.to_indices(chain), axis=0) >= 0).all()
    assert len(SortedNetworks(sub_models=4).nested_family(supernet).members) == 4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sub_models": 1}, "sub_models: 1 is not valid: must be a whole number, from 2 to 1000"),
        ({"sub_models": 2.5}, "sub_models: 2.5 is not valid"),
        ({"sub_models": True}, "sub_models: True is not valid"),
        ({"accumulation": 0}, "accumulation: 0 is not valid: must be a whole number, 1 or more"),
        ({"family": "chian"}, "family: 'chian' is not valid. Did you mean 'chain'"),
    ],
)
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(ConfigError) as caught:
        SortedNetworks(**options)
    assert message in str(caught.value)


def test_parts_without_batch_statistics_are_refused_before_training():
    with pytest.raises(ConfigError, match="3 parts of a batch of 5 have fewer than the 2 samples"):
        SortedNetworks(accumulation=3).prepare(perceptron(), TrainingConfig(batch_size=5))


def test_a_space_without_order_is_refused():
    choice = elastic.Choice({"a": nn.Linear(3, 2), "b": nn.Linear(3, 2)}, choice=Categorical("a", "b"))
    with pytest.raises(ConfigError, match="strategy 'sorted': this space has no dimension with an order"):
        SortedNetworks().prepare(Supernet(choice), TrainingConfig())


@pytest.mark.parametrize("optimiser", ["adamw", "adam", "sgd"])
@pytest.mark.parametrize("skip", [True, False])
def test_weights_outside_of_all_drawn_members_stay_only_if_asked_for(skip, optimiser, new_task, tmp_path):
    supernet = perceptron()
    outside = supernet.network.stem.weight[5:].detach().clone()
    narrow = Supernet(supernet.network, only={"width": [2, 5]})
    config = TrainingConfig(
        epochs=2,
        batch_size=16,
        optimiser=optimiser,
        learning_rate=0.01,
        weight_decay=0.01,
        ema=0,
        validation_subnets=1,
        skip_inactive=skip,
    )
    train(narrow, new_task(), config, strategy=SortedNetworks(), folder=tmp_path, seed=0, device="cpu")
    assert torch.equal(supernet.network.stem.weight[5:], outside) is skip


def test_weights_with_gradient_step_as_ever():
    layers = [nn.Linear(3, 2), nn.Linear(3, 2)]
    layers[1].load_state_dict(layers[0].state_dict())
    for layer, context in zip(layers, (False, True), strict=True):
        optimiser = torch.optim.AdamW(layer.parameters(), lr=0.1)
        layer(torch.tensor([[1.0, 2.0, 3.0]])).square().sum().backward()
        if context:
            with untouched_weights_kept(layer):
                optimiser.step()
        else:
            optimiser.step()
    assert torch.equal(layers[0].weight, layers[1].weight)


@pytest.mark.slow
def test_the_first_units_of_a_sorted_network_are_the_important_ones():
    """The small run of the method: 160 sub-models of a residual perceptron on half of the digits, 1500 updates."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    digits = load_digits()
    split = train_test_split(digits.data / 16, digits.target, test_size=0.5, random_state=0, stratify=digits.target)
    x, x_test, y, y_test = (
        torch.as_tensor(part, dtype=torch.float32 if part.ndim > 1 else torch.int64) for part in split
    )

    def trained(sorted_: bool) -> Supernet:
        supernet = perceptron(pixels=64, classes=10, depths=range(5), widths=range(4, 129, 4), norm=False)
        family = SortedNetworks().nested_family(supernet)
        rng = np.random.default_rng(1)
        optimiser = torch.optim.Adam(supernet.parameters(), lr=1e-3)
        for _ in range(1500):
            optimiser.zero_grad()
            for _ in range(2 if sorted_ else 1):
                rows = torch.as_tensor(rng.integers(len(x), size=64))
                supernet.activate(family.sample(rng) if sorted_ else supernet.space.largest())
                (F.cross_entropy(supernet(x[rows]), y[rows]) / (2 if sorted_ else 1)).backward()
            optimiser.step()
        return supernet

    @torch.no_grad()
    def accuracy(supernet: Supernet, depth: int, width: int) -> float:
        supernet.activate(supernet.space.canonical({"depth": depth, "width": width}))
        return float((supernet(x_test).argmax(1) == y_test).float().mean())

    ordinary, sorted_ = trained(False), trained(True)
    points = [(depth, width) for depth in range(5) for width in range(4, 129, 4)]
    full = accuracy(sorted_, 4, 128)
    mean = sum(accuracy(sorted_, *point) for point in points) / 160
    mean_ordinary = sum(accuracy(ordinary, *point) for point in points) / 160
    assert full > accuracy(ordinary, 4, 128) - 0.015
    assert mean > 0.9
    assert mean_ordinary < mean - 0.2

    before, state = accuracy(sorted_, 2, 32), copy.deepcopy(sorted_.state_dict())
    shuffled = []
    for seed in range(12):
        order = torch.randperm(128, generator=torch.Generator().manual_seed(seed))
        sorted_.load_state_dict(state)
        with torch.no_grad():  # other units stand first: nothing changes for the full model
            network = sorted_.network
            layers = [block.branch[1] for block in network.blocks.children()]
            for layer in (network.stem, *layers):
                layer.weight.copy_(layer.weight[order])
                layer.bias.copy_(layer.bias[order])
            for layer in (*layers, network.head):
                layer.weight.copy_(layer.weight[:, order])
        assert accuracy(sorted_, 4, 128) == pytest.approx(full, abs=0.003)
        shuffled.append(accuracy(sorted_, 2, 32))
    assert sum(shuffled) / 12 < before - 0.2
