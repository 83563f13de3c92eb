from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from automl import elastic
from automl.space import Ordinal


def test_layer_norm_averages_the_active_features_only(random_weights):
    width = Ordinal(3, 5)
    layer = random_weights(elastic.LayerNorm(width, eps=1e-3))
    width.value = 3
    x = torch.randn(2, 3)
    expected = (x - x.mean(1, keepdim=True)) / (x.var(1, correction=0, keepdim=True) + 1e-3).sqrt()
    torch.testing.assert_close(layer(x), expected * layer.weight[:3] + layer.bias[:3])
    assert repr(layer.specialise()) == repr(nn.LayerNorm(3, eps=1e-3))


def test_layer_norm_selects_by_index(random_weights, picked):
    width = Ordinal(2, 4)
    layer = random_weights(elastic.LayerNorm(picked(width, (3, 1, 0, 2))))
    width.value = 2
    x = torch.randn(5, 2)
    torch.testing.assert_close(layer(x), F.layer_norm(x, (2,), layer.weight[[3, 1]], layer.bias[[3, 1]]))


def test_rms_norm_by_hand(random_weights):
    width = Ordinal(3, 5)
    layer = random_weights(elastic.RMSNorm(width, eps=1e-3))
    width.value = 3
    x = torch.randn(2, 3)
    torch.testing.assert_close(layer(x), x / (x.square().mean(1, keepdim=True) + 1e-3).sqrt() * layer.weight[:3])
    assert repr(layer.specialise()) == repr(nn.RMSNorm(3, eps=1e-3))


def test_groups_that_follow_the_width_keep_the_partners_of_a_channel(random_weights):
    width = Ordinal(4, 8)
    layer = random_weights(elastic.GroupNorm(width // 2, width).double())
    x = torch.randn(2, 8, 3, dtype=torch.float64)
    largest = layer(x)
    width.value = 4
    torch.testing.assert_close(layer(x[:, :4]), largest[:, :4])
    assert repr(layer.specialise()) == repr(nn.GroupNorm(2, 4))


def test_norms_without_learned_numbers():
    width = Ordinal(4, 8)
    width.value = 4
    x = torch.randn(2, 4)
    assert torch.equal(elastic.LayerNorm(width, elementwise_affine=False)(x), F.layer_norm(x, (4,)))
    assert torch.equal(elastic.RMSNorm(width, elementwise_affine=False)(x), F.rms_norm(x, (4,)))
    assert torch.equal(elastic.GroupNorm(2, width, affine=False)(x), F.group_norm(x, 2))
    for layer in (
        elastic.LayerNorm(width, elementwise_affine=False),
        elastic.LayerNorm(width, bias=False),
        elastic.RMSNorm(width, elementwise_affine=False),
        elastic.GroupNorm(2, width, affine=False),
        elastic.BatchNorm1d(width, affine=False),
    ):
        assert torch.equal(layer.eval()(x), layer.specialise()(x))


def test_embedding_takes_a_prefix_of_entries_and_features():
    entries, width = Ordinal(3, 6), Ordinal(2, 4)
    table = elastic.Embedding(entries, width)
    entries.value, width.value = 3, 2
    identifiers = torch.tensor([[2, 0], [1, 1]])
    assert torch.equal(table(identifiers), table.weight[identifiers][..., :2])
    assert table.specialise().weight.shape == (3, 2)


def test_padding_entry_is_zero_and_gets_no_gradient():
    width = Ordinal(2, 4)
    table = elastic.Embedding(5, width, padding_idx=1)
    width.value = 2
    assert not table.weight[1].any()
    table(torch.tensor([0, 1, 1])).sum().backward()
    assert table.weight.grad[:, :2].tolist() == [[1, 1], [0, 0], [0, 0], [0, 0], [0, 0]]
    assert not table.weight.grad[:, 2:].any()
    assert table.specialise().padding_idx == 1


def test_dropout_rate_is_a_dimension():
    layer = elastic.Dropout(Ordinal(0.0, 0.5))
    x = torch.ones(1000)
    assert 300 < (layer(x) == 0).sum() < 700
    layer.rate.value = 0.0
    assert torch.equal(layer(x), x)
    layer.rate.value = 0.5
    assert repr(layer.specialise()) == "Dropout(p=0.5, inplace=False)"
    assert torch.equal(layer.eval()(x), x)
