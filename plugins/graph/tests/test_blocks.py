"""GCN, SAGE and MLP against torch-geometric and by hand; what they choose from."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from automl_graph.blocks import DAGNN, GCN, MLP, SAGE, NodeClassifier
from automl_graph.signal import Graph
from torch import nn

from automl.elastic import specialise
from automl.errors import SpaceError
from automl.space import Ordinal, SearchSpace
from automl.supernet import Supernet

INP, OUT, NODES = 5, 3, 9


def graph(width: int = INP) -> Graph:
    """Nodes 0 to 7 at random, with self loops and double edges; node 8 has no edge."""
    generator = torch.Generator().manual_seed(2)
    x = torch.randn(NODES, width, generator=generator, dtype=torch.float64)
    return Graph(x, torch.randint(NODES - 1, (2, 24), generator=generator))


@pytest.mark.parametrize("self_loops", [True, False])
def test_gcn_equals_that_of_torch_geometric(self_loops: bool) -> None:
    from automl_graph import pyg  # noqa: F401  (its guarded import comes before the one of the test)
    from torch_geometric.nn import GCNConv

    module = GCN(INP, OUT, self_loops=self_loops).double().eval()
    peer = GCNConv(INP, OUT, add_self_loops=self_loops).double()
    peer.lin.weight = module.linear.weight
    peer.bias = module.linear.bias
    data = graph()
    expected = torch.relu(peer(data.x, data.edge_index))
    torch.testing.assert_close(module(data).x, expected, rtol=0, atol=1e-14)


@pytest.mark.parametrize("aggregation", ["mean", "sum", "max"])
def test_sage_equals_that_of_torch_geometric(aggregation: str) -> None:
    from automl_graph import pyg  # noqa: F401  (its guarded import comes before the one of the test)
    from torch_geometric.nn import SAGEConv

    module = SAGE(INP, OUT, aggregation=aggregation).double().eval()
    peer = SAGEConv(INP, OUT, aggr=aggregation).double()
    peer.lin_r = nn.Linear(INP, OUT, bias=False)
    peer.lin_r.weight, peer.lin_l.weight, peer.lin_l.bias = module.own.weight, module.near.weight, module.own.bias
    data = graph()
    expected = torch.relu(peer(data.x, data.edge_index))
    torch.testing.assert_close(module(data).x, expected, rtol=0, atol=1e-14)


def test_mlp_and_classifier_do_not_see_edges() -> None:
    data = graph()
    module, head = MLP(INP, OUT).double().eval(), NodeClassifier(OUT, 2).double()
    expected = torch.relu(nn.functional.linear(data.x, module.linear.weight, module.linear.bias))
    torch.testing.assert_close(module(data).x, expected, rtol=0, atol=1e-14)
    logits = head(module(data))
    assert logits.shape == (NODES, 2)
    assert torch.equal(head(module(data._replace(edge_index=data.edge_index[:, :3]))), logits)


def test_rows_are_scaled_to_sizes_that_add_up_to_one_and_empty_ones_stay() -> None:
    data = graph()
    data.x[3] = 0
    module = MLP(INP, OUT, scale_rows=True).double().eval()
    shares = torch.stack([row / row.abs().sum() if row.any() else row for row in data.x])
    expected = torch.relu(nn.functional.linear(shares, module.linear.weight, module.linear.bias))
    torch.testing.assert_close(module(data).x, expected, rtol=0, atol=1e-14)


@pytest.mark.parametrize("block", [GCN, SAGE, MLP])
def test_residual_is_a_choice_where_widths_agree_and_only_there(block: type[GCN | SAGE | MLP]) -> None:
    width = Ordinal(2, 4)
    assert "update.residual" in SearchSpace.of(block(width, width)).dimensions
    assert "update.residual" in SearchSpace.of(block(4, 4)).dimensions
    for inp, out in ((3, width), (width, 4), (width, Ordinal(2, 4)), (3, 4)):
        assert "update.residual" not in SearchSpace.of(block(inp, out)).dimensions
    data = graph(4)
    plain, added = (block(4, 4, residual=residual).double().eval() for residual in (False, True))
    added.load_state_dict(plain.state_dict())
    assert torch.equal(added(data).x, data.x + plain(data).x)
    assert not torch.equal(plain(data).x, torch.zeros_like(data.x))


def test_batch_norm_acts_on_the_active_width() -> None:
    width = Ordinal(2, 4)
    module = GCN(INP, width, batch_norm=True).double()
    width.value = 2
    out = module.train()(graph())
    assert out.x.shape == (NODES, 2)
    plain = specialise(module).eval()
    assert torch.equal(plain(graph()).x, module.eval()(graph()).x)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: SAGE(2, 3, aggregation="median"), "aggregation: unknown value 'median'"),
        (lambda: GCN(2, 3, norm=["sym", "symm"]), "norm: unknown value 'symm'. Did you mean 'sym'"),
        (lambda: GCN(2, 3, self_loops=[2]), "self_loops: unknown value 2"),  # type: ignore[list-item]
        (lambda: MLP(2, 3, residual=[2]), "residual: unknown value 2"),  # type: ignore[list-item]
        (lambda: MLP(2, 3, dropout=-0.1), "dropout: -0.1 is not a share"),
    ],
)
def test_unfit_option_is_refused(build: object, message: str) -> None:
    with pytest.raises(SpaceError, match=message):
        build()  # type: ignore[operator]


def test_extraction_equals_activation_for_all_options_at_once() -> None:
    """The conformance kit builds blocks with their defaults; here every option is a choice."""
    inp, out = Ordinal(3, 5), Ordinal(2, 4, 7)
    options: list[tuple[type[nn.Module], dict[str, object]]] = [
        (GCN, {"norm": ["sym", "row"], "self_loops": [True, False]}),
        (SAGE, {"aggregation": ["mean", "sum", "max"], "batch_norm": True}),
        (MLP, {"scale_rows": [False, True]}),
        (
            DAGNN,
            {
                "hops": [0, 1, 4],
                "hidden": [3, 8],
                "mlp_layers": [1, 2, 3],
                "norm": ["sym", "row"],
                "gate": ["softmax", "last", "sigmoid", "uniform"],
                "self_loops": [False, True],
                "batch_norm": True,
            },
        ),
    ]
    rng = np.random.default_rng(0)
    for block, given in options:
        torch.manual_seed(0)
        supernet = Supernet(block(inp, out, **given)).double().eval()
        for parameter in supernet.parameters():
            nn.init.normal_(parameter, mean=0.1, std=0.5)
        seen: set[tuple[str, object]] = set()
        for _ in range(60):
            architecture = supernet.space.sample(rng)
            seen |= set(architecture.items())
            supernet.activate(architecture)
            data = graph(int(inp))
            plain = supernet.extract(architecture)
            with torch.no_grad():
                assert torch.equal(plain(data).x, supernet(data).x), architecture
        assert len(seen) == sum(len(dimension.choices) for dimension in supernet.space.dimensions.values())
