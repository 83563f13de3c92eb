"""Local goals, their inputs, and that layers do not reach into each other."""

from __future__ import annotations

import copy
import dataclasses
import math
from typing import Any

import pytest
import torch
from automl_graph import plugin
from automl_graph.blocks import SAGE
from automl_graph.forward_learning import (
    CachedGCN,
    ForwardNetwork,
    ForwardOptions,
    LabelledGraph,
    append_labels,
    class_nodes,
    normalised_rows,
    train_forward,
)
from automl_graph.forward_learning.goals import goodness_loss
from automl_graph.forward_learning.labels import virtual_features
from automl_graph.signal import Graph
from torch import Tensor, nn
from torch.nn import functional as F

from automl.errors import ConfigError
from automl.host import Family, Host
from automl.supernet import Supernet

VARIANTS = ("ff-la", "ff-vn", "sf", "sf-top2input", "sf-top2loss")
CLASSES = 3


def blobs(nodes: int = 48) -> tuple[LabelledGraph, Tensor, Tensor, Tensor]:
    """Three clusters with edges mostly inside; returns graph, all labels, validation and test nodes."""
    generator = torch.Generator().manual_seed(1)
    y = torch.arange(nodes) % CLASSES
    x = torch.randn(CLASSES, 7, generator=generator)[y] + 0.7 * torch.randn(nodes, 7, generator=generator)
    ends = torch.randint(nodes, (2, 12 * nodes), generator=generator)
    ends = ends[:, (y[ends[0]] == y[ends[1]]) | (torch.rand(ends.shape[1], generator=generator) < 0.1)]
    order = torch.randperm(nodes, generator=generator)
    train, validation, test = order[:18], order[18:30], order[30:]
    return LabelledGraph(x, torch.cat([ends, ends.flip(0)], 1), y[train], train, CLASSES), y, validation, test


def options(variant: str = "sf", **more: Any) -> ForwardOptions:
    return ForwardOptions(
        **({"variant": variant, "layers": 2, "hidden": 11, "epochs": 40, "learning_rate": 0.02} | more)
    )


def trained(chosen: ForwardOptions) -> tuple[ForwardNetwork, Tensor, Tensor]:
    graph, y, validation, test = blobs()
    return train_forward(graph, validation, y[validation], options=chosen), y, test


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_learns_and_answers_with_finite_scores(variant: str) -> None:
    network, y, test = trained(options(variant, epochs=200))
    scores = network.scores(test)
    assert scores.shape == (48, CLASSES)
    assert scores.isfinite().all()
    # Chance is a third. Labels as features are weakest: at inference a class is appended to whole neighbourhoods at once.
    assert (scores[test].argmax(1) == y[test]).double().mean() > (0.45 if variant == "ff-la" else 0.6)


@pytest.mark.parametrize("variant", ["ff-la", "ff-vn", "sf"])
def test_fewer_layers_of_a_network_are_a_network_trained_with_fewer(variant: str) -> None:
    (deep, _, test), (shallow, _, _) = (trained(options(variant, layers=n, epochs=6)) for n in (3, 2))
    assert torch.equal(deep.scores(test, depth=2), shallow.scores(test))
    for number, layer in enumerate(shallow.layers):  # and so training the third left the first two alone
        for mine, other in zip(layer.parameters(), deep.layers[number].parameters(), strict=True):
            assert torch.equal(mine, other)


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_loss_of_a_layer_reaches_no_other(variant: str) -> None:
    graph, *_ = blobs()
    network = ForwardNetwork(graph, CachedGCN, options(variant, layers=3))
    for level in range(3):
        network.zero_grad(set_to_none=True)
        if variant == "sf-top2input":
            outputs = [network.layers[level](network.between(network.initial_states(), level)).x]
        else:
            states = network.run(network.goal.training_graphs())
            outputs = states[level]
            if variant == "sf-top2loss":
                outputs = [network.averaged([s[0] for s in states], level)]
        network.goal.loss(outputs).backward()
        reached = [any(p.grad is not None for p in layer.parameters()) for layer in network.layers]
        assert reached == [number == level for number in range(3)]


def test_normalised_rows_hide_the_length_and_bear_zeros() -> None:
    x = torch.randn(5, 4)
    torch.testing.assert_close(normalised_rows(x), normalised_rows(x * torch.rand(5, 1).add(0.5)))
    assert not normalised_rows(torch.zeros(2, 3)).any()


