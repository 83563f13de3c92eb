"""The checks of DAGNN, in the order of its description; checks 2 and 11 are in `test_propagation` and `test_smoothness`."""

from __future__ import annotations

import inspect

import networkx
import pytest
import torch
from automl_graph.blocks import DAGNN, DAGNNHead
from automl_graph.blocks.dagnn import weigh_hops
from automl_graph.propagation import adjacency
from automl_graph.signal import Graph
from torch import Tensor, nn

from automl.elastic import specialise
from automl.errors import SpaceError
from automl.objectives import peak_bytes
from automl.space import Ordinal, SearchSpace

INP, OUT, HIDDEN, NODES = 5, 3, 7, 11


def graph(seed: int = 0, nodes: int = NODES, edges: int = 30) -> Graph:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(nodes, INP, generator=generator, dtype=torch.float64)
    return Graph(x, torch.randint(nodes, (2, edges), generator=generator))


def path_graph(nodes: int) -> Tensor:
    steps = torch.arange(nodes - 1)
    forward = torch.stack([steps, steps + 1])
    return torch.cat([forward, forward.flip(0)], dim=1)


def block(**options: object) -> DAGNN:
    """A block in evaluation mode whose weights are all different."""
    fixed = {"hops": 4, "hidden": HIDDEN, "mlp_layers": 2} | options
    torch.manual_seed(1)
    return randomise(DAGNN(INP, OUT, **fixed))  # type: ignore[arg-type]


def randomise(module: DAGNN) -> DAGNN:
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.4)
    return module.double().eval()


def transformed(module: DAGNN, x: Tensor) -> Tensor:
    result: Tensor = module.transform(x)
    return result


def powers(data: Graph, z: Tensor, hops: int, norm: str = "sym", self_loops: bool = True) -> list[Tensor]:
    """``Z, A Z, A² Z, ...`` by a dense matrix."""
    nodes = len(z)
    eye = torch.eye(nodes, dtype=z.dtype)
    matrix = adjacency(data.edge_index, nodes).propagate(eye, norm=norm, self_loops=self_loops)  # type: ignore[arg-type]
    return [torch.linalg.matrix_power(matrix, k) @ z for k in range(hops + 1)]


@pytest.mark.parametrize("hops", [0, 1, 10, 200])
def test_number_of_parameters_does_not_depend_on_hops(hops: int) -> None:
    """Check 1."""
    cora = DAGNNHead(1433, 7, hops=hops, hidden=64, mlp_layers=2)
    assert sum(p.numel() for p in cora.parameters()) == 92_239
    assert sum(p.numel() for p in specialise(cora).parameters()) == 92_239
    arxiv = DAGNNHead(128, 40, hops=hops, hidden=256, mlp_layers=2, batch_norm=True)
    assert sum(p.numel() for p in arxiv.parameters()) == 43_857


def test_without_hops_edges_have_no_influence() -> None:
    """Check 3."""
    module, data = block(hops=0), graph()
    z = transformed(module, data.x)
    expected = torch.sigmoid(module.projection(z)) * z  # type: ignore[misc]
    torch.testing.assert_close(module(data).x, expected, rtol=0, atol=1e-14)
    assert torch.equal(module(data._replace(edge_index=graph(9).edge_index)).x, module(data).x)


