"""Hand-computed cases of single blocks, and the messages for options that make no sense."""

from __future__ import annotations

import itertools
import math
import re
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
import torch
from automl_vision.attention import AttentionBlock
from automl_vision.conv_stem import ConvStem
from automl_vision.convnext import ConvNeXtBlock
from automl_vision.layer_scale import LayerScale
from automl_vision.mbconv import MBConv
from automl_vision.mobile_head import MobileHead
from automl_vision.relative_position import RelativePositionBias
from automl_vision.residual import Residual
from automl_vision.shortcut import keeps_shape
from automl_vision.squeeze_excite import SqueezeExcite
from torch import Tensor, nn

from automl import elastic
from automl.errors import SpaceError
from automl.space import Ordinal, Size


@pytest.fixture(autouse=True)
def _same_weights_each_time() -> None:
    torch.manual_seed(5)


def draw(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64)


# --- shortcuts -------------------------------------------------------------------------------------------------------


def test_only_one_and_the_same_width_is_passed_on_unchanged() -> None:
    width, twin = Ordinal(8, 16), Ordinal(8, 16)
    assert keeps_shape(width, width, 1)
    assert keeps_shape(8, 8, 1)
    assert not keeps_shape(width, width, 2)
    assert not keeps_shape(width, twin, 1)
    assert not keeps_shape(width, 16, 1)
    assert not keeps_shape(width * 2, width * 2, 1)
    assert isinstance(Residual(width, width).shortcut, nn.Identity)
    assert isinstance(Residual(width, twin).shortcut, nn.Sequential)
    assert isinstance(Residual(width, width, stride=2).shortcut, nn.Sequential)


@pytest.mark.parametrize(("inp", "out", "stride", "kept"), [(6, 6, 1, True), (6, 6, 2, False), (6, 7, 1, False)])
def test_silent_branches_leave_the_input_where_the_shape_is_kept(inp: int, out: int, stride: int, kept: bool) -> None:
    x = draw(2, inp, 5, 7)
    mbconv = MBConv(inp, out, stride=stride).double().eval()
    nn.init.zeros_(mbconv.project[1].weight)
    assert torch.equal(mbconv(x), x) is kept
    for block in (ConvNeXtBlock(inp, out, stride=stride), AttentionBlock(inp, out, stride=stride)):
        assert isinstance(block.merging, nn.Identity) is kept
    if kept:
        convnext = ConvNeXtBlock(inp, out, layer_scale=0.0).double()
        assert torch.equal(convnext(x), x)
        residual = Residual(inp, out, branch="basic").double().eval()
        nn.init.zeros_(residual.branch[4].weight)
        assert torch.equal(residual(x), x.relu())


def test_projected_shortcut_is_a_strided_pointwise_convolution() -> None:
    block = Residual(3, 4, stride=2, branch="basic").double().eval()
    nn.init.zeros_(block.branch[4].weight)
    x = draw(2, 3, 5, 7)
    expected = torch.einsum("oi,nihw->nohw", block.shortcut[0].weight[:, :, 0, 0], x[:, :, ::2, ::2])
    torch.testing.assert_close(block(x), (expected / math.sqrt(1 + 1e-5)).relu(), rtol=1e-12, atol=1e-12)


# --- convolutional blocks --------------------------------------------------------------------------------------------


def test_mbconv_without_squeeze_excite_equals_the_one_that_switches_it_off() -> None:
    searched = MBConv(5, 7, squeeze_excite=[False, True]).double().eval()
    never, always = (MBConv(5, 7, squeeze_excite=v).double().eval() for v in (False, True))
    weights = searched.state_dict()
    never.load_state_dict({k: v for k, v in weights.items() if not k.startswith("squeeze_excite")})
    always.load_state_dict({k.replace("squeeze_excite.on", "squeeze_excite"): v for k, v in weights.items()})
    x = draw(2, 5, 6, 9)
    assert isinstance(searched.squeeze_excite, elastic.Choice)
    for value, fixed in (("off", never), ("on", always)):
        searched.squeeze_excite.choice.value = value
        assert torch.equal(searched(x), fixed(x))
    assert not torch.allclose(never(x), always(x))


