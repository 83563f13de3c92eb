from __future__ import annotations

import pytest
import torch
from torch import nn

from automl import elastic
from automl.space import Ordinal


@pytest.mark.parametrize("momentum", [0.1, None])
@pytest.mark.parametrize("order", [None, (4, 1, 3, 0, 2)])
@pytest.mark.parametrize("gradients", [True, False])
def test_training_updates_the_active_statistics_only(random_weights, picked, momentum, order, gradients):
    size = Ordinal(2, 5)
    width = size if order is None else picked(size, order)
    layer = random_weights(elastic.BatchNorm2d(width, momentum=momentum).double())
    layer.num_batches_tracked.zero_()
    size.value = 2
    units = list(order or range(5))[:2]
    reference = layer.specialise()
    before = {name: buffer.clone() for name, buffer in layer.named_buffers()}
    with torch.set_grad_enabled(gradients):
        for _ in range(3):
            x = torch.randn(4, 2, 3, 3, dtype=torch.float64)
            torch.testing.assert_close(layer(x), reference(x), rtol=1e-12, atol=1e-12)
    for name in ("running_mean", "running_var"):
        found = getattr(layer, name)
        torch.testing.assert_close(found[units], getattr(reference, name), rtol=1e-12, atol=1e-12)
        others = [unit for unit in range(5) if unit not in units]
        assert torch.equal(found[others], before[name][others])
        assert not torch.equal(found[units], before[name][units])
    assert layer.num_batches_tracked == 3


@pytest.mark.parametrize("order", [None, (4, 1, 3, 0, 2)])
def test_statistics_of_the_active_channels_can_be_read_and_written(random_weights, picked, order):
    size = Ordinal(2, 5)
    layer = random_weights(elastic.BatchNorm1d(size if order is None else picked(size, order)).eval())
    units = list(order or range(5))[:2]
    size.value = 2
    x = torch.randn(4, 2)
    with torch.no_grad():
        layer(x)
    mean, variance = layer.active_statistics()
    assert torch.equal(mean, layer.running_mean[units])
    assert torch.equal(variance, layer.running_var[units])
    mean.zero_()  # a copy: the layer keeps its own
    assert layer.running_mean[units].abs().min() > 0
    before = layer.running_mean.clone()
    layer.set_statistics(torch.tensor([1.0, -2.0]), torch.tensor([4.0, 9.0]))
    assert layer.running_mean[units].tolist() == [1, -2]
    assert layer.running_var[units].tolist() == [4, 9]
    others = [unit for unit in range(5) if unit not in units]
    assert torch.equal(layer.running_mean[others], before[others])
    expected = nn.functional.batch_norm(
        x, torch.tensor([1.0, -2.0]), torch.tensor([4.0, 9.0]), layer.weight[units], layer.bias[units]
    )
    with torch.no_grad():
        assert torch.equal(layer(x), expected)


def test_statistics_of_another_shape_are_refused():
    width = Ordinal(2, 5)
    layer = elastic.BatchNorm1d(width)
    width.value = 2
    with pytest.raises(ValueError, match=r"2 active channels, got the shapes \(5,\) and \(2,\)"):
        layer.set_statistics(torch.zeros(5), torch.ones(2))


def test_input_of_another_rank_is_refused():
    with pytest.raises(ValueError, match=r"BatchNorm2d: expected \(4,\) axes, got the shape \(2, 3, 4\)"):
        elastic.BatchNorm2d(3)(torch.randn(2, 3, 4))


def test_one_value_per_channel_cannot_be_trained_on():
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        elastic.BatchNorm1d(3)(torch.randn(1, 3))


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_specialised_is_the_plain_layer(rank):
    name = f"BatchNorm{rank}d"
    layer = getattr(elastic, name)(Ordinal(2, 5), eps=1e-3, momentum=0.2)
    layer.num_features.value = 2
    layer.num_batches_tracked.fill_(7)
    plain = layer.specialise()
    assert type(plain) is getattr(nn, name)
    assert (plain.num_features, plain.eps, plain.momentum, plain.num_batches_tracked.item()) == (2, 1e-3, 0.2, 7)
    assert list(plain.state_dict()) == list(getattr(nn, name)(2).state_dict())
