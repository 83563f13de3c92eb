"""Both ways to multiply with an adjacency matrix against dense matrices and torch-geometric."""

from __future__ import annotations

import gc

import networkx
import pytest
import torch
from automl_graph import propagation
from automl_graph.data import karate_club
from automl_graph.propagation import Normalisation, adjacency, propagation_limit
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from automl.errors import DataError

NODES = 7
# Node 1 has a self loop, 0 -> 2 stands there twice, node 5 only sends, node 6 is alone.
EDGES = torch.tensor([[0, 0, 1, 2, 3, 4, 5, 2, 4], [2, 2, 1, 0, 1, 3, 4, 3, 0]])
SETTINGS = [(norm, loops) for norm in ("none", "row", "sym") for loops in (True, False)]


def dense(norm: Normalisation, self_loops: bool) -> Tensor:
    """The definition, written with a dense matrix."""
    matrix = torch.zeros(NODES, NODES, dtype=torch.float64)
    for source, target in EDGES.T.tolist():
        matrix[target, source] += 1
    if self_loops:
        matrix.fill_diagonal_(1)
    degree = matrix.sum(1)
    if norm == "row":
        matrix = matrix / degree.clamp(min=1)[:, None]
    if norm == "sym":
        scale = torch.where(degree > 0, degree.clamp(min=1) ** -0.5, 0)
        matrix = scale[:, None] * matrix * scale[None, :]
    return matrix


def features(width: int = 3) -> Tensor:
    generator = torch.Generator().manual_seed(3)
    return torch.randn(NODES, width, dtype=torch.float64, generator=generator)


@pytest.mark.parametrize(("norm", "self_loops"), SETTINGS)
def test_cached_and_traced_product_equal_the_dense_one(norm: Normalisation, self_loops: bool) -> None:
    x = features()
    expected = dense(norm, self_loops) @ x
    cached = adjacency(EDGES, NODES).propagate(x, norm=norm, self_loops=self_loops)
    traced = propagation._TracedAdjacency(EDGES, NODES).propagate(x, norm=norm, self_loops=self_loops)
    torch.testing.assert_close(cached, expected, rtol=0, atol=1e-14)
    torch.testing.assert_close(traced, expected, rtol=0, atol=1e-14)


@pytest.mark.parametrize("self_loops", [True, False])
def test_symmetric_product_equals_that_of_torch_geometric(self_loops: bool) -> None:
    from automl_graph import pyg  # noqa: F401  (its guarded import comes before the one of the test)
    from torch_geometric.nn.conv.gcn_conv import gcn_norm

    x = features()
    edges, weights = gcn_norm(EDGES, None, NODES, add_self_loops=self_loops, dtype=torch.float64)
    expected = torch.zeros_like(x).index_add(0, edges[1], x[edges[0]] * weights[:, None])
    found = adjacency(EDGES, NODES).propagate(x, norm="sym", self_loops=self_loops)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-14)


@pytest.mark.parametrize(("norm", "self_loops"), SETTINGS)
def test_gradient_is_the_transposed_product(norm: Normalisation, self_loops: bool) -> None:
    x = features().requires_grad_()
    assert torch.autograd.gradcheck(
        lambda x: adjacency(EDGES, NODES).propagate(x, norm=norm, self_loops=self_loops), (x,)
    )


def test_no_edges_and_no_nodes() -> None:
    none = torch.zeros(2, 0, dtype=torch.int64)
    x = features()
    assert torch.equal(adjacency(none, NODES).propagate(x, norm="sym", self_loops=True), x)
    assert torch.equal(adjacency(none, NODES).propagate(x, norm="row", self_loops=False), torch.zeros_like(x))
    empty = torch.zeros(0, 3)
    assert adjacency(none.clone(), 0).propagate(empty, norm="sym", self_loops=True).shape == (0, 3)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_product_has_the_dtype_of_the_features(dtype: torch.dtype) -> None:
    x = features().to(dtype)
    found = adjacency(EDGES, NODES).propagate(x, norm="sym", self_loops=True)
    assert found.dtype == dtype
    expected = dense("sym", True) @ x.double()
    torch.testing.assert_close(found.double(), expected, rtol=0, atol=4 * torch.finfo(dtype).eps)


