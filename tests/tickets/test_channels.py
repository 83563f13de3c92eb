"""Channels that are taken out leave a network that equals the masked one, whatever it does with them."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from automl import elastic
from automl.errors import ExportError
from automl.space import Ordinal
from automl.supernet import Supernet
from automl.tickets import ChannelGroup, find_channel_groups, remove_channels
from automl.tickets.channels import prove_removal
from automl.tickets.granularity import ChannelWise


class Mixed(nn.Module):
    """Two branches that are added, a depthwise convolution, a layer norm over channels, a concatenation and a head."""

    def __init__(self) -> None:
        super().__init__()
        self.width, self.hidden, self.normed = Ordinal(7, 9), Ordinal(5, 6), Ordinal(4, 8)
        self.stem = elastic.Conv2d(2, self.width, 3)
        self.norm = elastic.BatchNorm2d(self.width)
        self.blocks = elastic.Repeat([self._block() for _ in range(2)], Ordinal(1, 2))
        self.depthwise = elastic.Conv2d(self.width, self.width, 3, depthwise=True)
        self.reduce = elastic.Linear(self.width, self.normed)
        self.layer_norm = elastic.LayerNorm(self.normed)
        self.back = elastic.Linear(self.normed, 11)
        self.head = elastic.Linear(11, 3)

    def _block(self) -> nn.Module:
        return nn.Sequential(
            elastic.Conv2d(self.width, self.hidden, 1), nn.ReLU(), elastic.Conv2d(self.hidden, self.width, 3)
        )

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu(self.norm(self.stem(x)))
        y = y + self.depthwise(self.blocks(y))
        y = self.layer_norm(self.reduce(y.mean((2, 3))))
        logits: Tensor = self.head(torch.tanh(self.back(y)))
        return logits


@pytest.fixture
def setting():
    torch.manual_seed(3)
    supernet = Supernet(Mixed())
    for _ in range(3):
        supernet.train()(torch.randn(8, 2, 5, 6))
    with torch.no_grad():
        for parameter in supernet.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))  # no scale is 1, no offset 0
    return supernet, (torch.randn(4, 2, 5, 6),)


def groups_of(setting, architecture):
    supernet, inputs = setting
    model = supernet.extract(architecture)
    return model, find_channel_groups(supernet, architecture, model, inputs)


def test_layers_of_one_width_are_one_group_and_mixing_norms_stand_in_the_way(setting):
    supernet, _ = setting
    architecture = supernet.space.canonical({"width": 7, "hidden": 6, "normed": 4, "blocks.depth": 2})
    _, groups = groups_of(setting, architecture)
    # Both blocks share one hidden width, so they lose the same channels. The layer norm mixes channels, so 'normed' stays.
    assert [(group.units, len(group.makers), len(group.readers)) for group in groups] == [(7, 3, 3), (6, 2, 2)]
    assert groups[0].depthwise == ("depthwise",)
    assert groups[0].norms == ("norm",)


def test_network_without_channels_equals_the_masked_one_for_random_masks(setting):
    supernet, inputs = setting
    rng = np.random.default_rng(4)
    for _ in range(6):
        model, groups = groups_of(setting, supernet.space.sample(rng))
        weights = {name: p.detach().abs() for name, p in model.named_parameters() if p.ndim > 1}
        scores = {name: torch.rand(weight.shape) for name, weight in weights.items()}
        masks = ChannelWise(groups).masks(scores, 0.5, "layer")
        masked = copy.deepcopy(model)
        with torch.no_grad():
            for name, parameter in masked.named_parameters():
                if name in masks:
                    parameter.mul_(masks[name])
        small = copy.deepcopy(masked)
        for group in groups:
            dead = group.dead(masks)
            assert len(dead) == round(0.5 * group.units)
            remove_channels(small, group, dead)
        assert prove_removal(masked, small, inputs) < 1e-12
        assert sum(p.numel() for p in small.parameters()) < 0.8 * sum(p.numel() for p in model.parameters())
        assert torch.allclose(small(*inputs), masked(*inputs), atol=1e-5)
        assert (
            small.stem.out_channels
            == small.norm.num_features
            == small.depthwise.groups
            == groups[0].units - len(groups[0].dead(masks))
        )


def test_removal_of_a_living_channel_is_no_removal(setting):
    supernet, inputs = setting
    model, groups = groups_of(setting, supernet.space.largest())
    small = copy.deepcopy(model)
    remove_channels(small, groups[0], torch.tensor([2]))
    with pytest.raises(ExportError, match="does not equal the masked one"):
        prove_removal(model, small, inputs)


def test_finding_groups_changes_neither_supernet_nor_model(setting):
    supernet, _ = setting
    before = {name: tensor.clone() for name, tensor in supernet.state_dict().items()}
    active = supernet.active
    groups_of(setting, supernet.space.smallest())
    assert supernet.active == active
    assert all(torch.equal(tensor, before[name]) for name, tensor in supernet.state_dict().items())


def test_excluded_layer_keeps_its_whole_group():
    group = ChannelGroup(3, makers=("a",), readers=("b",))
    other = ChannelGroup(4, makers=("c",), readers=("d",))
    scores = {"a.weight": torch.rand(3, 2), "c.weight": torch.rand(4, 2), "d.weight": torch.rand(2, 4)}  # without b
    masks = ChannelWise([group, other]).masks(scores, 0.5, "global")
    assert masks["a.weight"].all()
    assert not masks["c.weight"].all()
