"""Graph Mamba networks: the checks of their description that concern tokens, order and the whole block."""

from __future__ import annotations

import networkx
import numpy as np
import pytest
import torch
from automl_graph.blocks import GMN, GraphMambaGPS
from automl_graph.blocks.subgraph_tokens import SubgraphTokens, token_sets
from automl_graph.ordering import node_sequences
from automl_graph.pyg import coalesce
from automl_graph.signal import Graph
from automl_graph.walks import random_walks
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from automl.errors import SpaceError
from automl.objectives import count_macs
from automl.space import Ordinal
from automl.supernet import Supernet
from automl.testing.weights import randomise

INP, OUT, NODES = 5, 3, 11


def graph(seed: int = 0, nodes: int = NODES, edges: int = 30) -> Graph:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(nodes, INP, generator=generator, dtype=torch.float64)
    return Graph(x, torch.randint(nodes, (2, edges), generator=generator))


def both_ways(edges: Tensor) -> Tensor:
    return torch.cat([edges, edges.flip(0)], dim=1)


def path_graph(nodes: int) -> Tensor:
    steps = torch.arange(nodes - 1)
    return both_ways(torch.stack([steps, steps + 1]))


def block(**options: object) -> GMN:
    fixed = {"hidden": 6, "layers": 2, "expand": 2, "states": 3, "direction": "bi", "mpnn": "none"} | options
    module = GMN(INP, OUT, **fixed).double().eval()  # type: ignore[arg-type]
    randomise(module, seed=1)
    return module


@pytest.mark.parametrize(
    "options", [{}, {"direction": "forward", "mpnn": "gine"}, {"mpnn": "gatedgcn", "m": 2, "s": 2}]
)
def test_a_graph_alone_and_in_a_batch_of_larger_ones_gives_the_same(options: dict[str, object]) -> None:
    """Check 5."""
    module, parts = block(**options), [graph(1, 4, 9), graph(2, 75, 200), graph(3, 1, 2)]
    starts = [0, 4, 79]
    x = torch.cat([part.x for part in parts])
    edges = torch.cat([part.edge_index + start for part, start in zip(parts, starts, strict=True)], dim=1)
    batch = torch.repeat_interleave(torch.arange(3), torch.tensor([4, 75, 1]))
    if "m" in options:  # walks are drawn by the number of a node, so only the first graph keeps its own
        together = module(Graph(x, edges, batch)).x[:4]
        expected = module(parts[0]).x
    else:
        together = module(Graph(x, edges, batch)).x
        expected = torch.cat([module(part).x for part in parts])
    torch.testing.assert_close(together, expected, rtol=0, atol=1e-12)


def test_tokens_are_connected_sets_around_their_node() -> None:
    """Check 7."""
    edges = both_ways(graph(4, NODES - 1, 12).edge_index)  # the last node is isolated
    reference = networkx.Graph(edges.T.tolist())
    sets = token_sets(edges, NODES, longest=3, walks=4, repeats=2, seed=7)
    assert len(sets) == 3 * 2
    for (members, real), length in zip(sets, (3, 3, 2, 2, 1, 1), strict=True):
        for node in range(NODES):
            token = set(members[node][real[node]].tolist())
            assert len(token) == int(real[node].sum()) <= 1 + 4 * length
            assert node in token
            if node == NODES - 1:
                assert token == {node}
                continue
            assert networkx.is_connected(reference.subgraph(token))
            near = networkx.single_source_shortest_path_length(reference, node, cutoff=length)
            assert token <= set(near)


def test_tokens_of_a_star_and_of_the_end_of_a_path() -> None:
    """Check 8."""
    star = both_ways(torch.stack([torch.zeros(9, dtype=torch.int64), torch.arange(1, 10)]))
    ((members, real),) = token_sets(star, 10, longest=1, walks=200, repeats=1, seed=3)
    assert set(members[0][real[0]].tolist()) == set(range(10))
    sizes = {
        int(token_sets(path_graph(5), 5, longest=2, walks=1, repeats=1, seed=seed)[0][1][0].sum()) for seed in range(40)
    }
    assert sizes == {2, 3}


