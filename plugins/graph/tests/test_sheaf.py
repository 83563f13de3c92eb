"""The sheaf block: checks 5 and 7 to 12 of neural sheaf diffusion; its Laplacian is in `test_sheaf_laplacian`."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from automl_graph.blocks import Sheaf, SheafODE
from automl_graph.blocks.sheaf import StalkState
from automl_graph.sheaf import RestrictionMaps, SheafLaplacian, build_laplacian, node_pairs, orthogonal
from automl_graph.signal import Graph
from torch import Tensor, nn

from automl.elastic import specialise
from automl.errors import SpaceError
from automl.objectives import count_macs
from automl.space import Ordinal, SearchSpace
from automl.supernet import Supernet

INP, OUT, NODES = 5, 3, 9
TYPES = ("scalar", "diag", "bundle", "general")


def graph(seed: int = 0, nodes: int = NODES) -> Graph:
    """Self loops, double edges and one direction only among all nodes but the last, which has no edge."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(nodes, INP, generator=generator, dtype=torch.float64)
    return Graph(x, torch.randint(nodes - 1, (2, 3 * nodes), generator=generator))


def block(**options: object) -> Sheaf:
    """A block in evaluation mode whose weights are all different."""
    torch.manual_seed(1)
    fixed = {"map_type": "diag", "stalk": 3, "layers": 2, "hidden": 4} | options
    module = Sheaf(INP, OUT, **fixed).double().eval()  # type: ignore[arg-type]
    for parameter in module.parameters():
        nn.init.normal_(parameter, mean=0.05, std=0.4)
    return module