def test_zero_projection_halves_the_sum_over_hops() -> None:
    """Check 4."""
    module, data = block(hops=6), graph()
    for parameter in module.projection.parameters():  # type: ignore[union-attr]
        nn.init.zeros_(parameter)
    expected = 0.5 * torch.stack(powers(data, transformed(module, data.x), 6)).sum(0)
    torch.testing.assert_close(module(data).x, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("hops", [0, 1, 3])
def test_output_depends_on_nodes_within_hops_only(hops: int) -> None:
    """Check 5: gradients on a path, with zero features at the node that is differentiated."""
    module, edges = block(hops=hops), path_graph(NODES)
    for j in (0, 4, 10):
        x = graph().x.clone()
        x[j] = 0
        x.requires_grad_()
        out = module(Graph(x, edges)).x
        for i in range(NODES):
            (gradient,) = torch.autograd.grad(out[i].sum(), x, retain_graph=True)
            assert bool(gradient[j].any()) == (abs(i - j) <= hops), (i, j)


@pytest.mark.parametrize("gate", ["sigmoid", "softmax", "uniform", "last"])
def test_order_of_nodes_and_of_edges_does_not_matter(gate: str) -> None:
    """Check 6, first half."""
    module, data = block(gate=gate), graph()
    order = torch.randperm(NODES, generator=torch.Generator().manual_seed(5))
    new_number = torch.argsort(order)
    edges = new_number[data.edge_index][:, torch.randperm(data.edge_index.shape[1])]
    torch.testing.assert_close(module(Graph(data.x[order], edges)).x, module(data).x[order], rtol=0, atol=1e-12)


def test_two_graphs_side_by_side_are_two_graphs() -> None:
    """Check 6, second half."""
    module, one, two = block(), graph(1, nodes=4, edges=9), graph(2, nodes=6, edges=13)
    both = Graph(torch.cat([one.x, two.x]), torch.cat([one.edge_index, two.edge_index + 4], dim=1))
    expected = torch.cat([module(one).x, module(two).x])
    torch.testing.assert_close(module(both).x, expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize("gate", ["sigmoid", "softmax", "uniform", "last"])
def test_shallow_supernet_equals_a_fresh_shallow_model_bit_for_bit(gate: str) -> None:
    """Check 7."""
    elastic, data = block(hops=[0, 1, 3, 8], gate=gate), graph()
    assert isinstance(elastic.hops, Ordinal)
    for hops in (8, 1, 0, 3):
        elastic.hops.value = hops
        fresh = DAGNN(INP, OUT, hops=hops, hidden=HIDDEN, mlp_layers=2, gate=gate).double().eval()
        fresh.load_state_dict(elastic.state_dict())
        assert torch.equal(elastic(data).x, fresh(data).x)
        assert torch.equal(specialise(elastic)(data).x, fresh(data).x)


def test_one_node_and_one_feature() -> None:
    """Check 8."""
    module = randomise(DAGNN(INP, 1, hops=3, hidden=HIDDEN, mlp_layers=2))
    alone = Graph(graph().x[:1], torch.zeros(2, 0, dtype=torch.int64))
    assert module(graph()).x.shape == (NODES, 1)
    assert module(alone).x.shape == (1, 1)
    assert block()(alone).x.shape == (1, OUT)
    z = transformed(module, alone.x)
    expected = 4 * torch.sigmoid(module.projection(z)) * z  # type: ignore[misc]
    torch.testing.assert_close(module(alone).x, expected, rtol=0, atol=1e-14)


@pytest.mark.parametrize("norm", ["sym", "row"])
def test_isolated_node_keeps_its_features(norm: str) -> None:
    """Check 9."""
    data = Graph(graph().x, path_graph(NODES - 1))  # the last node is isolated
    for hops in range(1, 6):
        module = block(hops=hops, norm=norm, gate="last")
        z = transformed(module, data.x)
        assert torch.equal(module(data).x[-1], z[-1])
        assert not torch.equal(module(data).x[0], z[0])
    lonely = block(hops=5, norm=norm, gate="sigmoid", self_loops=False)
    assert bool(torch.isfinite(lonely(data).x).all())


def scores(gate: str, hops: int = 6) -> Tensor:
    """Weights of the hops, read off by weighing one-hot features."""
    module, data = block(hops=hops, gate=gate), graph()
    stack = powers(data, transformed(module, data.x), hops)
    projected = torch.stack(stack, dim=1)
    weigh = nn.Linear(OUT, 1).double()
    weigh.load_state_dict({k: v.clone() for k, v in module.projection.state_dict().items()})  # type: ignore[union-attr]

    class Looked(nn.Module):
        """Scores hop after hop as if it saw the features of the block."""

        def __init__(self) -> None:
            super().__init__()
            self.hop = -1

        def forward(self, _: Tensor) -> Tensor:
            self.hop += 1
            result: Tensor = weigh(stack[self.hop])
            return result

    one_hot = [torch.eye(hops + 1, dtype=torch.float64)[k].expand(NODES, hops + 1) for k in range(hops + 1)]
    weights = weigh_hops(one_hot, gate, Looked())  # type: ignore[arg-type]
    expected = (weights[:, :, None] * projected).sum(1)
    torch.testing.assert_close(module(data).x, expected, rtol=0, atol=1e-12)
    return weights


def test_sigmoid_gate_is_open_at_every_hop_and_need_not_sum_to_one() -> None:
    """Check 10: a test that its weights sum to one fails."""
    weights = scores("sigmoid")
    assert bool(((weights > 0) & (weights < 1)).all())
    assert bool((weights.std(0) > 0.001).all())  # of its own for each node
    assert bool((weights.std(1) > 0.001).all())  # and for each hop
    assert not torch.allclose(weights.sum(1), torch.ones(NODES, dtype=torch.float64), atol=0.1)
    torch.testing.assert_close(scores("softmax").sum(1), torch.ones(NODES, dtype=torch.float64))


@pytest.mark.parametrize("norm", ["sym", "row"])
@pytest.mark.parametrize("self_loops", [True, False])
def test_uniform_and_last_gates_are_powers_of_the_matrix(norm: str, self_loops: bool) -> None:
    data = graph()
    for gate in ("uniform", "last"):
        module = block(gate=gate, norm=norm, self_loops=self_loops)
        stack = torch.stack(powers(data, transformed(module, data.x), 4, norm, self_loops))
        expected = stack.mean(0) if gate == "uniform" else stack[-1]
        torch.testing.assert_close(module(data).x, expected, rtol=0, atol=1e-13)


def test_graph_without_self_loops_on_a_bipartite_graph_does_not_settle() -> None:
    edges = path_graph(2)
    x = torch.tensor([[1.0], [0.0]], dtype=torch.float64)
    matrix = adjacency(edges, 2)
    assert torch.equal(matrix.propagate(x, norm="sym", self_loops=False), x.flip(0))
    smoothed = matrix.propagate(x, norm="sym", self_loops=True)
    torch.testing.assert_close(smoothed, torch.full((2, 1), 0.5, dtype=torch.float64))


def test_number_of_layers_in_the_perceptron() -> None:
    elastic = block(mlp_layers=[1, 2, 3], hidden=[4, 7])
    sizes = {}
    for layers in (1, 2, 3):
        elastic.mlp_layers.value = layers  # type: ignore[union-attr]
        sizes[layers] = sum(p.numel() for p in specialise(elastic).parameters())
    assert sizes[1] == INP * OUT + OUT + (OUT + 1)
    assert sizes[2] == INP * 7 + 7 + 7 * OUT + OUT + (OUT + 1)
    assert sizes[3] == sizes[2] + 7 * 7 + 7


def test_space_holds_no_two_names_for_one_network() -> None:
    networks = SearchSpace.of(
        block(
            hops=[0, 2, 5],
            hidden=[4, 7],
            mlp_layers=[1, 2],
            norm=["sym", "row"],
            gate=["sigmoid", "last"],
            self_loops=[True, False],
        )
    )
    assert set(networks.dimensions) == {"hops", "mlp_layers", "hidden", "norm", "gate", "self_loops"}
    perceptrons = 1 + 2
    assert networks.size() == perceptrons * (1 + 2 * 2 * 2 * 2)


def test_gate_of_no_hops_does_not_depend_on_the_gate_of_the_last_network() -> None:
    data = graph()
    for gates, scored in ((["last", "sigmoid"], True), (["last", "softmax"], False)):
        module = block(hops=[0, 3], gate=gates)
        z = transformed(module, data.x)
        expected = torch.sigmoid(module.projection(z)) * z if scored else z  # type: ignore[misc]
        for gate in gates:
            module.gate.value = gate  # type: ignore[union-attr]
            module.hops.value = 0  # type: ignore[union-attr]
            torch.testing.assert_close(module(data).x, expected, rtol=0, atol=1e-14)
            torch.testing.assert_close(specialise(module)(data).x, expected, rtol=0, atol=1e-14)


def test_gates_without_a_projection_have_none() -> None:
    assert block(gate=["uniform", "last"]).projection is None
    both = block(gate=["sigmoid", "last"])
    both.gate.value = "last"  # type: ignore[union-attr]
    assert specialise(both).projection is None
    assert sum(p.numel() for p in specialise(both).parameters()) == INP * HIDDEN + HIDDEN + HIDDEN * OUT + OUT


def test_large_graph_form_normalises_hidden_features_and_keeps_the_input() -> None:
    module = block(batch_norm=True, dropout=0.8)
    kinds = [type(layer).__name__ for layer in specialise(module).transform.modules()]  # type: ignore[union-attr]
    assert kinds.count("BatchNorm1d") == 1
    drops = [layer.p for layer in module.modules() if isinstance(layer, nn.Dropout)]
    assert drops == [0.0, 0.8]
    assert [layer.p for layer in block(dropout=0.8).modules() if isinstance(layer, nn.Dropout)] == [0.8, 0.8]


def test_head_takes_the_options_of_the_block_and_gives_its_features() -> None:
    block_options, head_options = inspect.signature(DAGNN).parameters, inspect.signature(DAGNNHead).parameters
    assert [(p.name, p.default) for p in block_options.values()] == [(p.name, p.default) for p in head_options.values()]
    head = DAGNNHead(INP, OUT).double().eval()
    assert torch.equal(head(graph()), head.block(graph()).x)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hops": -1}, "hops: -1 is not a whole number of at least 0"),
        ({"hops": [2, 5.0]}, r"hops: 5\.0 is not a whole number"),
        ({"hidden": 0}, "hidden: 0 is not a whole number of at least 1"),
        ({"mlp_layers": [0, 1]}, "mlp_layers: 0 is not a whole number of at least 1"),
        ({"gate": "sigmod"}, "gate: unknown value 'sigmod'. Did you mean 'sigmoid'"),
        (
            {"norm": ["sym", "col"]},
            "norm: unknown value 'col'. Valid: row, sym|norm: unknown value 'col'. Did you mean",
        ),
        ({"self_loops": "yes"}, "self_loops: unknown value 'yes'"),
        ({"dropout": 1.0}, r"dropout: 1\.0 is not a share"),
    ],
)
def test_unfit_option_is_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(SpaceError, match=message):
        DAGNN(INP, OUT, **options)  # type: ignore[arg-type]


