"""Blocks that read features of edges: against torch-geometric, and the contract of blocks with such features in every graph."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from automl_graph import plugin, pyg  # noqa: F401  (its guarded import comes before the ones of the tests)
from automl_graph.attention import link_features, links_of
from automl_graph.blocks import GAT, GIN, GATv2, GraphTransformer
from automl_graph.recommend import Recommendation
from automl_graph.signal import Graph, GraphFormat
from torch import Tensor, nn

from automl.errors import ConfigError, DataError
from automl.host import Component, Family, Host
from automl.objectives import count_macs
from automl.space import Ordinal
from automl.supernet import Supernet
from automl.testing import Check
from automl.testing.family_checks import family_checks
from automl.testing.weights import randomise

HOST = Host.load(entry_points=False, plugins=[plugin])
NODES, EDGES, WIDTH = 11, 30, 3


def edges() -> Tensor:
    """Random directed edges with self loops and double edges; the last node has none."""
    return torch.randint(NODES - 1, (2, EDGES), generator=torch.Generator().manual_seed(2))


def attributes() -> Tensor:
    return torch.randn(EDGES, WIDTH, generator=torch.Generator().manual_seed(7), dtype=torch.float64)


def features(width: int = 4) -> Tensor:
    return torch.randn(NODES, width, generator=torch.Generator().manual_seed(6), dtype=torch.float64)


def graph(width: int = 4) -> Graph:
    return Graph(features(width), edges(), edge_attr=attributes())


def _peer(conv: nn.Module, weights: dict[str, Tensor]) -> nn.Module:
    state = conv.double().state_dict()
    assert set(state) == set(weights)
    conv.load_state_dict({name: weight.detach().reshape(state[name].shape) for name, weight in weights.items()})
    return conv


def gat(block: Any, given: Graph) -> Tensor:
    from torch_geometric.nn import GATConv

    # Two maps in a row there are one here: any first one, and a second one that makes their product ours.
    first = torch.randn(block.heads, block.head_width, WIDTH, generator=torch.Generator().manual_seed(8)).double()
    second = torch.stack([torch.linalg.pinv(f.T) @ w for f, w in zip(first, block.of_edge.weight, strict=True)])
    conv = _peer(
        GATConv(given.x.shape[1], block.head_width, block.heads, bias=False, edge_dim=WIDTH),
        {
            "lin.weight": block.transform.weight,
            "att_src": block.as_source.weight,
            "att_dst": block.as_target.weight,
            "lin_edge.weight": first,
            "att_edge": second,
        },
    )
    return torch.relu(block.merge(conv(given.x, given.edge_index, given.edge_attr)))


def gatv2(block: Any, given: Graph) -> Tensor:
    from torch_geometric.nn import GATv2Conv

    conv = _peer(
        GATv2Conv(given.x.shape[1], block.head_width, block.heads, edge_dim=WIDTH),
        {
            "lin_l.weight": block.from_source.weight,
            "lin_l.bias": block.from_source.bias,
            "lin_r.weight": block.from_target.weight,
            "lin_r.bias": block.from_target.bias,
            "att": block.score.weight,
            "bias": torch.zeros(block.heads * block.head_width),
            "lin_edge.weight": block.of_edge.weight,
        },
    )
    return torch.relu(block.merge(conv(given.x, given.edge_index, given.edge_attr)))


def transformer(block: Any, given: Graph) -> Tensor:
    from torch_geometric.nn import TransformerConv

    inner = block.heads * block.head_width
    conv = _peer(
        TransformerConv(given.x.shape[1], block.head_width, block.heads, edge_dim=WIDTH),
        {
            "lin_query.weight": block.query.weight,
            "lin_query.bias": block.query.bias,
            "lin_key.weight": block.key.weight,
            "lin_key.bias": torch.randn(inner, generator=torch.Generator().manual_seed(9)),
            "lin_value.weight": block.value.weight,
            "lin_value.bias": block.value.bias,
            "lin_edge.weight": block.of_edge.weight,
            "lin_skip.weight": torch.zeros(inner, given.x.shape[1]),
            "lin_skip.bias": torch.zeros(inner),
        },
    )
    return torch.relu(block.merge(conv(given.x, given.edge_index, given.edge_attr)) + block.own(given.x))


def gin(block: Any, given: Graph) -> Tensor:
    from torch_geometric.nn import GINEConv

    perceptron = nn.Sequential(block.first, block.normalise, nn.ReLU(), block.second)
    conv = GINEConv(nn.Sequential(nn.Linear(given.x.shape[1], 1)), edge_dim=WIDTH).double()
    conv.nn, conv.lin = perceptron, block.of_edge
    conv.eps.fill_(block.eps)
    return torch.relu(conv(given.x, given.edge_index, given.edge_attr))


CASES: dict[str, tuple[type[nn.Module], dict[str, Any], Callable[[Any, Graph], Tensor]]] = {
    "graph.gat": (GAT, {"heads": [1, 3], "head_width": 4}, gat),
    "graph.gatv2": (GATv2, {"heads": [1, 3], "head_width": 4}, gatv2),
    "graph.gin": (GIN, {"hidden": [3, 6], "eps": [0.0, 0.4]}, gin),
    "graph.transformer": (GraphTransformer, {"heads": [1, 3], "head_width": 4}, transformer),
}


def build(name: str, inp: int = 4, out: int = 5, edge_width: int = WIDTH) -> nn.Module:
    cls, options, _ = CASES[name]
    torch.manual_seed(0)
    return cls(inp, out, edge_width=edge_width, residual=False, **options).double().eval()


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
@pytest.mark.parametrize("name", CASES)
def test_extracted_block_equals_torch_geometric_with_its_weights(name: str) -> None:
    cls, options, peer = CASES[name]
    inp, out = Ordinal(3, 5), Ordinal(2, 7)
    supernet = Supernet(cls(inp, out, edge_width=WIDTH, residual=False, **options)).double().eval()
    randomise(supernet, seed=4)
    rng = np.random.default_rng(5)
    seen: set[tuple[str, object]] = set()
    for _ in range(12):
        architecture = supernet.space.sample(rng)
        seen |= set(architecture.items())
        supernet.activate(architecture)
        given, block = graph(int(inp)), supernet.extract(architecture)
        with torch.no_grad():
            found, expected = block(given).x, peer(block, given)
        assert bool(found.any())
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    assert len(seen) == sum(len(dimension.choices) for dimension in supernet.space.dimensions.values())


class _WithEdges(Host):
    """The same components, but small made-up graphs have features of edges."""

    def __init__(self) -> None:
        pass

    def find(self, kind: str, name: str, where: str = "") -> Component:
        found = HOST.find(kind, name, where)
        if (kind, name) != ("signal", "graph"):
            return found

        class Signal:
            def load(self) -> Callable[[], GraphFormat]:
                return lambda: GraphFormat(("x", "edge_index", "edge_attr"), edge_width=WIDTH)

        return Signal()  # type: ignore[return-value]


def _checks() -> list[Check]:
    families = [HOST.find("family", name) for name in CASES]
    return [check for each in families if isinstance(each, Family) for check in family_checks(each, _WithEdges())]


@pytest.mark.parametrize("check", _checks(), ids=str)
def test_conformance_with_features_of_edges(check: Check) -> None:
    check()


@pytest.mark.parametrize("name", CASES)
def test_order_of_nodes_and_of_edges_does_not_matter(name: str) -> None:
    block, given = build(name), graph()
    expected = block(given).x
    torch.manual_seed(1)
    nodes, order = torch.randperm(NODES), torch.randperm(EDGES)
    moved = Graph(given.x[nodes], torch.argsort(nodes)[edges()[:, order]], edge_attr=attributes()[order])
    torch.testing.assert_close(block(moved).x, expected[nodes], rtol=0, atol=1e-12)
    # the same edges with the features of others are another graph
    wrong = block(given._replace(edge_attr=attributes()[order])).x
    assert bool(((wrong - expected).abs() > 1e-3).any())


@pytest.mark.parametrize("name", CASES)
def test_gradient_reaches_the_map_of_edge_features(name: str) -> None:
    block = build(name)
    block(graph()).x.square().sum().backward()
    weight = block.get_parameter("of_edge.weight").grad
    assert weight is not None
    assert bool(weight.any(dim=0).all())


@pytest.mark.parametrize("name", CASES)
def test_block_without_them_is_as_it_was_and_does_not_look_at_them(name: str) -> None:
    cls, options, _ = CASES[name]
    plain, given = build(name, edge_width=0), graph()
    torch.manual_seed(0)
    unaware = cls(4, 5, residual=False, **options)
    assert list(plain.state_dict()) == list(unaware.state_dict())
    assert not [key for key in plain.state_dict() if "edge" in key]
    assert torch.equal(plain(given).x, plain(given._replace(edge_attr=None)).x)


@pytest.mark.parametrize("name", CASES)
def test_a_graph_without_them_is_refused_by_a_block_that_needs_them(name: str) -> None:
    with pytest.raises(DataError, match="the graph has no features of edges"):
        build(name)(Graph(features(), edges()))


def test_self_loops_have_the_mean_of_the_edges_into_their_node() -> None:
    given = torch.tensor([[0, 2, 1, 1], [1, 1, 1, 0]])  # 1 -> 1 is a self loop, nobody sends to 2
    table = torch.tensor([[1.0, 0.0], [3.0, 1.0], [100.0, 100.0], [5.0, 6.0]])
    found = link_features(table, links_of(given, 3, self_loops=True))
    assert torch.equal(found[:4], table)
    assert found[4:].tolist() == [[5.0, 6.0], [2.0, 0.5], [0.0, 0.0]]
    assert link_features(table, links_of(given, 3, self_loops=False)) is table


WORK: dict[str, Callable[[int, int], int]] = {
    # for one feature of each edge, with 3 heads of width 4
    "graph.gat": lambda e, n: (e + n) * 3,
    "graph.gatv2": lambda e, n: (e + n) * 12,
    "graph.transformer": lambda e, n: e * 12,
}


class _Bare(nn.Module):
    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.block = block

    def forward(self, x: Tensor, edge_index: Tensor, edge_attr: Tensor) -> Tensor:
        result: Tensor = self.block(Graph(x, edge_index, edge_attr=edge_attr)).x
        return result


@pytest.mark.parametrize("name", CASES)
def test_cost_of_features_of_edges_is_counted(name: str) -> None:
    inputs = (features(), edges(), attributes())
    own, plain = (count_macs(_Bare(build(name, edge_width=width)), inputs) for width in (WIDTH, 0))
    if name == "graph.gin":  # a product for each edge takes the place of the sparse one
        assert own - plain == EDGES * 4 * (WIDTH - 1)
    else:
        assert own - plain == WIDTH * WORK[name](EDGES, NODES)


def test_inputs_are_packed_by_name() -> None:
    given = GraphFormat(("x", "edge_attr", "sizes", "edge_index"), edge_width=2)
    drawn = given.example(5, 3, torch.Generator().manual_seed(0))
    packed = given.pack(*drawn)
    assert [tuple(t.shape) for t in drawn] == [(5, 3), (20, 2), (1,), (2, 20)]
    assert packed.edge_attr is drawn[1]
    assert packed.sizes is drawn[2]
    assert packed.pairs is None
    assert all(a is b for a, b in zip(given.unpack(packed), drawn, strict=True))
    assert given.facts() == {"training_graph": None, "edge_width": 2}
    with pytest.raises(ValueError, match="zip"):
        given.pack(*drawn[:2])
    assert GraphFormat.for_task(Recommendation.load("user-item-blocks", seed=0)).inputs == ("x", "edge_index")
    with pytest.raises(ConfigError, match="has no 'weights'"):
        GraphFormat(("x", "weights"))