@pytest.mark.parametrize("local", ["mean", "gcn"])
def test_encoded_tokens_are_what_the_induced_subgraphs_give(local: str) -> None:
    """Checks 7 and 10: m·s + 1 tokens, the farthest first and the node itself last."""
    m, s = 3, 2
    module = SubgraphTokens(4, longest=m, walks=4, repeats=s, local=local).double()
    randomise(module, seed=1)
    edges = coalesce(both_ways(graph(4, NODES - 1, 12).edge_index))  # the last node is isolated
    x = torch.randn(NODES, 4, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    found = module(x, edges, 7)
    assert found.shape == (NODES, m * s + 1, 4)
    values = module.encode(x)
    torch.testing.assert_close(found[:, -1], values.relu() if local == "gcn" else x, rtol=0, atol=1e-14)
    adjacency = torch.zeros(NODES, NODES, dtype=torch.float64)
    adjacency[edges[0], edges[1]] = 1
    adjacency.fill_diagonal_(1)
    for place, (members, real) in enumerate(token_sets(edges, NODES, longest=m, walks=4, repeats=s, seed=7)):
        for node in range(NODES):
            token = members[node][real[node]]
            if local == "mean":
                expected = x[token].mean(0)
            else:
                inside = adjacency[token][:, token]
                scale = inside.sum(0).rsqrt()
                expected = torch.relu(scale[:, None] * inside * scale @ values[token]).mean(0)
            torch.testing.assert_close(found[node, place], expected, rtol=0, atol=1e-12)


def test_walks_are_uniform_and_follow_edges() -> None:
    edges = torch.tensor([[0, 0, 0, 0, 1], [1, 2, 3, 4, 0]])
    walks = random_walks(edges, 6, walks=8000, steps=2, seed=5)
    counts = torch.bincount(walks[0, :, 1], minlength=6)
    assert counts[0] == counts[5] == 0
    assert bool(((counts[1:5] - 2000).abs() < 200).all())
    assert set(walks[1, :, 1].tolist()) == {0}
    assert bool((walks[5] == 5).all())
    assert torch.equal(walks, random_walks(edges, 6, walks=8000, steps=2, seed=5))
    assert not torch.equal(walks, random_walks(edges, 6, walks=8000, steps=2, seed=6))


@pytest.mark.parametrize("options", [{}, {"m": 0, "mpnn": "gatedgcn", "direction": "forward"}])
def test_order_of_nodes_matters_through_ties_only(options: dict[str, object]) -> None:
    """Check 9: a directed graph with different degrees; with walks, numbers of nodes decide, so there are none here."""
    module = block(**options)
    source, target = zip(*[(j, i) for i in range(NODES) for j in range(i)], strict=True)
    edges, x = torch.tensor([source, target]), graph().x
    order = torch.randperm(NODES, generator=torch.Generator().manual_seed(5))
    permuted = Graph(x[order], torch.argsort(order)[edges][:, torch.randperm(edges.shape[1])])
    torch.testing.assert_close(module(permuted).x, module(Graph(x, edges)).x[order], rtol=0, atol=1e-12)


@pytest.mark.parametrize("local", ["mean", "gcn"])
def test_order_of_nodes_does_not_matter_where_walks_have_no_choice(local: str) -> None:
    """Check 9 with walks, which are seeded by the number of a node: one way out of each, and no two equal degrees."""
    module = block(m=2, s=2, walks=3, local=local, token_layers=2)
    number = torch.arange(NODES - 1)
    edges = torch.stack([number, number + 1]).repeat_interleave(number + 1, dim=1)
    assert torch.bincount(edges[1], minlength=NODES).unique().numel() == NODES
    x, order = graph().x, torch.randperm(NODES, generator=torch.Generator().manual_seed(5))
    permuted = Graph(x[order], torch.argsort(order)[edges][:, torch.randperm(edges.shape[1])])
    torch.testing.assert_close(module(permuted).x, module(Graph(x, edges)).x[order], rtol=0, atol=1e-12)


def test_nodes_are_sorted_by_degree_then_number_within_their_graph() -> None:
    edges = torch.tensor([[0, 1, 2, 4, 5], [1, 1, 0, 5, 5]])
    sequences = node_sequences(edges, 7, torch.tensor([0, 0, 0, 0, 1, 1, 1]), key="degree")
    assert sequences.order.tolist() == [2, 3, 0, 1, 4, 6, 5]
    assert sequences.first.tolist() == [True, False, False, False, True, False, False]
    assert torch.equal(sequences.order[sequences.place], torch.arange(7))
    orders = {tuple(node_sequences(edges, 7, None, key="random").order.tolist()) for _ in range(3)}
    assert len(orders) == 1
    assert sorted(next(iter(orders))) == list(range(7))
    shuffled = [node_sequences(edges, 7, None, key="degree", shuffle_ties=True).order.tolist() for _ in range(20)]
    assert len({tuple(order) for order in shuffled}) > 1
    assert all(order[-2:] == [1, 5] or order[-2:] == [5, 1] for order in shuffled)


def test_fewer_tokens_are_the_last_ones() -> None:
    """Check 10: a supernet restricted to short walks equals a fresh model of them with its weights."""
    module = block(m=[0, 1, 3], s=[1, 2], walks=3, local=["mean", "gcn"], token_layers=2)
    assert isinstance(module.m, Ordinal)
    assert isinstance(module.s, Ordinal)
    data = graph()
    outputs = []
    for m, s in ((3, 2), (1, 2), (3, 1), (1, 1)):
        module.m.value, module.s.value = m, s
        fresh = block(m=m, s=s, walks=3, local=["mean", "gcn"], token_layers=2)
        fresh.load_state_dict(module.state_dict())
        assert torch.equal(module(data).x, fresh(data).x)
        outputs.append(module(data).x)
    assert not torch.allclose(outputs[0], outputs[1])
    long, short = (
        token_sets(data.edge_index, NODES, longest=m, walks=3, repeats=s, seed=0) for m, s in ((3, 2), (2, 1))
    )
    for ours, theirs in zip(short, (long[3], long[5]), strict=True):
        assert torch.equal(ours[0], theirs[0])


def test_tokens_see_nodes_within_the_longest_walk_only() -> None:
    """Check 12."""
    module, edges = block(m=2, s=2, walks=6), path_graph(NODES)
    x = graph().x.requires_grad_()
    ever: list[set[int]] = [set() for _ in range(NODES)]
    for seed in range(6):
        read = module.token_stage(module.embed(x), edges, seed)
        for i in range(NODES):
            (gradient,) = torch.autograd.grad(read[i].sum(), x, retain_graph=True)
            ever[i] |= {j for j in range(NODES) if gradient[j].any()}
    assert ever == [set(range(max(0, i - 2), min(NODES, i + 3))) for i in range(NODES)]


@pytest.mark.parametrize("options", [{}, {"mpnn": "gatedgcn"}, {"m": 2, "s": 2, "local": "gcn"}])
def test_work_doubles_with_nodes_at_a_fixed_degree(options: dict[str, object]) -> None:
    """Check 11, first half, without a clock: multiply-accumulates, and numbers in all tensors that are made."""

    class Watch(TorchDispatchMode):
        total = 0

        def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
            result = func(*args, **(kwargs or {}))
            tensors = [t for t in (result if isinstance(result, tuple | list) else [result]) if isinstance(t, Tensor)]
            self.total += sum(t.numel() for t in tensors)
            return result

    class Network(nn.Module):
        def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
            features: Tensor = module(Graph(x, edge_index)).x
            return features

    module, work, numbers = block(**options), [], []
    for nodes in (300, 600):
        data = graph(0, nodes, 4 * nodes)
        work.append(count_macs(Network(), (data.x, data.edge_index)))
        with torch.no_grad(), Watch() as watch:
            module(data)
        numbers.append(watch.total)
    assert work[1] == 2 * work[0]
    assert 1.9 * numbers[0] < numbers[1] < 2.05 * numbers[0]


def test_extraction_equals_activation_with_walks() -> None:
    """The conformance kit builds blocks with their defaults, which take no walks."""
    width = Ordinal(3, 5)
    options = {"m": [0, 1, 2], "s": [1, 2], "walks": [2, 3], "local": ["gcn", "mean"], "order": ["degree", "random"]}
    supernet = Supernet(GMN(width, 4, hidden=[4, 6], kernel=[2, 4], **options)).double().eval()  # type: ignore[arg-type]
    randomise(supernet, seed=2)
    rng, seen = np.random.default_rng(0), set()
    for _ in range(40):
        architecture = supernet.space.sample(rng)
        seen |= set(architecture.items())
        supernet.activate(architecture)
        data = graph()._replace(x=graph().x[:, : int(width)])
        with torch.no_grad():
            assert torch.equal(supernet.extract(architecture)(data).x, supernet(data).x), architecture
    assert len(seen) == sum(len(dimension.choices) for dimension in supernet.space.dimensions.values())


@pytest.mark.slow
@pytest.mark.parametrize("options", [{"local": "mean"}, {"local": "gcn"}])
def test_traced_network_with_walks_takes_graphs_of_any_size(options: dict[str, str]) -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.block = block(m=1, s=1, walks=3, layers=1, **options)

        def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
            features: Tensor = self.block(Graph(x, edge_index)).x
            return features

    model = Net()
    axes = ({0: torch.export.Dim("nodes")}, {1: torch.export.Dim("edges")})
    program = torch.export.export(model, tuple(graph(0, 7, 12))[:2], dynamic_shapes=axes)
    assert not [node for node in program.graph.nodes if "automl" in str(node.target)]
    for nodes, edges in ((2, 3), (29, 60)):
        data = graph(1, nodes, edges)
        torch.testing.assert_close(program.module()(*data[:2]), model(*data[:2]), rtol=0, atol=1e-12)


def test_other_walks_in_every_training_step() -> None:
    module, data = block(m=2, walks=2), graph()
    assert torch.equal(module(data).x, module(data).x)
    module.train()
    assert not torch.equal(module(data).x, module(data).x)
    once = block(m=2, walks=2, resample="once", order="degree").train()
    read = [once.token_stage(once.embed(data.x), data.edge_index, once._seed(data.x)) for _ in range(2)]
    assert torch.equal(*read)


def test_gps_form_is_the_forward_block_beside_message_passing() -> None:
    gps = GraphMambaGPS(INP, OUT, hidden=6, layers=2, states=3, expand=2).double().eval()
    module = block(direction="forward", mpnn="gatedgcn")
    gps.block.load_state_dict(module.state_dict())
    assert torch.equal(gps(graph()).x, module(graph()).x)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"direction": "both"}, "direction: unknown value 'both'"),
        ({"mpnn": ["gin"]}, "mpnn: unknown value 'gin'. Did you mean 'gine'"),
        ({"m": -1}, "m: -1 is not a whole number of at least 0"),
        ({"states": [0, 4]}, "states: 0 is not"),
        ({"local": "max"}, "local: unknown value 'max'"),
    ],
)
def test_unfit_option_is_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(SpaceError, match=message):
        GMN(3, 4, **options)  # type: ignore[arg-type]
