"""Features that are mostly zeros: products, dropout, propagation and everything else agree with those of dense tensors."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import torch
from automl_graph.blocks import GCN, MLP, SAGE, NodeClassifier
from automl_graph.data import NodeData
from automl_graph.propagation import adjacency
from automl_graph.signal import Graph
from automl_graph.sparse_features import SparseFeatures, sparse_features
from automl_graph.tasks import NodeClassification
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from automl.supernet import Supernet


def bag_of_words(nodes: int = 40, width: int = 100, *, seed: int = 0, share: float = 0.05) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    values = torch.rand(nodes, width, generator=generator) + 0.1
    return values * (torch.rand(nodes, width, generator=generator) < share)


def sparse(x: Tensor) -> SparseFeatures:
    found = sparse_features(x)
    assert isinstance(found, SparseFeatures)
    return found


@given(nodes=st.integers(1, 20), width=st.integers(64, 90), out=st.integers(1, 5), seed=st.integers(0, 99))
def test_linear_layer_and_its_gradients_are_those_of_dense_features(
    nodes: int, width: int, out: int, seed: int
) -> None:
    x = bag_of_words(nodes, width, seed=seed, share=0.03).double()
    features = sparse_features(x)
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randn(out, width, generator=generator, dtype=torch.float64).requires_grad_()
    bias = torch.randn(out, generator=generator, dtype=torch.float64).requires_grad_()
    goal = torch.randn(nodes, out, generator=generator, dtype=torch.float64)
    found, expected = F.linear(features, weight, bias), F.linear(x, weight, bias)
    torch.testing.assert_close(found, expected)
    gradients = torch.autograd.grad((found * goal).sum(), (weight, bias))
    torch.testing.assert_close(gradients, torch.autograd.grad((expected * goal).sum(), (weight, bias)))


def test_dropout_keeps_scales_up_and_never_fills_zeros() -> None:
    x = bag_of_words(200, 300)
    torch.manual_seed(0)
    dropped = F.dropout(sparse(x), 0.8)
    assert isinstance(dropped, SparseFeatures)
    assert not dropped.constant
    dense = dropped.dense()
    kept = dense != 0
    assert torch.equal(dense[kept], (x * 5)[kept])
    assert (dense[x == 0] == 0).all()
    assert 0.15 < kept.sum() / (x != 0).sum() < 0.25
    weight = torch.randn(7, 300)
    torch.testing.assert_close(F.linear(dropped, weight), dense @ weight.t())
    again = F.dropout(sparse(x), 0.8, training=False)
    assert torch.equal(again + 0, x)


def test_what_has_no_sparse_form_sees_a_plain_tensor() -> None:
    x = bag_of_words()
    dropped = F.dropout(sparse(x), 0.5)
    for features in (sparse(x), dropped):
        dense = features.dense()
        assert type(dense) is Tensor
        assert type(features * 2) is Tensor
        assert torch.equal(features * 2, dense * 2)
        assert torch.equal(torch.cat([features, features], dim=1), torch.cat([dense, dense], dim=1))
        assert torch.equal(features[3:5], dense[3:5])
        assert torch.equal(features.T, dense.T)
        assert np.array_equal(features.numpy(), dense.numpy())
        assert torch.equal(copy.deepcopy(features), dense)
        assert features.shape == (40, 100)
        assert (len(features), features.dtype, features.requires_grad) == (40, torch.float32, False)


def test_copies_share_nothing() -> None:
    x = bag_of_words()
    features = sparse(x)
    copied = features.clone()
    assert isinstance(copied, SparseFeatures)
    weight = torch.randn(3, 100)
    expected = x @ weight.t()
    dropped = F.dropout(features, 0.5)
    assert torch.equal(dropped.clone().dense(), dropped.dense())
    x.zero_()
    features._entries.zero_()
    torch.testing.assert_close(F.linear(copied, weight), expected)


def test_mixed_precision_takes_the_dense_product() -> None:
    features, weight = sparse(bag_of_words()), torch.randn(3, 100)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = F.linear(features, weight)
        assert found.dtype == torch.bfloat16
        assert torch.equal(found, F.linear(features.dense(), weight))


@pytest.mark.parametrize(
    "x",
    [
        pytest.param(torch.ones(10, 100), id="dense"),
        pytest.param(torch.zeros(10, 10), id="narrow"),
        pytest.param(torch.zeros(10, 100, dtype=torch.int64), id="numbers"),
        pytest.param(torch.zeros(10, 100, requires_grad=True), id="trained"),
    ],
)
def test_features_that_gain_nothing_stay_as_they_are(x: Tensor) -> None:
    assert sparse_features(x) is x


def test_propagated_features_are_kept_as_long_as_the_features() -> None:
    x = bag_of_words(share=0.01)
    edge_index = torch.randint(40, (2, 60), generator=torch.Generator().manual_seed(1))
    matrix = adjacency(edge_index, 40)
    features = sparse(x)
    found = matrix.propagate(features, norm="sym", self_loops=True)
    assert matrix.propagate(features, norm="sym", self_loops=True) is found
    assert matrix.propagate(features, norm="row", self_loops=True) is not found
    torch.testing.assert_close(found + 0, matrix.propagate(x, norm="sym", self_loops=True))
    dropped = F.dropout(features, 0.5)
    twice = [matrix.propagate(dropped, norm="sym", self_loops=True) for _ in range(2)]
    assert twice[0] is not twice[1]
    torch.testing.assert_close(twice[0], matrix.propagate(dropped.dense(), norm="sym", self_loops=True))
    others = sparse(x * 2)
    torch.testing.assert_close(matrix.propagate(others, norm="sym", self_loops=True) + 0, 2 * (found + 0))


def test_scaled_rows_stay_sparse_are_kept_and_equal_dense_ones() -> None:
    x = bag_of_words()
    x[::2] *= -3
    x[5] = 0
    features = sparse(x)
    shares = F.normalize(features, p=1, dim=1)
    assert isinstance(shares, SparseFeatures)
    assert shares.constant
    assert F.normalize(features, p=1, dim=1) is shares
    torch.testing.assert_close(shares.dense(), F.normalize(x, p=1, dim=1))
    weight = torch.randn(3, x.shape[1], generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(F.linear(shares, weight), F.linear(F.normalize(x, p=1, dim=1), weight))
    assert torch.equal(features.dense(), x)  # unchanged
    assert type(F.normalize(features, p=2, dim=1)) is Tensor
    torch.testing.assert_close(F.normalize(features, p=1, dim=0), F.normalize(x, p=1, dim=0))
    dropped = F.dropout(features, 0.5)
    torch.testing.assert_close(F.normalize(dropped, p=1, dim=1), F.normalize(dropped.dense(), p=1, dim=1))


@pytest.mark.parametrize("block", [MLP, partial(MLP, scale_rows=True), GCN, SAGE])
def test_networks_train_as_on_dense_features(block: Callable[..., torch.nn.Module]) -> None:
    x = bag_of_words(40, 100)
    edge_index = torch.randint(40, (2, 90), generator=torch.Generator().manual_seed(1))
    torch.manual_seed(0)
    supernet = Supernet(torch.nn.Sequential(block(100, 8, dropout=0.0), NodeClassifier(8, 3)))
    model = supernet.extract(supernet.space.largest()).train()
    gradients = []
    for features in (x, sparse(x)):
        model.zero_grad()
        model(Graph(features, edge_index)).square().sum().backward()
        gradients.append([parameter.grad for parameter in model.parameters()])
    torch.testing.assert_close(gradients[0], gradients[1])


def test_task_trains_on_sparse_features_and_exports_dense_ones() -> None:
    x = bag_of_words(40, 100)
    edge_index = torch.randint(40, (2, 90), generator=torch.Generator().manual_seed(1))
    data = NodeData("words", x, edge_index, torch.arange(40) % 2, ("a", "b"))
    task = NodeClassification.of(data, seed=0)
    (batch, *_) = task.train_batches(np.random.default_rng(0), 1)
    assert isinstance(batch.inputs[0], SparseFeatures)
    assert type(task.example_inputs(1)[0]) is Tensor
    assert torch.equal(batch.inputs[0] + 0, task.example_inputs(1)[0])
