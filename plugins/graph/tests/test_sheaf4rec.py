"""The checks of Sheaf4Rec that concern its layers, in the order of its description; the others are in `test_recommendation`."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from automl_graph.recommend.blocks import Factorisation, LightGCN
from automl_graph.recommend.sheaf4rec import Sheaf4Rec
from automl_graph.recommend.signals import Bipartite, Embeddings
from automl_graph.recommend.table import ItemScores, NodeTable
from automl_graph.sheaf import build_laplacian, node_pairs
from torch import Tensor, nn

from automl.errors import DataError, SpaceError
from automl.objectives import count_macs
from automl.space import Ordinal
from automl.supernet import Supernet

USERS, ITEMS, WIDTH = 5, 7, 6
NODES = USERS + ITEMS
TYPES = ("scalar", "diag", "bundle", "general", "identity")


def interactions(seed: int = 0, count: int = 14) -> Tensor:
    """Both directions; the last item has no interaction."""
    rng = np.random.default_rng(seed)
    pairs = rng.choice(USERS * (ITEMS - 1), size=count, replace=False)
    forward = torch.from_numpy(np.stack([pairs // (ITEMS - 1), pairs % (ITEMS - 1) + USERS]))
    return torch.cat([forward, forward.flip(0)], dim=1)


def payload(seed: int = 0, width: int = WIDTH) -> Embeddings:
    x = torch.randn(NODES, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return Embeddings(x, interactions(seed), torch.arange(USERS), x)


def block(**options: object) -> Sheaf4Rec:
    torch.manual_seed(2)
    fixed = {"layers": 3, "map_type": "scalar"} | options
    module = Sheaf4Rec(WIDTH, WIDTH, **fixed).double().eval()  # type: ignore[arg-type]
    for parameter in module.parameters():
        nn.init.normal_(parameter, mean=0.05, std=0.4)
    return module


def close(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


def test_single_edge_with_two_numbers_has_two_known_eigenvalues() -> None:
    """Check 1, single edge."""
    a, b = torch.tensor([[0.7]], dtype=torch.float64), torch.tensor([[-0.4]], dtype=torch.float64)
    matrix = build_laplacian(node_pairs(torch.tensor([[0], [1]]), 2), a, b).dense()
    expected = torch.cat([torch.zeros(1), (a**2 / (a**2 + 1) + b**2 / (b**2 + 1)).flatten()])
    close(torch.linalg.eigvalsh(matrix), expected.double())


@pytest.mark.parametrize("kind", TYPES)
def test_laplacian_of_a_layer_is_positive_and_below_two(kind: str) -> None:
    """Check 1, every type of maps."""
    module, data = block(map_type=kind, stalk=2), payload()
    laplacian = module.diffuse.active()[0].learn(data.x, node_pairs(data.edge_index, NODES))  # type: ignore[operator]
    matrix = laplacian.dense().detach()
    values = torch.linalg.eigvalsh(matrix)
    close(matrix, matrix.T)
    assert float(values.min()) > -1e-12
    assert float(values.max()) < 2


@pytest.mark.parametrize("kind", TYPES)
def test_node_without_interactions_keeps_its_vector(kind: str) -> None:
    """Check 1, isolated node."""
    data = payload()
    assert torch.equal(block(map_type=kind, stalk=2)(data).x[-1], data.x[-1])


def test_identity_maps_give_the_augmented_graph_laplacian() -> None:
    """Check 2."""
    module, data = block(map_type="identity", layers=1, step=0.5), payload()
    layer = module.diffuse.active()[0]
    nn.init.eye_(layer.mix.weight)  # type: ignore[union-attr, arg-type]
    nn.init.zeros_(layer.mix.bias)  # type: ignore[union-attr, arg-type]
    adjacency = torch.zeros(NODES, NODES, dtype=torch.float64)
    adjacency[data.edge_index[0], data.edge_index[1]] = 1
    degree = adjacency.sum(0)
    scale = (degree + 1).rsqrt().diag()
    close(module(data).x, data.x - 0.5 * scale @ (degree.diag() - adjacency) @ scale @ data.x)


def test_without_learner_weights_the_model_is_matrix_factorisation() -> None:
    """Check 3."""
    module, data = block(), payload()
    for layer in module.diffuse.active():
        for parameter in layer.learn.parameters():  # type: ignore[union-attr, operator]
            nn.init.zeros_(parameter)
    result = module(data)
    close(result.x, data.x)
    plain = ItemScores(ITEMS)(Factorisation(WIDTH, WIDTH)(data))
    close(ItemScores(ITEMS)(result), 4 * plain)


@pytest.mark.parametrize(("kind", "stalk"), [("scalar", 1), ("scalar", 2), ("diag", 2)])
def test_layers_are_the_formulas_edge_after_edge(kind: str, stalk: int) -> None:
    """Maps ``tanh(V [x_v ; x_u])`` of the vectors that enter each layer, and ``X - step Delta (X W + b)``."""
    module, data = block(map_type=kind, stalk=stalk, layers=2, step=0.5).requires_grad_(False), payload()
    states, edges = [data.x], sorted(set(map(tuple, data.edge_index.T.tolist())))
    for layer in module.diffuse.active():
        x = states[-1]
        learner = getattr(layer.learn, kind)

        def restriction(v: int, u: int, x: Tensor = x, learner: nn.Module = learner) -> Tensor:
            numbers = torch.tanh(learner.own.weight @ x[v] + learner.other.weight @ x[u])  # type: ignore[union-attr,operator]
            return numbers.expand(stalk).diag()

        total = torch.eye(stalk, dtype=torch.float64).repeat(NODES, 1, 1)  # D + I
        for v, u in edges:
            total[v] += restriction(v, u).square()
        mixed = x.unflatten(1, (-1, stalk)) if stalk > 1 else x[:, :, None]  # (nodes, channels, stalk)
        mixed = torch.einsum("nct,oc->not", mixed, layer.mix.weight) + layer.mix.bias[None, :, None]  # type: ignore
        change = torch.zeros_like(mixed)
        for v, u in edges:
            f_v, f_u = restriction(v, u), restriction(u, v)
            root_v, root_u = (total[w].diagonal().rsqrt().diag() for w in (v, u))
            change[v] += mixed[v] @ (root_v @ f_v.square() @ root_v) - mixed[u] @ (root_v @ f_v @ f_u @ root_u)
        states.append(x - 0.5 * change.flatten(1))
    close(module(data).read, torch.cat(states, dim=1))


def test_gradients_reach_nodes_outside_of_the_batch() -> None:
    """Check 4: users 0 only is asked for, and one item of its scores."""
    module, data = block(), payload()
    x = data.x.clone().requires_grad_()
    scores = ItemScores(ITEMS)(module(data._replace(x=x, users=torch.tensor([0]))))
    scores[0, 0].backward()
    assert x.grad is not None
    assert int((x.grad.abs().sum(1) > 0).sum()) > 2


def test_number_of_parameters() -> None:
    """Check 5."""
    nodes, width, layers = 4124, 64, 5
    network = nn.Sequential(NodeTable(nodes, width), Sheaf4Rec(width, width, layers=layers, map_type="scalar"))
    assert sum(p.numel() for p in network.parameters()) == 285_376


@pytest.mark.parametrize(
    ("readout", "width"), [("concat", 4 * WIDTH), ("mean", WIDTH), ("sum", WIDTH), ("last", WIDTH)]
)
def test_width_of_what_is_scored(readout: str, width: int) -> None:
    """Check 6."""
    result = block(readout=readout, stalk=2)(payload())
    assert result.read.shape == (NODES, width)
    states = block(readout="concat", stalk=2)(payload()).read.view(NODES, 4, WIDTH)
    expected = {"concat": states.flatten(1), "mean": states.mean(1), "sum": states.sum(1), "last": states[:, -1]}
    close(result.read, expected[readout])


@pytest.mark.parametrize("kind", TYPES)
def test_swapping_the_two_sides_swaps_the_scores(kind: str) -> None:
    """Check 11."""
    module, data = block(map_type=kind, stalk=2), payload()
    scores = ItemScores(ITEMS)(module(data))
    order = torch.cat([torch.arange(USERS, NODES), torch.arange(USERS)])
    swapped = Embeddings(data.x[order], torch.argsort(order)[data.edge_index], torch.arange(ITEMS), data.x[order])
    close(ItemScores(USERS)(module(swapped)), scores.T)


class Network(nn.Module):
    """A block between tensors."""

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.block = block

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        result: Tensor = self.block(Embeddings(x, edge_index, edge_index[0, :0], x)).x
        return result


def test_cost_is_linear_in_interactions() -> None:
    """Check 12, in counted work instead of time: only the part of edges grows, and by exactly what is stated."""
    module, x = block(stalk=2, map_type="diag", layers=2), payload().x
    few, many = (count_macs(Network(module), (x, interactions(count=count))) for count in (14, 28))
    assert many - few == 2 * 14 * 4 * WIDTH
    dense = count_macs(Network(block(stalk=2, map_type="general", layers=2)), (x, interactions(count=14)))
    assert dense < 2 * (NODES * 2) ** 2 * WIDTH


@pytest.mark.parametrize("kind", ["scalar", "general"])
def test_memory_is_that_of_nodes_and_interactions(kind: str) -> None:
    """Check 12: a matrix of all pairs of nodes would take 320 gigabytes."""
    nodes = 200_000
    module = Sheaf4Rec(2, 2, layers=1, map_type=kind, stalk=2)
    edges = torch.tensor([[0, 3, nodes - 1, 1], [nodes - 1, 1, 0, 3]])
    x = torch.randn(nodes, 2)
    result = module(Embeddings(x, edges, torch.tensor([0]), x)).x
    assert (result != x).any(1).nonzero().flatten().tolist() == [0, 1, 3, nodes - 1]


def test_extraction_equals_activation_for_all_options_at_once() -> None:
    width = Ordinal(6, 12)
    both = [True, False]
    module = nn.Sequential(
        NodeTable(NODES, width),
        Sheaf4Rec(
            width,
            width,
            layers=[1, 2, 3],
            map_type=list(TYPES),
            stalk=[2, 3],
            readout=["concat", "mean", "last", "sum"],
            step=[0.25, 1.0],
            share_maps=both,
            orth_map=["householder", "cayley"],
            edge_weights=both,
        ),
        ItemScores(ITEMS),
    )
    supernet = Supernet(module).double().eval()
    for parameter in supernet.parameters():
        nn.init.normal_(parameter, mean=0.1, std=0.3)
    rng = np.random.default_rng(0)
    seen: set[tuple[str, object]] = set()
    data = Bipartite(torch.tensor([3, 0, 3]), interactions())
    for _ in range(60):
        architecture = supernet.space.sample(rng)
        seen |= set(architecture.items())
        supernet.activate(architecture)
        with torch.no_grad():
            close(supernet.extract(architecture)(data), supernet(data))
    assert len(seen) == sum(len(dimension.choices) for dimension in supernet.space.dimensions.values())


@pytest.mark.parametrize("options", [{"map_type": "general", "stalk": 2}, {"map_type": "diag", "stalk": 3}, {}])
def test_vectors_through_edges_differ_by_what_the_last_layer_diffuses(options: dict[str, object]) -> None:
    """`embedding_through_edge`, compared with the coboundary of the sheaf that the last layer learned."""
    module, start = block(layers=2, **options), payload()
    with torch.no_grad():
        pairs = node_pairs(start.edge_index, NODES)
        there = module.embedding_through_edge(start, pairs.first, pairs.second)
        back = module.embedding_through_edge(start, pairs.second, pairs.first)
        entered = block(layers=1, **options)  # the same weights up to there
        entered.diffuse.load_state_dict({k: v for k, v in module.diffuse.state_dict().items() if k.startswith("0.")})
        entered.adapt.load_state_dict(module.adapt.state_dict())
        before = entered(start).x
        last = list(module.diffuse.children())[1]
        sheaf = last.learn(before, pairs)  # type: ignore[union-attr,operator]
        stalks = before.unflatten(1, (-1, int(module.stalk))).mT
        close((there - back).unflatten(1, (-1, int(module.stalk))).mT, sheaf.coboundary(stalks))
        close((there - back).square().sum(), sheaf.energy(stalks))
    assert there.shape == (len(pairs.first), WIDTH)
    with pytest.raises(DataError, match=f"nodes 0 and {NODES - 1} did not interact"):
        module.embedding_through_edge(start, torch.tensor([0]), torch.tensor([NODES - 1]))


def test_lightgcn_is_powers_of_the_normalised_adjacency() -> None:
    data = payload()
    adjacency = torch.zeros(NODES, NODES, dtype=torch.float64)
    adjacency[data.edge_index[0], data.edge_index[1]] = 1
    scale = torch.where(adjacency.sum(0) > 0, adjacency.sum(0).clamp(min=1).rsqrt(), 0).diag()
    hop = scale @ adjacency @ scale
    expected = (data.x + hop @ data.x + hop @ hop @ data.x) / 3
    close(LightGCN(WIDTH, WIDTH, layers=2)(data).read, expected)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stalk": 4}, "stalk"),
        ({"map_type": "bundle"}, "stalk: 1 is too small for map_type 'bundle'"),
        ({"readout": "max"}, "readout: unknown value 'max'"),
        ({"step": 0}, "step: 0 is not a number above 0"),
    ],
)
def test_unfit_option_is_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(SpaceError, match=message):
        block(**options)
