from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from automl.errors import SpaceError
from automl.stitching.layer import StitchingLayer, least_squares
from automl.stitching.layout import Layout

MAP, SMALL_MAP = Layout("map", 3, (6, 4)), Layout("map", 5, (3, 2))
TOKENS, CLASS_TOKENS = Layout("tokens", 7, (24,)), Layout("tokens", 7, (25,))


def _features(layout: Layout, batch: int, seed: int) -> torch.Tensor:
    shapes = {
        "map": (batch, layout.width, *layout.resolution),
        "tokens": (batch, *layout.resolution, layout.width),
        "vector": (batch, layout.width),
    }
    return torch.randn(shapes[layout.kind], generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize(
    ("front", "back"),
    [
        (MAP, Layout("map", 5, (6, 4))),
        (TOKENS, Layout("tokens", 4, (24,))),
        (Layout("vector", 6, ()), Layout("vector", 9, ())),
        (MAP, SMALL_MAP),
        (SMALL_MAP, MAP),
        (MAP, TOKENS),
        (MAP, CLASS_TOKENS),
        (CLASS_TOKENS, MAP),
        (Layout("tokens", 4, (17,)), Layout("tokens", 5, (9,))),
    ],
)
def test_a_fit_leaves_no_gradient_and_gives_the_form_of_the_back(front: Layout, back: Layout) -> None:
    layer = StitchingLayer(front, back, ("resize", "tokens")).double()
    x, y = _features(front, 11, 1), _features(back, 11, 2)
    layer.fit([(x, y)])
    assert layer(x).shape == y.shape
    loss = F.mse_loss(layer(x), y)
    loss.backward()
    for parameter in layer.parameters():
        assert parameter.grad is not None
        assert parameter.grad.abs().max() < 1e-12
    assert loss < F.mse_loss(y.mean() * torch.ones_like(y), y)


@given(inp=st.integers(1, 6), out=st.integers(1, 6), seed=st.integers(0, 99))
def test_an_exact_affine_map_is_found(inp: int, out: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(20, inp, generator=generator, dtype=torch.float64)
    weight = torch.randn(out, inp, generator=generator, dtype=torch.float64)
    bias = torch.randn(out, generator=generator, dtype=torch.float64)
    found_weight, found_bias = least_squares(x, x @ weight.T + bias)
    assert torch.allclose(found_weight, weight, atol=1e-10)
    assert torch.allclose(found_bias, bias, atol=1e-10)


def test_dead_features_get_no_weight() -> None:
    x = torch.randn(20, 3)
    x[:, 1] = 0
    weight, _ = least_squares(x, torch.randn(20, 2))
    assert weight[:, 1].abs().max() < 1e-12


def test_a_shared_layer_starts_at_the_mean_of_its_solutions() -> None:
    front, back = Layout("vector", 3, ()), Layout("vector", 2, ())
    pairs = [(_features(front, 9, i), _features(back, 9, i + 5)) for i in range(3)]
    layer = StitchingLayer(front, back).double()
    layer.fit(pairs)
    weights = torch.stack([least_squares(x, y)[0] for x, y in pairs])
    assert torch.allclose(layer.linear.weight, weights.mean(0), atol=1e-12)


def test_maps_are_joined_by_a_convolution_and_tokens_by_a_linear_layer() -> None:
    assert isinstance(StitchingLayer(MAP, Layout("map", 5, (6, 4))).linear, nn.Conv2d)
    assert isinstance(StitchingLayer(TOKENS, Layout("tokens", 5, (24,))).linear, nn.Linear)


def test_a_pixel_stays_in_its_place_on_the_way_through_tokens() -> None:
    layer = StitchingLayer(MAP, Layout("tokens", 3, (25,)), ["tokens"])
    x = torch.randn(2, 3, 6, 4)
    tokens = layer.adapt(x)
    assert torch.equal(tokens[:, 1 + 4 * 2 + 3], x[:, :, 2, 3])
    assert torch.allclose(tokens[:, 0], x.mean((2, 3)), atol=1e-6)
    back = StitchingLayer(Layout("tokens", 3, (25,)), MAP, ["tokens"])
    assert torch.equal(back.adapt(tokens), x)


@pytest.mark.parametrize(
    ("front", "back", "message"),
    [
        (MAP, SMALL_MAP, r"maps of 6x4 pixels with 3 features become maps of 3x2 .*declare 'adapters: \[resize\]'"),
        (MAP, TOKENS, r"declare 'adapters: \[tokens\]'"),
        (SMALL_MAP, CLASS_TOKENS, r"declare 'adapters: \[tokens, resize\]'"),
        (MAP, Layout("vector", 3, ()), "cannot be turned into vectors with 3 features"),
        (Layout("tokens", 3, (7,)), Layout("tokens", 3, (16,)), "7 tokens with 3 features cannot be turned into"),
    ],
)
def test_forms_that_differ_without_a_declared_adapter_are_refused(front: Layout, back: Layout, message: str) -> None:
    with pytest.raises(SpaceError, match=message):
        StitchingLayer(front, back)