def parameters(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def close(found: Tensor, expected: Tensor, tolerance: float = 1e-12) -> None:
    torch.testing.assert_close(found, expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize(
    ("kind", "options", "numbers"),
    [
        ("scalar", {}, 1),
        ("diag", {}, 3),
        ("general", {}, 9),
        ("bundle", {"orth_map": "householder"}, 3),
        ("bundle", {"orth_map": "euler"}, 3),
        ("bundle", {"orth_map": "cayley"}, 6),
        ("bundle", {"orth_map": "matrix_exp"}, 6),
        ("bundle", {"edge_weights": True}, 3 + 1),
    ],
)
def test_number_of_outputs_of_a_learner(kind: str, options: dict[str, object], numbers: int) -> None:
    """Check 5, number of learner outputs; check 10, parameters of a learner."""
    assert parameters(RestrictionMaps(7, 3, map_type=kind, **options)) == 2 * 7 * numbers  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["scalar", "diag", "bundle", "general"])
def test_learner_reads_the_own_node_first_and_the_other_one_second(kind: str) -> None:
    """Check 6 for learned maps: ``F_v = act(V [x_v ; x_u])`` and ``F_u = act(V [x_u ; x_v])`` for each pair, one by one."""
    torch.manual_seed(2)
    learner = RestrictionMaps(4, 3, map_type=kind, edge_weights=True, normalisation="degree").double()
    pairs = node_pairs(graph().edge_index, NODES)
    x = torch.randn(NODES, 4, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    found = learner(x, pairs)

    def read(linear: nn.Module, own: Tensor, other: Tensor) -> Tensor:
        halves = (linear.own.weight, linear.other.weight)  # type: ignore[union-attr]
        return torch.cat(halves, dim=1) @ torch.cat([own, other])  # type: ignore[arg-type]

    numbers = learner.bundle.strict if kind == "bundle" else getattr(learner, kind)
    weights, maps = [], []
    for v, u in zip(pairs.first.tolist(), pairs.second.tolist(), strict=True):
        maps.append([torch.tanh(read(numbers, x[a], x[b])) for a, b in ((v, u), (u, v))])
        if kind == "bundle":
            one, other = (read(learner.bundle.weigh, x[a], x[b]) for a, b in ((v, u), (u, v)))
            weights.append(torch.sigmoid(one) * torch.sigmoid(other))
    first, second = (torch.stack([ends[i] for ends in maps]) for i in range(2))
    assert float((first - second).detach().abs().min(1).values.max()) > 0.1  # not symmetric in the two nodes
    if kind == "bundle":
        matrices = (orthogonal(ends, "householder", 3) for ends in (first, second))
        expected = build_laplacian(pairs, *matrices, orthogonal_weight=torch.cat(weights))
    else:
        ends = (first.expand(-1, 3), second.expand(-1, 3)) if kind == "scalar" else (first, second)
        scale = (pairs.degree(x.dtype) * (3 if kind == "general" else 1) + 1).rsqrt()[:, None]
        expected = SheafLaplacian(pairs, ends[0] * scale[pairs.first], ends[1] * scale[pairs.second])
    for ours, theirs in ((found.first, expected.first), (found.second, expected.second)):
        # which number is which entry of a general matrix is free
        close(ours.flatten(1).sort().values, theirs.flatten(1).sort().values)
        if kind != "general":
            close(ours, theirs)


@pytest.mark.parametrize("linear", [False, True])
def test_block_is_its_formula_with_dense_matrices(linear: bool) -> None:
    """Two layers of ``X <- (1 + tanh eps) X - elu(Delta (I x W1) X W2)`` with one dimension of each fixed transport."""
    module, data = block(map_type="general", linear=linear, plus_dim=True, minus_dim=True), graph()
    pairs, d, full, f = node_pairs(data.edge_index, NODES), 3, 5, 4
    adjacency = torch.zeros(NODES, NODES, dtype=torch.float64)
    adjacency[pairs.first, pairs.second] = adjacency[pairs.second, pairs.first] = 1
    scale = (adjacency.sum(0) + 1).rsqrt()
    fixed = [scale[:, None] * (adjacency.sum(0).diag() + sign * adjacency) * scale for sign in (-1, 1)]
    x = nn.functional.elu(data.x @ module.enter.weight.T + module.enter.bias).view(NODES, full, f)
    learned = torch.zeros(0)
    for number, layer in enumerate(module.diffuse.active()):
        if number == 0 or not linear:
            learned = layer.learn(x.flatten(1), pairs).dense()  # type: ignore[union-attr, operator]
        y = torch.einsum("ij,njf,gf->nig", layer.mix_stalks.weight, x, layer.mix_channels.weight)  # type: ignore[union-attr]
        parts = [matrix @ y[:, i] for i, matrix in enumerate(fixed)]
        rest = (learned @ y[:, 2:].reshape(NODES * d, f)).view(NODES, d, f)
        y = nn.functional.elu(torch.cat([torch.stack(parts, dim=1), rest], dim=1))
        x = (1 + torch.tanh(layer.eps.weight[:, 0]))[:, None] * x - y  # type: ignore[union-attr, index, arg-type]
    close(module(data).x, x.flatten(1) @ module.leave.weight.T + module.leave.bias)


CONFIGURATIONS: list[dict[str, object]] = [
    *({"map_type": kind} for kind in TYPES),
    {"map_type": "diag", "normalisation": "degree"},
    *({"map_type": "bundle", "orth_map": kind, "edge_weights": True} for kind in ("cayley", "matrix_exp", "euler")),
    {"map_type": "general", "plus_dim": True, "minus_dim": True, "sparse_learner": True},
]


@pytest.mark.parametrize("options", CONFIGURATIONS, ids=lambda options: "-".join(map(str, options.values())))
def test_order_of_nodes_and_of_edges_does_not_matter(options: dict[str, object]) -> None:
    """Check 7."""
    module, data = block(**options), graph()
    order = torch.randperm(NODES, generator=torch.Generator().manual_seed(5))
    edges = torch.argsort(order)[data.edge_index].flip(0)[:, torch.randperm(data.edge_index.shape[1])]
    close(module(Graph(data.x[order], edges)).x, module(data).x[order])


@pytest.mark.parametrize("kind", TYPES)
def test_two_graphs_side_by_side_are_two_graphs(kind: str) -> None:
    """Check 7, disconnected graphs."""
    module, one, two = block(map_type=kind, plus_dim=True, minus_dim=True), graph(1, nodes=4), graph(2, nodes=6)
    both = Graph(torch.cat([one.x, two.x]), torch.cat([one.edge_index, two.edge_index + 4], dim=1))
    close(module(both).x, torch.cat([module(one).x, module(two).x]))


def neutral_layer(module: Sheaf) -> nn.Module:
    layer = module.diffuse[0] if isinstance(module.diffuse, nn.Sequential) else module.diffuse.active()[0]
    nn.init.eye_(layer.mix_stalks.weight)  # type: ignore[union-attr, arg-type]
    nn.init.eye_(layer.mix_channels.weight)  # type: ignore[union-attr, arg-type]
    nn.init.zeros_(layer.eps.weight)  # type: ignore[union-attr, arg-type]
    return layer


@pytest.mark.parametrize("kind", TYPES)
def test_layer_with_neutral_weights_is_one_step_of_diffusion(kind: str) -> None:
    """Check 8, first half; with one fixed dimension of each sign."""
    module, data = block(map_type=kind, activation="identity", plus_dim=True, minus_dim=True), graph()
    pairs = node_pairs(data.edge_index, NODES)
    x = torch.randn(NODES, 5, 4, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    state = neutral_layer(module)(StalkState(x, pairs))
    adjacency = torch.zeros(NODES, NODES, dtype=torch.float64)
    adjacency[pairs.first, pairs.second] = adjacency[pairs.second, pairs.first] = 1
    degree = adjacency.sum(0)
    scale = (degree + 1).rsqrt()[:, None]
    smoothing = x[:, 0] - scale * (degree.diag() - adjacency) @ (scale * x[:, 0])
    sharpening = x[:, 1] - scale * (degree.diag() + adjacency) @ (scale * x[:, 1])
    matrix = state.sheaf.dense()
    learned = (x[:, 2:].reshape(27, 4) - matrix @ x[:, 2:].reshape(27, 4)).view(NODES, 3, 4)
    close(state.x, torch.cat([smoothing[:, None], sharpening[:, None], learned], dim=1))
    close(state.x[-1], x[-1])  # no neighbours


def test_initial_weights() -> None:
    """Check 9."""
    module = Sheaf(INP, OUT, map_type="diag", stalk=3, layers=2, hidden=4, plus_dim=True)
    for layer in module.diffuse.active():
        assert torch.equal(layer.mix_stalks.weight, torch.eye(4))  # type: ignore[union-attr, arg-type]
        weight = layer.mix_channels.weight
        torch.testing.assert_close(weight @ weight.T, torch.eye(4))  # type: ignore[union-attr, operator]
        assert not layer.eps.weight.any()  # type: ignore[union-attr, operator]
    continuous = SheafODE(INP, OUT, map_type="bundle", stalk=3, hidden=4)
    assert torch.equal(continuous.mix_stalks.weight, torch.eye(3))
    torch.testing.assert_close(continuous.mix_channels.weight @ continuous.mix_channels.weight.T, torch.eye(4))


@pytest.mark.parametrize("kind", ["scalar", "diag", "bundle", "weighted", "general"])
def test_number_of_parameters(kind: str) -> None:
    """Check 10."""
    d, f, layers = 3, 4, 2
    options = {"map_type": "bundle", "edge_weights": True} if kind == "weighted" else {"map_type": kind}
    module = block(stalk=d, hidden=f, layers=layers, plus_dim=True, **options)
    full = d + 1
    triangle = d * (d - 1) // 2
    numbers = {"scalar": 1, "diag": d, "bundle": triangle, "weighted": triangle + 1, "general": d * d}[kind]
    each = full**2 + f**2 + full + 2 * f * full * numbers
    assert parameters(module) == layers * each + (INP + 1) * f * full + (f * full + 1) * OUT
    assert parameters(specialise(module)) == parameters(module)
    sparse = block(stalk=d, hidden=f, layers=layers, plus_dim=True, sparse_learner=True, **options)
    assert parameters(module) - parameters(sparse) == layers * 2 * f * (full - 1) * numbers
    once = block(stalk=d, hidden=f, layers=layers, plus_dim=True, linear=True, **options)
    assert parameters(module) - parameters(once) == (layers - 1) * 2 * f * full * numbers


def test_gradients_are_finite_where_all_maps_are_equal() -> None:
    """Check 11, whole block: no weights in the learners make all maps 0."""
    module = block(map_type="general")
    for layer in module.diffuse.active():
        for parameter in layer.learn.parameters():  # type: ignore[union-attr, operator]
            nn.init.zeros_(parameter)
    module(graph()).x.square().sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in module.parameters() if p.grad is not None)


def layer_energy(laplacian: SheafLaplacian, x: Tensor, left: Tensor, right: Tensor) -> Tensor:
    mixed = left @ (x @ right)
    return laplacian.energy(torch.relu(mixed - laplacian.apply(mixed)))


def symmetric_sheaf(seed: int) -> SheafLaplacian:
    """Orthogonal maps, the same at both ends of each pair, so that transport along every edge is the identity."""
    pairs = node_pairs(graph(seed).edge_index, NODES)
    numbers = torch.randn(len(pairs.first), 1, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    maps = orthogonal(numbers, "householder", 2)
    return build_laplacian(pairs, maps, maps, orthogonal_weight=torch.ones(len(maps), dtype=maps.dtype))


@pytest.mark.parametrize("seed", range(20))
def test_energy_never_grows_on_a_symmetric_orthogonal_sheaf(seed: int) -> None:
    """Check 12, first half, with the factor of the theorem, by which it shrinks at least."""
    laplacian = symmetric_sheaf(seed)
    values = torch.linalg.eigvalsh(laplacian.dense())
    factor = float((values[values > 1e-9] - 1).square().max())
    assert factor < 1
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(NODES, 2, 3, generator=generator, dtype=torch.float64)
    for _ in range(5):
        left = torch.randn(2, 2, generator=generator, dtype=torch.float64)
        right = torch.randn(3, 3, generator=generator, dtype=torch.float64)
        left, right = left / torch.linalg.matrix_norm(left, 2), right / torch.linalg.matrix_norm(right, 2)
        after = layer_energy(laplacian, x, left, right)
        assert float(after) <= factor * float(laplacian.energy(x)) + 1e-12
        mixed = left @ (x @ right)
        x = torch.relu(mixed - laplacian.apply(mixed))


def test_energy_can_rise_on_a_sheaf_that_is_not_symmetric() -> None:
    """Check 12, second half: two nodes, transport -1, a harmonic signal; ReLU takes one of its sides away."""
    pairs = node_pairs(torch.tensor([[0], [1]]), 2)
    ones = torch.ones(1, 1, dtype=torch.float64)
    laplacian = build_laplacian(pairs, ones, -ones)
    x = torch.tensor([[[1.0]], [[-1.0]]], dtype=torch.float64)
    small = torch.full((1, 1), 0.01, dtype=torch.float64)
    assert float(laplacian.energy(x)) == 0
    assert float(layer_energy(laplacian, x, small, small)) > 0


def test_extraction_equals_activation_for_all_options_at_once() -> None:
    """The conformance kit builds blocks with their defaults; here every option is a choice."""
    inp, out = Ordinal(3, 5), Ordinal(2, 4, 7)
    both = [True, False]
    torch.manual_seed(0)
    module = Sheaf(
        inp,
        out,
        map_type=list(TYPES),
        stalk=[2, 3],
        layers=[1, 2, 3],
        hidden=[3, 5],
        orth_map=["householder", "cayley", "matrix_exp", "euler"],
        edge_weights=both,
        linear=both,
        plus_dim=both,
        minus_dim=both,
        left_weights=both,
        right_weights=both,
        second_linear=both,
        normalisation=["augmented", "degree"],
    )
    supernet = Supernet(module).double().eval()
    for parameter in supernet.parameters():
        nn.init.normal_(parameter, mean=0.1, std=0.3)
    rng = np.random.default_rng(0)
    seen: set[tuple[str, object]] = set()
    for _ in range(60):
        architecture = supernet.space.sample(rng)
        seen |= set(architecture.items())
        supernet.activate(architecture)
        data = Graph(graph().x[:, : int(inp)], graph().edge_index)
        with torch.no_grad():
            plain = supernet.extract(architecture)
            close(plain(data).x, supernet(data).x)
    assert len(seen) == sum(len(dimension.choices) for dimension in supernet.space.dimensions.values())


def test_options_exist_only_where_they_are_read() -> None:
    space = SearchSpace.of(
        Sheaf(
            4, 4, map_type=["diag", "bundle"], orth_map=["householder", "cayley"], normalisation=["augmented", "degree"]
        )
    )
    name = next(n for n in space.dimensions if n.endswith("map_type"))
    for architecture in space.enumerate():
        bundle = architecture[name] == "bundle"
        assert any(n.endswith("orth_map") for n in architecture) == bundle
        assert any(n.endswith("normalisation") for n in architecture) != bundle


def test_macs_count_products_with_diagonal_maps() -> None:
    module, data = block(map_type="diag", layers=1), graph()
    pairs = len(node_pairs(data.edge_index, NODES).first)
    d, f = 3, 4
    nodes = NODES * (INP * d * f + 2 * d * f * d + d * d * f + d * f * f + d * f * OUT) + d

    class Network(nn.Module):
        def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
            features: Tensor = module(Graph(x, edge_index)).x
            return features

    assert count_macs(Network(), (data.x, data.edge_index)) == nodes + 4 * pairs * d * f


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"map_type": "diagonal"}, "map_type: unknown value 'diagonal'. Did you mean 'diag'"),
        ({"map_type": ["diag", "general"], "stalk": 1}, "stalk: 1 is too small for map_type 'general'"),
        ({"map_type": "bundle", "orth_map": "euler", "stalk": [3, 4]}, "stalk: 4 is too large for orth_map 'euler'"),
        ({"layers": 0}, "layers: 0 is not a whole number of at least 1"),
        ({"linear": 2}, "linear: unknown value 2"),
        ({"dropout": 1.0}, "dropout: 1.0 is not a share"),
        ({"map_activation": "relu"}, "map_activation: unknown value 'relu'"),
    ],
)
def test_unfit_option_is_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(SpaceError, match=message):
        block(**options)
