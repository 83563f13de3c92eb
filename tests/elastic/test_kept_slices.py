"""What elastic layers keep between forward passes, and when they let go of it."""

from __future__ import annotations

import gc
import weakref

import pytest
import torch
from torch import nn

from automl import elastic
from automl.space import Ordinal


@pytest.fixture
def counted(monkeypatch) -> list[str]:
    """The slicings that happen from now on, by the name of what happened."""
    calls: list[str] = []
    cut, select = elastic.Linear._cut, elastic.Linear._select
    monkeypatch.setattr(elastic.Linear, "_cut", lambda self, s: (calls.append("cut"), cut(self, s))[1])
    monkeypatch.setattr(elastic.Linear, "_select", lambda self: (calls.append("select"), select(self))[1])
    return calls


def test_slices_are_kept_without_gradients_and_made_anew_with_them(counted):
    width = Ordinal(2, 5)
    layer, x = elastic.Linear(3, width), torch.randn(4, 3)
    width.value = 2
    with torch.no_grad():
        for _ in range(3):
            layer(x)
    assert counted == ["select", "cut"]
    layer(x)
    layer(x)
    assert counted == ["select", "cut", "cut", "cut"]
    with torch.no_grad():
        layer(x)
    assert counted == ["select", *["cut"] * 4]


def test_slices_are_made_anew_when_a_dimension_changes(counted):
    inp, out = Ordinal(2, 3), Ordinal(4, 5, 6)
    layer = elastic.Linear(inp, out)
    with torch.no_grad():
        for inp.value, out.value in [(2, 4), (2, 5), (3, 5), (3, 5), (2, 4)]:
            assert layer(torch.randn(1, inp.value)).shape == (1, out.value)
    assert counted.count("select") == 4


def test_the_full_size_uses_the_parameters_themselves():
    layer = elastic.Linear(Ordinal(2, 3), Ordinal(4, 5))
    weight, bias = layer._arguments()
    assert weight is layer.weight
    assert bias is layer.bias


def test_kept_weights_are_compact_and_of_the_active_size():
    width = Ordinal(2, 6)
    layer = elastic.Conv2d(width, width, Ordinal(3, 5))
    width.value = 2
    layer.kernel_size.value = 3
    with torch.no_grad():
        weight = layer._arguments()[0]
    assert weight.is_contiguous()
    assert weight.untyped_storage().nbytes() == 2 * 2 * 3 * 3 * 4


def test_a_new_size_takes_effect_at_once(picked):
    size = Ordinal(2, 4)
    layer = elastic.Linear(3, picked(size, (0, 1, 2, 3)))
    size.value = 2
    x = torch.randn(5, 3)
    with torch.no_grad():
        before = layer(x)
        layer.out_features = picked(size, (3, 1, 0, 2))
        after = layer(x)
        assert torch.equal(after, layer.weight[[3, 1]].matmul(x.T).T + layer.bias[[3, 1]])
    assert not torch.equal(after, before)


def test_gradients_flow_right_after_a_pass_without_them():
    width = Ordinal(2, 5)
    layer, x = elastic.Linear(3, width), torch.randn(4, 3)
    width.value = 2
    with torch.no_grad():
        layer(x)
    layer(x).sum().backward()
    assert layer.weight.grad[:2].abs().min() > 0
    assert not layer.weight.grad[2:].any()


def test_kept_slices_are_no_state():
    width = Ordinal(2, 5)
    layer = elastic.BatchNorm1d(width)
    keys = list(layer.state_dict())
    width.value = 2
    with torch.no_grad():
        layer.eval()(torch.randn(4, 2))
    assert list(layer.state_dict()) == keys
    assert layer.state_dict()["running_mean"].shape == (5,)


def test_functional_call_uses_the_given_weights():
    width = Ordinal(2, 5)
    layer, x = elastic.Linear(3, width), torch.randn(4, 3)
    width.value = 2
    doubled = {name: tensor.detach() * 2 for name, tensor in layer.named_parameters()}
    with torch.no_grad():
        expected = layer(x)
        assert torch.allclose(torch.func.functional_call(layer, doubled, (x,)), 2 * expected)
        assert torch.equal(layer(x), expected)


def test_meta_and_fake_tensors_pass_through():
    from torch._subclasses.fake_tensor import FakeTensorMode

    width = Ordinal(2, 5)
    layer = elastic.Conv2d(3, width, 3).to("meta")
    width.value = 2
    with torch.no_grad():
        assert layer(torch.randn(1, 3, 4, 4, device="meta")).shape == (1, 2, 4, 4)
        assert elastic.specialise(layer).weight.is_meta
    with FakeTensorMode(), torch.no_grad():
        layer = elastic.Linear(3, width)
        assert layer(torch.randn(4, 3)).shape == (4, 2)


def test_fake_weights_in_place_of_kept_ones_pass_through():
    from torch._subclasses.fake_tensor import FakeTensorMode

    width = Ordinal(2, 5)
    layer = elastic.Linear(3, width)
    width.value = 2
    with torch.no_grad():
        layer(torch.randn(4, 3))
        with FakeTensorMode() as mode:
            weights = {name: mode.from_tensor(tensor) for name, tensor in layer.named_parameters()}
            assert torch.func.functional_call(layer, weights, (torch.randn(4, 3),)).shape == (4, 2)


def test_moving_a_layer_lets_go_of_the_old_memory():
    width = Ordinal(2, 5)
    layer = elastic.Linear(3, width)
    width.value = 2
    with torch.no_grad():
        layer(torch.randn(4, 3))
    old = weakref.ref(layer._memory.kept.alive[0])
    layer.double()
    gc.collect()
    assert old() is None


def test_tracing_an_active_network_needs_no_extraction():
    width = Ordinal(2, 5)
    network = nn.Sequential(elastic.Linear(3, width), nn.ReLU(), elastic.Linear(width, 1)).eval()
    width.value = 2
    x = torch.randn(4, 3)
    with torch.no_grad():
        program = torch.export.export(network, (x,))
        assert torch.equal(program.module()(x), network(x))


def test_automatic_mixed_precision():
    width = Ordinal(2, 5)
    layer = elastic.Linear(3, width)
    width.value = 2
    x = torch.randn(4, 3)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        layer(x).sum().backward()
        with torch.no_grad():
            assert layer(x).dtype == torch.bfloat16
    assert layer.weight.grad[:2].abs().min() > 0
