"""Convolution families against torch-geometric with the same weights, after extraction from random subnetworks."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from automl_graph import pyg  # noqa: F401  (its guarded import comes before the ones of the tests)
from automl_graph.blocks import APPNP, ARMA, GAT, GCNII, GIN, LINKX, Cheb, GATv2, GraphTransformer
from automl_graph.repeated_width import RepeatedWidth
from automl_graph.signal import Graph
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from automl.elastic import Concat
from automl.errors import SpaceError
from automl.space import Ordinal, SearchSpace
from automl.supernet import Supernet
from automl.testing.weights import randomise

NODES = 11
# torch-geometric is imported inside the functions: it warns about its own code where a test would turn that into an error.


def directed() -> Tensor:
    """Random edges with self loops and double edges; the last node has none."""
    return torch.randint(NODES - 1, (2, 30), generator=torch.Generator().manual_seed(2))


def undirected() -> Tensor:
    """Both directions of each edge, one edge double, no self loops; the last node is isolated."""
    pairs = torch.randint(NODES - 1, (2, 20), generator=torch.Generator().manual_seed(3))
    pairs = pairs[:, pairs[0] != pairs[1]]
    return torch.cat([pairs, pairs.flip(0)], dim=1)


def _conv(cls: type[nn.Module], *sizes: Any, weights: dict[str, Tensor | None], **options: Any) -> nn.Module:
    conv = cls(*sizes, **options).double()
    state = conv.state_dict()
    missing = set(state) - set(weights)
    assert not missing, missing
    with torch.no_grad():
        for name, weight in weights.items():
            assert weight is not None
            conv.get_parameter(name).copy_(weight.reshape(state[name].shape))
    return conv


def gat(block: Any, x: Tensor, edges: Tensor) -> Tensor:
    from torch_geometric.nn import GATConv

    conv = _conv(
        GATConv,
        x.shape[1],
        block.head_width,
        heads=block.heads,
        bias=False,
        negative_slope=block.slope,
        weights={
            "lin.weight": block.transform.weight,
            "att_src": block.as_source.weight,
            "att_dst": block.as_target.weight,
        },
    )
    return torch.relu(block.merge(conv(x, edges)))


def gatv2(block: Any, x: Tensor, edges: Tensor) -> Tensor:
    from torch_geometric.nn import GATv2Conv

    conv = _conv(
        GATv2Conv,
        x.shape[1],
        block.head_width,
        heads=block.heads,
        negative_slope=block.slope,
        weights={
            "lin_l.weight": block.from_source.weight,
            "lin_l.bias": block.from_source.bias,
            "lin_r.weight": block.from_target.weight,
            "lin_r.bias": block.from_target.bias,
            "att": block.score.weight,
            "bias": torch.zeros(block.heads * block.head_width),
        },
    )
    return torch.relu(block.merge(conv(x, edges)))


def transformer(block: Any, x: Tensor, edges: Tensor) -> Tensor:
    from torch_geometric.nn import TransformerConv

    conv = _conv(
        TransformerConv,
        x.shape[1],
        block.head_width,
        heads=block.heads,
        root_weight=False,
        weights={
            "lin_query.weight": block.query.weight,
            "lin_query.bias": block.query.bias,
            "lin_key.weight": block.key.weight,
            "lin_key.bias": torch.randn(block.heads * block.head_width, generator=torch.Generator().manual_seed(9)),
            "lin_value.weight": block.value.weight,
            "lin_value.bias": block.value.bias,
            "lin_skip.weight": torch.zeros(block.heads * block.head_width, x.shape[1]),
            "lin_skip.bias": torch.zeros(block.heads * block.head_width),
        },
    )
    return torch.relu(block.merge(conv(x, edges)) + block.own(x))


def gin(block: Any, x: Tensor, edges: Tensor) -> Tensor:
    from torch_geometric.nn import GINConv

    perceptron = nn.Sequential(block.first, block.normalise, nn.ReLU(), block.second)
    conv = GINConv(copy.deepcopy(perceptron)).double().eval()  # its constructor draws new weights
    conv.nn.load_state_dict(perceptron.state_dict())
    conv.eps.fill_(block.eps)
    result: Tensor = torch.relu(conv(x, edges))
    return result


def cheb(block: Any, x: Tensor, edges: Tensor) -> Tensor:
    from torch_geometric.nn import ChebConv

    width = x.shape[1]
    weights: dict[str, Tensor | None] = {"bias": block.linear.bias}
    for k in range(block.orders):
        weights[f"lins.{k}.weight"] = block.linear.weight[:, k * width : (k + 1) * width]
    conv = _conv(ChebConv, width, block.linear.out_features, block.orders, weights=weights)
    return torch.relu(conv(x, edges, lambda_max=2.0))


def arma(block: Any, x: Tensor, edges: Tensor) -> Tensor:
    from torch_geometric.nn import ARMAConv

    stacks = [block.get_submodule(f"stack_{i}") for i in range(block.stacks)]
    out = stacks[0].first.out_features
    again = [s.again.weight.T if s.again is not None else torch.zeros(out, out) for s in stacks]
    conv = _conv(
        ARMAConv,
        x.shape[1],
        out,
        num_stacks=block.stacks,
        num_layers=block.steps,
        shared_weights=True,
        weights={
            "init_weight": torch.stack([s.first.weight.T for s in stacks]),
            "root_weight": torch.stack([s.root.weight.T for s in stacks]),
            "bias": torch.stack([s.root.bias for s in stacks]),
            "weight": torch.stack(again),
        },
    )
    return torch.relu(conv(x, edges))


def gcnii(block: Any, x: Tensor, edges: Tensor) -> Tensor:
    from torch_geometric.nn import GCN2Conv

    initial = torch.relu(block.transform(x))
    features = initial
    for i in range(block.layers):
        conv = _conv(
            GCN2Conv,
            initial.shape[1],
            block.alpha,
            block.theta,
            i + 1,
            weights={"weight1": block.get_submodule(f"layer_{i}").weight.T},
        )
        features = torch.relu(conv(features, initial, edges))
    return features


def appnp(block: Any, x: Tensor, edges: Tensor) -> Tensor:
    from torch_geometric import nn as peers

    result: Tensor = peers.APPNP(block.hops, block.alpha)(block.transform(x), edges)
    return result


def linkx(block: Any, x: Tensor, edges: Tensor) -> Tensor:
    from torch_geometric import nn as peers

    hidden, out = block.own.out_features, block.last.out_features
    network = peers.LINKX(NODES, x.shape[1], hidden, out, num_layers=1).double().eval()
    rows = x @ block.near.weight.T  # the row of each node, learned in the paper
    pairs = {
        "edge_lin.weight": rows,
        "edge_lin.bias": torch.zeros(hidden),
        "node_mlp.lins.0.weight": block.own.weight,
        "node_mlp.lins.0.bias": block.own.bias,
        "cat_lin1.weight": block.mix_near.weight,
        "cat_lin1.bias": block.mix_near.bias,
        "cat_lin2.weight": block.mix_own.weight,
        "cat_lin2.bias": block.mix_own.bias,
        "final_mlp.lins.0.weight": block.last.weight,
        "final_mlp.lins.0.bias": block.last.bias,
    }
    assert set(pairs) == set(dict(network.named_parameters()))
    with torch.no_grad():
        for name, value in pairs.items():
            network.get_parameter(name).copy_(value)
    return torch.relu(network(x, edges))


Peer = Callable[[Any, Tensor, Tensor], Tensor]
CASES: dict[str, tuple[type[nn.Module], dict[str, Any], Peer, Callable[[], Tensor]]] = {
    "GAT": (GAT, {"heads": [1, 3], "head_width": 4, "slope": 0.3, "residual": False}, gat, directed),
    "GATv2": (GATv2, {"heads": [1, 3], "head_width": 4, "slope": 0.3, "residual": False}, gatv2, directed),
    "GraphTransformer": (
        GraphTransformer,
        {"heads": [1, 3], "head_width": 4, "residual": False},
        transformer,
        directed,
    ),
    "GIN": (GIN, {"hidden": [3, 6], "eps": [0.0, 0.4], "residual": False}, gin, directed),
    "Cheb": (Cheb, {"orders": [1, 2, 4], "residual": False}, cheb, undirected),
    "ARMA": (ARMA, {"stacks": [1, 3], "steps": [1, 3], "residual": False}, arma, directed),
    "GCNII": (GCNII, {"layers": [1, 2, 5], "alpha": [0.1, 0.4], "theta": [0.5, 1.0]}, gcnii, directed),
    "APPNP": (APPNP, {"hops": [1, 4], "alpha": [0.1, 0.4], "hidden": [3, 6]}, appnp, directed),
    "LINKX": (LINKX, {"hidden": [3, 6], "norm": "none", "residual": False}, linkx, directed),
}


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
@pytest.mark.parametrize("name", CASES)
def test_extracted_block_equals_torch_geometric_with_its_weights(name: str) -> None:
    cls, options, peer, edges = CASES[name]
    inp, out = Ordinal(3, 5), Ordinal(2, 7)
    supernet = Supernet(cls(inp, out, **options)).double().eval()
    randomise(supernet, seed=4)
    rng = np.random.default_rng(5)
    seen: set[tuple[str, object]] = set()
    for _ in range(12):
        architecture = supernet.space.sample(rng)
        seen |= set(architecture.items())
        supernet.activate(architecture)
        x = torch.randn(NODES, int(inp), generator=torch.Generator().manual_seed(6), dtype=torch.float64)
        block = supernet.extract(architecture)
        with torch.no_grad():
            found, expected = block(Graph(x, edges())).x, peer(block, x, edges())
        assert bool(found.any())
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    assert len(seen) == sum(len(dimension.choices) for dimension in supernet.space.dimensions.values())


@pytest.mark.parametrize("cls", [GAT, GATv2])
def test_self_loops_of_a_graph_are_not_counted_twice(cls: type[nn.Module]) -> None:
    block = cls(3, 2).double().eval()
    x = torch.randn(NODES, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    edges = undirected()
    looped = torch.cat([edges, torch.tensor([[1, 4, 4], [1, 4, 4]])], dim=1)
    torch.testing.assert_close(block(Graph(x, looped)).x, block(Graph(x, edges)).x, rtol=0, atol=1e-14)


@pytest.mark.parametrize("name", CASES)
def test_numbering_of_nodes_does_not_matter(name: str) -> None:
    cls, _, _, edges = CASES[name]
    torch.manual_seed(0)
    block = cls(3, 2).double().eval()
    x = torch.randn(NODES, 3, dtype=torch.float64)
    order = torch.randperm(NODES)
    back = torch.argsort(order)
    moved = block(Graph(x[order], back[edges()])).x
    torch.testing.assert_close(moved, block(Graph(x, edges())).x[order], rtol=0, atol=1e-12)


@pytest.mark.parametrize("cls", [GAT, GATv2, GraphTransformer])
def test_dropout_of_attention_acts_in_training_only(cls: type[nn.Module]) -> None:
    torch.manual_seed(0)
    block = cls(3, 2, attention_dropout=0.9, dropout=0.0)
    graph = Graph(torch.randn(NODES, 3), directed())
    assert not torch.equal(block.train()(graph).x, block(graph).x)
    assert torch.equal(block.eval()(graph).x, block(graph).x)


def test_one_order_and_linkx_without_edges_do_not_see_them() -> None:
    x = torch.randn(NODES, 3)
    block = Cheb(3, 2, orders=1).eval()
    assert torch.equal(block(Graph(x, directed())).x, block(Graph(x, directed()[:, :4])).x)
    assert "orders" not in SearchSpace.of(block).dimensions


@settings(max_examples=50, deadline=None)
@given(
    count=st.lists(st.integers(1, 4), min_size=1, max_size=3, unique=True),
    width=st.lists(st.integers(1, 6), min_size=1, max_size=3, unique=True),
    data=st.data(),
)
def test_repeated_width_keeps_each_signal_in_its_range(count: list[int], width: list[int], data: st.DataObject) -> None:
    counts, widths = Ordinal(*sorted(count)), Ordinal(*sorted(width))
    size = RepeatedWidth(counts, widths)
    counts.value, widths.value = data.draw(st.sampled_from(count)), data.draw(st.sampled_from(width))
    units = size.indices() or tuple(range(int(size)))
    assert len(units) == int(size) == int(counts) * int(widths)
    assert {unit // max(width) for unit in units} == set(range(int(counts)))
    assert {unit % max(width) for unit in units} == set(range(int(widths)))


def test_repeated_width_of_joined_signals_keeps_their_units() -> None:
    left = Ordinal(1, 3)
    joined = Concat([left, 2]).width
    left.value = 1
    assert RepeatedWidth(2, joined).indices() == (0, 3, 4, 5, 8, 9)
    assert "RepeatedWidth(2" in repr(RepeatedWidth(2, joined))


BAD = {
    "no heads": (lambda: GAT(2, 3, heads=0), "heads: 0 is not a whole number of at least 1"),
    "head width": (lambda: GATv2(2, 3, head_width=0), "head_width: 0 is not"),
    "attention dropout": (
        lambda: GraphTransformer(2, 3, attention_dropout=1.0),
        "attention_dropout: 1.0 is not a share",
    ),
    "orders": (lambda: Cheb(2, 3, orders=[0, 1]), "orders: 0 is not"),
    "hidden": (lambda: GIN(2, 3, hidden=0), "hidden: 0 is not"),
    "stacks": (lambda: ARMA(2, 3, stacks=0), "stacks: 0 is not"),
    "steps": (lambda: ARMA(2, 3, steps=0), "steps: 0 is not"),
    "alpha": (lambda: GCNII(2, 3, alpha=[0.1, 1.5]), "alpha: 1.5 is not a share"),
    "hops": (lambda: APPNP(2, 3, hops=0), "hops: 0 is not"),
    "return": (lambda: APPNP(2, 3, alpha=-0.1), "alpha: -0.1 is not a share"),
    "norm": (lambda: LINKX(2, 3, norm="sum"), "norm: unknown value 'sum'"),
}


@pytest.mark.parametrize(("build", "message"), BAD.values(), ids=BAD)
def test_unfit_option_is_refused(build: Callable[[], object], message: str) -> None:
    with pytest.raises(SpaceError, match=message):
        build()
