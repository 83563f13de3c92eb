from __future__ import annotations

import pytest
import torch
from torch import nn

from automl import elastic
from automl.space import Ordinal


@pytest.mark.parametrize("heads", [1, 2, 3])
def test_equals_attention_computed_by_hand(random_weights, heads):
    size = Ordinal(1, 2, 3)
    layer = random_weights(elastic.MultiheadAttention(6, size, head_dim=4).double())
    size.value = heads
    x, bias = torch.randn(2, 5, 6, dtype=torch.float64), torch.randn(heads, 5, 5, dtype=torch.float64)
    outputs = []
    for head in range(heads):
        units = slice(4 * head, 4 * head + 4)
        query, key, value = (
            x @ linear.weight[units].T + linear.bias[units] for linear in (layer.query, layer.key, layer.value)
        )
        outputs.append(torch.softmax(query @ key.mT / 2 + bias[head], dim=-1) @ value)
    expected = torch.cat(outputs, dim=-1) @ layer.output.weight[:, : 4 * heads].T + layer.output.bias
    torch.testing.assert_close(layer(x, attention_bias=bias), expected, rtol=1e-10, atol=1e-10)


def test_equals_torch_where_torch_can_express_it():
    torch.manual_seed(1)
    layer = elastic.MultiheadAttention(6, 3, head_dim=2).double()
    reference = nn.MultiheadAttention(6, 3, batch_first=True, dtype=torch.float64)
    with torch.no_grad():
        reference.in_proj_weight.copy_(torch.cat([layer.query.weight, layer.key.weight, layer.value.weight]))
        reference.in_proj_bias.copy_(torch.cat([layer.query.bias, layer.key.bias, layer.value.bias]))
        reference.out_proj.weight.copy_(layer.output.weight)
        reference.out_proj.bias.copy_(layer.output.bias)
    x, context = torch.randn(2, 5, 6, dtype=torch.float64), torch.randn(2, 4, 6, dtype=torch.float64)
    expected, _ = reference(x, context, context, need_weights=False)
    torch.testing.assert_close(layer(x, context), expected, rtol=1e-12, atol=1e-12)


def test_minus_infinity_hides_a_key():
    layer = elastic.MultiheadAttention(4, 2, head_dim=3).double()
    x = torch.randn(1, 5, 4, dtype=torch.float64)
    bias = torch.zeros(5, 5, dtype=torch.float64)
    bias[:, 3:] = -torch.inf
    torch.testing.assert_close(layer(x, attention_bias=bias), layer(x, x[:, :3]))


def test_specialised_has_plain_projections_and_numbers():
    heads = Ordinal(1, 2)
    layer = elastic.MultiheadAttention(Ordinal(4, 6), heads, head_dim=3)
    heads.value = 1
    plain = elastic.specialise(layer)
    assert (plain.heads, plain.width) == (1, 6)
    assert type(plain.query) is nn.Linear
    assert plain.query.weight.shape == (3, 6)
    assert plain.output.weight.shape == (6, 3)


def test_dropout_acts_in_training_only():
    layer = elastic.MultiheadAttention(4, 2, head_dim=3, dropout=0.5)
    x = torch.randn(2, 5, 4)
    assert not torch.equal(layer(x), layer(x))
    layer.eval()
    assert torch.equal(layer(x), layer(x))