@torch.no_grad()
def test_squeeze_excite_gates_each_channel_by_the_means_of_all() -> None:
    layer = SqueezeExcite(3, multiple=2).double()
    assert layer.squeeze.weight.shape == (2, 3, 1, 1)
    x = draw(2, 3, 4, 5) + 1
    for n in range(2):
        means = [float(x[n, c].mean()) for c in range(3)]
        hidden = [
            max(0.0, sum(float(layer.squeeze.weight[h, c]) * means[c] for c in range(3)) + float(layer.squeeze.bias[h]))
            for h in range(2)
        ]
        for c in range(3):
            score = sum(float(layer.expand.weight[c, h]) * hidden[h] for h in range(2)) + float(layer.expand.bias[c])
            gate = min(1.0, max(0.0, score / 6 + 0.5))
            torch.testing.assert_close(layer(x)[n, c], x[n, c] * gate, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("width", "hidden"), [(16, 8), (72, 16), (120, 32), (960, 240)])
def test_squeeze_excite_has_a_quarter_of_the_channels_in_multiples_of_eight(width: int, hidden: int) -> None:
    assert SqueezeExcite(width).squeeze.out_channels == hidden
    elastic_width = SqueezeExcite(Ordinal(8, width)).squeeze.out_channels
    assert isinstance(elastic_width, Size)
    assert elastic_width.maximum == hidden


def test_fixed_expansion_of_one_has_no_expanding_layer() -> None:
    assert isinstance(MBConv(8, 8, expansion=1).expand, nn.Identity)
    assert isinstance(MBConv(8, 8, expansion=[1, 2]).expand, nn.Sequential)


def test_smaller_expansion_is_a_prefix_of_a_larger_one() -> None:
    block = MBConv(4, 6, kernel=3, expansion=[2, 5], squeeze_excite=False).double().eval()
    block.expansion.value = 2
    small = MBConv(4, 6, kernel=3, expansion=2, squeeze_excite=False).double().eval()
    for mine, theirs in ((small.expand[0], block.expand[0]), (small.depthwise[0], block.depthwise[0])):
        mine.weight.data.copy_(theirs.weight[:8])
    small.project[0].weight.data.copy_(block.project[0].weight[:, :8])
    x = draw(2, 4, 5, 7)
    torch.testing.assert_close(block(x), small(x), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("width", "middle"), [(7, 4), (16, 4), (32, 8), (64, 16)])
def test_bottleneck_narrows_by_the_reduction(width: int, middle: int) -> None:
    assert Residual(width, width, branch="bottleneck").branch[0].out_channels == middle


def test_mobile_head_of_the_paper_has_its_numbers_of_parameters() -> None:
    # Table 1 of arXiv:1905.02244: 160 → 960 pointwise with batch norm, 960 → 1280 and 1280 → 1000 linear with bias.
    head = MobileHead(160, 1000)
    assert sum(p.numel() for p in head.parameters()) == 160 * 960 + 2 * 960 + 961 * 1280 + 1281 * 1000


# --- attention and scales --------------------------------------------------------------------------------------------


