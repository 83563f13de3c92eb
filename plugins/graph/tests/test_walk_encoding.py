"""Return probabilities of random walks: values, order of nodes, caching, and prefixes of walks."""

from __future__ import annotations

import networkx
import numpy as np
import pytest
import torch
from automl_graph.blocks import WalkEncoding
from automl_graph.return_probabilities import return_probabilities
from automl_graph.signal import Graph
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from automl.elastic import specialise
from automl.errors import SpaceError
from automl.space import SearchSpace


def undirected(nodes: int, share: float, seed: int) -> Tensor:
    edges = np.array(networkx.gnp_random_graph(nodes, share, seed=seed).edges, dtype=np.int64).reshape(-1, 2).T
    return torch.from_numpy(np.concatenate([edges, edges[::-1]], axis=1))


@settings(max_examples=25, deadline=None)
@given(nodes=st.integers(1, 9), seed=st.integers(0, 99))
def test_they_are_the_diagonals_of_powers_of_the_transition_matrix(nodes: int, seed: int) -> None:
    edges = undirected(nodes, 0.4, seed)
    matrix = torch.zeros(nodes, nodes, dtype=torch.float64)
    matrix[edges[1], edges[0]] = 1
    transition = matrix / matrix.sum(1, keepdim=True).clamp(min=1)
    expected = torch.stack([torch.linalg.matrix_power(transition, k).diagonal() for k in (1, 2, 3, 4)], dim=1)
    found = return_probabilities(edges, nodes, 4, matrix)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
    assert bool((found[:, 0] == 0).all())  # no self loops: no walk is back after one step


def test_more_nodes_than_are_worked_on_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    edges, like = undirected(23, 0.2, 1), torch.zeros(0, dtype=torch.float64)
    whole = return_probabilities(edges, 23, 3, like)
    monkeypatch.setattr("automl_graph.return_probabilities._STARTS_AT_ONCE", 5)
    torch.testing.assert_close(return_probabilities(edges.clone(), 23, 3, like), whole, rtol=0, atol=1e-15)


def test_they_are_kept_until_edges_change() -> None:
    edges, like = undirected(8, 0.5, 2), torch.zeros(0)
    first = return_probabilities(edges, 8, 3, like)
    assert return_probabilities(edges, 8, 3, like) is first
    edges[0, 0] = (edges[0, 0] + 1) % 8
    assert return_probabilities(edges, 8, 3, like) is not first


def test_rings_of_different_length_are_told_apart_and_order_of_nodes_does_not_matter() -> None:
    """What message passing on equal features cannot do."""
    three = torch.tensor([[0, 1, 2, 1, 2, 0, 3, 4, 5, 4, 5, 3], [1, 2, 0, 0, 1, 2, 4, 5, 3, 3, 4, 5]])
    ring = torch.arange(6)
    six = torch.stack([torch.cat([ring, (ring + 1) % 6]), torch.cat([(ring + 1) % 6, ring])])
    torch.manual_seed(0)
    block = WalkEncoding(2, 3, encoding="rwse", steps=3).double()
    x = torch.ones(6, 2, dtype=torch.float64)
    a, b = (block(Graph(x, edges)).x for edges in (three, six))
    assert not torch.allclose(a, b)
    edges, features = undirected(6, 0.5, 3), torch.randn(6, 2, dtype=torch.float64)
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    place = torch.argsort(order)
    moved = block(Graph(features[order], place[edges])).x
    torch.testing.assert_close(moved, block(Graph(features, edges)).x[order], rtol=0, atol=1e-12)


def test_fewer_steps_are_the_first_ones_and_exist_only_with_the_encoding() -> None:
    block = WalkEncoding(2, 3, encoding=["none", "rwse"], steps=[2, 5]).double()
    space = SearchSpace.of(block)
    assert space.size() == 3
    block.encoding.value, block.steps.value = "rwse", 2  # type: ignore[union-attr]
    plain = specialise(block)
    assert plain.walks.weight.shape == (3, 2)
    assert torch.equal(plain.walks.weight, block.walks.weight[:, :2])
    with pytest.raises(SpaceError, match="encoding: unknown value 'lap'"):
        WalkEncoding(2, 3, encoding="lap")