def test_path_graph_has_the_distances_that_the_checks_assume() -> None:
    built: networkx.Graph[int] = networkx.Graph(path_graph(NODES).T.tolist())
    assert networkx.utils.graphs_equal(built, networkx.path_graph(NODES))


@pytest.mark.parametrize("gate", ["sigmoid", "uniform", "last"])
def test_memory_of_inference_does_not_grow_with_hops(gate: str) -> None:
    data = graph()
    module = Unpacked(block(hops=[4, 50], gate=gate))
    inputs = data.x, data.edge_index
    module(*inputs)  # builds the matrix, which is no part of the count
    peaks = {}
    for hops in (4, 50):
        module.block.hops.value = hops  # type: ignore[union-attr]
        peaks[hops] = peak_bytes(module, inputs)
    assert peaks[50] == peaks[4]


class Unpacked(nn.Module):
    """A block whose inputs are tensors."""

    def __init__(self, block: DAGNN) -> None:
        super().__init__()
        self.block = block

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        features: Tensor = self.block(Graph(x, edge_index)).x
        return features


def test_width_of_hidden_layers_is_no_choice_where_there_are_none() -> None:
    for block in (DAGNN, DAGNNHead):
        names = set(SearchSpace.of(block(4, 3, hidden=[8, 16], mlp_layers=1, hops=[2, 5])).dimensions)
        assert {name.rpartition(".")[2] for name in names} == {"hops"}