def test_position_bias_is_looked_up_by_clipped_offsets() -> None:
    layer = RelativePositionBias(2, reach=2).double()
    height, width = 4, 5
    bias = layer(height, width)
    for i, j in itertools.product(range(height * width), repeat=2):
        down = min(2, max(-2, j // width - i // width))
        right = min(2, max(-2, j % width - i % width))
        assert torch.equal(bias[:, i, j], layer.table.weight[(down + 2) * 5 + right + 2])


def test_attention_equals_its_formula_pixel_by_pixel() -> None:
    block = AttentionBlock(3, 3, heads=2, head_dim=4, ratio=2, reach=1).double()
    with torch.no_grad():
        for parameter in block.parameters():
            parameter.copy_(draw(*parameter.shape) / 2)
    x = draw(1, 3, 2, 3)
    pixels = x[0].flatten(1).T  # [6, 3]
    a = block.attention
    normed = block.attention_norm(pixels)
    query, key, value = a.query(normed), a.key(normed), a.value(normed)
    bias = block.position(2, 3)
    mixed = torch.zeros(6, 8, dtype=torch.float64)
    for h, i in itertools.product(range(2), range(6)):
        part = slice(4 * h, 4 * h + 4)
        scores = torch.stack([query[i, part] @ key[j, part] / 2 + bias[h, i, j] for j in range(6)])
        mixed[i, part] = scores.softmax(0) @ value[:, part]
    expected = pixels + a.output(mixed)
    expected = expected + block.mlp(block.mlp_norm(expected))
    torch.testing.assert_close(block(x)[0].flatten(1).T, expected, rtol=1e-12, atol=1e-12)


def test_attention_sees_places_only_through_the_bias() -> None:
    block = AttentionBlock(4, 4).double()
    x = draw(2, 4, 3, 5)
    order = torch.randperm(15)

    def shuffled(maps: Tensor) -> Tensor:
        return maps.flatten(2)[:, :, order].unflatten(2, (3, 5))

    assert not torch.allclose(block(shuffled(x)), shuffled(block(x)), rtol=1e-6, atol=1e-6)
    nn.init.constant_(block.position.table.weight, 0.7)
    torch.testing.assert_close(block(shuffled(x)), shuffled(block(x)), rtol=1e-12, atol=1e-12)


class Odd(Size):
    """The odd units among six, as importance-sorted channels would select them."""

    value = 3
    minimum = 3
    maximum = 6
    dimensions = ()

    def indices(self) -> tuple[int, ...]:
        return (1, 3, 5)


def test_layer_scale_follows_channels_selected_by_index() -> None:
    layer = LayerScale(Odd()).double()
    layer.weight.data.copy_(torch.arange(6.0))
    x = draw(2, 4, 3)
    assert torch.equal(layer(x), x * torch.tensor([1.0, 3.0, 5.0], dtype=torch.float64))
    plain = layer.specialise()
    assert torch.equal(plain(x), layer(x))
    assert plain.weight.tolist() == [1.0, 3.0, 5.0]
    assert plain.weight.data_ptr() != layer.weight.data_ptr()


def test_layer_scale_of_fewer_channels_is_a_prefix() -> None:
    layer = LayerScale(width := Ordinal(2, 3)).double()
    layer.weight.data.copy_(torch.arange(1.0, 4.0))
    width.value = 2
    x = draw(4, 2)
    assert torch.equal(layer(x), x * torch.tensor([1.0, 2.0], dtype=torch.float64))
    assert layer.specialise().weight.tolist() == [1.0, 2.0]


# --- bad options -----------------------------------------------------------------------------------------------------

BAD_OPTIONS: list[tuple[Callable[[], Any], str]] = [
    (lambda: ConvStem(3, 8, kernel=4), "kernel: the kernel length 4 is even; use 3 or 5."),
    (lambda: ConvStem(3, 8, kernel=[5, 3]), "choices must increase"),
    (lambda: ConvStem(3, 8, kernel=[]), "kernel: no choice is given"),
    (lambda: ConvStem(3, 8, kernel="3"), "kernel: '3' is not a whole number of at least 1."),
    (lambda: ConvStem(3, 8, kernel=None), "kernel: None is not a whole number of at least 1, nor a list of such."),
    (lambda: ConvStem(3, 8, activation="rellu"), "activation: unknown activation 'rellu'. Did you mean 'relu'"),
    (lambda: MBConv(8, 8, expansion=[0, 2]), "expansion: 0 is not a whole number of at least 1."),
    (lambda: MBConv(8, 8, expansion=True), "expansion: True is not a whole number"),
    (lambda: MBConv(8, 8, squeeze_excite=[True, True]), "squeeze_excite: [True, True] must be true, false or both"),
    (lambda: MBConv(8, 8, squeeze_excite=[]), "squeeze_excite: [] must be true, false or both"),
    (lambda: MBConv(8, 8, squeeze_excite="yes"), "squeeze_excite: 'yes' must be true, false or both"),
    (lambda: Residual(8, 8, branch="basik"), "branch: unknown branch 'basik'. Did you mean 'basic'?"),
    (lambda: Residual(8, 8, branch=[]), "branch: no choice is given"),
    (lambda: Residual(8, 8, reduction=0), "reduction: 0 is not a whole number of at least 1; this option takes one"),
    (lambda: AttentionBlock(8, 8, heads=[2.5, 4]), "heads: 2.5 is not a whole number of at least 1."),
    (lambda: AttentionBlock(8, 8, head_dim=[8, 16]), "head_dim: [8, 16] is not a whole number of at least 1; this opt"),
    (lambda: AttentionBlock(8, 8, reach=-1), "reach: -1 is not a whole number"),
]


@pytest.mark.parametrize(("build", "message"), BAD_OPTIONS, ids=[m for _, m in BAD_OPTIONS])
def test_options_without_sense_are_refused_by_name_and_value(build: Callable[[], Any], message: str) -> None:
    with pytest.raises(SpaceError, match=re.escape(message)):
        build()


def test_listing_the_plugin_loads_no_torch() -> None:
    code = "import sys, automl_vision.plugin as p; p.automl_families(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