@pytest.mark.parametrize("variant", VARIANTS)
def test_layers_do_not_see_how_long_the_rows_of_their_inputs_are(variant: str) -> None:
    """Check 2, in a run and in training; labels as features are a part of the row, so they grow with it here."""
    graph, y, validation, test = blobs()
    lengths = torch.rand(len(graph.x), 1, generator=torch.Generator().manual_seed(3)) * 5 + 0.2
    network = ForwardNetwork(graph, CachedGCN, options(variant, layers=3))
    graphs = network.goal.training_graphs()
    if variant != "sf-top2input":
        factors = torch.cat([lengths, torch.full((CLASSES, 1), 7.0)])[: len(graphs[0].x)]
        scaled = network.run([g._replace(x=g.x * factors) for g in graphs])
        for found, expected in zip(scaled, network.run(graphs), strict=True):
            for mine, other in zip(found, expected, strict=True):
                torch.testing.assert_close(mine, other, rtol=1e-4, atol=1e-5)
    if variant != "ff-la":
        longer = dataclasses.replace(graph, x=graph.x * lengths)
        mine, other = (
            train_forward(g, validation, y[validation], options=options(variant, epochs=4)).scores(test)
            for g in (longer, graph)
        )
        torch.testing.assert_close(mine, other, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("variant", VARIANTS)
def test_labels_of_nodes_that_are_not_trained_on_have_no_effect(variant: str) -> None:
    graph, _, _, test = blobs()
    network = ForwardNetwork(graph, CachedGCN, options(variant)).eval()
    before = network.scores(test)
    graphs = network.goal.training_graphs()
    assert len(graphs) == (CLASSES if variant.startswith("ff") else 1)
    for used in graphs:
        if variant == "ff-la":
            assert torch.equal(used.x[test, -CLASSES:], torch.full((len(test), CLASSES), 1 / CLASSES))
        else:
            assert not torch.isin(test, used.edge_index[:, graph.edge_index.shape[1] :]).any()
    if variant == "sf-top2input":
        assert torch.equal(network.label_state()[test], torch.full((len(test), CLASSES), 1 / CLASSES))
    # The graph holds labels of training nodes only, so there is no place where others could be.
    assert graph.labels.shape == graph.train.shape
    assert torch.equal(network.scores(test), before)


@pytest.mark.parametrize(("both", "links"), [(True, 10), (False, 5)])
def test_virtual_nodes_are_linked_with_the_nodes_of_their_class_only(both: bool, links: int) -> None:
    x, edges = torch.randn(9, 4), torch.tensor([[0, 1], [2, 3]])
    nodes, labels = torch.tensor([7, 2, 4, 0, 8]), torch.tensor([2, 0, 1, 1, 2])
    features = torch.randn(3, 4)
    graph = class_nodes(x, edges, nodes, labels, features, both_directions=both)
    assert graph.x.shape == (12, 4)
    assert torch.equal(graph.x[9:], features)
    added = graph.edge_index[:, 2:]
    assert added.shape == (2, links)
    assert torch.equal(added[:, :5], torch.stack([nodes, labels + 9]))


@pytest.mark.parametrize("variant", ["ff-vn", "sf"])
def test_features_of_virtual_nodes_are_normal_numbers_that_nobody_trains(variant: str) -> None:
    """Check 4."""
    graph, y, validation, _ = blobs()
    many = virtual_features(50, 400, seed=2, like=graph.x)
    assert (abs(float(many.mean())), float(many.std())) == (pytest.approx(0, abs=0.03), pytest.approx(1, abs=0.03))
    assert not torch.equal(many, virtual_features(50, 400, seed=3, like=graph.x))
    network = ForwardNetwork(graph, CachedGCN, options(variant, seed=2))
    expected = virtual_features(CLASSES, 7, seed=2, like=graph.x)
    assert all(torch.equal(g.x[48:], expected) for g in network.goal.training_graphs())
    trained = train_forward(graph, validation, y[validation], options=options(variant, seed=2, epochs=3))
    assert all(torch.equal(g.x[48:], expected) for g in trained.goal.inference_graphs(validation))
    assert {n.split(".")[0] for n, _ in trained.named_parameters()} == {"layers"}


def test_appended_labels_are_one_hot_for_listed_nodes_and_uniform_for_others() -> None:
    appended = append_labels(torch.zeros(3, 2), torch.tensor([2]), torch.tensor([1]), 4)
    assert appended.tolist() == [[0, 0, *[0.25] * 4], [0, 0, *[0.25] * 4], [0, 0, 0, 1, 0, 0]]


def test_goodness_at_the_threshold_costs_log_two_on_each_side() -> None:
    output = torch.full((6, 2), 1.0)  # squared length 2
    assert goodness_loss(output, [output, output], 2.0).item() == pytest.approx(2 * math.log(2))
    assert goodness_loss(output * 3, [output * 0.1], 2.0) < 0.5


def test_a_single_layer_of_single_forward_is_softmax_classification_by_prototypes() -> None:
    graph, *_ = blobs()
    network = ForwardNetwork(graph, CachedGCN, options(layers=1, temperature=0.7))
    (augmented,) = network.goal.training_graphs()
    ((z,),) = network.run([augmented])
    logits = torch.stack([(z[i] * z[48:]).sum(1) / 0.7 for i in graph.train.tolist()])
    torch.testing.assert_close(network.goal.loss([z]), F.cross_entropy(logits, graph.labels))


@pytest.mark.parametrize(("variant", "passes"), [("sf", 1), ("ff-la", CLASSES), ("ff-vn", CLASSES)])
def test_forward_forward_answers_with_a_pass_for_each_class(variant: str, passes: int) -> None:
    graph, _, _, test = blobs()
    network = ForwardNetwork(graph, CachedGCN, options(variant)).eval()
    calls: list[int] = []
    network.layers[0].register_forward_hook(lambda *_: calls.append(1))
    network.scores(test)
    assert len(calls) == passes


def test_forward_forward_answers_with_the_label_of_the_larger_goodness() -> None:
    graph = LabelledGraph(torch.eye(2), torch.zeros(2, 0, dtype=torch.int64), torch.tensor([1]), torch.tensor([0]), 2)
    network = ForwardNetwork(graph, CachedGCN, options("ff-la", layers=1, hidden=1)).eval()
    linear = network.layers[0].linear
    with torch.no_grad():
        linear.weight.copy_(torch.tensor([[0.0, 0.0, 1.0, 3.0]]))  # an appended class 1 counts three times class 0
        linear.bias.zero_()
    scores = network.scores(torch.tensor([1]))
    expected = torch.tensor([1.0, 9.0]) / 2  # the input of node 1 is a row of two ones, scaled to length 1
    torch.testing.assert_close(scores[1], expected)


def test_accumulated_single_forward_scores_add_up_to_the_number_of_layers() -> None:
    network, _, test = trained(options(layers=3, epochs=4))
    scores = network.scores(test)
    assert scores.min() >= 0
    torch.testing.assert_close(scores.sum(1), torch.full((48,), 3.0))


def test_cached_propagation_is_the_uncached_one_and_notices_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    layer = CachedGCN(4, 3)
    x, edges = torch.randn(6, 4), torch.randint(6, (2, 9))

    def fresh() -> Tensor:
        return copy.deepcopy(layer)(Graph(x.clone(), edges.clone())).x

    for change in (lambda: None, lambda: x.mul_(2), lambda: edges.copy_(edges.flip(0))):
        change()
        torch.testing.assert_close(layer(Graph(x, edges)).x, fresh())
        torch.testing.assert_close(layer(Graph(x, edges)).x, fresh())
    # New tensors that were never changed, as those before them.
    fresh_x, fresh_edges, others = x.clone(), edges.clone(), torch.randint(6, (2, 9))
    for other in ((fresh_x, fresh_edges), (fresh_x, others), (x.flip(0), others), (fresh_x[:5], others % 5)):
        torch.testing.assert_close(layer(Graph(*other)).x, copy.deepcopy(layer)(Graph(*(t.clone() for t in other))).x)
    known = layer(Graph(x, edges)).x
    monkeypatch.setattr("automl_graph.forward_learning.layer._propagate", lambda _: pytest.fail("propagated again"))
    assert torch.equal(layer(Graph(x, edges)).x, known)
    monkeypatch.undo()
    wanted = x.clone().requires_grad_()
    layer(Graph(wanted, edges)).x.sum().backward()
    assert wanted.grad is not None


def test_signals_from_above_widen_the_inputs_and_start_at_zero() -> None:
    graph, *_ = blobs()
    network = ForwardNetwork(graph, CachedGCN, options("sf-top2input", layers=3))
    assert [layer.linear.in_features for layer in network.layers] == [7 + 11, 11 + 11, 11 + CLASSES]
    seen: list[Tensor] = []
    for layer in network.layers:
        layer.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0].x))
    network.initial_states()
    assert [bool(x[:, -above:].any()) for x, above in zip(seen, (11, 11, CLASSES), strict=True)] == [False] * 3


