from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from automl import elastic
from automl.space import Ordinal

DOUBLE = {"dtype": torch.float64}


def test_a_small_kernel_is_the_centre_of_a_large_one():
    kernel = Ordinal(1, 3, 5)
    layer = elastic.Conv2d(1, 1, kernel, bias=False)
    with torch.no_grad():
        layer.weight.copy_(torch.arange(25.0).reshape(1, 1, 5, 5))
    kernel.value = 3
    assert layer.specialise().weight.flatten().tolist() == [6, 7, 8, 11, 12, 13, 16, 17, 18]
    kernel.value = 1
    assert layer.specialise().weight.flatten().tolist() == [12]


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("dilation", [1, 2])
def test_padding_makes_the_output_size_independent_of_the_kernel(stride, dilation):
    kernel = Ordinal(1, 3, 5, 7)
    layer = elastic.Conv2d(1, 1, kernel, stride=stride, dilation=dilation)
    for kernel_value in kernel.choices:
        kernel.value = kernel_value
        for size in (7, 8, 9, 10):
            assert layer(torch.randn(1, 1, size, size + 1)).shape[2:] == (-(-size // stride), -(-(size + 1) // stride))


def test_dilation_is_elastic_and_padding_follows_it():
    dilation = Ordinal(1, 3)
    layer = elastic.Conv1d(1, 1, 3, dilation=dilation, bias=False)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[[1.0, 10.0, 100.0]]]))
    x = torch.tensor([[[1.0, 2.0, 3.0, 4.0, 5.0]]])
    assert layer(x).tolist() == [[[400 + 10, 500 + 20, 30, 40 + 1, 50 + 2]]]
    dilation.value = 1
    assert layer(x).tolist() == [[[210, 321, 432, 543, 54]]]


def test_given_padding_is_used_as_it_is():
    layer = elastic.Conv2d(2, 3, Ordinal(3, 5), padding=0)
    assert layer(torch.randn(1, 2, 9, 8)).shape == (1, 3, 5, 4)
    assert layer.specialise().padding == (0, 0)


def test_index_selection_by_hand(picked):
    inp, out = Ordinal(2, 3), Ordinal(2, 3)
    layer = elastic.Conv2d(picked(inp, (2, 0, 1)), picked(out, (1, 2, 0)), 1)
    inp.value, out.value = 2, 2
    weight, bias = layer.weight[[1, 2]][:, [2, 0]], layer.bias[[1, 2]]
    x = torch.randn(2, 2, 3, 4)
    torch.testing.assert_close(layer(x), F.conv2d(x, weight, bias))


def test_depthwise_selects_rows_by_index(picked):
    width = Ordinal(2, 4)
    layer = elastic.Conv2d(*[picked(width, (3, 1, 0, 2))] * 2, 3, depthwise=True).double()
    x = torch.randn(2, 4, 5, 5, **DOUBLE)
    all_channels = layer(x)
    width.value = 2
    torch.testing.assert_close(layer(x[:, :2]), all_channels[:, :2])
    assert torch.equal(layer.specialise().weight, layer.weight[[3, 1]])


def test_groups_that_follow_the_width_keep_the_partners_of_a_channel():
    width = Ordinal(4, 8, 12)
    layer = elastic.Conv2d(width, width, 3, groups=width // 4).double()
    x = torch.randn(2, 12, 5, 5, **DOUBLE)
    largest = layer(x)
    for width_value in width.choices:
        width.value = width_value
        torch.testing.assert_close(layer(x[:, : width.value]), largest[:, : width.value])


def test_fixed_groups_take_the_first_columns_of_each_row():
    width = Ordinal(2, 6)
    layer = elastic.Conv2d(width, 4, 1, groups=2, bias=False)
    width.value = 2
    assert torch.equal(layer.specialise().weight, layer.weight[:, :1])


def test_groups_by_index_keep_the_partners_where_no_group_is_cut_through(picked):
    width = Ordinal(4, 6, 8)
    inp = picked(width, (1, 3, 4, 7, 0, 5, 2, 6))
    layer = elastic.Conv2d(inp, 4, 3, groups=2).double()
    width.value = 4
    x = torch.randn(2, 4, 5, 5, **DOUBLE)
    full = torch.zeros(2, 8, 5, 5, **DOUBLE)
    full[:, [1, 3, 4, 7]] = x
    expected = F.conv2d(full, layer.weight, layer.bias, padding=1, groups=2)
    torch.testing.assert_close(layer(x), expected)
    with torch.no_grad():
        assert torch.equal(layer(x), layer.specialise()(x))
    width.value = 6  # 1 3 4 | 7 0 5: both groups take inputs from both groups of the largest layer
    assert torch.equal(layer.specialise().weight, layer.weight[:, :3])


def test_groups_by_index_take_the_first_columns_where_outputs_cross_groups(picked):
    width = Ordinal(2, 4)
    layer = elastic.Conv2d(picked(width, (1, 3, 0, 2)), picked(width, (2, 0, 1, 3)), 1, groups=2, bias=False)
    width.value = 2
    assert torch.equal(layer.specialise().weight, layer.weight[[2, 0]][:, :1])


def test_channels_last_is_kept():
    width = Ordinal(4, 8)
    layer = elastic.Conv2d(width, width, 3).to(memory_format=torch.channels_last)
    width.value = 4
    x = torch.randn(2, 4, 5, 5).to(memory_format=torch.channels_last)
    plain = layer.specialise()
    assert plain.weight.is_contiguous(memory_format=torch.channels_last)
    with torch.no_grad():
        assert layer(x).is_contiguous(memory_format=torch.channels_last)
        assert torch.equal(layer(x), plain(x))


@pytest.mark.parametrize("cls", ["Conv1d", "Conv2d", "Conv3d"])
def test_specialised_is_the_plain_layer(cls):
    layer = getattr(elastic, cls)(Ordinal(2, 4), 6, Ordinal(3, 5), stride=2, dilation=2, groups=2, bias=False)
    layer.in_channels.value, layer.kernel_size.value = 2, 3
    plain = layer.specialise()
    assert type(plain) is getattr(nn, cls)
    axes = int(cls[4])
    expected = getattr(nn, cls)(2, 6, 3, stride=2, padding=2, dilation=2, groups=2, bias=False)
    assert repr(plain) == repr(expected)
    assert plain.weight.shape == (6, 1, *[3] * axes)


def test_repr_names_what_is_special():
    width = Ordinal(2, 4)
    assert repr(elastic.Conv2d(width, width, 3, depthwise=True)) == (
        "Conv2d(Ordinal(2, 4), Ordinal(2, 4), kernel_size=3, stride=(1, 1), depthwise=True, bias=True)"
    )
    assert repr(elastic.Conv1d(4, 2, 3, padding=0, dilation=2, groups=2, bias=False)) == (
        "Conv1d(4, 2, kernel_size=3, stride=(1,), padding=(0,), dilation=2, groups=2, bias=False)"
    )
