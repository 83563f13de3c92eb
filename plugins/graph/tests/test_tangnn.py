"""The checks of TANGNN, in the order of its description."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from automl_graph.blocks import TANGNN
from automl_graph.blocks.tangnn import _Stream
from automl_graph.blocks.top_tokens import AuxiliaryVector, TopTokens
from automl_graph.selection import cosine_scores, ranked_nodes
from automl_graph.signal import Graph
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from automl.errors import SpaceError
from automl.space import Ordinal
from automl.supernet import Supernet
from automl.testing.weights import randomise

INP, WIDTH, NODES = 5, 6, 11
MODES = ["cross", "broadcast", "window"]
ALL = {
    "aux": ["random_fixed", "orthogonal_update", "gated"],
    "local_conv": ["sage", "gcn", "gat"],
    "variant": ["chained", "concat", "first", "near_first", "tokens_first"],
    "feed_forward": [True, False],
}


def graph(seed: int = 0, nodes: int = NODES, edges: int = 30) -> Graph:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(nodes, INP, generator=generator, dtype=torch.float64)
    return Graph(x, torch.randint(nodes, (2, edges), generator=generator))


def path_graph(nodes: int) -> Tensor:
    steps = torch.arange(nodes - 1)
    forward = torch.stack([steps, steps + 1])
    return torch.cat([forward, forward.flip(0)], dim=1)


def branch(**options: object) -> TopTokens:
    fixed = {"count": 4, "heads": 2} | options
    torch.manual_seed(4)
    module = TopTokens(INP, WIDTH, **fixed).double().eval()  # type: ignore[arg-type]
    randomise(module, seed=1)
    return module


def block(**options: object) -> TANGNN:
    fixed = {"hidden": WIDTH, "layers": 2, "m": 3, "mode": "cross", "heads": 2} | options
    torch.manual_seed(4)
    module = TANGNN(INP, 3, **fixed).double().eval()  # type: ignore[arg-type]
    randomise(module, seed=1)
    return module


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("variant", ALL["variant"])
def test_order_of_nodes_and_of_edges_does_not_matter(mode: str, variant: str) -> None:
    """Check 1; nodes with one positive feature would all have the same score."""
    module, data = block(mode=mode, variant=variant, local_conv="gat"), graph()
    data = data._replace(x=data.x.abs())
    order = torch.randperm(NODES, generator=torch.Generator().manual_seed(5))
    edges = torch.argsort(order)[data.edge_index][:, torch.randperm(data.edge_index.shape[1])]
    torch.testing.assert_close(module(Graph(data.x[order], edges)).x, module(data).x[order], rtol=0, atol=1e-12)


def test_repeating_token_rows_over_the_nodes_would_depend_on_their_order() -> None:
    """Check 1, last half: what the reference scripts do fails the test above."""
    x, order = graph().x, torch.arange(NODES).roll(1)

    def tile(features: Tensor) -> Tensor:
        chosen = ranked_nodes(features[:, 0], torch.zeros(NODES, dtype=torch.int64))[0][:4]
        return features[chosen].repeat(3, 1)[:NODES]

    assert not torch.allclose(tile(x[order]), tile(x)[order])


def test_nodes_are_selected_by_direction_and_not_by_length() -> None:
    """Check 2."""
    x = graph().x.abs()
    scores = cosine_scores(x, torch.eye(INP, dtype=torch.float64)[0])
    torch.testing.assert_close(scores, x[:, 0] / x.norm(dim=1))
    scaled = x * torch.linspace(0.1, 9, NODES, dtype=torch.float64)[:, None]
    none = torch.zeros(NODES, dtype=torch.int64)
    order, place = ranked_nodes(scores, none)
    assert torch.equal(order, ranked_nodes(cosine_scores(scaled, torch.eye(INP, dtype=torch.float64)[0]), none)[0])
    assert torch.equal(order[place], torch.arange(NODES))
    assert torch.equal(scores[order], scores.sort(descending=True).values)


def projected(module: TopTokens, x: Tensor) -> Tensor:
    result: Tensor = module.project(torch.relu(module.enter(x)))
    return result


@pytest.mark.parametrize("count", [NODES, 40])
def test_with_all_nodes_as_tokens_cross_is_full_attention(count: int) -> None:
    """Check 3."""
    module, x = branch(count=count, feed_forward=False), graph().x
    features = projected(module, x)
    query, key, value = (
        layer(features).view(NODES, 2, WIDTH // 2).transpose(0, 1) for layer in (module.query, module.key, module.value)
    )
    expected = F.scaled_dot_product_attention(query, key, value).transpose(0, 1).flatten(1)
    torch.testing.assert_close(module(x), expected, rtol=0, atol=1e-12)


def tokens_of(module: TopTokens, x: Tensor, mode: str, count: int) -> list[set[int]]:
    """Tokens of every node: the best ones, or those with the nearest places in the order."""
    assert module.fixed is not None
    order = cosine_scores(x, module.fixed()).argsort(descending=True).tolist()
    if mode == "cross":
        return [set(order[:count])] * len(x)
    begins = [min(max(order.index(v) - count // 2, 0), len(x) - count) for v in range(len(x))]
    return [set(order[begin : begin + count]) for begin in begins]


@pytest.mark.parametrize("mode", ["cross", "window"])
@pytest.mark.parametrize("count", [1, 2, 3, 6])
def test_attention_is_that_to_all_nodes_with_all_but_the_tokens_hidden(mode: str, count: int) -> None:
    """Checks 2, 3 and 12: the m best nodes, and the best of fewer are the first ones of more."""
    module, x = branch(count=count, mode=mode, feed_forward=False), graph().x.abs()
    chosen = tokens_of(module, x, mode, count)
    if mode == "window":
        place = ranked_nodes(cosine_scores(x, module.fixed()), torch.zeros(NODES, dtype=torch.int64))[1].tolist()  # type: ignore[misc]
        for v, near in enumerate(chosen):  # nobody outside is nearer in the ranking than somebody inside
            far = set(range(NODES)) - near
            assert max(abs(place[u] - place[v]) for u in near) <= min(abs(place[u] - place[v]) for u in far)
    mask = torch.tensor([[u in tokens for u in range(NODES)] for tokens in chosen])
    assert mask.sum(1).tolist() == [count] * NODES
    features = projected(module, x)
    query, key, value = (
        layer(features).view(NODES, 2, WIDTH // 2).transpose(0, 1) for layer in (module.query, module.key, module.value)
    )
    expected = F.scaled_dot_product_attention(query, key, value, attn_mask=mask).transpose(0, 1).flatten(1)
    torch.testing.assert_close(module(x), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("count", [1, 4, NODES, 40])
def test_broadcast_is_the_mean_of_a_transformer_layer_over_the_tokens(count: int) -> None:
    """Post-norm, four times as wide inside; attention has no projection behind it and no offset of the keys."""
    module, x = branch(count=count, mode="broadcast"), graph().x.abs()
    layer = nn.TransformerEncoderLayer(WIDTH, 2, 4 * WIDTH, 0.0, batch_first=True, dtype=torch.float64)
    refine = module.refine
    assert refine is not None
    with torch.no_grad():
        inside = (module.query, module.key, module.value)
        layer.self_attn.in_proj_weight.copy_(torch.cat([part.weight for part in inside]))
        offsets = [module.query.bias, torch.zeros(WIDTH), module.value.bias]
        layer.self_attn.in_proj_bias.copy_(torch.cat(offsets))  # type: ignore[arg-type]
        layer.self_attn.out_proj.weight.copy_(torch.eye(WIDTH))
        layer.self_attn.out_proj.bias.zero_()
    pairs = {"linear1": "expand", "linear2": "reduce", "norm1": "first_norm", "norm2": "second_norm"}
    for theirs, ours in pairs.items():
        layer.get_submodule(theirs).load_state_dict(refine.get_submodule(ours).state_dict())
    chosen = sorted(tokens_of(module, x, "cross", count)[0])
    expected = layer(projected(module, x)[chosen][None])[0].mean(0).expand(NODES, WIDTH)
    torch.testing.assert_close(module(x), expected, rtol=0, atol=1e-12)


def test_one_token_gives_its_value_to_all_nodes() -> None:
    """Check 4."""
    x = graph().x
    module, mean = (branch(count=1, mode=mode, feed_forward=False) for mode in ("cross", "broadcast"))
    assert module.fixed is not None
    best = int(cosine_scores(x, module.fixed()).argmax())
    expected = module.value(projected(module, x)[best]).expand(NODES, WIDTH)
    for found in (module(x), mean(x)):
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("mode", MODES)
def test_without_edges_nodes_still_meet_through_tokens(mode: str) -> None:
    """Check 5."""
    module, x = block(mode=mode), graph().x.requires_grad_()
    out = module(Graph(x, torch.zeros(2, 0, dtype=torch.int64))).x
    (gradient,) = torch.autograd.grad(out[2].sum(), x)
    assert int(gradient.any(1).sum()) > 1
    layer = module.network.layers.active()[0]  # type: ignore[union-attr]
    near = layer.near(x, torch.zeros(2, 0, dtype=torch.int64))
    torch.testing.assert_close(near, layer.near.own(x), rtol=0, atol=1e-13)
    (gradient,) = torch.autograd.grad(near[2].sum(), x)
    assert gradient.any(1).nonzero().flatten().tolist() == [2]


def test_selected_nodes_are_seen_from_anywhere_and_others_within_hops_only() -> None:
    """Check 6: two layers of the variant with tokens in the first one only, on a path."""
    module, edges, nodes = block(variant="first", m=2), path_graph(30), 30
    x = graph(3, nodes).x.abs().requires_grad_()
    far = module.network.layers.active()[0].far  # type: ignore[union-attr]
    selected = set(far.scores(x).argsort(descending=True)[:2].tolist())
    out = module(Graph(x, edges)).x
    for v in (0, 14, 29):
        (gradient,) = torch.autograd.grad(out[v].sum(), x, retain_graph=True)
        expected = {u for u in range(nodes) if abs(u - v) <= 2} | selected
        assert set(gradient.any(1).nonzero().flatten().tolist()) == expected


@pytest.mark.parametrize("mode", ["cross", "broadcast"])
def test_every_layer_selects_anew_among_what_the_layer_before_gave(mode: str) -> None:
    """Check 6 with tokens in both layers: the second ones have read their neighbours and the first ones."""
    nodes, edges = 30, path_graph(30)
    module = block(variant="chained", m=2, mode=mode)
    x = graph(3, nodes).x.abs().requires_grad_()
    first, second = module.network.layers.active()  # type: ignore[union-attr]
    early = set(first.far.scores(x).argsort(descending=True)[:2].tolist())
    between = first(_Stream(x, edges, None, ())).x
    late = second.far.scores(between).argsort(descending=True)[:2].tolist()
    assert early.isdisjoint(late)
    around = {u for token in late for u in range(token - 1, token + 2)} & set(range(nodes))
    out = module(Graph(x, edges)).x
    for v in (0, 14, 29):
        (gradient,) = torch.autograd.grad(out[v].sum(), x, retain_graph=True)
        expected = {u for u in range(nodes) if abs(u - v) <= 2} | early | around
        assert set(gradient.any(1).nonzero().flatten().tolist()) == expected


def test_fixed_auxiliary_vector_stays_in_training() -> None:
    """Check 7."""
    module = branch().train()
    assert module.fixed is not None
    before = module.fixed().clone()
    module(graph().x).sum().backward()
    assert torch.equal(module.fixed(), before)
    assert not [name for name, _ in module.named_parameters() if "fixed" in name]


def test_auxiliary_vector_turns_away_from_the_mean_and_is_trained_by_gates_only() -> None:
    """Check 7."""
    x = graph().x + 0.7
    module = branch(auxiliary="orthogonal_update").train()
    assert module.fixed is not None
    before = module.fixed().clone()
    module(x)
    after, mean = module.fixed(), x.mean(0)
    assert not torch.allclose(before, after)
    assert abs(float(after.norm()) - 1) < 1e-12
    assert abs(float(after @ mean / mean.norm())) < 1e-6
    module.eval()(x + 5 * torch.eye(INP, dtype=torch.float64)[0])
    assert torch.equal(module.fixed(), after)
    assert not [name for name, _ in module.named_parameters() if "fixed" in name]

    gated = branch(auxiliary="gated")
    gated(x).sum().backward()
    assert gated.trained is not None
    assert bool(gated.trained.vector.grad.any())  # type: ignore[union-attr]


def test_auxiliary_vector_of_one_feature_stays() -> None:
    vector = AuxiliaryVector(1, trained=False)
    before = vector().clone()
    vector.turn_away_from(torch.rand(4, 1))
    assert torch.equal(vector(), before)


@pytest.mark.parametrize("mode", MODES)
def test_no_tensor_grows_faster_than_nodes(mode: str) -> None:
    """Check 8 without a clock: all tensors of twice the nodes are at most twice as large."""

    class Watch(TorchDispatchMode):
        largest = 0

        def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
            result = func(*args, **(kwargs or {}))
            tensors = [t for t in (result if isinstance(result, tuple | list) else [result]) if isinstance(t, Tensor)]
            self.largest = max([self.largest, *(t.numel() for t in tensors)])
            return result

    module, found = branch(mode=mode, count=4), []
    for nodes in (500, 1000):
        with torch.no_grad(), Watch() as watch:
            module(graph(0, nodes).x)
        found.append(watch.largest)
    assert found[0] < found[1] <= 2 * found[0]
    assert found[1] <= 1000 * 4 * WIDTH * 4


def test_widths_inside() -> None:
    """Check 9: a layer gives 2F; the perceptron of `concat` reads L·F, that of `first` 2F."""
    layers = 3
    chained, concat, first = (block(variant=v, layers=layers) for v in ("chained", "concat", "first"))
    assert [int(layer.near.own.weight.shape[1]) for layer in chained.network.layers.active()] == [INP, 12, 12]  # type: ignore[union-attr]
    assert sum(part.weight.shape[1] for part in concat.network.parts.active()) == layers * WIDTH  # type: ignore[union-attr]
    assert first.network.join.weight.shape == (2 * WIDTH, 2 * WIDTH)  # type: ignore[union-attr]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("aux", ALL["aux"])
def test_zero_rows_few_nodes_and_isolated_nodes(mode: str, aux: str) -> None:
    """Check 10."""
    module = block(mode=mode, aux=aux, m=7, local_conv="gat")
    for nodes in (0, 1, 3, 9):
        x = graph(1, nodes).x if nodes else torch.zeros(0, INP, dtype=torch.float64)
        x[1:] = -x[1:].abs()  # relu makes zero rows of all but the first
        x.requires_grad_()
        edges = torch.zeros(2, 2 if nodes else 0, dtype=torch.int64)  # all other nodes are isolated
        out = module(Graph(x, edges)).x
        assert out.shape == (nodes, 3)
        assert bool(torch.isfinite(out).all())
        (gradient,) = torch.autograd.grad(out.sum(), x)
        assert bool(torch.isfinite(gradient).all())
    assert torch.equal(cosine_scores(-torch.ones(2, 3), torch.ones(3)), torch.zeros(2))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("aux", ["random_fixed", "gated"])
def test_tokens_are_chosen_for_each_graph_of_a_batch(mode: str, aux: str) -> None:
    """Check 11."""
    module, parts = block(mode=mode, aux=aux), [graph(1, 4, 9), graph(2, 2, 3), graph(3, 9, 20)]
    starts = [0, 4, 6]
    both = Graph(
        torch.cat([part.x for part in parts]),
        torch.cat([part.edge_index + start for part, start in zip(parts, starts, strict=True)], dim=1),
        torch.repeat_interleave(torch.arange(3), torch.tensor([4, 2, 9])),
    )
    expected = torch.cat([module(part).x for part in parts])
    torch.testing.assert_close(module(both).x, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("mode", MODES)
def test_fewer_tokens_are_a_prefix(mode: str) -> None:
    """Check 12."""
    module, data = block(m=[2, 5], mode=mode), graph()
    assert isinstance(module.m, Ordinal)
    for m in (2, 5):
        module.m.value = m
        fresh = block(m=m, mode=mode)
        fresh.load_state_dict(module.state_dict())
        assert torch.equal(module(data).x, fresh(data).x)


def test_extraction_equals_activation_for_all_options_at_once() -> None:
    """The conformance kit builds blocks with their defaults; here every option is a choice."""
    width = Ordinal(3, 5)
    options = ALL | {"hidden": [4, 8], "layers": [1, 3], "m": [1, 3, 20], "heads": [1, 2]}
    supernet = Supernet(TANGNN(width, 4, **options)).double().eval()  # type: ignore[arg-type]
    randomise(supernet, seed=2)
    rng, seen = np.random.default_rng(0), set()
    for _ in range(60):
        architecture = supernet.space.sample(rng)
        seen |= set(architecture.items())
        supernet.activate(architecture)
        data = graph()._replace(x=graph().x[:, : int(width)])
        with torch.no_grad():
            assert torch.equal(supernet.extract(architecture)(data).x, supernet(data).x), architecture
    assert len(seen) == sum(len(dimension.choices) for dimension in supernet.space.dimensions.values())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mode": "tile"}, "mode: unknown value 'tile'"),
        ({"variant": ["LC"]}, "variant: unknown value 'LC'"),
        ({"hidden": [6, 8], "heads": [1, 4]}, "heads"),
        ({"m": 0}, "m: 0 is not a whole number of at least 1"),
        ({"aux": "gate"}, "aux: unknown value 'gate'. Did you mean 'gated'"),
    ],
)
def test_unfit_option_is_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(SpaceError, match=message):
        TANGNN(3, 4, **options)  # type: ignore[arg-type]
