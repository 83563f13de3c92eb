"""The path-rooted encoder: subgraphs, exact counts, what it can and cannot tell apart."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import networkx as nx
import numpy as np
import pytest
import torch
from automl_graph.blocks import KPath
from automl_graph.blocks.graph_readout import GraphReadout
from automl_graph.rooted import rooted_subgraphs
from automl_graph.signal import Graph
from automl_graph.substructures import count_cycles, count_paths, distances, path_matrices, simple_adjacency
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from automl.elastic import specialise
from automl.errors import SpaceError


def edges_of(graph: Any) -> Tensor:
    graph = nx.convert_node_labels_to_integers(graph)
    forward = torch.tensor(list(graph.edges), dtype=torch.int64).reshape(-1, 2).T
    return torch.cat([forward, forward.flip(0)], dim=1)


def simple_paths(graph: Any, root: int, longest: int) -> Iterator[tuple[int, ...]]:
    """All simple paths from a root, by listing them."""
    stack: list[tuple[int, ...]] = [(root,)]
    while stack:
        path = stack.pop()
        if len(path) > 1:
            yield path
        if len(path) <= longest:
            stack += [(*path, u) for u in graph[path[-1]] if u not in path]


def cycle_counts(graph: Any, lengths: range) -> list[int]:
    edges, nodes = edges_of(graph), graph.number_of_nodes()
    return [count_cycles(edges, nodes, length) for length in lengths]


def decalin() -> Any:
    graph = nx.cycle_graph(6)
    nx.add_path(graph, [0, 6, 7, 8, 9, 1])
    return graph


def bicyclopentyl() -> Any:
    graph = nx.disjoint_union(nx.cycle_graph(5), nx.cycle_graph(5))
    graph.add_edge(0, 5)
    return graph


def shrikhande() -> Any:
    graph = nx.Graph()
    for i in range(4):
        for j in range(4):
            for a, b in ((0, 1), (1, 0), (1, 1)):
                graph.add_edge((i, j), ((i + a) % 4, (j + b) % 4))
    return graph


def rook() -> Any:
    return nx.line_graph(nx.complete_bipartite_graph(4, 4))


@pytest.mark.parametrize("k", [1, 2, 3])
def test_subgraphs_are_what_listing_all_paths_gives(k: int) -> None:  # check 1
    for seed in range(10):
        graph = nx.gnp_random_graph(12, 0.25, seed=seed)
        sub = rooted_subgraphs(edges_of(graph), 12, k)
        pair = list(zip(sub.root.tolist(), sub.node.tolist(), strict=True))
        for root in range(12):
            paths = list(simple_paths(graph, root, k))
            nodes = {root} | {u for path in paths for u in path}
            links = {frozenset(step) for path in paths for step in pairwise(path)}
            mine = [i for i, (r, _) in enumerate(pair) if r == root]
            assert {pair[i][1] for i in mine} == nodes
            inside = (sub.root[sub.edges[0]] == root).nonzero().flatten()
            ends = sub.node[sub.edges[:, inside]].T.tolist()
            assert {frozenset(end) for end in ends} == links
            assert len(ends) == 2 * len(links)
            for i in mine:
                assert int(sub.distance[i]) == nx.shortest_path_length(graph, root, pair[i][1])
                assert int(sub.paths[i]) == sum(path[-1] == pair[i][1] for path in paths)


@pytest.mark.parametrize(
    ("graph", "expected"),
    [
        (nx.complete_graph(4), [12, 12, 0]),
        (nx.cycle_graph(6), [6, 6, 6]),
        (nx.petersen_graph(), [30, 60, 120]),
        (nx.complete_bipartite_graph(3, 3), [18, 36, 36]),
        (nx.circular_ladder_graph(3), [18, 30, 42]),
        (nx.karate_club_graph(), [528, 2371, 11032]),
    ],
    ids=["K4", "C6", "Petersen", "K33", "prism", "karate"],
)
def test_numbers_of_paths(graph: Any, expected: list[int]) -> None:  # check 2
    edges, nodes = edges_of(graph), graph.number_of_nodes()
    assert [count_paths(edges, nodes, length) for length in (2, 3, 4)] == expected


@pytest.mark.parametrize(
    ("graph", "expected"),
    [
        (nx.complete_graph(4), [4, 3, 0]),
        (nx.cycle_graph(6), [0, 0, 0]),
        (nx.disjoint_union(nx.cycle_graph(3), nx.cycle_graph(3)), [2, 0, 0]),
        (nx.petersen_graph(), [0, 0, 12]),
        (nx.complete_bipartite_graph(3, 3), [0, 9, 0]),
        (nx.circular_ladder_graph(3), [2, 3, 6]),
        (nx.karate_club_graph(), [45, 154, 374]),
    ],
    ids=["K4", "C6", "2C3", "Petersen", "K33", "prism", "karate"],
)
def test_numbers_of_cycles(graph: Any, expected: list[int]) -> None:  # check 3, lengths 3 to 5
    assert cycle_counts(graph, range(3, 6)) == expected


def test_cycles_of_six_nodes_are_refused_and_not_miscounted() -> (
    None
):  # check 3, length 6, which needs paths of length 5
    with pytest.raises(SpaceError, match="paths of length 5 cannot be counted; expected 1 to 4"):
        count_cycles(edges_of(nx.cycle_graph(6)), 6, 6)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 9), st.floats(0, 1), st.integers(0, 10**6))
def test_path_matrices_equal_listing_on_random_graphs(nodes: int, density: float, seed: int) -> None:
    graph = nx.gnp_random_graph(nodes, density, seed=seed)
    matrices = path_matrices(simple_adjacency(edges_of(graph), nodes, torch.float64), 4)
    found = torch.zeros(4, nodes, nodes, dtype=torch.float64)
    for root in range(nodes):
        for path in simple_paths(graph, root, 4):
            found[len(path) - 2, root, path[-1]] += 1
    assert torch.equal(torch.stack(matrices), found)


def embedding(graph: Any, block: KPath, *, readout: str = "sum") -> Tensor:
    """Vector of a graph whose nodes have the same feature."""
    data = Graph(torch.ones(graph.number_of_nodes(), 2, dtype=torch.float64), edges_of(graph))
    with torch.no_grad():
        x = block(data).x
    return x.sum(0) if readout == "sum" else x


def encoder(k: int, *, closing: str = "none", tags: bool = True, seed: int = 0, layers: int = 3) -> KPath:
    torch.manual_seed(seed)
    block = KPath(2, 16, k=k, layers=layers, closing=closing, tags=tags).double().eval()
    for parameter in block.parameters():
        nn.init.normal_(parameter, std=0.5)
    return block


def same(first: Any, second: Any, block: KPath) -> bool:
    a, b = embedding(first, block), embedding(second, block)
    return bool((a - b).abs().max() < 1e-9 * a.abs().max().clamp(min=1))


def test_what_subgraphs_of_each_size_tell_apart() -> None:  # checks 4 and 6
    hexagon, triangles = nx.cycle_graph(6), nx.disjoint_union(nx.cycle_graph(3), nx.cycle_graph(3))
    assert same(hexagon, triangles, encoder(1))
    assert not same(hexagon, triangles, encoder(1, closing="count"))  # which knows paths of length 2
    assert not same(hexagon, triangles, encoder(2))
    for k in (1, 2):
        assert same(decalin(), bicyclopentyl(), encoder(k))
    assert not same(decalin(), bicyclopentyl(), encoder(3))


def test_known_limit_strongly_regular_graphs() -> None:  # check 5
    first, second = rook(), shrikhande()
    for graph in (first, second):
        edges = edges_of(graph)
        assert [count_paths(edges, 16, length) for length in (2, 3, 4)] == [240, 1104, 4896]
        assert cycle_counts(graph, range(3, 6)) == [32, 60, 288]
    for k in (1, 2):
        assert same(first, second, encoder(k, closing="count"))


def test_order_of_nodes_and_edges_is_irrelevant() -> None:  # check 7
    graph = nx.gnp_random_graph(11, 0.3, seed=4)
    edges = edges_of(graph)
    x = torch.randn(11, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    block = encoder(3, closing="log")
    place = torch.randperm(11, generator=torch.Generator().manual_seed(1))
    moved = torch.zeros_like(x)
    moved[place] = x
    order = torch.randperm(edges.shape[1], generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        first = block(Graph(x, edges)).x
        second = block(Graph(moved, place[edges[:, order]])).x
    torch.testing.assert_close(second[place], first, rtol=0, atol=1e-11)


def test_disjoint_union_adds() -> None:  # check 7
    first, second = nx.gnp_random_graph(7, 0.4, seed=1), nx.gnp_random_graph(9, 0.3, seed=2)
    block = encoder(2, closing="count")
    union = embedding(nx.disjoint_union(first, second), block)
    torch.testing.assert_close(union, embedding(first, block) + embedding(second, block))
    ends = edges_of(nx.disjoint_union(first, second))
    x = torch.ones(16, 2, dtype=torch.float64)
    batch = torch.tensor([0] * 7 + [1] * 9)
    with torch.no_grad():
        known = block(Graph(x, ends, batch, torch.tensor([7, 9]))).x
    torch.testing.assert_close(known.sum(0), union)


@pytest.mark.parametrize("k", [1, 2])
def test_smaller_k_is_a_part_of_a_larger_one(k: int) -> None:  # check 8
    graph = nx.gnp_random_graph(13, 0.25, seed=3)
    edges = edges_of(graph)
    large, small = rooted_subgraphs(edges, 13, 3), rooted_subgraphs(edges, 13, k)
    kept = large.distance <= k
    assert torch.equal(large.root[kept], small.root)
    assert torch.equal(large.node[kept], small.node)
    assert torch.equal(large.distance[kept], small.distance)
    assert torch.equal(large.closing[:, : max(1, k - 1)], small.closing)
    inside = kept[large.edges].all(0) & (large.distance[large.edges].amin(0) < k)
    number = kept.cumsum(0) - 1
    assert sorted(number[large.edges[:, inside]].T.tolist()) == sorted(small.edges.T.tolist())


def test_counts_are_linear_in_the_closing_features() -> None:
    """Number of cycles of length L = sum over nodes of closing paths of length L - 1, divided by 2 L."""
    graph = nx.gnp_random_graph(10, 0.4, seed=6)
    closing = rooted_subgraphs(edges_of(graph), 10, 4).closing.sum(0)
    counts = [float(c) / (2 * (length + 3)) for length, c in enumerate(closing)]
    listed = [sum(len(c) == length for c in nx.simple_cycles(graph, length_bound=5)) for length in (3, 4, 5)]
    assert counts == listed


def test_remembered_subgraphs_follow_changed_edges() -> None:
    edges = edges_of(nx.path_graph(4))
    before = rooted_subgraphs(edges, 4, 2)
    assert rooted_subgraphs(edges, 4, 2) is before
    edges[edges == 3] = 0
    after = rooted_subgraphs(edges, 4, 2)
    assert len(after.root) != len(before.root)


def test_dense_and_sparse_form_agree_and_the_dense_one_is_exported() -> None:
    for k, closing, tags in ((1, "count", False), (3, "log", True)):
        torch.manual_seed(k)
        block = specialise(KPath(3, 4, k=k, layers=2, closing=closing, tags=tags, residual=False)).double().eval()
        model = _Tensors(block)
        generator = torch.Generator().manual_seed(5)

        def example(nodes: int, generator: torch.Generator = generator) -> tuple[Tensor, Tensor]:
            x = torch.randn(nodes, 3, generator=generator, dtype=torch.float64)
            return x, torch.randint(nodes, (2, 2 * nodes), generator=generator)

        axes = ({0: torch.export.Dim("nodes")}, {1: torch.export.Dim("edges")})
        program = torch.export.export(model, example(7), dynamic_shapes=axes).module()
        for nodes in (2, 5, 23):
            inputs = example(nodes)
            with torch.no_grad():
                torch.testing.assert_close(program(*inputs), model(*inputs), rtol=0, atol=1e-11)


class _Tensors(nn.Module):
    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.block = block

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        features: Tensor = self.block(Graph(x, edge_index)).x
        return features


@pytest.mark.parametrize("length", [3, 4])
def test_encoder_learns_to_count_cycles_where_message_passing_cannot(length: int) -> None:
    """Triangles and 4-cycles from the surroundings with k = 2 alone, without counts of closing paths."""
    from automl_graph.blocks import SAGE
    from automl_graph.data.graph_collection import Sample, join_graphs
    from automl_graph.data.motif_graphs import cubic_graphs

    edges = cubic_graphs(60, 12)
    counts = torch.tensor([float(count_cycles(e, 12, length)) for e in edges])
    x, edge_index, batch, sizes = join_graphs([Sample(torch.ones(12, 1), e) for e in edges])
    data, errors = Graph(x, edge_index, batch, sizes), {}
    for name, block in {
        "kpath": KPath(1, 16, k=2, layers=1, closing="none", dropout=0.0),
        "sage": SAGE(1, 16, aggregation="sum", dropout=0.0),
    }.items():
        torch.manual_seed(0)
        for layer in block.modules():
            if hasattr(layer, "reset_parameters"):
                layer.reset_parameters()
        model = nn.Sequential(block, GraphReadout(16, 1, readout="sum"))
        optimiser = torch.optim.Adam(model.parameters(), lr=0.01)
        for _ in range(150):
            optimiser.zero_grad()
            loss = (model(data)[:, 0] - counts).square().mean()
            loss.backward()
            optimiser.step()
        errors[name] = float(loss.detach()) / float(counts.var(correction=0))
    assert errors["kpath"] < 0.1
    assert errors["sage"] > 0.95


def test_distances_stop_at_the_limit() -> None:
    far = distances(simple_adjacency(edges_of(nx.path_graph(6)), 6, torch.float64), 3)
    assert far[0].tolist() == [0, 1, 2, 3, 4, 4]
    assert np.array_equal(far.numpy(), far.numpy().T)


def test_unfit_options_are_refused() -> None:
    with pytest.raises(SpaceError, match="k: unknown value 5"):
        KPath(3, 4, k=[2, 5])
    with pytest.raises(SpaceError, match=r"closing: unknown value 'logs'\. Did you mean 'log'"):
        KPath(3, 4, closing="logs")
    with pytest.raises(SpaceError, match="paths of length 5"):
        path_matrices(torch.zeros(2, 2), 5)