def test_signals_from_above_pass_every_second_layer_at_a_time_and_count_from_the_second_step() -> None:
    graph, _, _, test = blobs()
    torch.manual_seed(0)
    network = ForwardNetwork(graph, CachedGCN, options("sf-top2input", layers=3, time_steps=4)).eval()
    (augmented,) = network.goal.training_graphs()
    labels = torch.full((51, CLASSES), 1 / CLASSES)
    labels[graph.train] = F.one_hot(graph.labels, CLASSES).float()
    labels[48:] = torch.eye(CLASSES)

    def new(number: int, below: Tensor, above: Tensor) -> Tensor:
        both = torch.cat([normalised_rows(below), normalised_rows(above)], dim=1)
        result: Tensor = network.layers[number](augmented._replace(x=both)).x
        return result

    with torch.no_grad():
        first = new(0, augmented.x, torch.zeros(51, 11))
        second = new(1, first, torch.zeros(51, 11))
        third = new(2, second, torch.zeros(51, CLASSES))
        total = torch.zeros(48, CLASSES)
        for step in range(1, 5):
            second = new(1, first, third)  # even layers see states of the step before, odd ones these new ones
            first, third = new(0, augmented.x, second), new(2, second, labels)
            if step > 1:
                total += sum((z[:48] @ z[48:].T).softmax(1) for z in (first, second, third))
    torch.testing.assert_close(network.scores(test), total)
    torch.testing.assert_close(total.sum(1), torch.full((48,), 3.0 * 3))


