from __future__ import annotations

import torch

from automl import elastic
from automl.space import Ordinal


def test_index_selection_by_hand(picked):
    inp, out = Ordinal(2, 3), Ordinal(1, 2)
    layer = elastic.Linear(picked(inp, (2, 0, 1)), picked(out, (1, 0)))
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[1.0, 2.0, 4.0], [8.0, 16.0, 32.0]]))
        layer.bias.copy_(torch.tensor([0.5, 0.25]))
    inp.value, out.value = 2, 1
    assert layer(torch.tensor([10.0, 100.0])).tolist() == [32 * 10 + 8 * 100 + 0.25]
    out.value = 2
    assert layer(torch.tensor([10.0, 100.0])).tolist() == [32 * 10 + 8 * 100 + 0.25, 4 * 10 + 1 * 100 + 0.5]


def test_smaller_width_is_a_prefix_of_a_larger_one():
    width = Ordinal(2, 5)
    layer, x = elastic.Linear(3, width).double(), torch.randn(4, 3, dtype=torch.float64)
    large = layer(x)
    width.value = 2
    torch.testing.assert_close(layer(x), large[:, :2])


def test_initial_weights_are_those_of_torch():
    torch.manual_seed(3)
    expected = torch.nn.Linear(7, 5)
    torch.manual_seed(3)
    layer = elastic.Linear(Ordinal(2, 7), 5)
    assert torch.equal(layer.weight, expected.weight)
    assert torch.equal(layer.bias, expected.bias)


def test_repr_shows_the_sizes():
    assert repr(elastic.Linear(3, Ordinal(2, 4), bias=False)) == "Linear(3, Ordinal(2, 4), bias=False)"


def test_parametrised_weights_are_followed():
    width = Ordinal(2, 4)
    layer = torch.nn.utils.parametrizations.weight_norm(elastic.Linear(3, width))
    width.value = 2
    x = torch.randn(5, 3)
    with torch.no_grad():
        before = layer(x)
        layer.parametrizations.weight.original0.mul_(2)
        layer.bias.mul_(2)
        torch.testing.assert_close(layer(x), 2 * before)
