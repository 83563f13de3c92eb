"""The unified layer of Auto-GNN against published convolutions, and the size of its space."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from automl_graph import plugin
from automl_graph.attention import links_of
from automl_graph.attention_functions import ATTENTION_FUNCTIONS, LearnedScores
from automl_graph.blocks import AutoGNNLayer
from automl_graph.signal import Graph, GraphFormat
from automl_graph.tasks import NodeClassification
from torch import Tensor, nn

from automl.errors import SpaceError
from automl.host import Host
from automl.space import SearchSpace
from automl.supernet import Supernet, load_skeleton

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    from torch_geometric.nn import GATConv, GCNConv

NAMES = list(ATTENTION_FUNCTIONS)


def graph(nodes: int, width: int, *, seed: int = 0) -> Graph:
    """Random ends: self loops, double edges and nodes without any."""
    x, edges = GraphFormat().example(nodes, width, torch.Generator().manual_seed(seed))
    return Graph(x.double(), edges)


def simple(nodes: int, width: int) -> Graph:
    """No self loops and no double edges, as torch-geometric counts these apart."""
    given = graph(nodes, width)
    edges = torch.unique(given.edge_index[:, given.edge_index[0] != given.edge_index[1]], dim=1)
    return Graph(given.x, edges)


def fixed(**options: object) -> AutoGNNLayer:
    plain = {"hidden": 5, "attention": "gat", "heads": 1, "aggregation": "sum", "combine": "identity", "dropout": 0.0}
    return AutoGNNLayer(4, 5, **(plain | {"activation": "identity"} | options)).double()  # type: ignore[arg-type]


def pass_on(layer: AutoGNNLayer, bias: Tensor) -> None:
    near = layer.convolution.merge.near  # type: ignore[union-attr]
    with torch.no_grad():
        near.weight.copy_(torch.eye(*near.weight.shape))
        near.bias.copy_(bias)


def test_gcn_weights_sum_and_one_head_are_gcn_conv() -> None:
    given, golden = simple(9, 4), GCNConv(4, 5).double()
    layer = fixed(attention="gcn")
    with torch.no_grad():
        layer.convolution.transform.weight.copy_(golden.lin.weight)  # type: ignore[union-attr]
        golden.bias.normal_()
    pass_on(layer, golden.bias)
    torch.testing.assert_close(layer(given).x, golden(given.x, given.edge_index), rtol=0, atol=1e-12)


@pytest.mark.parametrize("heads", [1, 3])
def test_gat_scores_are_gat_conv(heads: int) -> None:
    given, golden = simple(9, 4), GATConv(4, 5, heads=heads).double()
    layer = AutoGNNLayer(
        4, 5 * heads, hidden=5, heads=heads, attention="gat", aggregation="sum", combine="identity",
        activation="identity", dropout=0.0,
    ).double()  # fmt: skip
    with torch.no_grad():
        golden.bias.normal_()
        layer.convolution.transform.weight.copy_(golden.lin.weight)  # type: ignore[union-attr]
        layer.convolution.weigh.as_source.weight.copy_(golden.att_src[0])  # type: ignore[union-attr]
        layer.convolution.weigh.as_target.weight.copy_(golden.att_dst[0])  # type: ignore[union-attr]
    pass_on(layer, golden.bias)
    torch.testing.assert_close(layer(given).x, golden(given.x, given.edge_index), rtol=0, atol=1e-12)


def test_symmetric_scores_are_symmetric_and_those_of_gat_are_not() -> None:
    values = torch.randn(6, 3, 5, dtype=torch.float64)
    edges = torch.tensor([[0, 1, 4], [2, 3, 5]])
    forth, back = links_of(edges, 6, self_loops=False), links_of(edges.flip(0), 6, self_loops=False)
    symmetric, plain = (ATTENTION_FUNCTIONS[name](5, 3).double() for name in ("gat_sym", "gat"))
    assert isinstance(symmetric, LearnedScores)
    assert isinstance(plain, LearnedScores)
    torch.testing.assert_close(symmetric.scores(values, forth), symmetric.scores(values, back), rtol=0, atol=1e-12)
    assert (plain.scores(values, forth) - plain.scores(values, back)).abs().min() > 1e-6


def test_constant_weights_ignore_features_and_linear_ones_ignore_the_target() -> None:
    links = links_of(torch.tensor([[0, 0, 4], [2, 3, 5]]), 6, self_loops=False)
    first, second = torch.randn(2, 6, 3, 5)
    constant, linear = ATTENTION_FUNCTIONS["const"](5, 3), ATTENTION_FUNCTIONS["linear"](5, 3)
    assert torch.equal(constant(first, links), constant(second, links))
    assert isinstance(linear, LearnedScores)
    scores = linear.scores(first, links)
    assert torch.equal(scores[0], scores[1])
    assert not torch.equal(scores[0], scores[2])


@pytest.mark.parametrize("name", ["gat_sym", "cos", "linear", "gene_linear"])
def test_learned_scores_are_the_formulas_of_each_link_and_head(name: str) -> None:
    torch.manual_seed(4)
    values, links = torch.randn(6, 2, 3), links_of(torch.tensor([[0, 1, 4, 3], [2, 3, 5, 2]]), 6, self_loops=True)
    module = ATTENTION_FUNCTIONS[name](3, 2).requires_grad_(False)
    assert isinstance(module, LearnedScores)
    w = {n.split(".")[0]: p for n, p in module.named_parameters()}

    def score(i: Tensor, j: Tensor, head: int) -> Tensor:
        """Of target i for source j."""
        if name == "gat_sym":
            forth = w["as_source"][head] @ j + w["as_target"][head] @ i
            back = w["as_source"][head] @ i + w["as_target"][head] @ j
            return torch.nn.functional.leaky_relu(forth, 0.2) + torch.nn.functional.leaky_relu(back, 0.2)
        if name == "cos":
            return (w["from_target"] @ i) @ (w["from_source"] @ j)
        if name == "linear":
            return torch.tanh(w["as_source"][head] @ j)
        return w["judge"][head] @ torch.tanh(w["from_target"] @ i + w["from_source"] @ j)

    expected = torch.stack([
        torch.stack([score(values[t, head], values[s, head], head) for head in range(2)])
        for s, t in zip(links.source.tolist(), links.target.tolist(), strict=True)
    ])  # fmt: skip
    torch.testing.assert_close(module.scores(values, links), expected)
    weights = torch.zeros(6, 2).index_add(0, links.target, module(values, links))
    torch.testing.assert_close(weights, torch.ones(6, 2))
    of_two = links.target == 2
    torch.testing.assert_close(module(values, links)[of_two], expected[of_two].softmax(0))


@pytest.mark.parametrize(("aggregation", "combine"), [("mean", "identity"), ("max", "mlp"), ("sum", "mlp")])
def test_aggregation_and_combination_by_hand(aggregation: str, combine: str) -> None:
    layer = fixed(attention="const", heads=2, aggregation=aggregation, combine=combine, activation="tanh").eval()
    layer.requires_grad_(False)
    given = graph(8, 4, seed=2)
    given = given._replace(edge_index=torch.cat([given.edge_index, torch.arange(8).expand(2, 8)], dim=1))  # self loops
    links: dict[int, list[int]] = {i: [i] for i in range(8)}
    for source, target in given.edge_index.T.tolist():
        if source != target:
            links[target].append(source)
    values, merge = given.x @ layer.convolution.transform.weight.T, layer.convolution.merge  # type: ignore[union-attr, operator]
    rows = []
    for i in range(8):
        of = values[links[i]]
        rows.append(of.amax(0) if aggregation == "max" else of.mean(0) if aggregation == "mean" else of.sum(0))
    expected = torch.stack(rows) @ merge.near.weight.T  # type: ignore[union-attr, operator]
    expected = (
        expected + merge.near.bias  # type: ignore[union-attr]
        if combine == "identity"
        else merge.last(torch.relu(merge.own(given.x) + expected))  # type: ignore[union-attr, operator]
    )
    torch.testing.assert_close(layer(given).x, torch.tanh(expected), rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("aggregation", ["sum", "mean", "max"])
def test_nodes_may_be_numbered_in_any_order(name: str, aggregation: str) -> None:
    layer = fixed(attention=name, aggregation=aggregation, heads=3, combine="mlp")
    given, order = graph(9, 4), torch.randperm(9)
    place = torch.argsort(order)
    shuffled = Graph(given.x[order], place[given.edge_index])
    torch.testing.assert_close(layer(shuffled).x, layer(given).x[order], rtol=0, atol=1e-12)


@pytest.mark.parametrize("aggregation", ["sum", "mean", "max"])
def test_nodes_without_edges_see_themselves_only(aggregation: str) -> None:
    layer = fixed(attention="cos", aggregation=aggregation, heads=2)
    given = graph(7, 4)
    alone = layer(given._replace(edge_index=given.edge_index[:, :0])).x
    assert alone.isfinite().all()
    torch.testing.assert_close(layer(Graph(given.x[:1], given.edge_index[:, :0])).x, alone[:1], rtol=0, atol=1e-12)


def test_space_of_a_layer_has_the_size_of_the_paper_and_the_names_of_the_paper() -> None:
    layer = AutoGNNLayer(3, 6, hidden=[4, 8, 16, 32, 64, 128, 256], heads=[1, 2, 4, 6, 8, 16])
    space = SearchSpace.of(layer)
    assert set(space.names) == {"hidden", "attention", "heads", "aggregation", "combine", "activation"}
    assert space.size() == 7 * 7 * 6 * 3 * 2 * 8 == 14_112


def test_shared_space_forbids_layers_that_need_too_much_memory() -> None:
    host = Host.load(entry_points=False, plugins=[plugin])
    supernet = load_skeleton("graph/autognn", host).build(NodeClassification.load("karate", seed=0), host)
    assert supernet.space.size() == ((7 * 6 - 4) * 7 * 3 * 2 * 8) ** 2
    rng = np.random.default_rng(0)
    for architecture in [supernet.space.largest(), *(supernet.space.sample(rng) for _ in range(50))]:
        for layer in ("layer1", "layer2"):
            held = [int(architecture[f"{layer}.blocks.0.{name}"]) for name in ("hidden", "heads")]
            assert held[0] * held[1] <= 1024


def test_constrained_sharing_gives_each_pair_weights_of_its_own() -> None:
    options = {"attention": ["gcn", "gat"], "activation": ["relu", "tanh", "elu"], "hidden": 5, "heads": 2}
    given = graph(6, 4)
    touched = {}
    for sharing in ("relaxed", "constrained"):
        supernet = Supernet(AutoGNNLayer(4, 5, sharing=sharing, dropout=0.0, **options).double())  # type: ignore[arg-type]
        assert supernet.space.size() == 2 * 3 * 3 * 2
        marks = {}
        for architecture in supernet.space.enumerate():
            supernet.zero_grad()
            supernet.activate(architecture)
            supernet(given).x.square().sum().backward()
            key = architecture["attention"], architecture["activation"]
            marks.setdefault(key, set()).update(n for n, p in supernet.named_parameters() if p.grad is not None)
        touched[sharing] = marks
    transform = {key: {n for n in names if "transform" in n} for key, names in touched["relaxed"].items()}
    assert len(set(map(frozenset, transform.values()))) == 1
    pairs = list(touched["constrained"].values())
    assert all(first.isdisjoint(second) for i, first in enumerate(pairs) for second in pairs[:i])


def test_an_extracted_layer_is_a_copy() -> None:
    supernet = Supernet(AutoGNNLayer(4, 5).double()).eval()
    architecture = supernet.space.sample(np.random.default_rng(3))
    supernet.activate(architecture)
    model, given = supernet.extract(architecture), graph(6, 4)
    before = supernet(given).x
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(1.0)
    assert torch.equal(supernet(given).x, before)
    assert isinstance(model, nn.Module)


def test_unknown_options_offer_the_nearest() -> None:
    with pytest.raises(SpaceError, match=r"unknown value 'gat_syn'.*'gat_sym'"):
        AutoGNNLayer(3, 4, attention="gat_syn")
    with pytest.raises(SpaceError, match="sharing: unknown value 'strict'"):
        AutoGNNLayer(3, 4, sharing="strict")