@pytest.mark.parametrize(("variant", "first"), [("sf", 7 * 11 + 11), ("ff-la", (7 + CLASSES) * 11 + 11)])
def test_numbers_of_parameters(variant: str, first: int) -> None:
    network = ForwardNetwork(blobs()[0], CachedGCN, options(variant))
    assert sum(p.numel() for p in network.parameters()) == first + 11 * 11 + 11


HOST = Host.load(entry_points=False, plugins=[plugin])
FAMILIES = {
    name: family
    for name, family in HOST.components("family").items()
    if isinstance(family, Family) and family.accepts == family.produces == "graph"
}


@pytest.mark.parametrize("variant", ["sf", "ff-vn"])
@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_on_graphs_may_be_a_layer(name: str, variant: str) -> None:
    graph, y, validation, test = blobs(30)

    def layer(inp: int, out: int) -> nn.Module:
        """The smallest member of the family, as a search would extract it."""
        supernet = Supernet(FAMILIES[name].load()(inp, out))
        return supernet.extract(supernet.space.smallest())

    chosen = options(variant, epochs=3, hidden=8, learning_rate=0.05)
    network = train_forward(graph, validation, y[validation], options=chosen, convolution=layer)
    assert network.scores(test).isfinite().all()
    for built in network.layers:
        gradients = [p.grad for p in built.parameters() if p.grad is not None]
        assert any(bool(gradient.any()) for gradient in gradients)
        assert all(bool(gradient.isfinite().all()) for gradient in gradients)


def test_any_block_on_graphs_may_be_a_layer() -> None:
    graph, y, validation, test = blobs()
    network = train_forward(
        graph, validation, y[validation], options=options(epochs=20),
        convolution=lambda inp, out: SAGE(inp, out, residual=False, dropout=0.0),
    )  # fmt: skip
    assert (network.scores(test)[test].argmax(1) == y[test]).double().mean() > 0.6


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"variant": "sf-top2inputs"}, "unknown variant 'sf-top2inputs'.*'sf-top2input'"),
        ({"layers": 0}, "layers is 0"),
        ({"theta": 0.0}, "theta is 0.0"),
        ({"negatives": 0}, "negatives is 0"),
        ({"variant": "ff-vn", "both_directions": False}, "both_directions is false, but with 'ff-vn'"),
    ],
)
def test_unusable_options_are_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ForwardOptions(**wrong)


def kept_for_backward(layers: int) -> int:
    """Largest number of bytes that are kept for a backward pass at any moment of a training."""
    alive, most = 0, 0

    class Kept:
        def __init__(self, tensor: Tensor) -> None:
            nonlocal alive, most
            self.tensor = tensor
            alive += tensor.numel() * tensor.element_size()
            most = max(most, alive)

        def __del__(self) -> None:
            nonlocal alive
            alive -= self.tensor.numel() * self.tensor.element_size()

    graph, y, validation, _ = blobs()
    chosen = options(layers=layers, hidden=int(graph.x.shape[1]), epochs=2)
    with torch.autograd.graph.saved_tensors_hooks(Kept, lambda kept: kept.tensor):
        train_forward(graph, validation, y[validation], options=chosen)
    return most


def test_memory_for_training_does_not_grow_with_depth() -> None:
    """Check 10, in bytes kept for the backward pass; layers have equal widths."""
    assert (
        0 < kept_for_backward(6) < 1.2 * kept_for_backward(2)
    )  # three times as much if gradients passed between layers