def test_matrix_is_built_once_per_graph_and_again_after_a_change_in_place() -> None:
    edges = EDGES.clone()
    first = adjacency(edges, NODES)
    assert adjacency(edges, NODES) is first
    edges[1, 0] = 5
    assert adjacency(edges, NODES) is not first
    assert adjacency(edges, NODES + 1).propagate(torch.ones(NODES + 1, 1), norm="none", self_loops=True).shape == (8, 1)


def test_matrix_disappears_with_its_graph() -> None:
    edges = EDGES.clone()
    gc.collect()
    before = len(propagation._KNOWN)
    adjacency(edges, NODES).propagate(features(), norm="sym", self_loops=False)
    assert len(propagation._KNOWN) == before + 1
    del edges
    gc.collect()
    assert len(propagation._KNOWN) == before


def test_matrix_that_was_built_for_inference_serves_training() -> None:
    edges = EDGES.clone()
    with torch.inference_mode():
        expected = adjacency(edges, NODES).propagate(features(), norm="sym", self_loops=True)
        new = adjacency(EDGES.clone(), NODES).propagate(features(), norm="sym", self_loops=True)
    x = features().requires_grad_()
    found = adjacency(edges, NODES).propagate(x, norm="sym", self_loops=True)
    assert torch.equal(found, expected)
    assert torch.equal(found, new)
    found.sum().backward()  # type: ignore[no-untyped-call]
    torch.testing.assert_close(x.grad, dense("sym", True).T @ torch.ones(NODES, 3, dtype=torch.float64))


@pytest.mark.parametrize("bad", [-1, NODES])
def test_edge_to_a_node_that_does_not_exist_is_an_error_not_a_crash(bad: int) -> None:
    edges = EDGES.clone()
    edges[0, 3] = bad
    with pytest.raises(DataError, match=rf"edge_index: holds node .*{bad}.* the graph has 7 nodes"):
        adjacency(edges, NODES)


def test_sparse_product_is_counted_as_sparse() -> None:
    x = torch.randn(NODES, 5)
    with FlopCounterMode(display=False) as counter:
        adjacency(EDGES, NODES).propagate(x, norm="none", self_loops=False)
    assert counter.get_total_flops() == 2 * EDGES.shape[1] * 5


def test_powers_of_the_symmetric_matrix_reach_their_limit_on_the_karate_club() -> None:
    """Check 2 of DAGNN."""
    graph = karate_club()
    matrix = adjacency(graph.edge_index, 34).propagate(torch.eye(34, dtype=torch.float64), norm="sym", self_loops=True)
    limit = propagation_limit(graph.edge_index, 34, norm="sym")
    distance = {k: float((torch.linalg.matrix_power(matrix, k) - limit).abs().max()) for k in (50, 100)}
    assert 4e-4 < distance[50] < 5.05e-4
    assert 1e-6 < distance[100] < 2.1e-6
    assert float(torch.linalg.eigvalsh(matrix).abs().sort().values[-2]) == pytest.approx(0.8961, abs=5e-5)


def test_powers_of_the_row_matrix_forget_the_row_on_the_karate_club() -> None:
    """Check 2 of DAGNN, row form: every row is degree / 190."""
    graph = karate_club()
    matrix = adjacency(graph.edge_index, 34).propagate(torch.eye(34, dtype=torch.float64), norm="row", self_loops=True)
    degree = torch.tensor([d + 1 for _, d in networkx.karate_club_graph().degree()], dtype=torch.float64)
    limit = propagation_limit(graph.edge_index, 34, norm="row")
    torch.testing.assert_close(limit, (degree / 190).expand(34, 34), rtol=0, atol=1e-15)
    torch.testing.assert_close(torch.linalg.matrix_power(matrix, 1000), limit, rtol=0, atol=1e-12)
