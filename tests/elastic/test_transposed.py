from __future__ import annotations

import pytest
import torch
from torch import nn

from automl import elastic
from automl.space import Ordinal


@pytest.mark.parametrize(
    ("kernels", "stride", "dilation"), [((2, 4), 2, 1), ((1, 3, 5), 2, 1), ((3,), 1, 2), ((1,), 3, 1)]
)
def test_output_is_the_input_size_times_the_stride(kernels, stride, dilation):
    kernel = Ordinal(*kernels)
    layer = elastic.ConvTranspose2d(2, 3, kernel, stride=stride, dilation=dilation)
    for kernel.value in kernels:
        assert layer(torch.randn(1, 2, 4, 7)).shape == (1, 3, 4 * stride, 7 * stride)


def test_a_small_kernel_is_the_centre_and_widths_are_prefixes():
    inp, out, kernel = Ordinal(1, 2), Ordinal(1, 3), Ordinal(1, 3)
    layer = elastic.ConvTranspose2d(inp, out, kernel, stride=2)
    inp.value, out.value, kernel.value = 1, 1, 1
    plain = layer.specialise()
    assert torch.equal(plain.weight, layer.weight[:1, :1, 1:2, 1:2])
    assert torch.equal(plain.bias, layer.bias[:1])
    assert type(plain) is nn.ConvTranspose2d


def test_given_padding_is_used_as_it_is():
    layer = elastic.ConvTranspose2d(2, 3, 3, stride=2, padding=1)
    assert layer(torch.randn(1, 2, 4, 4)).shape == (1, 3, 7, 7)


def test_initial_weights_are_those_of_torch():
    torch.manual_seed(3)
    expected = nn.ConvTranspose2d(2, 3, 3)
    torch.manual_seed(3)
    layer = elastic.ConvTranspose2d(2, 3, 3)
    assert torch.equal(layer.weight, expected.weight)
    assert torch.equal(layer.bias, expected.bias)
